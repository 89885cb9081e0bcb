//! Which blocks of a slot have to be written: not those that are there already.
//!
//! The spare slot mostly holds an older release, and reading is cheaper than writing, in time and in
//! wear. Where nothing matches, reading is a waste: then one block in a while is looked at, and the
//! comparison goes on as soon as one matches.

use std::ops::Range;

/// The unit of comparison.
pub(super) const BLOCK: usize = 4096;
/// What is compared in one go.
pub(super) const GROUP: usize = 64 * 1024;
/// So many blocks without one that matched, and only samples are looked at: one group in so many.
const PATIENCE: u32 = 256;

/// What has to be done with a run of blocks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fill {
    /// It is there already.
    Same,
    /// It is all zeros.
    Zero,
    /// It has to be written.
    Data,
}

/// How much of a group is looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Look {
    /// All of it.
    Whole,
    /// One block; all of it if that matches.
    Sample,
    /// Nothing.
    Nothing,
}

/// Whether comparing is worth it.
#[derive(Debug, Default)]
pub(super) struct Worth {
    /// Blocks since the last one that matched.
    misses: u32,
    /// How many of them there are when the next sample is taken.
    sample_at: u32,
}

impl Worth {
    /// How to look at the next group.
    pub(super) fn look(&mut self) -> Look {
        if self.misses < PATIENCE {
            return Look::Whole;
        }
        if self.misses < self.sample_at {
            return Look::Nothing;
        }
        self.sample_at = self.misses.saturating_add(PATIENCE);
        Look::Sample
    }

    /// Whether a block of the group matched, of how many.
    pub(super) fn learn(&mut self, matched: bool, blocks: usize) {
        let missed = u32::try_from(blocks).unwrap_or(PATIENCE);
        (self.misses, self.sample_at) =
            if matched { (0, 0) } else { (self.misses.saturating_add(missed), self.sample_at) };
    }
}

/// Splits `wanted` into runs. `found` is what is there, as far as it is known.
pub(super) fn runs(wanted: &[u8], found: Option<&[u8]>) -> Vec<(Range<usize>, Fill)> {
    let mut runs: Vec<(Range<usize>, Fill)> = Vec::new();
    for (nth, block) in wanted.chunks(BLOCK).enumerate() {
        let range = nth * BLOCK..nth * BLOCK + block.len();
        let same = found.and_then(|found| found.get(range.clone())) == Some(block);
        let fill = match same {
            true => Fill::Same,
            false if is_zero(block) => Fill::Zero,
            false => Fill::Data,
        };
        add(&mut runs, range, fill);
    }
    runs
}

/// Adds what follows the last run, and joins it if it is of the same kind.
pub(super) fn add(runs: &mut Vec<(Range<usize>, Fill)>, range: Range<usize>, fill: Fill) {
    match runs.last_mut() {
        Some((last, before)) if *before == fill => last.end = range.end,
        _ => runs.push((range, fill)),
    }
}

/// Whether all bytes are zero.
pub(super) fn is_zero(bytes: &[u8]) -> bool {
    // In words: a byte at a time is slow in a build for size.
    let (words, rest) = bytes.as_chunks::<8>();
    words.iter().all(|word| u64::from_ne_bytes(*word) == 0) && rest.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn runs_are_of_blocks_that_are_there_that_are_zero_and_of_others() {
        let wanted = [vec![1; 4096], vec![0; 8192], vec![2; 4096], vec![3; 5]].concat();
        let found = [vec![1; 4096], vec![0; 4096], vec![9; 8192], vec![9; 5]].concat();
        let expected = [
            (0..4096, Fill::Same),
            (4096..8192, Fill::Same),
            (8192..12_288, Fill::Zero),
            (12_288..16_384, Fill::Data),
            (16_384..16_389, Fill::Data),
        ];
        let merged = [(0..8192, Fill::Same), expected[2].clone(), (12_288..16_389, Fill::Data)];
        assert_eq!(runs(&wanted, Some(&found)), merged);
        assert_eq!(
            runs(&wanted, None),
            [(0..4096, Fill::Data), (4096..12_288, Fill::Zero), (12_288..16_389, Fill::Data)]
        );
    }

    #[test]
    fn where_nothing_matches_one_group_in_sixteen_is_sampled_until_one_matches() {
        let mut worth = Worth::default();
        let mut looks = Vec::new();
        for _ in 0..64 {
            looks.push(worth.look());
            worth.learn(false, 16);
        }
        assert!(looks[..16].iter().all(|look| *look == Look::Whole));
        assert_eq!(looks[16..].iter().filter(|look| **look == Look::Sample).count(), 3);
        assert!(!looks[16..].contains(&Look::Whole));
        worth.learn(true, 16);
        assert_eq!(worth.look(), Look::Whole);
    }

    proptest! {
        #[test]
        fn writing_the_runs_makes_the_wanted_of_anything(
            blocks in proptest::collection::vec((0_u8..3, 0_u8..3), 1..40),
            short in 0_usize..4096,
            known: bool,
        ) {
            let wanted: Vec<u8> = blocks.iter().flat_map(|(wanted, _)| [*wanted; BLOCK]).collect();
            let wanted = &wanted[..wanted.len() - short];
            let mut found: Vec<u8> = blocks.iter().flat_map(|(_, found)| [*found; BLOCK]).collect();
            let runs = runs(wanted, known.then_some(&found[..]));
            let mut end = 0;
            for (range, fill) in runs {
                prop_assert_eq!(range.start, end);
                end = range.end;
                match fill {
                    Fill::Same => {}
                    Fill::Zero => found[range].fill(0),
                    Fill::Data => found[range.clone()].copy_from_slice(&wanted[range]),
                }
            }
            prop_assert_eq!(&found[..wanted.len()], wanted);
        }
    }
}
