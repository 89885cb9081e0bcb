//! systemd-boot's entries, and which of them it boots: its own rules, said again.
//!
//! An entry is a file `name+LEFT-DONE.conf` in `loader/entries` or `name+LEFT-DONE.efi` in
//! `EFI/Linux`; without the counter it is good. The loader counts before it starts an entry, and
//! takes the first in this order: those with tries left or without a counter first; by `sort-key`,
//! `machine-id` and then the newest version where both have a sort key; by the highest name where
//! neither has. It **never gives up**: if no entry has a try left, the first of them is started.

use std::cmp::Ordering;
use std::fs::File;
use std::io;
use std::iter;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use tenure_proto::limits;

use crate::disk;

/// How often an entry may still be tried, and was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Counter {
    pub(super) left: u32,
    pub(super) done: u32,
}

/// An entry that systemd-boot would show.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) path: PathBuf,
    /// Of a good entry there is none.
    pub(super) counter: Option<Counter>,
    sort: Sort,
}

/// What the content says of the order.
#[derive(Clone, Debug, Default, PartialEq)]
struct Sort {
    key: Option<String>,
    machine_id: Option<String>,
    version: Option<String>,
}

/// Whether the counter is part of the name by which an entry is known: versions differ.
#[derive(Clone, Copy, Debug)]
enum Names {
    Bare,
    Counted,
}

/// `name+LEFT-DONE.conf` as `name.conf` and its counter.
pub(super) fn split_name(name: &str) -> (String, Option<Counter>) {
    let counted = || {
        let (stem, ending) = name.rsplit_once('.')?;
        let (stem, counter) = stem.rsplit_once('+')?;
        let (left, done) = counter.split_once('-').unwrap_or((counter, "0"));
        let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?;
        Some((format!("{stem}.{ending}"), Counter { left: number(left)?, done: number(done)? }))
    };
    counted().map_or_else(|| (name.to_owned(), None), |(bare, counter)| (bare, Some(counter)))
}

impl Entry {
    /// Reads an entry from `file`, as if it had the name `path`. `None`: systemd-boot passes it over.
    /// `root` is where the paths in it begin.
    pub(super) fn read(file: &Path, path: &Path, root: &Path) -> Result<Option<Self>, disk::Error> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let sort = match path.extension().and_then(|ending| ending.to_str()) {
            _ if name.starts_with('.') || name.starts_with("auto-") => None,
            Some("conf") => {
                let text = disk::read_bounded(file, limits::CONFIG_BYTES_MAX)?.unwrap_or_default();
                of_text(&String::from_utf8_lossy(&text), root)
            }
            Some("efi") => of_image(file).map_err(disk::Error::io("read", file))?,
            _ => None,
        };
        Ok(sort.map(|sort| Self { path: path.into(), counter: split_name(&name).1, sort }))
    }

    fn is_spent(&self) -> bool {
        self.counter.is_some_and(|counter| counter.left == 0)
    }

    fn name(&self, names: Names) -> String {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        match names {
            Names::Counted => name,
            Names::Bare => split_name(&name).0,
        }
    }
}

/// The entry that is booted next. `wishes` are the patterns that overrule the order, the strongest
/// first. `None` if there is none, or if it depends on the loader's version.
pub(super) fn next<'a>(entries: &'a [Entry], wishes: &[String]) -> Option<&'a Entry> {
    let next = |names| {
        let first = |entries: &mut dyn Iterator<Item = &'a Entry>| entries.min_by(|a, b| compare(a, b, names));
        let overruling = wishes.iter().find_map(|wish| {
            first(&mut entries.iter().filter(|entry| matches(wish.as_bytes(), entry.name(names).as_bytes())))
        });
        overruling.or_else(|| first(&mut entries.iter()))
    };
    let same = |a: &Entry, b: &Entry| a.name(Names::Bare) == b.name(Names::Bare);
    next(Names::Bare).filter(|bare| next(Names::Counted).is_some_and(|counted| same(bare, counted)))
}

