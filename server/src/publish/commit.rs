//! Ends a publication: reads staged and live files as a device would, and makes them live at once.

use std::collections::BTreeMap;
use std::path::PathBuf;

use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use tenure_proto::metadata::{MetaFile, Root, Signed, Targets};
use tenure_proto::model::Model;
use tenure_proto::release::Summary;
use tenure_proto::support::{self, DECLARATION_PATH, Declaration, Gap};
use tenure_proto::time::Timestamp;
use tenure_proto::trust::{self, TargetFile as _};

use super::models::{self, OfferedKeys};
use super::{Publication, golive, index, retention};
use crate::app::Handle;
use crate::auth::Operator;
use crate::check::{self, Depth, Finding, Folders, Opened};
use crate::error::{ApiError, chain};
use crate::folders::Folders as ServerFolders;
use crate::live::{self, Live, OnlineKeys};
use crate::store::issued::Issued;
use crate::{body, disk, sign};

/// `POST /api/v1/publications/{id}/commit`
pub(crate) async fn commit(
    State(app): State<Handle>,
    Extension(operator): Extension<Operator>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let model = app.desk.find(&id)?.model;
    let body = body::read(body, models::BYTES_MAX).await?;
    let offered = if body.is_empty() { Ok(Offered::default()) } else { serde_json::from_slice(&body) };
    let offered = offered.map_err(|error| body::invalid(error.to_string()))?;
    let _lock = app.locks.lock(&model).await;
    // Looked up again: a later publication may have taken its place while we waited.
    let publication = app.desk.find(&id)?;
    let (folders, issued) = (app.folders.clone(), app.store.issued(&model).await?);
    let candidate =
        Candidate { publication, issued, repo: folders.repo(&model), folders, offered, now: app.clock.now() };
    let opened = tokio::task::spawn_blocking(move || candidate.publish()).await??;
    index::write(&app, &model, &opened.opened, Some(&operator)).await?;
    app.desk.end(&id)?;
    tracing::info!(model = model.as_str(), by = operator.0, versions = %opened.versions, "publication is live");
    Ok(Json(opened.versions))
}

/// What a manufacturer says with a commit; all of it may be left out.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Offered {
    /// The online keys that the newest root names.
    #[serde(flatten)]
    keys: OfferedKeys,
    /// The versions of the manufacturer's own folder, which devices may know: ours go on from there.
    #[serde(default)]
    seen: live::Versions,
}

/// A publication, and all that it is judged by.
struct Candidate {
    publication: Publication,
    repo: PathBuf,
    folders: ServerFolders,
    offered: Offered,
    /// The releases that can be had now.
    issued: Vec<Issued>,
    now: Timestamp,
}

/// A publication that is live.
#[derive(Debug)]
struct Published {
    opened: Opened,
    versions: Value,
}

/// The targets files of the new snapshot, by role.
type Roles = BTreeMap<String, Vec<u8>>;

impl Candidate {
    /// All or nothing: what is refused leaves the live repository as it was.
    fn publish(&self) -> Result<Published, ApiError> {
        let live = Live::read(&self.repo).map_err(ApiError::internal)?.after(self.offered.seen);
        let staged = golive::Staged::read(&self.publication.folder)?;
        self.check_names(&live, &staged)?;
        let roles = self.roles(&live, &staged)?;
        let meta = meta_of(&roles)?;
        let unchanged = live.current.as_ref().is_some_and(|current| current.snapshot.meta == meta);
        let newest = self.newest_root(&live, &staged)?;
        let keys = self.keys(&live, &newest)?;
        let pair = live.next(self.model(), meta, &keys, self.now).map_err(ApiError::internal)?;
        self.stage(&pair)?;
        let set = self.read_as_devices_do(&live)?;
        let opened = self.open_targets(&set)?;
        check_promise(&live, &self.repo, &opened)?;
        check_releases(&live, &set)?;
        retention::check(&self.issued, &opened, self.now)?;
        if !unchanged || !staged.roots.is_empty() {
            golive::go_live(&self.publication.folder, &self.repo, &staged, &pair)?;
            if let Err(error) = OnlineKeys::settle(&self.folders, self.model(), &newest) {
                tracing::warn!(cause = chain(&error), "the online keys before the last still lie there");
            }
        }
        Ok(Published { versions: versions(self.model(), &set, &opened), opened })
    }

    fn model(&self) -> &Model {
        &self.publication.model
    }

