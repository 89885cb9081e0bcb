//! The handles that each request gets.

use std::sync::Arc;
use std::time::Duration;

use tenure_proto::model::Model;
use tokio::sync::Semaphore;

use crate::auth::{self, Limiter};
use crate::clock::Clock;
use crate::config::Config;
use crate::error::ApiError;
use crate::folders::{self, Folders, Lock};
use crate::live::Locks;
use crate::mail;
use crate::offers::OfferList;
use crate::publish::Desk;
use crate::seen::SeenList;
use crate::store::{self, Store};
use crate::watch::Watched;

/// How many uploads run at a time.
const UPLOADS_MAX: usize = 8;
/// How many passwords are hashed at a time: each takes 19 MiB of memory.
const HASHINGS_MAX: usize = 2;
/// How long a setup link counts.
const SETUP_LINK_S: u64 = 24 * 3600;

/// What every request can reach.
pub(crate) type Handle = Arc<App>;

/// The running server.
#[derive(Debug)]
pub struct App {
    /// The settings.
    pub(crate) config: Config,
    /// The time.
    pub(crate) clock: Clock,
    /// The database.
    pub(crate) store: Store,
    /// The data folder.
    pub(crate) folders: Folders,
    /// When devices were last seen, until it is written down.
    pub(crate) seen: SeenList,
    /// When releases were first assigned, until it is written down.
    pub(crate) offers: OfferList,
    /// Who carries letters, if they are configured.
    pub(crate) carrier: Option<mail::Carrier>,
    /// Who guesses passwords.
    pub(crate) limiter: Limiter,
    /// A hash that no password has, for users that do not exist.
    pub(crate) decoy: String,
    /// Bounds the hashing of passwords.
    pub(crate) hashings: Semaphore,
    /// Bounds the uploads.
    pub(crate) uploads: Semaphore,
    /// The publications under way.
    pub(crate) desk: Desk,
    /// Who changes a model's live repository.
    pub(crate) locks: Locks,
    _lock: Lock,
}

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data folder cannot be used.
    #[error(transparent)]
    Folders(#[from] folders::Error),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Letters cannot be sent.
    #[error(transparent)]
    Mail(#[from] mail::Error),
    /// The system gives no randomness, or no hash.
    #[error("cannot make secrets")]
    Secrets(#[source] auth::SecretError),
}

impl App {
    /// Opens the data folder and the database.
    pub async fn open(config: Config) -> Result<Arc<Self>, Error> {
        let (folders, lock) = Folders::open(&config.data)?;
        let store = Store::open(&folders.database()).await?;
        let nobody = auth::draw("").map_err(Error::Secrets)?;
        let decoy = auth::hash_password(&nobody).map_err(Error::Secrets)?;
        Ok(Arc::new(Self {
            carrier: mail::Carrier::open(&config, &folders)?,
            clock: Clock::new(config.clock_file.clone()),
            config,
            store,
            folders,
            seen: SeenList::default(),
            offers: OfferList::default(),
            limiter: Limiter::default(),
            decoy,
            hashings: Semaphore::new(HASHINGS_MAX),
            uploads: Semaphore::new(UPLOADS_MAX),
            desk: Desk::default(),
            locks: Locks::default(),
            _lock: lock,
        }))
    }

    /// Makes a new one-time token for the first administrator, as long as there is none.
    pub async fn setup_token(&self) -> Result<Option<String>, Error> {
        if self.store.has_users().await? {
            return Ok(None);
        }
        let token = auth::draw("").map_err(Error::Secrets)?;
        let expires = self.clock.now().plus_s(SETUP_LINK_S);
        self.store.set_setup_link(auth::digest(&token), expires).await?;
        Ok(Some(token))
    }

    /// Writes down what is in memory only, and closes the database.
    pub async fn close(&self) {
        if let Err(error) = self.seen.flush(&self.store).await {
            tracing::error!(cause = crate::error::chain(&error), "last seen not written");
        }
        if let Err(error) = self.offers.flush(&self.store).await {
            tracing::error!(cause = crate::error::chain(&error), "first offers not written");
        }
        self.store.close().await;
    }

    /// A model whose maker this server watches as a witness.
    pub(crate) fn watched(&self, model: &Model) -> Option<&Watched> {
        self.config.watch.iter().find(|watched| watched.model == *model)
    }

    /// Whether the server can do its work.
    pub(crate) async fn ready(&self) -> Result<(), ApiError> {
        self.store.ping().await?;
        let folders = self.folders.clone();
        let probe = tokio::task::spawn_blocking(move || folders.probe());
        tokio::time::timeout(Duration::from_secs(5), probe).await.map_err(ApiError::internal)??.map_err(ApiError::from)
    }
}
