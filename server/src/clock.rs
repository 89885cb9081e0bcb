//! The only reader of time.
//!
//! A drill may move it with a file: `{"offset_s": 86400, "synchronised": true}`. The file is read
//! anew at each use; a file that is missing or broken moves nothing.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use tenure_proto::time::Timestamp;

/// A clock.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    file: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Moved {
    #[serde(default)]
    offset_s: i64,
}

impl Clock {
    /// The system's clock, moved by `file` if there is one.
    pub fn new(file: Option<PathBuf>) -> Self {
        Self { file }
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        let at = system_s().saturating_add(self.offset_s());
        Timestamp::from_unix_s(at).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Whether the clock may jump, because a file moves it.
    pub fn is_moved(&self) -> bool {
        self.file.is_some()
    }

    fn offset_s(&self) -> i64 {
        let text = self.file.as_ref().and_then(|path| std::fs::read(path).ok());
        let moved = text.and_then(|text| serde_json::from_slice::<Moved>(&text).ok());
        moved.map_or(0, |moved| moved.offset_s)
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that asks the system for the time")]
fn system_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_moves_the_clock_and_a_broken_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clock.json");
        let clock = Clock::new(Some(path.clone()));
        let days = |clock: &Clock| (clock.now().unix_s() - system_s()) / 86_400;
        assert_eq!(days(&clock), 0);
        for (text, moved) in [(r#"{"offset_s": 864000, "synchronised": true}"#, 10), ("{", 0), ("{}", 0)] {
            crate::disk::replace(&path, text.as_bytes(), crate::disk::PUBLIC).unwrap();
            assert_eq!(days(&clock), moved, "{text}");
        }
    }
}
