//! A device polls.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use serde_json::Value;
use tenure_proto::checkin::{CheckIn, CheckInAnswer};
use tenure_proto::{lifecycle, limits};

use crate::app::Handle;
use crate::auth::device::{check_model, open};
use crate::body::{self, invalid};
use crate::error::ApiError;
use crate::store::devices::Seen;

/// `POST /device/v1/check-ins`. Reads the database, and never writes it.
pub(crate) async fn check_in(State(app): State<Handle>, body: Body) -> Result<Json<CheckInAnswer>, ApiError> {
    let bytes = body::read(body, limits::MESSAGE_BYTES_MAX).await?;
    let (device, said): (_, CheckIn) = open(&app, &bytes).await?;
    check_model(&device, &said.model)?;
    if said.slot.len() > limits::NAME_BYTES_MAX {
        return Err(invalid("the slot's name is too long"));
    }
    let release = app.store.offer(&device.model, &device.id.0, &said.version).await?;
    let now = app.clock.now();
    if let Some(release) = &release {
        app.offers.note(&device.model, release, now);
    }
    let seen = Seen {
        at: now,
        version: said.version.to_string(),
        slot: said.slot,
        state: word(said.state),
        support_ends: said.support_ends.map(|day| day.to_string()),
    };
    app.seen.note(device.id, seen);
    Ok(Json(CheckInAnswer { release, interval_s: app.config.check_in_interval_s }))
}

/// The state's word as it stands on the wire.
fn word(state: lifecycle::State) -> String {
    match serde_json::to_value(state) {
        Ok(Value::String(word)) => word,
        Ok(Value::Object(fields)) => fields.get("ended").and_then(Value::as_str).unwrap_or("ended").to_string(),
        Ok(_) | Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenure_proto::lifecycle::{Outcome, State};

    #[test]
    fn a_state_is_one_word() {
        assert_eq!(word(State::FallingBack), "falling_back");
        assert_eq!(word(State::Ended { ended: Outcome::FellBack }), "fell_back");
    }
}