fn compare(a: &Entry, b: &Entry, names: Names) -> Ordering {
    let by_content = || match (&a.sort.key, &b.sort.key) {
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
        (Some(_), Some(_)) => {
            let version = |entry: &Entry| entry.sort.version.clone().unwrap_or_default();
            let by_name = (&a.sort.key, &a.sort.machine_id).cmp(&(&b.sort.key, &b.sort.machine_id));
            by_name.then_with(|| compare_versions(&version(b), &version(a)))
        }
    };
    let by_name = || compare_versions(&b.name(names), &a.name(names));
    a.is_spent().cmp(&b.is_spent()).then_with(by_content).then_with(by_name)
}

/// Versions as the UAPI group's Version Format Specification compares them.
fn compare_versions(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        (a, b) = (without_noise(a), without_noise(b));
        // A segment after '~' is older than none, after '-', '^' and '.' older than one without.
        for separator in *b"~-^." {
            let (short_a, short_b) = (a.strip_prefix(&[separator]), b.strip_prefix(&[separator]));
            match (short_a, short_b) {
                (Some(_), None) => return Ordering::Less,
                (None, Some(_)) => return Ordering::Greater,
                (Some(rest_a), Some(rest_b)) => (a, b) = (rest_a, rest_b),
                (None, None) => {}
            }
            if separator == b'~' && (a.is_empty() || b.is_empty()) {
                return a.len().cmp(&b.len());
            }
        }
        let is_number = |text: &[u8]| text.first().is_some_and(u8::is_ascii_digit);
        let ordering;
        (ordering, a, b) = if is_number(a) || is_number(b) {
            segment(a, b, u8::is_ascii_digit, compare_numbers)
        } else {
            segment(a, b, u8::is_ascii_alphabetic, Ord::cmp)
        };
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
}

/// Compares two numbers of any length; one is newer than none.
fn compare_numbers(a: &[u8], b: &[u8]) -> Ordering {
    let zeros = |digits: &[u8]| digits.iter().take_while(|digit| **digit == b'0').count();
    let (value_a, value_b) = (a.get(zeros(a)..), b.get(zeros(b)..));
    let length = |value: Option<&[u8]>| value.map(<[u8]>::len);
    a.is_empty().cmp(&b.is_empty()).reverse().then(length(value_a).cmp(&length(value_b))).then(value_a.cmp(&value_b))
}

fn without_noise(text: &[u8]) -> &[u8] {
    let counts = |byte: &u8| byte.is_ascii_alphanumeric() || b"~-^.".contains(byte);
    text.get(text.iter().position(counts).unwrap_or(text.len())..).unwrap_or_default()
}

/// Compares the leading bytes of a kind, and gives what follows them.
fn segment<'a>(
    a: &'a [u8],
    b: &'a [u8],
    kind: fn(&u8) -> bool,
    compare: fn(&[u8], &[u8]) -> Ordering,
) -> (Ordering, &'a [u8], &'a [u8]) {
    let split = |text: &'a [u8]| text.split_at(text.iter().take_while(|byte| kind(byte)).count());
    let ((head_a, rest_a), (head_b, rest_b)) = (split(a), split(b));
    (compare(head_a, head_b), rest_a, rest_b)
}

/// Whether a pattern with `*` and `?` fits the whole name.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    // After so many bytes of the name, each part of the pattern up to here may have ended.
    let mut ends: Vec<bool> = (0..=name.len()).map(|length| length == 0).collect();
    for wanted in pattern {
        let fits = |byte: &u8| *wanted == b'?' || wanted.eq_ignore_ascii_case(byte);
        ends = match wanted {
            b'*' => ends
                .iter()
                .scan(false, |any, end| {
                    *any |= end;
                    Some(*any)
                })
                .collect(),
            _ => iter::once(false).chain(ends.iter().zip(name).map(|(end, byte)| *end && fits(byte))).collect(),
        };
    }
    ends.last() == Some(&true)
}

