//! `[integrity]`: what is done about software that was changed by other means than an update.

use serde::Deserialize;
use tenure_proto::limits;
use tenure_proto::support::Posture;

use super::raw::Seconds;

/// What is done about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Integrity {
    /// How often what runs is compared with what was installed, in seconds; none: never.
    pub(crate) check_every_s: Option<u64>,
    /// What the network lets through until it is put right.
    pub(crate) posture: Posture,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    check_every_s: Option<Seconds<{ limits::INTEGRITY_CHECK_S_MIN }, { limits::INTEGRITY_CHECK_S_MAX }>>,
    posture: Posture,
}

/// `updates`: whether the agent asks its server whatever the posture. Else there would be no way back.
pub(super) fn check(raw: &Raw, updates: bool) -> Result<Integrity, &'static str> {
    if raw.posture != Posture::Keep && !updates {
        return Err("needs posture.updates: what is cut off is put right by an update");
    }
    Ok(Integrity { check_every_s: raw.check_every_s.as_ref().map(|seconds| seconds.get()), posture: raw.posture })
}
