//! A statement with all that vouches for it: one file for importers and shops, checked offline by a
//! public root of the maker's alone.
//!
//! The maker's keys vouch for the newest declaration there was; each declaration names the digest of
//! the one before, back to the one that was in force when the product was first supplied. The keys of
//! the role `support` must have signed the statement, and it must say of the product what that
//! declaration promised.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::Statement;
use crate::digest::Digest;
use crate::dsse::{self, Envelope};
use crate::limits;
use crate::model::{Model, Name};
use crate::support::{Declaration, SUPPORT_ROLE, Unit};
use crate::time::Day;
use crate::trust::receipt::{FollowError, Vouched};
use crate::trust::{self, TargetFile as _, TrustedSet, Verified};

/// The value of `_type`.
pub const PACK_TYPE: &str = "statement_pack";

/// The file.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Pack {
    /// Always `statement_pack`.
    #[serde(rename = "_type")]
    pub kind_of_file: String,
    /// The model.
    pub model: Model,
    /// The statement, signed by the keys of the role `support`.
    pub statement: Envelope,
    /// The declarations before the one that is vouched for, the newest first, as far back as the one
    /// that was in force when the product was first supplied.
    pub earlier: Vec<String>,
    /// The newest declaration when the statement was signed, and the files that vouch for it.
    pub vouched: Vouched,
    /// The maker's roots, in the order of their versions.
    pub roots: Vec<String>,
}

/// A statement that the maker signed and that says what was promised. There is no public way to make
/// one but [`Pack::verify`].
#[derive(Clone, Debug)]
pub struct Proved {
    /// The statement.
    pub statement: Statement,
    /// The newest declaration when it was signed.
    pub newest: Verified<Declaration>,
}

/// What somebody else says of the product: a label, a web shop, a delivery.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Expected {
    /// The last day with security updates.
    pub ends: Option<Day>,
    /// The batch.
    pub batch: Option<Name>,
}

