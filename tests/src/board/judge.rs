//! Who says whether a board is well, without asking the agent.

use std::collections::BTreeMap;
use std::path::Path;

use tenure_proto::digest::Digest;

use super::boot::tries_left;
use super::{Board, SLOTS};
use crate::digests;
use crate::failure::{Failure, Result};
use crate::images::Image;

/// What no attack may change: the slots, the environment, and what the agent trusts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fingerprint {
    /// The whole running slot.
    pub running_slot: Digest,
    /// The whole spare slot.
    pub spare_slot: Digest,
    /// Both copies of the environment.
    pub environment: [Digest; 2],
    /// The trusted metadata, the highest versions ever seen, and the held promise, by file.
    pub trusted: BTreeMap<String, Digest>,
}

/// The release that a slot holds, whole; the longest of those that it begins with.
pub(super) fn release_in<'a>(slot: &Path, known: &'a [Image]) -> Result<Option<&'a Image>> {
    let mut digests = BTreeMap::new();
    let mut known: Vec<_> = known.iter().collect();
    known.sort_by_key(|image| std::cmp::Reverse(image.bytes));
    for image in known {
        if let std::collections::btree_map::Entry::Vacant(entry) = digests.entry(image.bytes) {
            entry.insert(digests::of_start(slot, image.bytes)?.1);
        }
        if digests.get(&image.bytes) == Some(&image.sha256) {
            return Ok(Some(image));
        }
    }
    Ok(None)
}

impl Board {
    /// At every instant at least one slot that the environment names holds a whole release.
    pub fn check_bootable(&self) -> Result<()> {
        let variables = self.env()?.read()?.unwrap_or_default();
        let order = variables.get("BOOT_ORDER").cloned().unwrap_or_else(|| SLOTS.join(" "));
        let named: Vec<_> = SLOTS.into_iter().filter(|slot| order.split(' ').any(|name| name == *slot)).collect();
        let tried: Vec<_> = named.iter().copied().filter(|slot| tries_left(&variables, slot) > 0).collect();
        // With no try left anywhere the bootloader gives all of them three again.
        for slot in if tried.is_empty() { &named } else { &tried } {
            if self.release_in(slot)?.is_some() {
                return Ok(());
            }
        }
        Err(Failure::new(format_args!("no slot that is named holds a whole release; the environment is {variables:?}")))
    }

    /// Takes the fingerprint of what no attack may change.
    pub fn fingerprint(&self) -> Result<Fingerprint> {
        let running = self.booted().ok_or_else(|| Failure::new("the board is off"))?;
        let environment =
            [digests::of_file(&self.path("uboot.env"))?.1, digests::of_file(&self.path("uboot-redundant.env"))?.1];
        let mut trusted = BTreeMap::new();
        for folder in ["trusted", "promise"] {
            let path = self.path("state/install").join(folder);
            if path.exists() {
                let files = digests::of_folder(&path)?;
                trusted.extend(files.into_iter().map(|(name, digest)| (format!("{folder}/{name}"), digest)));
            }
        }
        for name in ["floors.json", "floors.copy.json"] {
            let path = self.path("state/install").join(name);
            if path.exists() {
                trusted.insert(name.to_owned(), digests::of_file(&path)?.1);
            }
        }
        let spare = if running == SLOTS[0] { SLOTS[1] } else { SLOTS[0] };
        let (running_slot, spare_slot) = (self.slot_digest(running)?, self.slot_digest(spare)?);
        Ok(Fingerprint { running_slot, spare_slot, environment, trusted })
    }
}
