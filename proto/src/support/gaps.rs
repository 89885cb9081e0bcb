//! What the law wants said beside the day, and a declaration does not say.

use alloc::vec::Vec;
use core::fmt;

use super::Declaration;
use crate::time::Day;

/// The shortest period that needs no reason, in years (CRA, Article 13(8)).
pub const PERIOD_YEARS_MIN: i16 = 5;

/// Something that is not said. Displayed as the key and the duty behind it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Gap {
    /// When the first unit was placed on the market.
    PlacedOnMarket,
    /// Where the manufacturer can be written to.
    ManufacturerAddress,
    /// Which reasons bear on the period.
    Reasons,
    /// Who reviewed it.
    Reviewer,
    /// Why it is under five years.
    ShortBecause,
    /// Which risks arise after the end.
    Risks,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PlacedOnMarket => "placed_on_market: the day of the first unit (EU CRA, Article 13(8))",
            Self::ManufacturerAddress => {
                "manufacturer_address: where owners and authorities can write to (UK PSTI, Schedule 4; EU CRA, Article 13(16))"
            }
            Self::Reasons => "reasons: what the length of the period follows from (EU CRA, Article 13(8))",
            Self::Reviewer => "reviewer: who reviewed the period for the manufacturer (EU CRA, Article 13(8))",
            Self::ShortBecause => {
                "short_because: why the period is under five years (EU CRA, Article 13(8): unless the product is expected to be in use for less)"
            }
            Self::Risks => "risks: which risks arise after the end (EU CRA, Article 13(11))",
        })
    }
}

/// What has to be added before a declaration is signed and published.
pub fn gaps(declaration: &Declaration) -> Vec<Gap> {
    let is_short = |start: Day| declaration.ends < start.plus_years(PERIOD_YEARS_MIN);
    [
        (Gap::PlacedOnMarket, declaration.placed_on_market.is_none()),
        (Gap::ManufacturerAddress, declaration.manufacturer_address.is_none()),
        (Gap::Reasons, declaration.reasons.is_empty()),
        (Gap::Reviewer, declaration.reviewer.is_none()),
        (Gap::ShortBecause, declaration.short_because.is_none() && declaration.placed_on_market.is_some_and(is_short)),
        (Gap::Risks, declaration.risks.is_none()),
    ]
    .into_iter()
    .filter_map(|(gap, is_open)| is_open.then_some(gap))
    .collect()
}
