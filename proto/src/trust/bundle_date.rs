//! When the files of a bundle must have been valid.

use super::Error;
use crate::limits;
use crate::metadata::Timestamp;
use crate::time;

/// The instant at which timestamp and snapshot of a bundle are judged: when the timestamp was
/// signed. They live for days, and a bundle is used when a person gets there.
///
/// `floor` is what the device has proof of. By it a bundle is too old, or not; the versions, which
/// never fall, are what keeps an old bundle from bringing anything back.
pub(super) fn judged_at(timestamp: &Timestamp, floor: time::Timestamp) -> Result<time::Timestamp, Error> {
    let issued = timestamp.issued.ok_or(Error::Undated)?;
    if issued.plus_s(limits::BUNDLE_DAYS_MAX * 86_400) < floor {
        return Err(Error::OldBundle { issued, max: limits::BUNDLE_DAYS_MAX });
    }
    Ok(issued)
}