/// Why a pack proves nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PackError {
    /// Too long, cut short, or not JSON of this shape.
    #[error("this is no statement of compliance, or not the whole of one: {0}")]
    Shape(String),
    /// The root at hand is none of these roots, nor before them.
    #[error(
        "the statement begins with root version {begins}, and the root at hand has version {have}; bring that version or an earlier one"
    )]
    Anchor {
        /// The version at hand.
        have: u64,
        /// The first one that the pack can go on from.
        begins: u64,
    },
    /// What is beside the statement is not the maker's.
    #[error("the maker's keys do not vouch for the declaration that goes with it")]
    NotVouched(#[source] trust::Error),
    /// The statement is not the maker's.
    #[error("it is not signed by the keys that the maker lets sign it; somebody changed it, or made it")]
    NotSigned(#[source] dsse::Error),
    /// The statement is of another model than the root and the declarations.
    #[error("it is a statement of model {found}, and what goes with it is of model {expected}")]
    Model {
        /// The model of the pack.
        expected: Model,
        /// The model of the statement.
        found: Model,
    },
    /// A declaration is not the one that the next one names.
    #[error("the declarations do not follow each other")]
    Unlinked,
    /// The statement says something else than what was promised.
    #[error("it says {stated} as {what}, and {promised} was declared when the product was first supplied")]
    Differs {
        /// What of the product.
        what: &'static str,
        /// What the statement says.
        stated: String,
        /// What the declaration says.
        promised: String,
    },
    /// No declaration was in force.
    #[error("no support was declared yet on {0}, and the statement says that the product was supplied by then")]
    Undeclared(Day),
    /// The product at hand has another date.
    #[error("the statement says {stated} as the last day with security updates, and the product at hand {found}")]
    OtherDate {
        /// What the statement says.
        stated: Day,
        /// What was found.
        found: Day,
    },
    /// The product at hand is of another batch.
    #[error("the statement is of batch {stated}, and the product at hand of batch {found}")]
    OtherBatch {
        /// What the statement says.
        stated: Name,
        /// What was found.
        found: Name,
    },
}

/// The declaration that was in force at the end of `day` among `history`, which is the oldest first.
pub fn in_force(history: &[(Declaration, Digest)], day: Day) -> Option<&(Declaration, Digest)> {
    history.iter().rev().find(|(declaration, _)| declaration.declared_at.day() <= day)
}

impl Pack {
    /// Reads a pack; proves nothing yet.
    pub fn parse(bytes: &[u8]) -> Result<Self, PackError> {
        if bytes.len() as u64 > limits::STATEMENT_BYTES_MAX {
            return Err(PackError::Shape("it is too long".into()));
        }
        let pack: Self = serde_json::from_slice(bytes).map_err(|error| PackError::Shape(error.to_string()))?;
        if pack.kind_of_file == PACK_TYPE {
            Ok(pack)
        } else {
            Err(PackError::Shape("_type is not statement_pack".into()))
        }
    }

    /// Reads the statement without believing it.
    pub fn peek(&self) -> Result<Statement, PackError> {
        self.statement.peek().map_err(|error| PackError::Shape(error.to_string()))
    }

    /// Decides what the pack proves to a holder of `root`.
    pub fn verify(&self, root: &[u8]) -> Result<Proved, PackError> {
        let set = self.vouched.follow(&self.model, &self.roots, root).map_err(|error| match error {
            FollowError::Anchor { have, begins } => PackError::Anchor { have, begins },
            FollowError::Refused(source) => PackError::NotVouched(source),
        })?;
        let newest = self.vouched.open(&set).map_err(PackError::NotVouched)?;
        let statement = self.open(&set)?;
        if statement.model != self.model {
            return Err(PackError::Model { expected: self.model.clone(), found: statement.model });
        }
        statement.check().map_err(|what| PackError::Shape(what.into()))?;
        let history = self.history(&newest)?;
        statement.check_promise(&history)?;
        Ok(Proved { statement, newest })
    }

    /// The statement, as the keys of the role `support` signed it.
    fn open(&self, set: &TrustedSet) -> Result<Statement, PackError> {
        let nobody = dsse::Error::Threshold { have: 0, need: 1 };
        let delegations = set.targets().delegations.as_ref();
        let role = delegations.and_then(|all| {
            let support = all.roles.iter().flatten().find(|role| role.name == SUPPORT_ROLE)?;
            Some(self.statement.open_by(&support.keys, &all.keys))
        });
        role.unwrap_or(Err(nobody)).map_err(PackError::NotSigned)
    }

    /// The declarations that the newest one vouches for, the oldest first.
    fn history(&self, newest: &Declaration) -> Result<Vec<(Declaration, Digest)>, PackError> {
        let mut history = alloc::vec![(newest.clone(), Digest::of(self.vouched.declaration.as_bytes()))];
        for text in &self.earlier {
            let digest = Digest::of(text.as_bytes());
            let named = history.last().and_then(|(after, _)| after.previous_sha256);
            let declaration = Declaration::parse(text.as_bytes()).map_err(|_| PackError::Unlinked)?;
            if named != Some(digest) || declaration.model != self.model {
                return Err(PackError::Unlinked);
            }
            history.push((declaration, digest));
        }
        history.reverse();
        Ok(history)
    }
}

impl Statement {
    /// The day whose promise counts: that of the first supply, or that of the statement if it was
    /// issued before.
    fn as_of(&self) -> Day {
        self.support_period.first_supplied.min(self.issued)
    }

    /// Checks that it says what was promised.
    fn check_promise(&self, history: &[(Declaration, Digest)]) -> Result<(), PackError> {
        let (promise, digest) = in_force(history, self.as_of()).ok_or_else(|| PackError::Undeclared(self.as_of()))?;
        let unit = Unit { batch: self.product.batch.clone(), digest: None };
        let (period, maker) = (&self.support_period, self.manufacturers.first());
        let maker = maker.map(|maker| maker.name.clone()).unwrap_or_default();
        let pairs = [
            ("the declaration", period.declaration_sha256.to_string(), digest.to_string()),
            ("its number", period.declaration.to_string(), promise.sequence.to_string()),
            ("the last day with security updates", period.ends.to_string(), promise.ends_for(&unit).to_string()),
            ("the product's name", self.product.kind.clone(), promise.designation.clone()),
            ("the manufacturer", maker, promise.manufacturer.clone()),
        ];
        let differs = pairs.into_iter().find(|(_, stated, promised)| stated != promised);
        differs.map_or(Ok(()), |(what, stated, promised)| Err(PackError::Differs { what, stated, promised }))
    }
}

impl Proved {
    /// Whether the product at hand is what the statement speaks of.
    pub fn compare(&self, expected: &Expected) -> Result<(), PackError> {
        let stated = self.statement.support_period.ends;
        if let Some(found) = expected.ends.filter(|found| *found != stated) {
            return Err(PackError::OtherDate { stated, found });
        }
        match (&self.statement.product.batch, &expected.batch) {
            (Some(stated), Some(found)) if stated != found => {
                Err(PackError::OtherBatch { stated: stated.clone(), found: found.clone() })
            }
            _ => Ok(()),
        }
    }
}
