//! The system's `os-release`, with the end of support as systemd and `hostnamectl` read it.
//!
//! The image's own file is most often not to be written, so a copy is: `/etc/os-release` in the image is
//! a link to it, and `/usr/lib/os-release`, where all else is read from, the file itself. Until the copy
//! is there, programs fall back on that one. The installer writes it, since others read it as root.

use std::path::Path;

use tenure_proto::limits;
use tenure_proto::time::Day;

use crate::disk;

const KEY: &str = "SUPPORT_END=";

/// Writes the copy, with the last day of support.
pub(crate) fn show(of: &Path, copy: &Path, ends: Option<Day>) -> Result<(), disk::Error> {
    let text = disk::read_bounded(of, limits::CONFIG_BYTES_MAX)?.unwrap_or_default();
    let text = with_end(&String::from_utf8_lossy(&text), ends);
    if disk::read_bounded(copy, limits::CONFIG_BYTES_MAX)?.as_deref() == Some(text.as_bytes()) {
        return Ok(());
    }
    disk::replace(copy, text.as_bytes())
}

/// The text with the end of support; what the image says of it itself, where nothing was declared.
/// os-release(5) names the first day without support, a declaration the last one with it.
fn with_end(text: &str, ends: Option<Day>) -> String {
    let Some(ends) = ends else { return text.into() };
    let others = text.lines().filter(|line| !line.trim_start().starts_with(KEY));
    let lines = others.map(|line| format!("{line}\n"));
    lines.chain([format!("{KEY}{}\n", ends.plus_days(1))]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_day_without_support_is_named_once() {
        let text = "NAME=\"ACME OS\"\nSUPPORT_END=2030-01-01\nIMAGE_VERSION=1.0.0";
        let ends = "2033-12-31".parse().ok();
        assert_eq!(with_end(text, ends), "NAME=\"ACME OS\"\nIMAGE_VERSION=1.0.0\nSUPPORT_END=2034-01-01\n");
        assert_eq!(with_end(text, None), text);
    }

    #[test]
    fn an_extension_is_written_and_the_same_day_is_not_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let (of, copy) = (dir.path().join("of"), dir.path().join("copy"));
        std::fs::write(&of, "ID=acme\n").unwrap();
        let show = |day: &str| {
            show(&of, &copy, day.parse().ok()).unwrap();
            (std::fs::read_to_string(&copy).unwrap(), std::fs::metadata(&copy).unwrap().modified().unwrap())
        };
        let first = show("2033-12-31");
        assert_eq!(first.0, "ID=acme\nSUPPORT_END=2034-01-01\n");
        assert_eq!(show("2033-12-31"), first);
        assert_eq!(show("2035-12-31").0, "ID=acme\nSUPPORT_END=2036-01-01\n");
    }
}
