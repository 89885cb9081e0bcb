//! Since when others knew of what a release fixes: as the maker says, or as its advisories do.

use tenure_proto::advisory::{Advisories, Advisory};
use tenure_proto::release::Release;
use tenure_proto::time::Day;

use crate::dates;

/// A day that cannot be.
#[derive(Debug, thiserror::Error)]
#[error("--disclosed {name}: name what --fixes names, and a day that is not to come")]
pub(crate) struct Error {
    /// Of what.
    name: String,
}

/// Reads `NAME=DAY`.
pub(crate) fn parse(text: &str) -> Result<(String, Day), String> {
    let (name, day) = text.split_once('=').ok_or("write NAME=YYYY-MM-DD, such as CVE-2026-12345=2026-11-20")?;
    Ok((name.to_string(), dates::day(day).map_err(|error| error.to_string())?))
}

/// Takes what is not said from the model's advisories, and refuses days that cannot be.
pub(crate) fn fill(draft: &mut Release, said: &[(String, Day)], known: Option<&Advisories>) -> Result<(), Error> {
    let (today, advisory) = (draft.released_at.day(), draft.advisory.as_mut());
    let fixes = advisory.as_ref().map(|advisory| advisory.fixes.as_slice()).unwrap_or_default();
    if let Some((name, _)) = said.iter().find(|(name, day)| !fixes.contains(name) || *day > today) {
        return Err(Error { name: name.clone() });
    }
    let (Some(advisory), Some(list)) = (advisory, known) else { return Ok(()) };
    for name in &advisory.fixes {
        let names = |one: &&Advisory| one.names().any(|own| own.as_str() == name);
        if let Some(day) = list.advisories.iter().find(names).map(Advisory::known_since) {
            advisory.disclosed.entry(name.clone()).or_insert(day);
        }
    }
    Ok(())
}
