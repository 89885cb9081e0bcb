//! `tenurectl statement verify`: for importers and shops. Needs nothing but the file and a root of
//! the maker's.

use std::path::PathBuf;

use serde_json::json;
use tenure_proto::digest::Digest;
use tenure_proto::limits;
use tenure_proto::model::Name;
use tenure_proto::statement::{Expected, Pack, PackError};
use tenure_proto::words::Language;
use tenure_server::{pdf, statement_paper};

use crate::cli::Site;
use crate::{dates, input, statement_show};

/// The options of `statement verify`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tenurectl statement verify statement.json --root root.json
  tenurectl statement verify statement.json --root root.json --date 2033-12-31 --batch 2026-12

The file is on the maker's server (/p/MODEL/statement.json, or /p/MODEL/statement.json?batch=NAME), or \
comes with the delivery. The root is the maker's public one, got once and kept: from the maker, or from \
its server (/repo/MODEL/metadata/1.root.json). Nothing else is believed, and no network is used. With \
--date and --batch, what a label, a shop or a delivery says is compared too. The signed file lies in the \
paper (PDF), too; of a paper, every letter is compared with it.

Exit status: 0 when the maker signed it and it says what was promised, 1 when not.")]
pub(crate) struct Args {
    /// The statement: the machine-readable form, or the PDF
    #[arg(value_name = "FILE")]
    statement: PathBuf,
    /// A root of the maker's that you trust
    #[arg(long, value_name = "FILE")]
    root: PathBuf,
    /// The last day with security updates that the product, its label or a shop names, YYYY-MM-DD
    #[arg(long, value_name = "DAY")]
    date: Option<String>,
    /// The batch of the product at hand
    #[arg(long, value_name = "NAME")]
    batch: Option<Name>,
}

/// Why a statement is not good.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A day that is none.
    #[error(transparent)]
    Date(#[from] dates::Error),
    /// A file that does not read.
    #[error(transparent)]
    Read(#[from] input::Error),
    /// A paper without the signed file.
    #[error("{} has no signed statement in it: ask for the machine-readable one, or for the PDF as it was made", path.display())]
    Paper {
        /// Which.
        path: PathBuf,
    },
    /// A paper that somebody changed, or that another version made.
    #[error(
        "the statement in {} is the maker's, and the paper around it is not what this program makes of it; do not trust the paper, read the file in it",
        path.display()
    )]
    Differs {
        /// Which.
        path: PathBuf,
    },
    /// The statement itself.
    #[error("{} is no good statement for this product", path.display())]
    Statement {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<PackError>,
    },
}

/// Runs `statement verify`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), Error> {
    let ends = args.date.as_deref().map(dates::day).transpose()?;
    // The paper has the statement in it.
    let file = input::read(&args.statement, 2 * limits::STATEMENT_BYTES_MAX)?;
    let root = input::read(&args.root, limits::ROOT_BYTES_MAX)?;
    let fail = |source| Error::Statement { path: args.statement.clone(), source: Box::new(source) };
    let is_paper = file.starts_with(b"%PDF-");
    let no_paper = || Error::Paper { path: args.statement.clone() };
    let bytes = if is_paper { pdf::attached(&file).ok_or_else(no_paper)? } else { &file };
    let proved = Pack::parse(bytes).and_then(|pack| pack.verify(&root)).map_err(fail)?;
    // The paper is made from what is signed, always the same: one in which a letter differs is not it.
    let is_it = |language| statement_paper::paper(&proved.statement, bytes, language) == file;
    if is_paper && !Language::ALL.into_iter().any(is_it) {
        return Err(Error::Differs { path: args.statement.clone() });
    }
    proved.compare(&Expected { ends, batch: args.batch.clone() }).map_err(fail)?;
    let (screen, newest, digest) = (site.screen, &proved.newest, Digest::of(bytes));
    screen.say("The statement is the maker's, and says what was promised when the product was first supplied.");
    statement_show::say(screen, &proved.statement);
    if newest.ends > proved.statement.support_period.ends {
        screen.say(format!("  longer by then: support was extended until {}", newest.ends.in_words()));
    }
    screen.say(format!("  sha256 of the file, which the paper carries: {digest}"));
    if is_paper {
        screen.say("  the paper says this, letter for letter");
    }
    screen.answer(&json!({
        "good": true, "sha256": digest, "statement": proved.statement, "declared_since": newest.ends,
    }));
    Ok(())
}
