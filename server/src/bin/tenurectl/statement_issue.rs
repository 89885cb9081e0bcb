//! `tenurectl statement issue`: states compliance, with the support period of the first supply.

use serde_json::json;
use tenure_proto::digest::Digest;
use tenure_proto::dsse::{self, Envelope};
use tenure_proto::model::{Model, Name};
use tenure_proto::statement::{
    Compliance, EuDeclaration, PACK_TYPE, Pack, PackError, Party, Period, Prepared, Product, Signatory, Statement,
    TYPE, in_force,
};
use tenure_proto::support::{Declaration, Unit};
use tenure_proto::time::Day;
use tenure_server::disk;

use crate::cli::Site;
use crate::dates;
use crate::folder::{self, Folder, ModelFolder};
use crate::offline::{self, Needed};
use crate::repo::{self, Repo};
use crate::statements::{self, Issued};
use crate::support_history;

/// The options of `statement issue`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tenurectl statement issue acme-gw1 --batch 2026-12 --first-supplied 2026-12-01 --schedule 1 \\
      --name 'A. Smith' --function 'Head of compliance' --place London
  tenurectl statement issue acme-gw1 --batch 2027-03 --first-supplied 2027-03-01 --schedule 2 \\
      --standard 'ETSI EN 303 645 V2.1.1' --union-law 'Regulation (EU) 2024/2847' \\
      --name 'A. Smith' --function 'Head of compliance' --place London

The support period is the one that was declared on the day of the first supply; a later extension does \
not change a statement. Product, manufacturer and authorised representative are those of the \
declaration; an address that it lacks is taken from tenure.toml. The keys of the role support sign. A \
statement never changes: what is different is another statement, with the next number.")]
pub(crate) struct Args {
    /// The model
    model: Model,
    /// The batch [default: every batch without a statement of its own]
    #[arg(long, value_name = "NAME")]
    batch: Option<Name>,
    /// The day on which you first supplied the product, or this batch, YYYY-MM-DD
    #[arg(long, value_name = "DAY")]
    first_supplied: String,
    /// What it complies with: the requirements of Schedule 1, or the conditions of Schedule 2
    #[arg(long, value_name = "1|2", value_parser = clap::value_parser!(u8).range(1..=2))]
    schedule: u8,
    /// A standard that you go by; may be given more than once
    #[arg(long = "standard", value_name = "TEXT")]
    standards: Vec<String>,
    /// Law of the European Union that the product conforms to; may be given more than once
    #[arg(long = "union-law", value_name = "TEXT")]
    union_laws: Vec<String>,
    /// The notified body, what it did, and the certificate
    #[arg(long, value_name = "TEXT", requires = "union_laws")]
    notified_body: Option<String>,
    /// Another manufacturer of the product; may be given more than once
    #[arg(long = "also-made-by", value_name = "NAME=ADDRESS", value_parser = party)]
    also_made_by: Vec<Party>,
    /// You prepare it on behalf of the manufacturer
    #[arg(long)]
    on_behalf: bool,
    /// Who signs: the name
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Who signs: the function
    #[arg(long, value_name = "TEXT")]
    function: String,
    /// The place of issue
    #[arg(long, value_name = "TEXT")]
    place: String,
}

fn party(text: &str) -> Result<Party, &'static str> {
    let (name, address) = text.split_once('=').ok_or("not of the form NAME=ADDRESS")?;
    Ok(Party { name: name.to_string(), address: address.to_string() })
}

