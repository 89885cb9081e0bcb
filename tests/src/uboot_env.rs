//! A reader and writer of U-Boot environments, written apart from the agent's so that each judges
//! the other.
//!
//! Layout: CRC-32 (little endian) of everything behind the header; one byte of generation where
//! there are two copies; then `key=value` texts, each ended by a zero byte, and one more at the end.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::failure::{Context as _, Failure, Result};

/// The variables.
pub type Variables = BTreeMap<String, String>;

/// One place that holds a copy.
#[derive(Clone, Debug)]
struct Place {
    file: PathBuf,
    offset: u64,
    size: usize,
}

/// An environment as `fw_env.config` names it.
#[derive(Clone, Debug)]
pub struct UbootEnv {
    places: Vec<Place>,
}

struct Copy {
    generation: u8,
    variables: Variables,
}

impl UbootEnv {
    /// Reads `fw_env.config`: `file offset size` on one line, or on two for two copies.
    pub fn open(config: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(config).context(format_args!("cannot read {}", config.display()))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let places: Vec<_> = lines.map(place).collect::<Result<_>>()?;
        ensure!(matches!(places.len(), 1 | 2), "{} names {} places", config.display(), places.len());
        Ok(Self { places })
    }

    /// The variables of the newest valid copy; `None` if no copy is valid.
    pub fn read(&self) -> Result<Option<Variables>> {
        Ok(self.newest().map(|(_, copy)| copy.variables))
    }

    /// Writes the older copy, as U-Boot and `fw_setenv` do, and makes it durable.
    pub fn write(&self, variables: &Variables) -> Result<()> {
        let (to, generation) = match self.newest() {
            Some((newest, copy)) => ((newest + 1) % self.places.len(), copy.generation.wrapping_add(1)),
            None => (0, 1),
        };
        let place = self.places.get(to).context("the environment has no place")?;
        let bytes = self.encode(place, generation, variables)?;
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&place.file);
        let file = file.context(format_args!("cannot open {}", place.file.display()))?;
        file.write_all_at(&bytes, place.offset).context("cannot write the environment")?;
        file.sync_all().context("cannot sync the environment")
    }

    /// How many copies are valid.
    pub fn valid_copies(&self) -> usize {
        self.places.iter().filter_map(|place| self.copy(place)).count()
    }

    fn header_bytes(&self) -> usize {
        if self.places.len() == 2 { 5 } else { 4 }
    }

    fn newest(&self) -> Option<(usize, Copy)> {
        let mut copies = self.places.iter().map(|place| self.copy(place));
        let (first, second) = (copies.next().flatten(), copies.next().flatten());
        match (first, second) {
            (Some(first), Some(second)) => {
                // The generation wraps: 0 comes after 255.
                let second_is_newer = second.generation.wrapping_sub(first.generation) == 1;
                Some(if second_is_newer { (1, second) } else { (0, first) })
            }
            (Some(first), None) => Some((0, first)),
            (None, Some(second)) => Some((1, second)),
            (None, None) => None,
        }
    }

    fn copy(&self, place: &Place) -> Option<Copy> {
        let file = std::fs::File::open(&place.file).ok()?;
        let mut bytes = vec![0; place.size];
        file.read_exact_at(&mut bytes, place.offset).ok()?;
        let (head, body) = bytes.split_at_checked(self.header_bytes())?;
        let crc = u32::from_le_bytes(head.get(..4)?.try_into().ok()?);
        if crc32fast::hash(body) != crc {
            return None;
        }
        let generation = head.get(4).copied().unwrap_or(0);
        let texts = body.split(|byte| *byte == 0).take_while(|text| !text.is_empty());
        let texts = texts.map(|text| String::from_utf8_lossy(text).into_owned());
        let pairs =
            texts.filter_map(|text| text.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())));
        Some(Copy { generation, variables: pairs.collect() })
    }

    fn encode(&self, place: &Place, generation: u8, variables: &Variables) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        for (key, value) in variables {
            body.extend_from_slice(format!("{key}={value}\0").as_bytes());
        }
        let room = place.size.saturating_sub(self.header_bytes());
        ensure!(body.len() < room, "the environment is full");
        body.resize(room, 0);
        let mut bytes = crc32fast::hash(&body).to_le_bytes().to_vec();
        if self.places.len() == 2 {
            bytes.push(generation);
        }
        bytes.extend_from_slice(&body);
        Ok(bytes)
    }
}

fn place(line: &str) -> Result<Place> {
    let bad = || Failure::new(format_args!("no place of an environment: {line}"));
    let mut words = line.split_whitespace();
    let file = words.next().ok_or_else(bad)?;
    let mut number = || words.next().and_then(parse_number).ok_or_else(bad);
    let (offset, size) = (number()?, number()?);
    Ok(Place { file: file.into(), offset, size: usize::try_from(size)? })
}

fn parse_number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_hundred_writes_are_each_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("fw_env.config");
        let [first, second] = ["a", "b"].map(|name| dir.path().join(name).display().to_string());
        std::fs::write(&config, format!("{first} 0x0 0x1000\n{second} 0x0 0x1000\n")).unwrap();
        let env = UbootEnv::open(&config).unwrap();
        assert_eq!(env.read().unwrap(), None);
        for round in 0..300 {
            let variables = Variables::from([("round".to_owned(), round.to_string())]);
            env.write(&variables).unwrap();
            assert_eq!(env.read().unwrap(), Some(variables));
        }
        assert_eq!(env.valid_copies(), 2);
    }
}
