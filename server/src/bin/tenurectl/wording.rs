//! The words of a declaration: what a command says, what was said before, what is usual.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tenure_proto::support::identifiers::{Cpe, Gmn, Gtin, Identifiers, Purl};
use tenure_proto::support::{Contact, Declaration, Posture, Reason, TYPE};
use tenure_proto::time::{Day, Timestamp};
use tenure_proto::words::{Language, Usual};

use crate::fixed::{self, FixedWording};
use crate::folder::ModelFolder;
use crate::parts::{self, Files};
use crate::promise::Change;
use crate::{dates, translations};

/// Why a declaration cannot be worded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A day that is none.
    #[error(transparent)]
    Date(#[from] dates::Error),
    /// A product that cannot be updated, half described.
    #[error(transparent)]
    Fixed(#[from] fixed::Error),
    /// The list of parts, or what is known of them.
    #[error(transparent)]
    Parts(#[from] parts::Error),
    /// The words in other languages.
    #[error(transparent)]
    Translations(#[from] translations::Error),
}

/// The options that word a declaration. What is not given stays as it was.
#[derive(clap::Args, Debug)]
pub(crate) struct Wording {
    /// The day on which the first unit was placed on the market, YYYY-MM-DD
    #[arg(long, value_name = "DAY")]
    placed_on_market: Option<String>,
    /// What is covered: the device, an app, a service; may be given more than once [default: device]
    #[arg(long = "component", value_name = "NAME")]
    components: Vec<String>,
    /// A number under which it is sold (GTIN: EAN, UPC); may be given more than once, the label's first
    #[arg(long = "gtin", value_name = "DIGITS")]
    gtins: Vec<Gtin>,
    /// The number of the model (GS1 Global Model Number)
    #[arg(long)]
    gmn: Option<Gmn>,
    /// Its package URL, such as pkg:generic/acme/gateway-1, for lists of parts
    #[arg(long, value_name = "URL")]
    purl: Option<Purl>,
    /// Its CPE 2.3 name, for advisories
    #[arg(long, value_name = "NAME")]
    cpe: Option<Cpe>,
    #[command(flatten)]
    parts: Files,
    /// Why the period is as long as it is
    #[arg(long, value_name = "TEXT")]
    basis: Option<String>,
    /// Which of the reasons that the law names bear on it; with commas [default: expected-use]
    #[arg(long, value_name = "NAMES", value_enum, value_delimiter = ',')]
    reasons: Vec<ReasonName>,
    /// Why the period is under five years, if it is
    #[arg(long, value_name = "TEXT")]
    short_because: Option<String>,
    /// Who reviewed the period
    #[arg(long, value_name = "NAME")]
    reviewer: Option<String>,
    /// What is lost after the end, in words for an owner
    #[arg(long, value_name = "TEXT")]
    after_end: Option<String>,
    /// Which risks arise then, in words for an owner
    #[arg(long, value_name = "TEXT")]
    risks: Option<String>,
    /// What an owner can do then, in words for an owner
    #[arg(long, value_name = "TEXT")]
    advice: Option<String>,
    /// What is lost, the risks and what to do, in other languages: a table for each in TOML, such as de
    #[arg(long, value_name = "FILE")]
    translations: Option<PathBuf>,
    /// What the product does after the end; can only become freer later [default: keep]
    #[arg(long, value_name = "NAME", value_enum)]
    posture: Option<PostureName>,
    #[command(flatten)]
    fixed: FixedWording,
    /// Within how many days a report of a weakness is acknowledged [default: 5]
    #[arg(long, value_name = "DAYS")]
    acknowledge_within_days: Option<u32>,
    /// How often its sender hears of its state, in days [default: 14]
    #[arg(long, value_name = "DAYS")]
    status_every_days: Option<u32>,
}

/// [`Reason`], as it is typed.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum ReasonName {
    ExpectedUse,
    UserExpectations,
    Nature,
    Law,
    SimilarProducts,
    OperatingEnvironment,
    Components,
}

/// [`Posture`], as it is typed.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum PostureName {
    /// It goes on as it is
    Keep,
    /// It talks to the local network and no further
    LocalOnly,
    /// It shuts itself off from networks; the owner keeps a way in
    Isolate,
}

impl From<ReasonName> for Reason {
    fn from(name: ReasonName) -> Self {
        match name {
            ReasonName::ExpectedUse => Self::ExpectedUse,
            ReasonName::UserExpectations => Self::UserExpectations,
            ReasonName::Nature => Self::Nature,
            ReasonName::Law => Self::Law,
            ReasonName::SimilarProducts => Self::SimilarProducts,
            ReasonName::OperatingEnvironment => Self::OperatingEnvironment,
            ReasonName::Components => Self::Components,
        }
    }
}

impl From<PostureName> for Posture {
    fn from(name: PostureName) -> Self {
        match name {
            PostureName::Keep => Self::Keep,
            PostureName::LocalOnly => Self::LocalOnly,
            PostureName::Isolate => Self::Isolate,
        }
    }
}

const ACKNOWLEDGE_WITHIN_DAYS: u32 = 5;
const STATUS_EVERY_DAYS: u32 = 14;

/// The words of a promise whose maker gives none. Day, sequence and link are set when it is signed.
pub(crate) fn usual(model: &ModelFolder) -> Declaration {
    let (day, usual) = (Timestamp::UNIX_EPOCH.day(), Usual::of(Language::English));
    Declaration {
        kind_of_file: TYPE.to_string(),
        model: model.model.clone(),
        designation: model.designation.clone(),
        identifiers: Identifiers::default(),
        manufacturer: String::new(),
        manufacturer_address: None,
        authorised_representative: None,
        sequence: 0,
        previous_sha256: None,
        declared_at: Timestamp::UNIX_EPOCH,
        change: None,
        placed_on_market: None,
        ends: day,
        batches: BTreeMap::new(),
        units: BTreeMap::new(),
        components: vec!["device".to_string()],
        parts_ending_earlier: Vec::new(),
        basis: usual.basis.to_string(),
        reasons: vec![Reason::ExpectedUse],
        short_because: None,
        reviewer: None,
        contact: Contact {
            url: String::new(),
            person: None,
            acknowledge_within_days: ACKNOWLEDGE_WITHIN_DAYS,
            status_every_days: STATUS_EVERY_DAYS,
        },
        after_end: usual.after_end.to_string(),
        risks: Some(usual.risks.to_string()),
        advice: usual.advice.to_string(),
        posture: Posture::default(),
        translations: BTreeMap::new(),
        fixed: None,
        cessation: None,
        extra: BTreeMap::new(),
    }
}

impl Wording {
    /// `held` in these words, with what the manufacturer's folder says today.
    pub(crate) fn apply(
        self,
        held: Declaration,
        ends: Day,
        Change { folder, model, repo, .. }: &Change<'_>,
    ) -> Result<Declaration, Error> {
        let maker = &folder.maker;
        let parts = self.parts.ending_earlier(repo, parts::last_day(&held).max(ends))?;
        let contact = Contact {
            url: maker.contact.clone(),
            person: maker.person.clone().or(held.contact.person),
            acknowledge_within_days: self.acknowledge_within_days.unwrap_or(held.contact.acknowledge_within_days),
            status_every_days: self.status_every_days.unwrap_or(held.contact.status_every_days),
        };
        let placed_on_market: Option<Day> = self.placed_on_market.as_deref().map(dates::day).transpose()?;
        let translations = self.translations.as_deref().map(translations::read).transpose()?;
        let before = held.identifiers;
        let identifiers = Identifiers {
            gtin: if self.gtins.is_empty() { before.gtin } else { self.gtins },
            gmn: self.gmn.or(before.gmn),
            purl: self.purl.or(before.purl),
            cpe: self.cpe.or(before.cpe),
            extra: before.extra,
        };
        let reasons: Vec<Reason> = self.reasons.into_iter().map(Reason::from).collect();
        Ok(Declaration {
            ends,
            parts_ending_earlier: parts.unwrap_or(held.parts_ending_earlier),
            designation: model.designation.clone(),
            identifiers,
            manufacturer: maker.manufacturer.clone(),
            manufacturer_address: maker.address.clone().or(held.manufacturer_address),
            authorised_representative: maker.representative.clone().or(held.authorised_representative),
            placed_on_market: placed_on_market.or(held.placed_on_market),
            components: if self.components.is_empty() { held.components } else { self.components },
            basis: self.basis.unwrap_or(held.basis),
            reasons: if reasons.is_empty() { held.reasons } else { reasons },
            short_because: self.short_because.or(held.short_because),
            reviewer: self.reviewer.or(held.reviewer),
            contact,
            after_end: self.after_end.unwrap_or(held.after_end),
            risks: self.risks.or(held.risks),
            advice: self.advice.unwrap_or(held.advice),
            fixed: self.fixed.apply(held.fixed)?,
            translations: translations.unwrap_or(held.translations),
            posture: self.posture.map_or(held.posture, Posture::from),
            ..held
        })
    }
}
