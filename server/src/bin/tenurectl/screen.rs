//! What people and programs read: words on stdout, or one JSON value; errors on stderr.

use std::error::Error;
use std::io::Write as _;

use serde_json::{Value, json};

/// Where answers go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    json: bool,
}

impl Screen {
    /// Answers in JSON or in words.
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Says a line to people. Programs hear [`Screen::answer`] alone.
    pub(crate) fn say(self, line: impl AsRef<str>) {
        if !self.json {
            out(line.as_ref());
        }
    }

    /// Gives the one JSON value that a command ends with.
    pub(crate) fn answer(self, value: &Value) {
        if self.json {
            out(&format!("{value:#}"));
        }
    }

    /// Says why the command failed: on stderr, and to programs as JSON too.
    pub(crate) fn fail(self, failure: &(dyn Error + 'static)) {
        let chain = chain(failure);
        self.answer(&json!({ "error": chain }));
        // If stderr is closed, nobody is left to tell.
        drop(writeln!(std::io::stderr(), "error: {chain}"));
    }
}

/// Warns, whoever listens: on stderr.
pub(crate) fn warn(line: &str) {
    // If stderr is closed, nobody is left to tell.
    drop(writeln!(std::io::stderr(), "warning: {line}"));
}

fn out(text: &str) {
    // A reader who has seen enough (`| head`) is no fault.
    drop(writeln!(std::io::stdout(), "{text}"));
}

/// The error and its causes: `a: b: c`.
pub(crate) fn chain(failure: &(dyn Error + 'static)) -> String {
    let mut text = failure.to_string();
    let mut source = failure.source();
    while let Some(error) = source {
        let cause = error.to_string();
        // A transparent error is its own source's text.
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open the door")]
    struct Door(#[source] std::io::Error);

    #[test]
    fn an_error_is_printed_with_its_whole_chain() {
        let error = Door(std::io::Error::other("it is locked"));
        assert_eq!(chain(&error), "cannot open the door: it is locked");
    }
}
