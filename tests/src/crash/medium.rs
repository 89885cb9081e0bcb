//! The disk in memory, sector by sector, which knows at any time how far each slot is from each release.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use crate::machine::disk::Region;

/// What no power cut divides.
pub(super) const SECTOR: usize = 512;

/// How far a slot is from an image.
#[derive(Clone, Debug)]
struct Watch {
    slot: Region,
    image: Arc<Vec<u8>>,
    wrong_sectors: usize,
}

/// A region that is known again when it is as it was.
#[derive(Clone, Debug)]
struct Keyed {
    region: Region,
    key: u64,
}

/// See above.
#[derive(Clone, Debug)]
pub(super) struct Medium {
    bytes: Vec<u8>,
    watches: Vec<Watch>,
    keyed: Vec<Keyed>,
}

impl Medium {
    /// Takes the bytes of a disk, and watches for these images in these slots.
    pub(super) fn new(bytes: Vec<u8>, slots: &[Region], images: &[Arc<Vec<u8>>], keyed: &[Region]) -> Self {
        let mut medium = Self { bytes, watches: Vec::new(), keyed: Vec::new() };
        for slot in slots {
            for image in images {
                let start = usize::try_from(slot.start).unwrap_or(usize::MAX);
                let here = medium.bytes.get(start..).unwrap_or_default().chunks(SECTOR);
                let wrong_sectors = here.zip(image.chunks(SECTOR)).filter(|(found, wanted)| found != wanted).count();
                medium.watches.push(Watch { slot: *slot, image: Arc::clone(image), wrong_sectors });
            }
        }
        for region in keyed {
            let sectors = medium.region(*region).chunks(SECTOR).enumerate();
            let first = region.start / SECTOR as u64;
            let key = sectors.fold(0, |key, (nth, bytes)| key ^ name(first + nth as u64, bytes));
            medium.keyed.push(Keyed { region: *region, key });
        }
        medium
    }

    /// The bytes of a region.
    pub(super) fn region(&self, region: Region) -> &[u8] {
        let (start, end) = (usize::try_from(region.start), usize::try_from(region.end()));
        start.ok().zip(end.ok()).and_then(|(start, end)| self.bytes.get(start..end)).unwrap_or_default()
    }

    /// The number of the image that a slot holds, whole.
    pub(super) fn whole(&self, slot: Region) -> Option<usize> {
        self.watches.iter().filter(|watch| watch.slot == slot).position(|watch| watch.wrong_sectors == 0)
    }

    /// A name for what the keyed regions hold.
    pub(super) fn key(&self) -> Vec<u64> {
        self.keyed.iter().map(|keyed| keyed.key).collect()
    }

    /// Writes one sector; what was there before.
    pub(super) fn write(&mut self, sector: u64, new: &[u8]) -> Vec<u8> {
        let at = sector * SECTOR as u64;
        let start = usize::try_from(at).unwrap_or(usize::MAX);
        let end = start.saturating_add(new.len());
        let Some(place) = self.bytes.get_mut(start..end) else { return Vec::new() };
        let old = place.to_vec();
        if old == new {
            return old;
        }
        place.copy_from_slice(new);
        let within = |region: Region| region.start <= at && at < region.end();
        for watch in self.watches.iter_mut().filter(|watch| within(watch.slot)) {
            let from = usize::try_from(at - watch.slot.start).unwrap_or(usize::MAX);
            let Some(wanted) = watch.image.get(from..from.saturating_add(new.len())) else { continue };
            watch.wrong_sectors += usize::from(old == wanted);
            watch.wrong_sectors -= usize::from(new == wanted);
        }
        for keyed in self.keyed.iter_mut().filter(|keyed| within(keyed.region)) {
            keyed.key ^= name(sector, &old) ^ name(sector, new);
        }
        old
    }
}

fn name(sector: u64, bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (sector, bytes).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_whole_when_its_last_sector_is_right_and_no_longer_when_one_is_not() {
        let slot = Region { start: 512, bytes: 1536 };
        let image = Arc::new([[1; SECTOR], [2; SECTOR]].concat());
        let mut medium = Medium::new(vec![0; 4096], &[slot], &[Arc::clone(&image)], &[slot]);
        let before = medium.key();
        assert_eq!(medium.whole(slot), None);
        medium.write(1, &[1; SECTOR]);
        assert_eq!(medium.whole(slot), None);
        medium.write(2, &[2; SECTOR]);
        assert_eq!(medium.whole(slot), Some(0));
        medium.write(3, &[9; SECTOR]);
        assert_eq!(medium.whole(slot), Some(0), "what the image does not reach is no matter");
        let old = medium.write(1, &[7; SECTOR]);
        assert_eq!((medium.whole(slot), old), (None, vec![1; SECTOR]));
        for sector in [1, 2, 3] {
            medium.write(sector, &[0; SECTOR]);
        }
        assert_eq!(medium.key(), before);
    }
}