/// `key value` of each line that says something.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = text.split(['\n', '\r']).map(str::trim).filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once([' ', '\t']).map(|(key, value)| (key, value.trim())))
}

/// The order that a type-1 entry asks for, if it names something to start that is there.
fn of_text(text: &str, root: &Path) -> Option<Sort> {
    let value = |wanted: &str| lines(text).filter(|(key, _)| *key == wanted).last().map(|(_, value)| value.to_owned());
    let starts = ["linux", "efi", "uki"].iter().find_map(|key| value(key))?;
    let there = root.join(starts.replace('\\', "/").trim_start_matches('/')).exists();
    there.then(|| Sort { key: value("sort-key"), machine_id: value("machine-id"), version: value("version") })
}

/// The order that a unified kernel image asks for, in the section with its os-release.
fn of_image(path: &Path) -> io::Result<Option<Sort>> {
    let file = File::open(path)?;
    let Some(text) = os_release(&file) else { return Ok(None) };
    let value = |wanted: &[&str]| {
        wanted.iter().find_map(|wanted| {
            let mut values = text.lines().filter_map(|line| line.trim().strip_prefix(wanted)?.strip_prefix('='));
            values.next_back().map(|value| value.trim_matches(['"', '\'']).to_owned())
        })
    };
    let named = value(&["PRETTY_NAME", "IMAGE_ID", "NAME", "ID"]);
    Ok(named.map(|_| Sort {
        key: value(&["IMAGE_ID", "ID"]),
        machine_id: None,
        version: value(&["IMAGE_VERSION", "VERSION", "VERSION_ID", "BUILD_ID"]),
    }))
}

