//! The maker's advisories, which the role `support` lists beside the declaration.

use tenure_proto::advisory::{ADVISORIES_PATH, Advisories};

use super::{Answer, Session, answer, wanted};
use crate::channel::Reply;
use crate::installd::device::Device;
use crate::verify;

impl Session {
    /// Which list is to be brought, if there is one that is not held.
    pub(super) fn advisories(&self, device: &mut Device) -> Answer {
        let set = self.set()?;
        let listed = set.target(ADVISORIES_PATH).ok().and_then(|target| target.hashes.sha256);
        if listed.is_none() {
            // Who alone may list them does so no more: they are withdrawn.
            device.risks.forget()?;
        }
        let news = listed.filter(|digest| !device.risks.knows(*digest));
        answer(Reply::Target { target: news.map(|_| wanted(set, ADVISORIES_PATH)).transpose()? })
    }

    /// Takes the list that was brought.
    pub(super) fn advisories_bytes(&self, device: &mut Device, text: &[u8]) -> Answer {
        let list = self.set()?.open::<Advisories>(ADVISORIES_PATH, text).map_err(verify::Error::from)?;
        device.risks.keep(text, &list)?;
        answer(Reply::Done)
    }
}
