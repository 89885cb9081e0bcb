//! When each release was first assigned to a device: kept in memory, written down in batches.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tenure_proto::model::Model;
use tenure_proto::time::Timestamp;
use tenure_proto::version::Version;

use crate::store::{Error, Store};

/// The releases that were assigned since the server started. There are as many as are live.
#[derive(Debug, Default)]
pub(crate) struct OfferList {
    first: Mutex<HashMap<Model, Vec<Offer>>>,
}

#[derive(Debug)]
struct Offer {
    version: Version,
    at: Timestamp,
    is_written: bool,
}

impl OfferList {
    /// Notes that a device is assigned a release.
    pub(crate) fn note(&self, model: &Model, version: &Version, at: Timestamp) {
        let mut first = self.lock();
        let offers = first.entry(model.clone()).or_default();
        if !offers.iter().any(|offer| offer.version == *version) {
            offers.push(Offer { version: version.clone(), at, is_written: false });
        }
    }

    /// Writes down what is new. What could not be written waits for the next time.
    pub(crate) async fn flush(&self, store: &Store) -> Result<(), Error> {
        let mut batch = Vec::new();
        for (model, offers) in self.lock().iter() {
            let new = offers.iter().filter(|offer| !offer.is_written);
            batch.extend(new.map(|offer| (model.clone(), offer.version.clone(), offer.at)));
        }
        if batch.is_empty() {
            return Ok(());
        }
        store.add_offers(&batch).await?;
        let mut first = self.lock();
        for (model, version, _) in batch {
            let offers = first.entry(model).or_default();
            offers.iter_mut().filter(|offer| offer.version == version).for_each(|offer| offer.is_written = true);
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Model, Vec<Offer>>> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
