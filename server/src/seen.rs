//! When devices were last seen: kept in memory, written down in batches.
//!
//! **Invariant:** a device that has nothing to do costs no database write inline.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tenure_proto::key::KeyId;

use crate::store::devices::Seen;
use crate::store::{Error, Store};

/// What devices said since the last flush.
#[derive(Debug, Default)]
pub(crate) struct SeenList {
    waiting: Mutex<HashMap<KeyId, Seen>>,
}

impl SeenList {
    /// Notes what an accepted device said.
    pub(crate) fn note(&self, device: KeyId, seen: Seen) {
        self.lock().insert(device, seen);
    }

    /// What a device said that is not written down yet.
    pub(crate) fn fresh(&self, device: &KeyId) -> Option<Seen> {
        self.lock().get(device).cloned()
    }

    /// Writes all down in one transaction. What could not be written waits for the next time.
    pub(crate) async fn flush(&self, store: &Store) -> Result<(), Error> {
        let batch: Vec<_> = self.lock().iter().map(|(device, seen)| (device.clone(), seen.clone())).collect();
        if batch.is_empty() {
            return Ok(());
        }
        store.flush_seen(&batch).await?;
        let mut waiting = self.lock();
        for (device, written) in batch {
            // What was said in the meantime stays.
            if waiting.get(&device) == Some(&written) {
                waiting.remove(&device);
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<KeyId, Seen>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
