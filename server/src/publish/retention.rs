//! What was issued stays available: each security update for ten years, or to the end of support
//! if that is later (CRA, Article 13(9)).
//!
//! **Invariant:** nothing else in this server deletes a file of a live repository.

use tenure_proto::time::Timestamp;

use super::commit::conflict;
use crate::check::Opened;
use crate::delivered::{is_security, kept_until, latest_end};
use crate::error::ApiError;
use crate::store::issued::Issued;

/// Refuses a publication that lists a security update no more before its time, whoever asks. What
/// counts is the later of the day that is signed and the day of its publication here.
pub(super) fn check(issued: &[Issued], opened: &Opened, now: Timestamp) -> Result<(), ApiError> {
    let is_listed = |version| opened.releases.iter().any(|release| release.version == version);
    for Issued { release, published_at } in issued.iter().filter(|issued| is_security(&issued.release)) {
        let issued_at = release.released_at.max(*published_at);
        let ends = opened.declaration.as_ref().map_or_else(|| issued_at.day(), |(promise, _)| latest_end(promise));
        let until = kept_until(issued_at, ends);
        if now < until && !is_listed(release.version.clone()) {
            let detail = format!(
                "security update {} must stay available until {} (ten years, or to the end of support if that is \
                 later); list it again",
                release.version,
                until.day().in_words()
            );
            return Err(conflict("release_retained", detail));
        }
    }
    Ok(())
}
