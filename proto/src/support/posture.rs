//! What the product does once its support is over, and from when on.

use core::str::FromStr;

use super::{Declaration, Posture, Unit};
use crate::time::Reading;

/// No posture has this name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a posture is keep, local_only or isolate")]
pub struct NotAPosture;

impl FromStr for Posture {
    type Err = NotAPosture;

    fn from_str(text: &str) -> Result<Self, NotAPosture> {
        match text {
            "keep" => Ok(Self::Keep),
            "local_only" => Ok(Self::LocalOnly),
            "isolate" => Ok(Self::Isolate),
            _ => Err(NotAPosture),
        }
    }
}

impl Declaration {
    /// What this unit is to do at this time: nothing before the end of its support is proven, and then
    /// exactly what was declared.
    pub fn posture_at(&self, unit: &Unit, reading: Reading) -> Posture {
        let is_over = reading.proven() >= self.ends_for(unit).over_everywhere();
        if is_over { self.posture } else { Posture::Keep }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::tests::sample;
    use crate::time::{Proof, Timestamp};
    use proptest::prelude::*;

    fn at(now: &str, floor: &str, proof: Proof) -> Reading {
        Reading { now: now.parse().unwrap(), floor: floor.parse().unwrap(), proof }
    }

    fn declared(posture: Posture, ends: &str) -> Declaration {
        Declaration { posture, ends: ends.parse().unwrap(), ..sample() }
    }

    #[test]
    fn it_begins_when_the_last_day_is_over_everywhere_and_not_a_second_before() {
        let declaration = declared(Posture::Isolate, "2031-12-31");
        for (now, posture) in [
            ("2026-11-22T00:00:00Z", Posture::Keep),
            ("2031-12-31T23:59:59Z", Posture::Keep),
            ("2032-01-01T11:59:59Z", Posture::Keep),
            ("2032-01-01T12:00:00Z", Posture::Isolate),
            ("2099-01-01T00:00:00Z", Posture::Isolate),
        ] {
            assert_eq!(declaration.posture_at(&Unit::default(), at(now, now, Proof::Synchronised)), posture, "{now}");
        }
    }

    #[test]
    fn an_unproven_clock_neither_begins_it_nor_ends_it() {
        let declaration = declared(Posture::LocalOnly, "2031-12-31");
        let early = at("2099-01-01T00:00:00Z", "2027-01-01T00:00:00Z", Proof::Unproven);
        assert_eq!(declaration.posture_at(&Unit::default(), early), Posture::Keep);
        let proven = at("2032-01-01T12:00:00Z", "2032-01-01T12:00:00Z", Proof::Unproven);
        assert_eq!(declaration.posture_at(&Unit::default(), proven), Posture::LocalOnly);
    }

    #[test]
    fn a_unit_with_a_later_end_goes_on_and_an_extension_lifts_it() {
        let batch: crate::model::Name = "2027-03".parse().unwrap();
        let unit = Unit { batch: Some(batch.clone()), digest: None };
        let now = at("2033-01-01T00:00:00Z", "2033-01-01T00:00:00Z", Proof::Synchronised);
        let mut declaration = declared(Posture::Isolate, "2031-12-31");
        declaration.batches = [(batch, "2034-12-31".parse().unwrap())].into();
        assert_eq!(declaration.posture_at(&unit, now), Posture::Keep);
        assert_eq!(declaration.posture_at(&Unit::default(), now), Posture::Isolate);
        declaration.ends = "2035-12-31".parse().unwrap();
        assert_eq!(declaration.posture_at(&Unit::default(), now), Posture::Keep);
    }

    #[test]
    fn a_posture_is_read_as_it_is_written_and_nothing_else_is() {
        for posture in [Posture::Keep, Posture::LocalOnly, Posture::Isolate] {
            assert_eq!(alloc::string::ToString::to_string(&posture).parse(), Ok(posture));
        }
        assert_eq!("Isolate".parse::<Posture>(), Err(NotAPosture));
    }

    proptest! {
        /// Whatever the clock says: nothing is taken from an owner before the end is proven, and never
        /// more than was declared.
        #[test]
        fn nothing_is_taken_before_the_end_is_proven(now in 0_i64..8_000_000_000, floor in 0_i64..8_000_000_000, exact: bool) {
            let of = |seconds| Timestamp::from_unix_s(seconds).unwrap();
            let (floor, now) = (of(floor.min(now)), of(now));
            let proof = if exact { Proof::Synchronised } else { Proof::Unproven };
            let declaration = declared(Posture::LocalOnly, "2031-12-31");
            let posture = declaration.posture_at(&Unit::default(), Reading { now, floor, proof });
            let proven = if exact { now } else { floor };
            prop_assert_eq!(posture == Posture::LocalOnly, declaration.is_over(proven));
            prop_assert!(posture >= declaration.posture);
        }
    }
}
