//! The clock that a test moves: a file that the board and the server both read.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;
use tenure_proto::time::{Day, Timestamp};

use crate::failure::{Context as _, Failure, Result};

/// The clock of a [`crate::world::World`].
#[derive(Debug)]
pub struct WorldClock {
    file: PathBuf,
    offset_s: i64,
    synchronised: bool,
}

impl WorldClock {
    /// Makes a clock that shows the real time and is synchronised.
    pub fn start(file: PathBuf) -> Result<Self> {
        let clock = Self { file, offset_s: 0, synchronised: true };
        clock.save()?;
        Ok(clock)
    }

    /// The file to name in a configuration.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// What the clock shows.
    pub fn now(&self) -> Timestamp {
        let real = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs());
        let real = i64::try_from(real).unwrap_or(i64::MAX);
        Timestamp::from_unix_s(real + self.offset_s).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Moves the clock to `at`.
    pub fn set(&mut self, at: Timestamp) -> Result<()> {
        self.offset_s += at.unix_s() - self.now().unix_s();
        self.save()
    }

    /// Moves the clock by `days`.
    pub fn advance_days(&mut self, days: i64) -> Result<()> {
        self.offset_s += days * 86_400;
        self.save()
    }

    /// Says whether a time server vouches for the clock.
    pub fn set_synchronised(&mut self, synchronised: bool) -> Result<()> {
        self.synchronised = synchronised;
        self.save()
    }

    /// The day that the clock shows.
    pub fn today(&self) -> Day {
        self.now().day()
    }

    /// Replaces the file at once, so that no reader sees half of it.
    fn save(&self) -> Result<()> {
        let text = json!({"offset_s": self.offset_s, "synchronised": self.synchronised}).to_string();
        let next = self.file.with_extension("next");
        std::fs::write(&next, text).context("cannot write the clock")?;
        std::fs::rename(&next, &self.file).context("cannot set the clock")
    }
}

/// Asks again until there is an answer, for at most `limit`.
pub fn wait_for<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let start = Instant::now();
    loop {
        crate::interrupt::check()?;
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if start.elapsed() > limit {
            return Err(Failure::new(format_args!("waited {} s in vain until {what}", limit.as_secs())));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