    /// The online keys that the newest root names. Those that come with it lie beside the ones in use
    /// until it is live: a crash, or a refusal, leaves the right ones either way.
    fn keys(&self, live: &Live, newest: &Root) -> Result<OnlineKeys, ApiError> {
        let offered = self.offered.keys.read(newest)?;
        let stored = OnlineKeys::read(&self.folders, self.model(), newest);
        let (Err(_), Some(offered)) = (&stored, offered) else { return stored.map_err(ApiError::internal) };
        // What a crash left there and is in use makes room; a new model has no keys at all.
        drop(OnlineKeys::settle(&self.folders, self.model(), &live.root));
        offered.write(|role| self.folders.next_key(self.model(), role)).map_err(ApiError::internal)?;
        Ok(offered)
    }

    /// The root that devices will come to. It keeps the rule of both families, like every root.
    fn newest_root(&self, live: &Live, staged: &golive::Staged) -> Result<Root, ApiError> {
        let unreadable = |error| refused(format!("cannot read root metadata: {}", chain(&error)));
        let mut newest = Signed::<Root>::parse(&live.held.root).map_err(unreadable)?.signed;
        for name in staged.roots.values() {
            let bytes = std::fs::read(self.publication.folder.join("metadata").join(name))?;
            let root = Signed::<Root>::parse(&bytes).map_err(unreadable)?.signed;
            sign::check_root(&root).map_err(|error| refused(format!("{name}: {error}")))?;
            if root.head.version > newest.head.version {
                newest = root;
            }
        }
        Ok(newest)
    }

    fn folders(&self) -> Folders {
        Folders::new([self.publication.folder.clone(), self.repo.clone()])
    }

    /// The newest file of each targets role: staged, or else live.
    fn roles(&self, live: &Live, staged: &golive::Staged) -> Result<Roles, ApiError> {
        let mut roles = Roles::new();
        for name in live.current.iter().flat_map(|current| current.snapshot.meta.keys()) {
            let bytes = live.held.files.get(name).cloned().unwrap_or_default();
            roles.insert(name.trim_end_matches(".json").to_string(), bytes);
        }
        for (role, file) in staged.newest() {
            roles.insert(role.to_string(), std::fs::read(self.publication.folder.join("metadata").join(file))?);
        }
        if !roles.contains_key("targets") {
            return Err(refused("the publication has no targets metadata, such as 1.targets.json"));
        }
        Ok(roles)
    }

    /// A file that devices or caches may have keeps its content for ever.
    fn check_names(&self, live: &Live, staged: &golive::Staged) -> Result<(), ApiError> {
        let (ours, theirs) = (self.repo.join("metadata"), self.publication.folder.join("metadata"));
        for (name, version) in staged.files() {
            let role = name.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == '.');
            let listed = live.current.as_ref().and_then(|current| current.snapshot.meta.get(role));
            // What a crash left behind is listed nowhere and may be replaced; roots are never listed.
            let is_public = role == "root.json" || listed.is_some_and(|meta| version <= meta.version);
            let path = ours.join(name);
            if is_public && path.exists() && std::fs::read(path)? != std::fs::read(theirs.join(name))? {
                return Err(conflict(
                    "publication_refused",
                    format!("{name} is live with another content; sign a higher version"),
                ));
            }
        }
        Ok(())
    }

    /// Puts our snapshot and timestamp to the staged files, where a device would find them.
    fn stage(&self, pair: &live::Pair) -> Result<(), ApiError> {
        let folder = self.publication.folder.join("metadata");
        let name = format!("{}.snapshot.json", pair.snapshot_version);
        for (name, bytes) in [(name.as_str(), &pair.snapshot), ("timestamp.json", &pair.timestamp)] {
            disk::replace(&folder.join(name), bytes, disk::PUBLIC).map_err(|error| ApiError::from(error.source))?;
        }
        Ok(())
    }

    /// A device that leaves the factory today and one that is up to date must both accept it.
    fn read_as_devices_do(&self, live: &Live) -> Result<trust::TrustedSet, ApiError> {
        let folders = self.folders();
        let refresh = |held| check::refresh(held, self.now, self.model(), |want| folders.metadata(want)).map_err(found);
        let new = refresh(check::factory(live.factory_root.clone()))?;
        refresh(live.held.clone())?;
        Ok(new.set)
    }

    /// Every listed file is there; the new ones are read to the last byte.
    fn open_targets(&self, set: &trust::TrustedSet) -> Result<Opened, ApiError> {
        let staged = self.publication.folder.join("targets");
        let reads = |name: &str| staged.join(name).exists();
        let mut depth = Depth { reads: &reads, progress: &mut |_| {} };
        check::targets(set, &mut self.folders(), &mut depth).map_err(found)
    }
}

