//! How severe a vulnerability is: a CVSS vector as somebody wrote it, and its score.

use std::fmt;
use std::str::FromStr as _;

use cvss::Cvss;

/// The metrics that every vector has (CVSS 3.1, 6; CVSS 4.0, 7).
const BASE_V3: [&str; 8] = ["AV", "AC", "PR", "UI", "S", "C", "I", "A"];
const BASE_V4: [&str; 11] = ["AV", "AC", "AT", "PR", "UI", "VC", "VI", "VA", "SC", "SI", "SA"];

/// A score from 0 to 10, and its word (CVSS 3.1, 5; CVSS 4.0, 6).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Severity {
    /// The score.
    pub score: f64,
}

/// A severity that is none.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    /// Not a vector of version 3.0, 3.1 or 4.0.
    #[error("{vector:?} is no CVSS vector of version 3.0, 3.1 or 4.0")]
    Vector {
        /// What was given.
        vector: String,
        /// Why.
        #[source]
        source: cvss::Error,
    },
    /// A vector that leaves something out that every vector says.
    #[error("the CVSS vector does not say {0}")]
    Incomplete(&'static str),
    /// Not a score.
    #[error("a score is from 0 to 10")]
    Score,
    /// A score that the vector does not have.
    #[error("the vector's score is {computed:.1}, and {given} was given; leave the score out")]
    Disagrees {
        /// What the vector says.
        computed: f64,
        /// What was given.
        given: f64,
    },
}

impl Severity {
    /// What vector and score say; either may be missing, and they may not disagree.
    pub fn of(vector: Option<&str>, score: Option<f64>) -> Result<Option<Self>, Invalid> {
        if score.is_some_and(|score| !(0.0..=10.0).contains(&score)) {
            return Err(Invalid::Score);
        }
        let Some(vector) = vector else { return Ok(score.map(|score| Self { score })) };
        let parsed = Cvss::from_str(vector);
        let computed = parsed.map_err(|source| Invalid::Vector { vector: vector.to_string(), source })?.score();
        let metrics: &[_] = if vector.starts_with("CVSS:4") { &BASE_V4 } else { &BASE_V3 };
        let says = |metric: &&str| vector.split('/').any(|part| part.split(':').next() == Some(metric));
        if let Some(metric) = metrics.iter().find(|metric| !says(metric)) {
            return Err(Invalid::Incomplete(metric));
        }
        match score {
            Some(given) if (given - computed).abs() > 0.05 => Err(Invalid::Disagrees { computed, given }),
            _ => Ok(Some(Self { score: computed })),
        }
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        match self.score {
            score if score >= 9.0 => "critical",
            score if score >= 7.0 => "high",
            score if score >= 4.0 => "medium",
            score if score > 0.0 => "low",
            _ => "none",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:.1})", self.word(), self.score)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_is_scored_and_a_score_without_one_is_taken() {
        let of = |vector, score| Severity::of(vector, score).map(|found| found.map(|found| found.to_string()));
        for (vector, words) in [
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "critical (9.8)"),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", "medium (6.1)"),
            ("CVSS:3.0/AV:L/AC:H/PR:L/UI:N/S:U/C:N/I:N/A:N", "none (0.0)"),
            ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H", "critical (10.0)"),
        ] {
            assert_eq!(of(Some(vector), None).unwrap().as_deref(), Some(words), "{vector}");
        }
        assert_eq!(of(None, Some(7.5)).unwrap().as_deref(), Some("high (7.5)"));
        assert_eq!(of(None, None).unwrap(), None);
        let vector = Some("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H");
        assert!(matches!(Severity::of(vector, Some(5.0)), Err(Invalid::Disagrees { .. })));
        assert!(matches!(Severity::of(None, Some(10.1)), Err(Invalid::Score)));
        for vector in ["", "CVSS:3.1", "CVSS:3.1/AV:N", "CVSS:4.0/AV:N", "AV:N/AC:L/Au:N/C:C/I:C/A:C", "high"] {
            assert!(Severity::of(Some(vector), None).is_err(), "{vector}");
        }
    }
}
