//! What a check says of the maker, and who is asked and told then: its server for `security.txt`, and a
//! witness if one is named.

use tenure_proto::limits;

use super::{Error, Fetchd};
use crate::channel::Status;
use crate::config::Config;
use crate::http::Client;
use crate::identity::Identity;
use crate::link;
use crate::poll::Poll;
use crate::signs::Heard;
use crate::witness::Witness;

impl Fetchd<'_> {
    /// Takes a sign of life of the maker's, or that there is none; it is told with what the check led to.
    pub(super) fn note_life(&mut self, heard: Heard) {
        let Some(device) = self.shared.overview().as_ref().map(|overview| overview.device.clone()) else { return };
        let reading = self.clock.reading(device.floor);
        if self.signs.note(heard, &device, reading, link::is_up()) {
            self.ask_for_contact(&device);
        }
        if let (Some(witness), Some(signs)) = (&mut self.witness, self.signs.owed(&device, reading))
            && device.settings.reports
            && let Some(word) = witness.tell(&signs, &device, (&self.clock, reading))
        {
            self.signs.note_witness(word, reading);
        }
        let signs = self.signs.owed(&device, reading);
        if let Some(overview) = &mut *self.shared.overview() {
            overview.maker = signs.map(|signs| signs.verdict(reading));
            overview.witness = signs.and_then(|signs| signs.says(reading));
        }
    }

    /// A maker that is late may still keep the file that says where holes are reported. If its server does not
    /// answer now, what it said the day before holds.
    fn ask_for_contact(&mut self, device: &Status) {
        let file = Client::new(&self.config.server, self.timeouts, &self.clock, device.floor)
            .and_then(|http| http.get("/.well-known/security.txt", limits::SECURITY_TXT_BYTES_MAX));
        if let Ok(file) = file {
            self.signs.note_contact(file.as_deref(), device);
        }
    }
}

/// The way to the witness, if one is named. It knows the device by a key of its own, so that witness and
/// maker cannot compare whom they know.
pub(super) fn witness(config: &Config) -> Result<Option<Witness>, Error> {
    let Some(named) = &config.witness else { return Ok(None) };
    let identity = Identity::load_or_make(&config.fetch_dir().join("witness.key"))?;
    let enrolment = config.fetch_dir().join("witness-enrolment.json");
    let poll = Poll::with(&named.url, named.enrolment_token_file.as_deref(), enrolment, &identity)?;
    Ok(Some(Witness::new(&named.url, identity, poll)))
}