fn meta_of(roles: &Roles) -> Result<BTreeMap<String, MetaFile>, ApiError> {
    let listing = |(role, bytes): (&String, &Vec<u8>)| {
        sign::listing(role, bytes).map_err(|error| refused(format!("cannot read {role} metadata: {}", chain(&error))))
    };
    roles.iter().map(listing).collect()
}

/// The ratchet: what was promised stays promised.
fn check_promise(live: &Live, repo: &std::path::Path, opened: &Opened) -> Result<(), ApiError> {
    let live = live_declaration(live, repo)?;
    if let Some((offered, digest)) = &opened.declaration
        && live.as_ref().is_none_or(|(_, held_digest)| held_digest != digest)
        && let Some(gap) = support::gaps(offered).into_iter().find(|gap| *gap == Gap::ShortBecause)
    {
        return Err(refused(format!("the support declaration does not say {gap}")));
    }
    let Some((held, held_digest)) = live else { return Ok(()) };
    let Some((offered, digest)) = &opened.declaration else {
        return Err(conflict("publication_refused", "the live support declaration is missing from this publication"));
    };
    match support::ratchet(Some((&held, held_digest)), (offered, *digest)) {
        Ok(_) => Ok(()),
        Err(support::Refusal::Shortened { whose, held, offered }) => {
            let detail = format!(
                "support{whose} is promised until {}; it may be extended, and not be shortened to {}",
                held.in_words(),
                offered.in_words()
            );
            Err(conflict("support_shortened", detail))
        }
        Err(refusal) if refusal.breaks_the_promise() => Err(conflict("support_narrowed", refusal.to_string())),
        Err(refusal) => Err(conflict("publication_refused", refusal.to_string())),
    }
}

type Held = (Declaration, tenure_proto::digest::Digest);

fn live_declaration(live: &Live, repo: &std::path::Path) -> Result<Option<Held>, ApiError> {
    let Some(bytes) = live.held.files.get(&format!("{}.json", sign::SUPPORT_ROLE)) else { return Ok(None) };
    let support = Signed::<Targets>::parse(bytes).map_err(ApiError::internal)?.signed;
    let Some(target) = support.targets.get(DECLARATION_PATH) else { return Ok(None) };
    let digest = target.sha256().map_err(ApiError::internal)?;
    let bytes = std::fs::read(repo.join(format!("targets/support/{digest}.declaration.json")))?;
    Ok(Some((Declaration::parse(&bytes).map_err(ApiError::internal)?, digest)))
}

/// A release that devices may have seen keeps its manifest, and the newest one does not go back.
fn check_releases(live: &Live, offered: &trust::TrustedSet) -> Result<(), ApiError> {
    let lists = live.current.iter().flat_map(|current| &current.lists);
    let mut have = None;
    for (path, target) in lists.flat_map(|list| &list.targets) {
        let Some(summary) = Summary::of(target) else { continue };
        have = have.max(Some(summary.version));
        if offered.target(path).is_ok_and(|new| new.hashes.sha256 != target.hashes.sha256) {
            return Err(conflict(
                "publication_refused",
                format!("{path} is live with another content; a release never changes, so publish a higher version"),
            ));
        }
    }
    let offer = offered.listed().into_iter().filter_map(|(_, target)| Summary::of(target)).map(|new| new.version).max();
    match have {
        Some(have) if offer.is_none_or(|offer| offer < have) => Err(conflict(
            "publication_refused",
            format!("release {have} is live, and the newest one in the publication is older"),
        )),
        _ => Ok(()),
    }
}

fn versions(model: &Model, set: &trust::TrustedSet, opened: &Opened) -> Value {
    let releases: Vec<_> = opened.releases.iter().map(|release| &release.version).collect();
    json!({
        "model": model,
        "root": set.root().head.version,
        "timestamp": set.timestamp().head.version,
        "snapshot": set.snapshot().head.version,
        "targets": set.targets().head.version,
        "support": set.delegated(sign::SUPPORT_ROLE).map(|role| role.head.version),
        "support_ends": opened.declaration.as_ref().map(|(declaration, _)| declaration.ends),
        "releases": releases,
    })
}

/// What a device would refuse, its maker hears of.
#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
fn found(finding: Finding) -> ApiError {
    use trust::Error as E;
    // What was live moved on, or the publication goes back behind it.
    let conflicts = matches!(&finding, Finding::Refused(E::Rollback { .. } | E::RootStep { .. } | E::Vanished { .. }));
    let detail = chain(&finding);
    if conflicts { conflict("publication_refused", detail) } else { refused(detail) }
}

/// It does not go with what is live.
pub(super) fn conflict(code: &'static str, detail: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::CONFLICT, code, detail)
}

/// Nothing of the publication is live.
pub(super) fn refused(detail: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "publication_refused", detail)
}