/// The text of a PE image's section `.osrel`.
fn os_release(file: &File) -> Option<String> {
    let at = |offset: u64, length: usize| {
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, offset).ok().map(|()| bytes)
    };
    let u16_at = |offset| Some(u16::from_le_bytes(at(offset, 2)?.try_into().ok()?));
    let u32_at = |offset| Some(u32::from_le_bytes(at(offset, 4)?.try_into().ok()?));
    let header = u64::from(u32_at(0x3c)?);
    (at(header, 4)? == b"PE\0\0").then_some(())?;
    let sections = header + 24 + u64::from(u16_at(header + 20)?);
    let count = u16_at(header + 6)?.min(limits::PE_SECTIONS_MAX);
    let section = (0..count)
        .map(|nth| sections + 40 * u64::from(nth))
        .find(|section| at(*section, 8).as_deref() == Some(b".osrel\0\0"))?;
    let length = u32_at(section + 8)?.min(u32_at(section + 16)?);
    (u64::from(length) <= limits::OS_RELEASE_BYTES_MAX).then_some(())?;
    let bytes = at(u32_at(section + 20)?.into(), usize::try_from(length).ok()?)?;
    Some(String::from_utf8_lossy(&bytes).trim_end_matches('\0').to_owned())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A PE image with one section, as far as a loader reads it.
    pub(in super::super) fn image(os_release: &str) -> Vec<u8> {
        let mut bytes = vec![0; 512];
        bytes[..2].copy_from_slice(b"MZ");
        bytes[0x3c] = 0x40;
        bytes[0x40..0x44].copy_from_slice(b"PE\0\0");
        bytes[0x46] = 1;
        let section = 0x40 + 24;
        let length = u32::try_from(os_release.len()).unwrap().to_le_bytes();
        bytes[section..section + 8].copy_from_slice(b".osrel\0\0");
        bytes[section + 8..section + 12].copy_from_slice(&length);
        bytes[section + 16..section + 20].copy_from_slice(&length);
        bytes[section + 20..section + 24].copy_from_slice(&512_u32.to_le_bytes());
        [bytes, os_release.as_bytes().to_vec()].concat()
    }

    #[test]
    fn a_counter_is_read_from_a_files_name() {
        let counted = |left, done| Some(Counter { left, done });
        for (name, bare, counter) in [
            ("a.conf", "a.conf", None),
            ("a+3.conf", "a.conf", counted(3, 0)),
            ("a+2-1.efi", "a.efi", counted(2, 1)),
            ("a+b+0-10.efi", "a+b.efi", counted(0, 10)),
            ("a+.conf", "a+.conf", None),
            ("a+1-.conf", "a+1-.conf", None),
            ("a+1-2-3.conf", "a+1-2-3.conf", None),
            ("a+-1.conf", "a+-1.conf", None),
            ("a-1.conf", "a-1.conf", None),
            ("a+99999999999.conf", "a+99999999999.conf", None),
        ] {
            assert_eq!(split_name(name), (bare.into(), counter), "{name}");
        }
    }

    #[test]
    fn versions_are_in_the_order_of_the_specification() {
        let versions = [
            "122.1",
            "123~rc1-1",
            "123",
            "123-a",
            "123-a.1",
            "123-1",
            "123-1.1",
            "123^post1",
            "123.a-1",
            "123.1-1",
            "123a-1",
            "124-1",
        ];
        for (nth, older) in versions.iter().enumerate() {
            assert_eq!(compare_versions(older, older), Ordering::Equal);
            for newer in &versions[nth + 1..] {
                assert_eq!(compare_versions(older, newer), Ordering::Less, "{older} {newer}");
                assert_eq!(compare_versions(newer, older), Ordering::Greater, "{newer} {older}");
            }
        }
        assert_eq!(compare_versions("1_02", "1.2"), Ordering::Greater);
        assert_eq!(compare_versions("01_2", "1_002"), Ordering::Equal);
    }

    #[test]
    fn a_pattern_fits_a_whole_name() {
        for (pattern, name, fits) in [
            ("", "", true),
            ("*", "", true),
            ("a*b?", "a-b-bc", true),
            ("a*b?", "a-b-b", false),
            ("A", "a", true),
            ("a", "ab", false),
            ("?", "", false),
            ("a*a*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn what_the_loader_passes_over_is_no_entry() {
        let dir = tempfile::tempdir().unwrap();
        let read = |name: &str, content: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, content).unwrap();
            Entry::read(&path, &path, dir.path()).unwrap()
        };
        std::fs::write(dir.path().join("kernel"), "").unwrap();
        assert!(read("a.conf", b"linux /kernel").is_some());
        assert!(read("a.conf", b"efi \\kernel\r\n").is_some());
        assert!(read("a.efi", &image("ID=x")).is_some());
        for (name, content) in [
            ("a.conf", &b""[..]),
            ("a.conf", b"linux /gone"),
            ("a.conf", b"#linux /kernel"),
            ("auto-a.conf", b"linux /kernel"),
            (".a.conf", b"linux /kernel"),
            ("a.conf.off", b"linux /kernel"),
            ("a.efi", b""),
            ("a.efi", &[0; 4096]),
            ("a.efi", &[0xFF; 4096]),
        ] {
            assert_eq!(read(name, content), None, "{name}");
        }
    }

    proptest! {
        /// Whatever is in an image, it is read without harm.
        #[test]
        fn an_image_with_any_content_is_read(
            noise in proptest::collection::vec((0usize..600, any::<u8>()), 0..40),
            length in 0usize..600,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let mut bytes = image("ID=acme\nVERSION=1\n");
            let length_of_all = bytes.len();
            for (at, byte) in noise {
                bytes[at % length_of_all] = byte;
            }
            bytes.truncate(length);
            let path = dir.path().join("a.efi");
            std::fs::write(&path, bytes).unwrap();
            Entry::read(&path, &path, dir.path()).unwrap();
        }

        #[test]
        fn the_order_of_versions_is_one(a in "[0-9a-c~^.+-]{0,6}", b in "[0-9a-c~^.+-]{0,6}") {
            prop_assert_eq!(compare_versions(&a, &b), compare_versions(&b, &a).reverse());
        }
    }
}
