//! Who may order what.

use super::{Caller, Core, refusal};
use crate::channel::Request;
use crate::password;

/// What the process with the network has no say in.
fn is_for_the_owner(request: &Request) -> bool {
    // Who has turned automatic installation off is not to be overruled from there.
    let turns_on = matches!(request, Request::Set { name, value } if name == "automatic" && value != "off");
    turns_on
        || matches!(
            request,
            Request::Confirm
                | Request::RollBack
                | Request::Retry { .. }
                | Request::RestartNow
                | Request::Defer { .. }
                | Request::Wipe
                | Request::Integrity { .. }
                | Request::Refresh { bundle: true, .. }
        )
}

/// What the owner can order at the local page.
fn is_for_the_page(request: &Request) -> bool {
    matches!(request, Request::Set { .. } | Request::Defer { .. } | Request::RestartNow | Request::Resume)
}

impl Core {
    /// What is ordered, and in whose name. The product's password makes an owner of whoever knows it, for what
    /// stands on the page; our own digest of it counts, which nobody but root writes.
    pub(super) fn let_in(&self, caller: Caller, request: Request) -> Result<(Caller, Request), refusal::Error> {
        if let Request::WithPassword { password, order } = request {
            let folder = self.device.config.install_dir();
            let may = is_for_the_page(&order) && password::is_right(&folder, &password.0);
            return if may { Ok((Caller::Owner, *order)) } else { Err(refusal::Error::NotAllowed) };
        }
        if caller != Caller::Owner && is_for_the_owner(&request) {
            return Err(refusal::Error::NotAllowed);
        }
        Ok((caller, request))
    }

    /// Whether the maker's configuration lets a smart home have updates installed (`mqtt.may_install`).
    pub(super) fn home_may_install(&self) -> bool {
        self.device.config.tell.mqtt.as_ref().is_some_and(|mqtt| mqtt.may_install)
    }
}
