//! `fw_env.config`: where U-Boot's environment is, in either form that libubootenv reads.
//!
//! One line for each copy, `device offset size [block-size [blocks]]`; or, in YAML, a name, and below
//! it the size and a list of devices. Of YAML what such files need is read: names, numbers and paths.

use std::path::{Path, PathBuf};

use tenure_proto::limits;

use super::Error;
use crate::disk;

/// One copy's place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Place {
    /// A device or file; a UBI volume may be named, `/dev/ubi0:env`.
    pub(super) device: PathBuf,
    /// From the beginning; from the end if it is negative.
    pub(super) offset: i64,
    /// The length of the copy.
    pub(super) size: usize,
    /// The length of an erase block of flash; what the kernel says if it is not given.
    pub(super) block_bytes: Option<u64>,
    /// How many blocks belong to the copy, for some may be bad.
    pub(super) blocks: Option<u64>,
}

/// Reads the file.
pub(super) fn read(config: &Path) -> Result<Vec<Place>, Error> {
    let what = "where the U-Boot environment is";
    let bytes = disk::read_bounded(config, limits::CONFIG_BYTES_MAX)?;
    let bytes = bytes.ok_or_else(|| Error::Missing { path: config.into(), what })?;
    parse(&String::from_utf8_lossy(&bytes)).map_err(|(line, reason)| Error::Config {
        path: config.into(),
        line,
        reason,
    })
}

type Refused = (usize, &'static str);

fn parse(text: &str) -> Result<Vec<Place>, Refused> {
    let lines = (1..).zip(text.lines()).map(|(number, line)| (number, without_comment(line)));
    let lines: Vec<_> = lines.filter(|(_, line)| !line.trim().is_empty() && *line != "---").collect();
    let is_yaml = lines.first().is_some_and(|(_, line)| !line.starts_with('/') && line.trim_end().ends_with(':'));
    let places = if is_yaml { from_yaml(&lines)? } else { from_lines(&lines)? };
    match places.as_slice() {
        [(_, first), (line, second)] if first.size != second.size => {
            Err((*line, "the two copies have different sizes"))
        }
        [(_, first), (line, second)] if first.overlaps(second) => Err((*line, "the two copies overlap")),
        [_] | [_, _] => Ok(places.into_iter().map(|(_, place)| place).collect()),
        _ => Err((1, "there must be one copy, or two: one line each with device offset size")),
    }
}

/// A comment begins a line, or follows a space.
fn without_comment(line: &str) -> &str {
    let starts = |at: &usize| line.get(..*at).is_some_and(|before| before.is_empty() || before.ends_with([' ', '\t']));
    let at = line.match_indices('#').map(|(at, _)| at).find(starts);
    line.get(..at.unwrap_or(line.len())).unwrap_or_default().trim_end()
}

fn from_lines(lines: &[(usize, &str)]) -> Result<Vec<(usize, Place)>, Refused> {
    let place = |(number, line): &(usize, &str)| {
        let mut words = line.split_ascii_whitespace();
        let device = words.next().unwrap_or_default();
        let place = Place::new(device, words.next(), words.next(), words.next(), words.next());
        place.map(|place| (*number, place)).map_err(|reason| (*number, reason))
    };
    lines.iter().map(place).collect()
}

/// A device of the YAML form, and the line that it begins in.
#[derive(Debug, Default)]
struct Device<'a> {
    line: usize,
    path: Option<&'a str>,
    offset: Option<&'a str>,
    block_bytes: Option<&'a str>,
}

/// One of the environments that the YAML form describes.
#[derive(Debug)]
struct Described<'a> {
    name: &'a str,
    size: Option<&'a str>,
    devices: Vec<Device<'a>>,
    in_devices: bool,
}

fn from_yaml(lines: &[(usize, &str)]) -> Result<Vec<(usize, Place)>, Refused> {
    let mut all: Vec<Described<'_>> = Vec::new();
    for (number, line) in lines {
        let refused = |reason| (*number, reason);
        if line.trim_start_matches(' ').starts_with('\t') {
            return Err(refused("a tab is no indentation in YAML"));
        }
        let (key, value) = line.split_once(':').ok_or(refused("a line of YAML must be `key: value`"))?;
        let (indented, value) = (key.starts_with([' ', '-']), value.trim().trim_matches(['"', '\'']));
        let item = key.trim_start().strip_prefix('-');
        let key = item.unwrap_or(key).trim();
        if !indented {
            all.push(Described { name: key, size: None, devices: Vec::new(), in_devices: false });
            continue;
        }
        let described = all.last_mut().ok_or(refused("there must be a name before what it has"))?;
        if item.is_some() && described.in_devices {
            described.devices.push(Device { line: *number, ..Device::default() });
        }
        match (key, described.devices.last_mut().filter(|_| described.in_devices)) {
            ("path", Some(device)) => device.path = Some(value),
            ("offset", Some(device)) => device.offset = Some(value),
            ("sectorsize", Some(device)) => device.block_bytes = Some(value),
            ("size", _) => described.size = Some(value),
            ("devices", _) => described.in_devices = true,
            // A lock file, and whatever comes; one without a value begins another list.
            _ => described.in_devices &= !value.is_empty(),
        }
    }
    let named = all.iter().find(|described| described.name == "uboot");
    let only = all.first().filter(|_| all.len() == 1);
    let described = named.or(only).ok_or((1, "of several environments one must be called uboot"))?;
    let place = |device: &Device<'_>| {
        let place = Place::new(
            device.path.unwrap_or_default(),
            device.offset.or(Some("0")),
            described.size,
            device.block_bytes,
            None,
        );
        place.map(|place| (device.line, place)).map_err(|reason| (device.line, reason))
    };
    described.devices.iter().map(place).collect()
}

