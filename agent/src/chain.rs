//! An error and all its causes in one line: `cannot update: cannot reach …: connection refused`.

use std::error::Error;
use std::fmt;

/// Prints an error and its causes.
pub(crate) struct Chain<'a>(pub(crate) &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Outer {
        #[error("cannot update")]
        Update(#[source] std::io::Error),
    }

    #[test]
    fn every_cause_is_named_once() {
        let error = Outer::Update(std::io::Error::other("connection refused"));
        assert_eq!(Chain(&error).to_string(), "cannot update: connection refused");
    }
}
