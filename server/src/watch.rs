//! A witness's own eyes: it follows what makers elsewhere sign, as their devices do.
//!
//! It trusts a maker's first root, which the operator has put into a file, and nobody's word after that:
//! whoever answers under the maker's name shows fresh files that the maker's keys have signed, or is
//! no sign of life.

use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use tenure_proto::model::Model;
use tenure_proto::silence::witness::{Seen, Sight};
use tenure_proto::time::Timestamp;
use tenure_proto::trust::{self, Refresh, TrustedSet, Want};
use ureq::Agent;

use crate::app::{App, Handle};
use crate::check;
use crate::error::{ApiError, chain};
use crate::store::testimonies::Look;

/// How often a maker is looked after, in seconds; up to a tenth more, so that witnesses do not ask together.
const LOOK_EVERY_S: u64 = 3600;
/// The same where a drill moves the clock.
const LOOK_EVERY_IN_A_DRILL: Duration = Duration::from_secs(1);
/// How long one file may take.
const FILE_TIME: Duration = Duration::from_mins(1);
/// How many redirects are followed.
const REDIRECTS_MAX: u32 = 3;
/// For how long what a device said is kept.
const WORD_KEPT_S: u64 = 90 * 86_400;
/// For how long a device is known that says no more.
const DEVICE_KEPT_S: u64 = 2 * 365 * 86_400;

/// A maker's model that is watched, as the configuration states it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Watched {
    /// The model.
    pub model: Model,
    /// The maker's server, below which `/repo` is found.
    pub url: String,
    /// The file with the maker's first root, as in `/repo/MODEL/metadata/1.root.json`.
    pub root: PathBuf,
}

/// Why a look brought nothing fresh.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot read the maker's root {}", path.display())]
    Root { path: PathBuf, source: std::io::Error },
    #[error("what is there is not fresh, or not what the maker's keys have signed")]
    Refused(#[from] trust::Error),
    #[error("cannot fetch {url}")]
    Fetch { url: String, source: Box<ureq::Error> },
    #[error("{url} was answered with status {status}")]
    Status { url: String, status: u16 },
    #[error("cannot read the answer to {url}")]
    Read { url: String, source: std::io::Error },
}

impl Error {
    /// Whether it shows that files of the maker's are there, past their day.
    fn has_reached(&self) -> bool {
        matches!(self, Self::Refused(trust::Error::Expired { .. }))
    }
}

/// Looks after the makers that are watched, and forgets what is old; never ends.
pub(crate) async fn forever(app: Handle) {
    loop {
        look_at_all(&app).await;
        let spread_s = getrandom::u32().map_or(0, |random| u64::from(random) % (LOOK_EVERY_S / 10));
        let wait = Duration::from_secs(LOOK_EVERY_S + spread_s);
        tokio::time::sleep(if app.clock.is_moved() { LOOK_EVERY_IN_A_DRILL } else { wait }).await;
    }
}

async fn look_at_all(app: &Handle) {
    for watched in &app.config.watch {
        if let Err(error) = look_and_keep(app, watched.clone()).await {
            tracing::error!(model = watched.model.as_str(), ?error, "what was seen of a maker is not kept");
        }
    }
    let now = app.clock.now();
    let forgotten = app.store.forget_testimonies(earlier(now, WORD_KEPT_S), earlier(now, DEVICE_KEPT_S)).await;
    if let Err(error) = forgotten {
        tracing::error!(cause = chain(&error), "old testimonies are not forgotten");
    }
}

async fn look_and_keep(app: &App, watched: Watched) -> Result<(), ApiError> {
    let (model, now) = (watched.model.clone(), app.clock.now());
    let look = tokio::task::spawn_blocking(move || look(&watched, now)).await?;
    app.store.keep_look(&model, &look).await?;
    Ok(())
}

/// What is to be seen of a maker now.
fn look(watched: &Watched, now: Timestamp) -> Look {
    let (reached, trouble, seen) = match follow(watched, now) {
        Ok(set) => (true, String::new(), Some(seen(&set, now))),
        Err(error) => {
            let trouble = chain(&error);
            tracing::debug!(model = watched.model.as_str(), trouble, "nothing fresh is seen of a maker");
            (error.has_reached(), trouble, None)
        }
    };
    Look { sight: Sight { looked_at: now, reached, seen }, trouble }
}

/// Follows the maker's files from its first root to its promise, as a device does.
fn follow(watched: &Watched, now: Timestamp) -> Result<TrustedSet, Error> {
    let root = std::fs::read(&watched.root);
    let root = root.map_err(|source| Error::Root { path: watched.root.clone(), source })?;
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(REDIRECTS_MAX)
        .timeout_global(Some(FILE_TIME))
        .user_agent(concat!("tenure-server/", env!("CARGO_PKG_VERSION"), " witness"))
        .build();
    let agent = Agent::from(config);
    let mut refresh = Refresh::start(check::factory(root), now, &watched.model)?;
    while let Some(want) = refresh.want() {
        refresh.supply(fetch(&agent, watched, &want)?.as_deref())?;
    }
    Ok(refresh.finish()?)
}

/// A file of the maker's; one byte more than there may be is read, and refused then.
fn fetch(agent: &Agent, watched: &Watched, want: &Want) -> Result<Option<Vec<u8>>, Error> {
    let url = format!("{}/repo/{}/metadata/{}", watched.url, watched.model, want.file);
    let answer = agent.get(&url).call();
    let mut answer = answer.map_err(|source| Error::Fetch { url: url.clone(), source: Box::new(source) })?;
    match answer.status().as_u16() {
        200 => {}
        404 | 410 => return Ok(None),
        status => return Err(Error::Status { url, status }),
    }
    let mut bytes = Vec::new();
    let read = answer.body_mut().as_reader().take(want.bytes_max + 1).read_to_end(&mut bytes);
    read.map_err(|source| Error::Read { url, source })?;
    Ok(Some(bytes))
}

/// Until when all of it is fresh, as a device counts it: the earliest day that a file names.
fn seen(set: &TrustedSet, now: Timestamp) -> Seen {
    let support = set.delegated(tenure_proto::support::SUPPORT_ROLE).map(|role| role.head.expires);
    let days = [set.timestamp().head.expires, set.snapshot().head.expires, set.targets().head.expires];
    let fresh_until = days.into_iter().chain(support).min().unwrap_or(now);
    Seen { version: set.timestamp().head.version, at: now, fresh_until }
}

/// So many seconds before `now`.
pub(crate) fn earlier(now: Timestamp, seconds: u64) -> Timestamp {
    let at = now.unix_s().saturating_sub(i64::try_from(seconds).unwrap_or(i64::MAX));
    Timestamp::from_unix_s(at).unwrap_or(Timestamp::UNIX_EPOCH)
}
