//! A witness: what devices say of makers that are not this server's operator.
//!
//! A device is admitted by a token of this server's and by nothing else, so that nobody invents devices
//! by the thousand; of a stranger nothing is kept. Each has one row, its last word.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use tenure_proto::checkin::{Enrolment, EnrolmentAnswer, EnrolmentState};
use tenure_proto::dsse::Envelope;
use tenure_proto::limits;
use tenure_proto::model::Model;
use tenure_proto::silence::witness::{INTERVAL_S, Testimony, TestimonyAnswer, WORD_DAYS_MAX};

use crate::app::{App, Handle};
use crate::auth::device::{check_model, refused};
use crate::auth::digest;
use crate::body::{self, invalid};
use crate::error::ApiError;
use crate::store::devices::{self, Device};
use crate::store::testimonies::{self, Count, Look};
use crate::store::{self};
use crate::watch::{Watched, earlier};

/// How old a look of our own may be to be told.
const LOOK_COUNTS_S: u64 = 86_400;

/// What is known of a maker that is watched.
#[derive(Debug)]
pub(crate) struct Known<'a> {
    /// Whose model, and where.
    pub(crate) watched: &'a Watched,
    /// What this server sees itself.
    pub(crate) look: Option<Look>,
    /// How many devices are admitted.
    pub(crate) admitted: u64,
    /// What those say that were heard from of late.
    pub(crate) says: Vec<Count>,
}

/// Admits a device of a watched model, by token.
pub(crate) async fn admit(app: &App, enrolment: &Enrolment) -> Result<EnrolmentAnswer, ApiError> {
    let (id, model, now) = (enrolment.key.id(), enrolment.model.clone(), app.clock.now());
    let accepted = EnrolmentAnswer { device: id.clone(), state: EnrolmentState::Accepted };
    if app.store.witness_device(&id).await?.is_some() {
        return Ok(accepted);
    }
    let mut change = app.store.change().await?;
    let is_admitted = match &enrolment.token {
        Some(token) => devices::admit(&mut change, digest(token), &model, now).await?,
        None => false,
    };
    if !is_admitted {
        let detail = "this server takes a device's word on its maker by a token only; its operator makes one";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "token_needed", detail));
    }
    let device = Device { id, model, key: enrolment.key.clone(), state: EnrolmentState::Accepted };
    testimonies::admit(&mut change, &device, now).await?;
    change.commit().await.map_err(store::Error::from)?;
    tracing::info!(device = device.id.0, model = device.model.as_str(), "a device's word on its maker is taken");
    Ok(accepted)
}

/// `POST /device/v1/testimonies`
pub(crate) async fn testify(State(app): State<Handle>, body: Body) -> Result<Json<TestimonyAnswer>, ApiError> {
    let bytes = body::read(body, limits::MESSAGE_BYTES_MAX).await?;
    let envelope = Envelope::parse(&bytes).map_err(|error| invalid(error.to_string()))?;
    let keyid = envelope.keyid().ok_or_else(|| invalid("the message is not signed"))?;
    let device = app.store.witness_device(keyid).await?.ok_or_else(|| {
        let detail = "this device's word is not taken here; it enrols with a token and comes again";
        ApiError::new(StatusCode::NOT_FOUND, "device_unknown", detail)
    })?;
    let said: Testimony = envelope.open(&device.key).map_err(refused)?;
    check_model(&device, &said.model)?;
    if app.watched(&said.model).is_none() {
        let detail = format!("this server no longer watches the maker of model {}", said.model);
        return Err(ApiError::new(StatusCode::NOT_FOUND, "model_unknown", detail));
    }
    let now = app.clock.now();
    // Once a day is enough; half of it for clocks that differ.
    let passed_s = app.store.testified_at(&device.id).await?.and_then(|at| now.seconds_since(at));
    if let Some(wait_s) = passed_s.and_then(|passed_s| (INTERVAL_S / 2).checked_sub(passed_s)).filter(|left| *left > 0)
    {
        let detail = "this device has said it; once a day is enough";
        return Err(ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_testimonies", detail).retry_after(wait_s));
    }
    let text = String::from_utf8(bytes).map_err(|_| invalid("the message is not UTF-8"))?;
    app.store.keep_testimony(&device.id, &said, (&text, now)).await?;
    let look = app.store.look(&said.model).await?.map(|look| look.sight);
    let is_young = |at| now.seconds_since(at).is_some_and(|age_s| age_s <= LOOK_COUNTS_S);
    Ok(Json(TestimonyAnswer { sight: look.filter(|sight| is_young(sight.looked_at)) }))
}

/// `GET /api/v1/silence`
pub(crate) async fn list(State(app): State<Handle>) -> Result<Response, ApiError> {
    let watched: Vec<Value> = known(&app).await?.iter().map(Known::to_json).collect();
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(json!({ "watched": watched }))).into_response())
}

/// What is known of each maker that is watched.
pub(crate) async fn known(app: &App) -> Result<Vec<Known<'_>>, ApiError> {
    let from = earlier(app.clock.now(), WORD_DAYS_MAX * 86_400);
    let mut all = Vec::new();
    for watched in &app.config.watch {
        let model: &Model = &watched.model;
        all.push(Known {
            watched,
            look: app.store.look(model).await?,
            admitted: app.store.witness_devices(model).await?,
            says: app.store.testimonies(model, from).await?,
        });
    }
    Ok(all)
}

impl Known<'_> {
    /// No device is named.
    fn to_json(&self) -> Value {
        let trouble = self.look.as_ref().map(|look| look.trouble.as_str()).filter(|trouble| !trouble.is_empty());
        json!({
            "model": self.watched.model, "url": self.watched.url, "admitted": self.admitted,
            "sight": self.look.as_ref().map(|look| look.sight), "trouble": trouble,
            "says": self.says.iter().map(Count::to_json).collect::<Vec<_>>(),
        })
    }
}

impl Count {
    fn to_json(&self) -> Value {
        // The days of `kept` are those until which devices know of nothing that is owed.
        let (since_first, since_last) = Some(self.since).filter(|_| self.verdict != "kept").unzip();
        json!({
            "verdict": self.verdict, "why": Some(&self.why).filter(|why| !why.is_empty()), "devices": self.devices,
            "since_first": since_first, "since_last": since_last, "heard_at": self.heard_at,
        })
    }
}
