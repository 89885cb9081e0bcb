//! The options of a product that cannot be updated.

use tenure_proto::support::Fixed;

use crate::dates;

/// What is published of a product that cannot be updated (EN 303 645, 5.3-14 and 5.3-15).
#[derive(clap::Args, Debug)]
pub(crate) struct FixedWording {
    /// The product cannot be updated, and why
    #[arg(long, value_name = "TEXT")]
    fixed_because: Option<String>,
    /// How a product that cannot be updated is replaced
    #[arg(long, value_name = "TEXT")]
    replacement: Option<String>,
    /// The last day on which it is replaced, YYYY-MM-DD
    #[arg(long, value_name = "DAY")]
    replacement_ends: Option<String>,
    /// How an owner cuts it off from networks
    #[arg(long, value_name = "TEXT")]
    isolation: Option<String>,
}

/// Why the options do not make one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A day that is none.
    #[error(transparent)]
    Date(#[from] dates::Error),
    /// Some of them, and nothing that was said before.
    #[error(
        "a product that cannot be updated needs {0} too: why, how and until when it is replaced, and how it is isolated are published together (EN 303 645, 5.3-14 and 5.3-15)"
    )]
    Missing(&'static str),
}

impl FixedWording {
    /// `held` in these words; what is not given stays as it was.
    pub(crate) fn apply(self, held: Option<Fixed>) -> Result<Option<Fixed>, Error> {
        let Self { fixed_because, replacement, replacement_ends, isolation } = self;
        let ends = replacement_ends.as_deref().map(dates::day).transpose()?;
        if fixed_because.is_none() && replacement.is_none() && ends.is_none() && isolation.is_none() {
            return Ok(held);
        }
        let before = held.as_ref();
        let text = |given: Option<String>, held: Option<&String>, name| {
            given.or_else(|| held.cloned()).ok_or(Error::Missing(name))
        };
        Ok(Some(Fixed {
            reason: text(fixed_because, before.map(|held| &held.reason), "--fixed-because")?,
            replacement: text(replacement, before.map(|held| &held.replacement), "--replacement")?,
            replacement_ends: ends
                .or(before.map(|held| held.replacement_ends))
                .ok_or(Error::Missing("--replacement-ends"))?,
            isolation: text(isolation, before.map(|held| &held.isolation), "--isolation")?,
        }))
    }
}
