//! How far a long command is: a bar on a terminal, now and then a line elsewhere.

use std::io::{IsTerminal as _, Write as _};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::words;

/// Files that are smaller finish before anybody wonders.
const QUIET_BYTES: u64 = 32 * 1024 * 1024;
/// A line is written each time that this many percent more are done.
const LINE_PERCENT: u64 = 20;

/// How far one file is.
#[derive(Debug)]
pub(crate) struct Progress {
    label: String,
    total: u64,
    done: u64,
    said_percent: u64,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Starts on `total` bytes of `label`.
    pub(crate) fn new(label: impl Into<String>, total: u64) -> Self {
        let label = label.into();
        let bar = std::io::stderr().is_terminal().then(|| bar(&label, total));
        Self { label, total, done: 0, said_percent: 0, bar }
    }

    /// Goes on by `bytes`.
    pub(crate) fn advance(&mut self, bytes: u64) {
        self.done += bytes;
        match &self.bar {
            Some(bar) => bar.inc(bytes),
            None => self.say_line(),
        }
    }

    fn say_line(&mut self) {
        let percent = (self.done.saturating_mul(100)).checked_div(self.total).unwrap_or(100);
        if self.total < QUIET_BYTES || percent < self.said_percent + LINE_PERCENT {
            return;
        }
        self.said_percent = percent - percent % LINE_PERCENT;
        let (done, total) = (words::bytes(self.done), words::bytes(self.total));
        // If stderr is closed, nobody waits.
        drop(writeln!(std::io::stderr(), "{}: {done} of {total} ({percent} %)", self.label));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(label: &str, total: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
    let style = "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar.with_message(label.to_string())
}
