//! What went wrong in a test or in the demo: what was being done, and why it failed.

use std::error::Error;
use std::fmt;

/// A failure with its causes.
pub struct Failure {
    what: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What everything here returns.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// Says what went wrong.
    pub fn new(what: impl fmt::Display) -> Self {
        Self { what: what.to_string(), source: None }
    }
}

/// Adds what was being done to an error.
pub trait Context<T> {
    /// Says what was being done.
    fn context(self, what: impl fmt::Display) -> Result<T>;
}

impl<T, E: Error + Send + Sync + 'static> Context<T> for std::result::Result<T, E> {
    fn context(self, what: impl fmt::Display) -> Result<T> {
        self.map_err(|error| Failure { what: what.to_string(), source: Some(Box::new(error)) })
    }
}

impl<T> Context<T> for Option<T> {
    fn context(self, what: impl fmt::Display) -> Result<T> {
        self.ok_or_else(|| Failure::new(what))
    }
}

impl fmt::Display for Failure {
    /// Prints the whole chain: nobody prints it but a test or the demo, once.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        let mut cause = self.source.as_deref().map(|error| error as &dyn Error);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Failure {
    /// The same words: this is what a failed test prints.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { what: "cannot go on".into(), source: Some(Box::new(error)) }
    }
}

/// Fails with a text unless a claim holds.
#[macro_export]
macro_rules! ensure {
    ($claim:expr, $($text:tt)+) => {
        if !$claim {
            return Err($crate::failure::Failure::new(format_args!($($text)+)));
        }
    };
}
