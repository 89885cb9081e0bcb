//! `Monitor`: what is so, at once and again on each change, for as long as a client listens.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Shared, failed, lock};
use crate::varlink::{Call, Fault, Listener};

/// How often it is looked whether the client has gone.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Changes that follow each other sooner than this are told together.
const PACE: Duration = Duration::from_millis(500);

impl Shared {
    /// Something has changed.
    pub(crate) fn changed(&self) {
        let mut number = lock(&self.changes.0);
        *number = number.wrapping_add(1);
        self.changes.1.notify_all();
    }

    /// Answers `Monitor`: with `more`, again and again.
    pub(super) fn monitor(&self, call: &Call, listener: &Listener<'_>) -> Result<Value, Fault> {
        let mut seen = *lock(&self.changes.0);
        let mut told = self.state()?;
        if !call.more {
            return Ok(told);
        }
        let tell = |state: &Value| listener.tell(state.clone()).map_err(|error| failed(&error.to_string()));
        tell(&told)?;
        while !listener.is_gone() {
            let number = lock(&self.changes.0);
            let waited = self.changes.1.wait_timeout_while(number, LOOK_EVERY, |number| *number == seen);
            seen = waited.map_or(seen, |(number, _)| *number);
            let state = self.state()?;
            if timeless(&state) != timeless(&told) {
                tell(&state)?;
                told = state;
                self.clock.sleep(PACE);
            }
        }
        Err(failed("the client has gone"))
    }

    fn state(&self) -> Result<Value, Fault> {
        let mut state = self.status()?;
        if let Some(state) = state.as_object_mut() {
            state.insert("notices".into(), json!(self.notices().all()));
        }
        Ok(state)
    }
}

/// Without what changes by itself.
fn timeless(state: &Value) -> Value {
    let mut state = state.clone();
    if let Some(status) = state.get_mut("status").and_then(Value::as_object_mut) {
        for name in ["at", "now", "floor"] {
            status.remove(name);
        }
    }
    state
}
