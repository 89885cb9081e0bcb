//! Where each artifact of a release goes, and in which order.

use tenure_proto::release::{Artifact, Release};
use tenure_proto::version::Version;

use super::device::Device;
use super::refusal::Error;
use crate::config::{Single, SingleKind, Slot};
use crate::install;
use crate::slot::{self, Medium};

/// Where an artifact goes: the spare slot of its class, or the one that stands once.
#[derive(Debug)]
pub(super) enum Destination {
    /// A slot of the spare side.
    Side(Slot),
    /// A slot that stands once.
    Single(Single),
}

/// Where an artifact goes, if there is a place for it.
pub(super) fn destination(device: &Device, version: &Version, artifact: &Artifact) -> Result<Destination, Error> {
    let side = device.config.slots_of(device.spare()).find(|slot| slot.class == artifact.slot_class);
    let single = || device.config.singles.iter().find(|single| single.class == artifact.slot_class);
    let found = side.cloned().map(Destination::Side).or_else(|| single().cloned().map(Destination::Single));
    found.ok_or_else(|| no_way(version, artifact, "slot"))
}

impl Destination {
    /// What is written later has the higher one.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Side(_) => 0,
            Self::Single(Single { kind: SingleKind::Handler { .. }, .. }) => 1,
            Self::Single(_) => 2,
        }
    }

    /// Opens it to write the artifact.
    pub(super) fn open(
        &self,
        device: &mut Device,
        version: &Version,
        artifact: &Artifact,
    ) -> Result<Box<dyn Medium>, Error> {
        let image = install::image_of(artifact);
        let install = |source: slot::Error| Error::Install { version: version.clone(), source: source.into() };
        match self {
            Self::Side(slot) => slot::open(slot, image).map_err(install),
            Self::Single(single) => Ok(device.open_single(single, image)?),
        }
    }

    /// What stands once says itself what it cannot hold.
    pub(super) fn check_size(&self, artifact: &Artifact) -> Result<(), install::Error> {
        let Self::Side(slot) = self else { return Ok(()) };
        let opened = slot::open(slot, install::image_of(artifact))?;
        install::check_size(&*opened, &self.to_string(), artifact)
    }
}

impl std::fmt::Display for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Side(slot) => slot.kind.fmt(f),
            Self::Single(single) => single.class.fmt(f),
        }
    }
}

/// The artifacts in the order of writing: what stands once after all others, the bootloader last.
pub(super) fn order(device: &Device, release: &Release) -> Result<Vec<usize>, Error> {
    let ranks = release.artifacts.iter().map(|artifact| Ok(destination(device, &release.version, artifact)?.rank()));
    let ranks = ranks.collect::<Result<Vec<_>, Error>>()?;
    let mut order: Vec<usize> = (0..ranks.len()).collect();
    order.sort_by_key(|at| ranks.get(*at).copied());
    Ok(order)
}

/// There is something missing for an artifact.
pub(super) fn no_way(version: &Version, artifact: &Artifact, what: &'static str) -> Error {
    Error::NoWay { version: version.clone(), class: artifact.slot_class.to_string(), what }
}
