//! The statement of compliance: what goes with a product to importers and shops (UK PSTI Act 2022,
//! section 9; SI 2023/1007, Schedule 4), with what an EU declaration of conformity says besides.
//!
//! It gives the support period that was declared when the maker first supplied the product, and is
//! frozen: a later extension is another declaration, and a later batch has another statement. The
//! keys of the role `support` sign it. [`Pack`] carries it with all that vouches for it.

mod pack;

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

pub use pack::{Expected, PACK_TYPE, Pack, PackError, Proved, in_force};

use crate::digest::Digest;
use crate::dsse::Message;
use crate::limits;
use crate::model::{Model, Name};
use crate::time::Day;

/// The value of `_type`.
pub const TYPE: &str = "statement_of_compliance";
/// For how many years a statement is kept, or as long as support lasts if that is longer: ten by UK
/// PSTI and by the CRA, five by Australia's rules.
pub const KEPT_YEARS: i16 = 10;

/// What the manufacturer states.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// Always `statement_of_compliance`.
    #[serde(rename = "_type")]
    pub kind_of_file: String,
    /// The model.
    pub model: Model,
    /// Grows by one with each statement of a model.
    pub number: u64,
    /// The product.
    pub product: Product,
    /// Each manufacturer.
    pub manufacturers: Vec<Party>,
    /// Each authorised representative.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorised_representatives: Vec<Party>,
    /// Who prepared it.
    pub prepared: Prepared,
    /// What the product complies with.
    pub compliance: Compliance,
    /// The standards that the maker goes by, such as `ETSI EN 303 645 V2.1.1`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub standards: Vec<String>,
    /// What an EU declaration of conformity says besides, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eu: Option<EuDeclaration>,
    /// The defined support period.
    pub support_period: Period,
    /// Who signs.
    pub signatory: Signatory,
    /// Where it was issued.
    pub place: String,
    /// When it was issued.
    pub issued: Day,
}

/// Which product a statement is of.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Product {
    /// Its type: the name that is printed on it.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its batch; none for every batch that has no statement of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Name>,
}

/// A manufacturer or an authorised representative.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Party {
    /// The name.
    pub name: String,
    /// The postal address.
    pub address: String,
}

/// Who prepared a statement.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Prepared {
    /// The manufacturer.
    ByManufacturer,
    /// Somebody for the manufacturer.
    OnBehalfOfManufacturer,
}

/// What a product complies with (SI 2023/1007).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Compliance {
    /// The security requirements of Schedule 1.
    #[serde(rename = "schedule_1")]
    Schedule1,
    /// The conditions of Schedule 2, which count as compliance.
    #[serde(rename = "schedule_2")]
    Schedule2,
}

/// What an EU declaration of conformity says besides (Regulation (EU) 2024/2847, Annex V).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EuDeclaration {
    /// The Union's law that the product conforms to.
    pub legislation: Vec<String>,
    /// The notified body, what it did, and the certificate, if one took part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notified_body: Option<String>,
}

/// The defined support period, as it was when the maker first supplied the product.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Period {
    /// The day on which the maker first supplied the product, or this batch of it.
    pub first_supplied: Day,
    /// The last day with security updates, inclusive.
    pub ends: Day,
    /// The sequence of the declaration that promised it.
    pub declaration: u64,
    /// The digest of that declaration.
    pub declaration_sha256: Digest,
}

/// Who signs a statement.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Signatory {
    /// The name.
    pub name: String,
    /// The function, such as `Head of compliance`.
    pub function: String,
}

impl Message for Statement {
    const TYPE: &'static str = "application/vnd.tenure.statement+json";
}

impl Statement {
    /// Checks what the shape alone does not say.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.kind_of_file != TYPE {
            return Err("_type is not statement_of_compliance");
        }
        if self.number == 0 {
            return Err("statements are numbered from 1");
        }
        if self.manufacturers.is_empty() {
            return Err("it names no manufacturer");
        }
        if self.support_period.ends < self.support_period.first_supplied {
            return Err("the support period ended before the product was first supplied");
        }
        if self.eu.as_ref().is_some_and(|eu| eu.legislation.is_empty()) {
            return Err("an EU declaration names the law that the product conforms to");
        }
        if self.texts().all(|text| !text.trim().is_empty() && text.chars().count() <= limits::TEXT_CHARS_MAX) {
            Ok(())
        } else {
            Err("every name, address and other text needs words, at most 4000 characters")
        }
    }

    fn texts(&self) -> impl Iterator<Item = &String> {
        let parties = self.manufacturers.iter().chain(&self.authorised_representatives);
        let eu = self.eu.iter().flat_map(|eu| eu.legislation.iter().chain(&eu.notified_body));
        [&self.product.kind, &self.signatory.name, &self.signatory.function, &self.place]
            .into_iter()
            .chain(parties.flat_map(|party| [&party.name, &party.address]))
            .chain(&self.standards)
            .chain(eu)
    }

    /// Until when it is kept: ten years from when it was issued or the product was first supplied, and
    /// never less long than the product is supported.
    pub fn kept_until(&self) -> Day {
        self.issued.max(self.support_period.first_supplied).plus_years(KEPT_YEARS).max(self.support_period.ends)
    }

    /// Whether it says the same as `other`, which may have another number, day and signature.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let Self { number, issued, ref place, ref signatory, .. } = *other;
        Self { number, issued, place: place.clone(), signatory: signatory.clone(), ..self.clone() } == *other
    }
}