/// Why nothing was issued.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A day that is none.
    #[error(transparent)]
    Date(#[from] dates::Error),
    /// No declaration was there on the day that counts.
    #[error(
        "no support was declared for {model} by {}, and a statement gives the period that was declared when the product was first supplied; the first declaration is of {}",
        day.in_words(), first.map_or_else(|| "no day yet".to_string(), Day::in_words)
    )]
    Undeclared {
        /// The model.
        model: Model,
        /// The day that counts.
        day: Day,
        /// The day of the first declaration.
        first: Option<Day>,
    },
    /// The law wants an address.
    #[error("neither the declaration nor tenure.toml has the manufacturer's address; add there: address = \"...\"")]
    NoAddress,
    /// It would not be believed.
    #[error("the statement would not be believed; nothing was signed for good")]
    Draft(#[source] Box<PackError>),
    /// A value that is not allowed.
    #[error("the statement cannot be signed: {0}")]
    Value(&'static str),
    /// A signature.
    #[error("cannot sign the statement")]
    Sign(#[from] dsse::Error),
    /// Text that cannot be written as JSON, which is a fault of ours.
    #[error("cannot write the statement")]
    Compose(#[from] serde_json::Error),
    /// The statements before.
    #[error(transparent)]
    Statements(#[from] statements::Error),
    /// The manufacturer's folder.
    #[error(transparent)]
    Folder(#[from] folder::Error),
    /// The keys.
    #[error(transparent)]
    Offline(#[from] offline::Error),
    /// The repository.
    #[error(transparent)]
    Repo(#[from] repo::Error),
    /// A file that does not write.
    #[error(transparent)]
    Write(#[from] disk::Error),
}

/// Runs `statement issue`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), Error> {
    let first_supplied = dates::day(&args.first_supplied)?;
    let folder = site.folder()?;
    let _lock = folder.lock()?;
    let (model, now) = (folder.model(&args.model)?, site.clock.now());
    let repo = Repo::open(&model, now)?;
    let history = support_history::read(&repo)?;
    let (issued, as_of) = (now.day(), first_supplied.min(now.day()));
    let promise = in_force(&history, as_of).ok_or_else(|| Error::Undeclared {
        model: args.model.clone(),
        day: as_of,
        first: history.first().map(|(first, _)| first.declared_at.day()),
    })?;
    let before = statements::all(&model)?;
    let number = before.last().map_or(0, |last| last.statement.number) + 1;
    let statement = args.statement(number, [issued, first_supplied], promise, &folder)?;
    if let Some(same) = before.iter().find(|one| one.statement.says_the_same(&statement)) {
        site.screen.say(format!("Statement {} says the same already; nothing to sign.", same.statement.number));
        site.screen.answer(&answer(same, false));
        return Ok(());
    }
    let earlier = earlier(&repo, &history, as_of)?;
    let bytes = sign(&folder, &model, &repo, earlier, &statement)?;
    disk::replace(&statements::path(&model, number), &bytes, disk::PUBLIC)?;
    let made = Issued { statement, bytes };
    say(site, &made);
    Ok(())
}

fn say(site: &Site, made: &Issued) {
    let (statement, period) = (&made.statement, &made.statement.support_period);
    let batch = statement.product.batch.as_ref().map(|batch| format!(", batch {batch}")).unwrap_or_default();
    site.screen.say(format!("Statement {} of {}{batch} is signed.", statement.number, statement.product.kind));
    site.screen.say(format!(
        "  support period: until {}, as declared when it was first supplied ({})",
        period.ends.in_words(),
        period.first_supplied.in_words()
    ));
    site.screen.say(format!("  kept until: {}", statement.kept_until().in_words()));
    site.screen.say(format!("Next: tenurectl push {}", statement.model));
    site.screen.answer(&answer(made, true));
}

fn answer(made: &Issued, signed: bool) -> serde_json::Value {
    json!({"number": made.statement.number, "signed": signed, "sha256": made.digest(), "statement": made.statement})
}

impl Args {
    fn statement(
        &self,
        number: u64,
        [issued, first_supplied]: [Day; 2],
        (promise, digest): &(Declaration, Digest),
        folder: &Folder,
    ) -> Result<Statement, Error> {
        let address = promise.manufacturer_address.clone().or_else(|| folder.maker.address.clone());
        let maker = Party { name: promise.manufacturer.clone(), address: address.ok_or(Error::NoAddress)? };
        let represented = promise.authorised_representative.clone().or_else(|| folder.maker.representative.clone());
        let unit = Unit { batch: self.batch.clone(), digest: None };
        let eu = EuDeclaration { legislation: self.union_laws.clone(), notified_body: self.notified_body.clone() };
        let statement = Statement {
            kind_of_file: TYPE.to_string(),
            model: self.model.clone(),
            number,
            product: Product { kind: promise.designation.clone(), batch: self.batch.clone() },
            manufacturers: [maker].into_iter().chain(self.also_made_by.iter().cloned()).collect(),
            authorised_representatives: represented
                .into_iter()
                .map(|one| Party { name: one.name, address: one.address })
                .collect(),
            prepared: if self.on_behalf { Prepared::OnBehalfOfManufacturer } else { Prepared::ByManufacturer },
            compliance: if self.schedule == 1 { Compliance::Schedule1 } else { Compliance::Schedule2 },
            standards: self.standards.clone(),
            eu: (!self.union_laws.is_empty()).then_some(eu),
            support_period: Period {
                first_supplied,
                ends: promise.ends_for(&unit),
                declaration: promise.sequence,
                declaration_sha256: *digest,
            },
            signatory: Signatory { name: self.name.clone(), function: self.function.clone() },
            place: self.place.clone(),
            issued,
        };
        statement.check().map_err(Error::Value)?;
        Ok(statement)
    }
}

/// The texts of the declarations before the newest one, back to the one in force on `day`.
fn earlier(repo: &Repo, history: &[(Declaration, Digest)], day: Day) -> Result<Vec<String>, repo::Error> {
    let after = history.iter().filter(|(declaration, _)| declaration.declared_at.day() > day).count();
    let earlier = history.iter().rev().skip(1).take(after);
    earlier.map(|(_, digest)| repo.declaration_text(*digest)).collect()
}

/// The file: the signed statement with all that vouches for it, checked as an importer would.
fn sign(
    folder: &Folder,
    model: &ModelFolder,
    repo: &Repo,
    earlier: Vec<String>,
    statement: &Statement,
) -> Result<Vec<u8>, Error> {
    let keys = Needed::held("support", &repo.support_holders()?).load(&folder.key_dirs)?;
    let pack = Pack {
        kind_of_file: PACK_TYPE.to_string(),
        model: statement.model.clone(),
        statement: Envelope::seal_by(statement, &keys)?,
        earlier,
        vouched: repo.vouched()?,
        roots: repo.roots()?,
    };
    let (bytes, root) = (serde_json::to_vec(&pack)?, model.read_factory_root()?);
    let checked = Pack::parse(&bytes).and_then(|pack| pack.verify(&root));
    drop(checked.map_err(|error| Error::Draft(Box::new(error)))?);
    Ok(bytes)
}