impl Place {
    fn new(
        device: &str,
        offset: Option<&str>,
        size: Option<&str>,
        block_bytes: Option<&str>,
        blocks: Option<&str>,
    ) -> Result<Self, &'static str> {
        let device = Some(PathBuf::from(device)).filter(|device| device.is_absolute());
        let device = device.ok_or("the device must be a full path")?;
        let offset = offset.and_then(signed).ok_or("the offset must be a number")?;
        let bounds = limits::BOOT_ENV_BYTES_MIN..=limits::BOOT_ENV_BYTES_MAX;
        let size = size.and_then(number).filter(|size| bounds.contains(size));
        let size = size.and_then(|size| usize::try_from(size).ok());
        let size = size.ok_or("the size must be a number between 16 bytes and 4 MiB")?;
        let given =
            |text: Option<&str>| text.map(|text| number(text).ok_or("a block's size must be a number")).transpose();
        let (block_bytes, blocks) = (given(block_bytes)?.filter(|bytes| *bytes > 0), given(blocks)?);
        Ok(Self { device, offset, size, block_bytes, blocks })
    }

    fn overlaps(&self, other: &Self) -> bool {
        // From which end they count is the same, or nothing can be said.
        let ends = |place: &Self| i128::from(place.offset) + i128::try_from(place.size).unwrap_or(i128::MAX);
        self.device == other.device
            && (self.offset < 0) == (other.offset < 0)
            && i128::from(self.offset) < ends(other)
            && i128::from(other.offset) < ends(self)
    }
}

/// A number as C reads it: `0x` before hexadecimal digits, or decimal.
fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn signed(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    i64::try_from(number(digits)?).ok().map(|number| sign * number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(device: &str, offset: i64, size: usize) -> Place {
        Place { device: device.into(), offset, size, block_bytes: None, blocks: None }
    }

    #[test]
    fn a_config_is_read_as_fw_printenv_reads_it() {
        let two = "# comment\n/dev/mmcblk0 0x400000 0x4000 # first\n\n/dev/mmcblk0\t4210688 0x4000 0x200 1\n";
        let second = Place { block_bytes: Some(512), blocks: Some(1), ..place("/dev/mmcblk0", 4_210_688, 0x4000) };
        assert_eq!(parse(two).unwrap(), [place("/dev/mmcblk0", 0x40_0000, 0x4000), second]);
        assert_eq!(parse("/dev/mmcblk0 -0x20000 0x20000").unwrap(), [place("/dev/mmcblk0", -0x2_0000, 0x2_0000)]);
        for (text, line) in [
            ("", 1),
            ("/dev/a 0 0x100\n/dev/b 0 0x100\n/dev/c 0 0x100", 1),
            ("\nenv.img 0 0x100", 2),
            ("/dev/a 0x-1 0x100", 1),
            ("/dev/a 0 0", 1),
            ("/dev/a 0 0xFFFFFFFF", 1),
            ("/dev/a 0 0x100 none", 1),
            ("/dev/a 0 0x100\n/dev/a 0x80 0x100", 2),
            ("/dev/a -0x100 0x100\n/dev/a -0x180 0x100", 2),
            ("/dev/a 0 0x100\n/dev/b 0 0x200", 2),
        ] {
            assert_eq!(parse(text).unwrap_err().0, line, "{text}");
        }
    }

    #[test]
    fn the_yaml_form_says_the_same() {
        let text = "# made by hand\nappvar:\n  size : 0x1000\n  devices:\n    - path : /srv/app.img\n      offset : 0\n\
                    uboot:\n  size : 0x4000\n  lockfile : /var/lock/fw_printenv.lock\n  devices:\n    - path : /dev/mtd0\n      \
                    offset : 0xA0000\n      sectorsize : 0x10000\n      unlock : yes\n    - path: \"/dev/ubi0:env\"\n  writelist:\n    - name : a\n";
        let first = Place { block_bytes: Some(0x1_0000), ..place("/dev/mtd0", 0xA_0000, 0x4000) };
        assert_eq!(parse(text).unwrap(), [first, place("/dev/ubi0:env", 0, 0x4000)]);
        let one = "other:\n  devices:\n  - path: /dev/a\n    offset: -0x100\n  size: 256\n";
        assert_eq!(parse(one).unwrap(), [place("/dev/a", -256, 256)]);
        for (text, line) in [
            ("uboot:\n  size: 0x100\n  devices:\n    - offset: 0\n", 4),
            ("uboot:\n  devices:\n    - path: /dev/a\n", 3),
            ("uboot:\n  size: 0x100\n", 1),
            ("a:\n  size: 1\nb:\n  size: 1\n", 1),
            ("uboot:\n\tsize: 0x100\n", 2),
            ("uboot:\n  size\n", 2),
            ("uboot:\n  size: 256\n  devices:\n    - path: /dev/a\n    - path: /dev/a\n", 5),
        ] {
            assert_eq!(parse(text).unwrap_err().0, line, "{text}");
        }
    }
}
