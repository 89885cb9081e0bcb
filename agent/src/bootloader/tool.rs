//! A program that knows the bootloader.

use std::path::PathBuf;
use std::time::Duration;

use tenure_proto::limits;

use super::Error;
use crate::clock::Clock;
use crate::program;

/// The program with its first arguments.
#[derive(Debug)]
pub(super) struct Tool {
    pub(super) words: Vec<String>,
    pub(super) clock: Clock,
    pub(super) limit: Duration,
}

impl Tool {
    pub(super) fn new(words: &[String], clock: Clock) -> Self {
        Self { words: words.to_vec(), clock, limit: Duration::from_secs(limits::BOOT_PROGRAM_S_MAX) }
    }

    /// What it prints, called with these arguments; it must end with 0 in time.
    pub(super) fn ask(&self, arguments: &[&str]) -> Result<String, Error> {
        let arguments = arguments.iter().copied().map(String::from);
        let words: Vec<_> = self.words.iter().cloned().chain(arguments).collect();
        Ok(program::answer(&words, self.limit, &self.clock)?)
    }

    pub(super) fn program(&self) -> PathBuf {
        self.words.first().map(PathBuf::from).unwrap_or_default()
    }

    pub(super) fn misunderstood(&self, answer: &str, wanted: &'static str) -> Error {
        // Enough to find the mistake.
        let answer = answer.chars().take(80).collect();
        Error::Answer { program: self.words.join(" "), answer, wanted }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    /// A shell script that may use `$D`, the folder; its calls are told by [`calls`].
    pub(in super::super) fn shell(folder: &Path, script: &str) -> Tool {
        let path = folder.join("tool");
        fs::write(&path, format!("D={}\necho \"$*\" >> $D/calls\n{script}", folder.display())).unwrap();
        let words = ["/bin/sh".into(), path.display().to_string()];
        Tool { limit: Duration::from_secs(1), ..Tool::new(&words, Clock::for_test()) }
    }

    /// The calls that change something, since the last time.
    pub(in super::super) fn calls(folder: &Path) -> Vec<String> {
        let calls = fs::read_to_string(folder.join("calls")).unwrap_or_default();
        drop(fs::remove_file(folder.join("calls")));
        let changes = |call: &&str| call.starts_with("set") || call.starts_with("-s");
        calls.lines().filter(changes).map(String::from).collect()
    }

    /// Each way in which a program can fail us.
    pub(in super::super) const FAULTS: [(&str, &str); 5] = [
        ("sleep 60", "did not end within 1 s"),
        ("echo no device >&2; exit 7", "exit status: 7: no device"),
        ("echo rubbish", "printed \"rubbish\\n\""),
        ("echo; echo A; echo B", "printed \"\\nA\\nB\\n\""),
        ("head -c 300000 /dev/zero", "printed more than 262144 bytes"),
    ];
}
