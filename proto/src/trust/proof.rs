//! A pocket proof: one small file that shows anybody what a maker promised.
//!
//! It carries a declaration and every file that vouches for it, from the first root on. Who checks it
//! brings the one thing that is not in it: a root of the maker's that they trust. No network is
//! needed, and no clock: a promise never shrinks, so that one which was signed stays a lower bound.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::Verified;
use super::receipt::{FollowError, Vouched};
use crate::digest::Digest;
use crate::limits;
use crate::model::Model;
use crate::support::Declaration;

/// The value of `_type`.
pub const PROOF_TYPE: &str = "support_proof";

/// The file.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Proof {
    /// Always `support_proof`.
    #[serde(rename = "_type")]
    pub kind_of_file: String,
    /// The model.
    pub model: Model,
    /// The maker's roots from the first one on, in the order of their versions.
    pub roots: Vec<String>,
    /// The promise.
    pub declared: Vouched,
}

/// Why a proof proves nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProofError {
    /// Too long, or not JSON of this shape.
    #[error("this is no proof of a promise: {0}")]
    Shape(String),
    /// The root at hand is none of its roots, nor before them.
    #[error(
        "the proof begins with root version {begins}, and the root at hand has version {have}; bring that version or an earlier one"
    )]
    Anchor {
        /// The version at hand.
        have: u64,
        /// The first one that the proof can go on from.
        begins: u64,
    },
    /// A file of it is not signed as it must be.
    #[error("the declaration is not vouched for")]
    NotVouched(#[source] super::Error),
}

impl Proof {
    /// Reads a proof; proves nothing yet.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofError> {
        if bytes.len() as u64 > limits::PROOF_BYTES_MAX {
            return Err(ProofError::Shape("it is too long".into()));
        }
        let proof: Self = serde_json::from_slice(bytes).map_err(|error| ProofError::Shape(error.to_string()))?;
        if proof.kind_of_file == PROOF_TYPE {
            Ok(proof)
        } else {
            Err(ProofError::Shape("_type is not support_proof".into()))
        }
    }

    /// The promise that it proves to a holder of `root`, and the digest of its text.
    pub fn verify(&self, root: &[u8]) -> Result<(Verified<Declaration>, Digest), ProofError> {
        let set = self.declared.follow(&self.model, &self.roots, root).map_err(|error| match error {
            FollowError::Anchor { have, begins } => ProofError::Anchor { have, begins },
            FollowError::Refused(source) => ProofError::NotVouched(source),
        })?;
        let declaration = self.declared.open(&set).map_err(ProofError::NotVouched)?;
        Ok((declaration, Digest::of(self.declared.declaration.as_bytes())))
    }
}
