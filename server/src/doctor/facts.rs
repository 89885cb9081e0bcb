//! What is known of a model.

use std::path::PathBuf;

use tenure_proto::key::PublicKey;
use tenure_proto::metadata::Head;
use tenure_proto::model::Model;
use tenure_proto::release::Summary;
use tenure_proto::support::Declaration;
use tenure_proto::time::{Day, Timestamp};
use tenure_proto::trust::{TrustedSet, Want};

use crate::check::{self, Finding, SourceError};
use crate::sign::Holders;

/// What is known of a model.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The model.
    pub model: Model,
    /// The time.
    pub now: Timestamp,
    /// What is declared, if anything is.
    pub promise: Option<Promise>,
    /// The roles that are signed offline, `root` first.
    pub offline: Vec<OfflineRole>,
    /// What devices get of the roles that are signed online.
    pub served: Served,
    /// Where devices get it.
    pub address: Address,
    /// What is signed of each release.
    pub releases: Vec<Summary>,
    /// Where private keys were looked for; empty where none can be.
    pub at_hand: Vec<KeyFolder>,
    /// The labels of others, where they are known.
    pub labels: Vec<LabelEnd>,
}

/// A label that somebody else gave the model, and its own last day.
#[derive(Clone, Debug)]
pub struct LabelEnd {
    /// Its name.
    pub name: String,
    /// The last day on which it is valid.
    pub expires: Day,
}

/// What is declared.
#[derive(Clone, Debug)]
pub struct Promise {
    /// The last day of support, inclusive.
    pub ends: Day,
    /// The security contact: an `https:` or `mailto:` address.
    pub contact: String,
}

/// A role whose keys are kept off the server.
#[derive(Clone, Debug)]
pub struct OfflineRole {
    /// Its name: `root`, `targets`, or that of a delegated role.
    pub name: String,
    /// When its metadata expires.
    pub expires: Timestamp,
    /// Who signs it.
    pub holders: Holders,
}

/// When the metadata of the online roles expires.
#[derive(Clone, Copy, Debug)]
pub struct Online {
    /// The snapshot.
    pub snapshot: Timestamp,
    /// The timestamp.
    pub timestamp: Timestamp,
}

/// What devices get of the online roles.
#[derive(Clone, Debug)]
pub enum Served {
    /// A server gives and renews this.
    Server(Online),
    /// This lies in a folder, and nobody is known to renew it.
    Folder(Online),
    /// A server that does not answer, and why.
    Silent(String),
    /// A server that gives what a device refuses, and why.
    Refused(String),
}

/// The address under which devices reach the server.
#[derive(Clone, Debug)]
pub enum Address {
    /// It is not known here.
    Unknown,
    /// Without TLS: `http://…`.
    Plain(String),
    /// With TLS: the host, and what it showed or why it showed nothing.
    Tls(String, Result<Chain, String>),
}

/// The certificates that a server showed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Chain {
    /// From when on its own certificate counts.
    pub not_before: Timestamp,
    /// Until when.
    pub not_after: Timestamp,
    /// Until when the certificate of the last authority that it sent along counts.
    pub authority_not_after: Option<Timestamp>,
    /// Why a device refuses the certificate, other than for its dates.
    pub refused: Option<Refused>,
}

/// Why a device refuses a certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Refused {
    /// Its authority is not one of the public ones, which a device can be told to trust.
    UnknownAuthority,
    /// Anything else.
    Other(String),
}

/// A folder where private keys were looked for, and the public halves of those that are there.
#[derive(Clone, Debug)]
pub struct KeyFolder {
    /// The folder.
    pub path: PathBuf,
    /// The keys.
    pub keys: Vec<PublicKey>,
}

impl Facts {
    /// The facts that stand in the metadata `set` and the declaration.
    pub fn new(model: &Model, now: Timestamp, set: &TrustedSet, declaration: Option<&Declaration>) -> Self {
        let promise = declaration.map(|found| Promise { ends: found.ends, contact: found.contact.url.clone() });
        Self {
            model: model.clone(),
            now,
            promise,
            offline: offline(set),
            served: Served::Folder(Online::of(set)),
            address: Address::Unknown,
            releases: set.listed().into_iter().filter_map(|(_, target)| Summary::of(target)).collect(),
            at_hand: Vec::new(),
            labels: Vec::new(),
        }
    }

    /// Whether support is over.
    pub(super) fn is_over(&self) -> bool {
        self.needed_until().is_some_and(|end| self.now >= end)
    }

    /// The instant until which all must last.
    pub(super) fn needed_until(&self) -> Option<Timestamp> {
        self.promise.as_ref().map(|promise| promise.ends.over_everywhere())
    }

    /// The role `root`.
    pub(super) fn root(&self) -> Option<&OfflineRole> {
        self.offline.iter().find(|role| role.name == "root")
    }
}

impl Online {
    /// Those of `set`.
    pub fn of(set: &TrustedSet) -> Self {
        Self { snapshot: set.snapshot().head.expires, timestamp: set.timestamp().head.expires }
    }
}

/// `root`, `targets`, and each delegated role that the refresh came by.
fn offline(set: &TrustedSet) -> Vec<OfflineRole> {
    let (root, targets) = (set.root(), set.targets());
    let top = |name: &str, head: &Head, keys| OfflineRole { name: name.into(), expires: head.expires, holders: keys };
    let mut roles = vec![
        top("root", &root.head, Holders::listed(&root.roles.root, &root.keys)),
        top("targets", &targets.head, Holders::listed(&root.roles.targets, &root.keys)),
    ];
    if let Some(delegations) = &targets.delegations {
        let listed = delegations.roles.iter().flatten();
        let met = listed.filter_map(|role| Some((role, set.delegated(&role.name)?)));
        roles.extend(
            met.map(|(role, file)| top(&role.name, &file.head, Holders::listed(&role.keys, &delegations.keys))),
        );
    }
    roles
}

/// Reads a repository as a device does that does not know the time: what has expired is for
/// [`super::examine`] to say.
pub fn read<E: Into<SourceError>>(
    factory_root: Vec<u8>,
    model: &Model,
    fetch: impl FnMut(&Want) -> Result<Option<Vec<u8>>, E>,
) -> Result<TrustedSet, Finding> {
    let refreshed = check::refresh(check::factory(factory_root), Timestamp::UNIX_EPOCH, model, fetch)?;
    Ok(refreshed.set)
}
