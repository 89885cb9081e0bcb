//! The commands on one page.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tenure_server::clock::Clock;

use crate::Failure;
use crate::advisory;
use crate::advisory_list;
use crate::advisory_publish;
use crate::assess;
use crate::board_import_rauc;
use crate::bundle_export;
use crate::delivered;
use crate::device_accept;
use crate::device_forget;
use crate::device_list;
use crate::device_refuse;
use crate::device_token;
use crate::doctor;
use crate::folder::{self, Folder};
use crate::init;
use crate::key_list;
use crate::key_protect;
use crate::keyring;
use crate::label;
use crate::login;
use crate::model_add;
use crate::model_image;
use crate::model_renew;
use crate::offline::KeyDirs;
use crate::passphrase::Passphrases;
use crate::proof_export;
use crate::proof_verify;
use crate::push;
use crate::receipt_verify;
use crate::record_add;
use crate::record_export;
use crate::record_list;
use crate::record_verify;
use crate::release_list;
use crate::release_publish;
use crate::release_show;
use crate::root_propose;
use crate::root_publish;
use crate::root_sign;
use crate::screen::Screen;
use crate::shelf_check;
use crate::shelf_verify;
use crate::silence_list;
use crate::statement_export;
use crate::statement_issue;
use crate::statement_list;
use crate::statement_show;
use crate::statement_verify;
use crate::support_cease;
use crate::support_correct;
use crate::support_declare;
use crate::support_diff;
use crate::support_extend;
use crate::support_history;
use crate::support_show;
use crate::verify;
use crate::vulnerability_add;
use crate::vulnerability_close;
use crate::vulnerability_list;
use crate::vulnerability_report;
use crate::vulnerability_set;
use crate::vulnerability_show;

const EXAMPLES: &str = "\
Examples, from nothing to a product with a promise:
  tenurectl init --manufacturer 'ACME Ltd' --contact https://acme.example/security
  tenurectl model add acme-gw1 --designation 'ACME Gateway 1'
  tenurectl support declare acme-gw1 --ends 2033-12-31 --component device --component 'ACME app'
  tenurectl release publish acme-gw1 1.0.0 --image rootfs=rootfs.img --kind feature
  tenurectl verify acme-gw1 --payloads
  tenurectl login --setup-link http://127.0.0.1:8080/setup/TOKEN --user ada
  tenurectl push acme-gw1

Exit status: 0 done, 1 refused or failed, 2 wrong usage.";

/// Declares support, signs releases, and brings both to a server.
#[derive(Debug, Parser)]
#[command(name = "tenurectl", version, after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    site: SiteArgs,
    /// Answer with one JSON value
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub(crate) json: bool,
    #[command(subcommand)]
    command: Command,
}

/// The heading of the options below, which would stand in the midst of a command's own.
const EVERYWHERE: &str = "Options of every command";

const CLOCK_FILE: &str = "Move the clock by this file, for drills: {\"offset_s\": 86400}";

/// Where a command works.
#[derive(Args, Debug)]
struct SiteArgs {
    /// The manufacturer's folder
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Where private keys are; may be given more than once [default: DIR/keys]
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "DIR")]
    keys: Vec<PathBuf>,
    /// The passphrase of private keys is the first line of this file [default: ask at the terminal]
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// What moves the clock.
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "FILE", help = CLOCK_FILE)]
    clock_file: Option<PathBuf>,
}

/// What a command works with.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// The manufacturer's folder.
    pub(crate) dir: PathBuf,
    /// Where private keys are.
    pub(crate) key_dirs: KeyDirs,
    /// The clock.
    pub(crate) clock: Clock,
    /// Where answers go.
    pub(crate) screen: Screen,
}

impl Site {
    /// Opens the manufacturer's folder.
    pub(crate) fn folder(&self) -> Result<Folder, folder::Error> {
        Folder::open(&self.dir, self.key_dirs.clone())
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a folder: who you are, and your offline keys
    Init(init::Args),
    /// Models
    #[command(subcommand)]
    Model(Model),
    /// The support period: updates until this day
    #[command(subcommand)]
    Support(Support),
    /// Statements of compliance: what goes with a product to importers and shops
    #[command(subcommand)]
    Statement(Statement),
    /// Records of investigations and compliance failures, on the server
    #[command(subcommand)]
    Record(Record),
    /// Fill in the self-assessment of EN 303 645, clause 5.3, from signed facts
    Assess(assess::Args),
    /// Receipts: proof of a broken promise
    #[command(subcommand)]
    Receipt(Receipt),
    /// Proofs of a promise, for who does not trust a server
    #[command(subcommand)]
    Proof(Proof),
    /// Labels that others gave a model
    #[command(subcommand)]
    Label(Label),
    /// Releases
    #[command(subcommand)]
    Release(Release),
    /// Bundles: releases for devices without a network
    #[command(subcommand)]
    Bundle(Bundle),
    /// Boards: their configuration of the agent
    #[command(subcommand)]
    Board(Board),
    /// Private keys, and who has a say
    #[command(subcommand)]
    Key(Key),
    /// Roots of trust: who may sign, and how many must
    #[command(subcommand)]
    Root(Root),
    /// Read a repository as a device would
    Verify(verify::Args),
    /// Count what was promised and what was delivered, from signed files alone
    Delivered(delivered::Args),
    /// Say whether all that the promise rests on outlives it: dates, keys, algorithms, server
    Doctor(doctor::Args),
    /// Say whether product pages and feeds show what was declared, without a barrier
    ShelfCheck(shelf_check::Args),
    /// Say whether a signed finding of a shelf check is whole
    ShelfVerify(shelf_verify::Args),
    /// Log in to a server, or make its first administrator
    Login(login::Args),
    /// Bring what was signed to the server
    Push(push::Args),
    /// Devices
    #[command(subcommand)]
    Device(Device),
    /// Advisories: owners are told of a hole, by their own devices
    #[command(subcommand)]
    Advisory(Advisory),
    /// Vulnerabilities and severe incidents: what is known, what is owed, by when
    #[command(subcommand)]
    Vulnerability(Vulnerability),
    /// A witness: what devices say of makers elsewhere
    #[command(subcommand)]
    Silence(Silence),
}

#[derive(Debug, Subcommand)]
enum Silence {
    /// List how many devices say what
    List(silence_list::Args),
}

#[derive(Debug, Subcommand)]
enum Advisory {
    /// Tell the owners of some versions of a hole
    Publish(Box<advisory_publish::Args>),
    /// List what stands
    List(advisory_list::ListArgs),
    /// Take one back
    Withdraw(advisory_list::WithdrawArgs),
    /// Write one as CSAF 2.1
    Export(advisory_list::ExportArgs),
}

#[derive(Debug, Subcommand)]
enum Vulnerability {
    /// Record a vulnerability or an incident
    Add(Box<vulnerability_add::Args>),
    /// List what is recorded, and what is due next
    List(vulnerability_list::Args),
    /// Show one, what is owed, and what became of its fix
    Show(vulnerability_show::Args),
    /// Record what was learnt since
    Set(Box<vulnerability_set::Args>),
    /// Write a report to the authorities, field by field
    Report(vulnerability_report::Args),
    /// Record that a report was submitted
    Submitted(vulnerability_report::SubmittedArgs),
    /// Say that nothing is left to do
    Close(vulnerability_close::Args),
}

#[derive(Debug, Subcommand)]
enum Model {
    /// Add a model: its root of trust, its online keys, an empty repository
    Add(model_add::Args),
    /// Write the files of trust that go into the product's image
    Image(model_image::Args),
    /// Sign snapshot and timestamp anew, for a folder that a plain web server carries
    Renew(model_renew::Args),
}

#[derive(Debug, Subcommand)]
enum Support {
    /// Declare until when a model gets security updates, or word it anew
    Declare(Box<support_declare::Args>),
    /// Move the end of support to a later day
    Extend(support_extend::Args),
    /// Mend a mistake in the words, in public
    Correct(Box<support_correct::Args>),
    /// Say that the manufacturer stops operating
    Cease(support_cease::Args),
    /// Show what is promised
    Show(support_show::Args),
    /// Say in words what changed between two declarations
    Diff(support_diff::Args),
    /// List every declaration
    History(support_history::Args),
}

#[derive(Debug, Subcommand)]
enum Statement {
    /// State compliance, with the support period of the first supply
    Issue(statement_issue::Args),
    /// List the statements of a model
    List(statement_list::Args),
    /// Show what a statement says
    Show(statement_show::Args),
    /// Say, without a network, whether a statement is the maker's and good
    Verify(statement_verify::Args),
    /// Write a statement for a delivery: JSON, PDF and the public root
    Export(statement_export::Args),
}

#[derive(Debug, Subcommand)]
enum Record {
    /// Record an investigation, and what it came to
    Add(record_add::Args),
    /// List every record
    List(record_list::Args),
    /// Write every record into a file, for an authority
    Export(record_export::Args),
    /// Say, without a network, whether a file of records is whole
    Verify(record_verify::Args),
}

#[derive(Debug, Subcommand)]
enum Receipt {
    /// Say whether a device's receipt proves a broken promise
    Verify(receipt_verify::Args),
}

#[derive(Debug, Subcommand)]
enum Proof {
    /// Write the proof of a model's promise into one small file
    Export(proof_export::Args),
    /// Say what a proof proves, by the maker's root alone
    Verify(proof_verify::Args),
}

#[derive(Debug, Subcommand)]
enum Label {
    /// Note a label of somebody else's, with its own last day
    Add(label::AddArgs),
    /// List them
    List(label::ListArgs),
    /// Strike one out
    Remove(label::RemoveArgs),
}

#[derive(Debug, Subcommand)]
enum Bundle {
    /// Write a release into one file, for a USB stick
    Export(bundle_export::Args),
}

#[derive(Debug, Subcommand)]
enum Board {
    /// Write the agent's configuration for a board that has RAUC
    ImportRauc(board_import_rauc::Args),
}

#[derive(Debug, Subcommand)]
enum Key {
    /// Make a key
    Generate(keyring::GenerateArgs),
    /// Take over a key that was made elsewhere
    Import(keyring::ImportArgs),
    /// List the keys that have a say, and where their private halves are
    List(key_list::Args),
    /// Encrypt a private key where it lies, or change its passphrase
    Protect(key_protect::Args),
}

#[derive(Debug, Subcommand)]
enum Root {
    /// Draft the next root: keys that come or go, thresholds, or a new date alone
    Propose(root_propose::Args),
    /// Sign a drafted root, on any machine
    Sign(root_sign::Args),
    /// Put a root that enough holders signed into the repository
    Publish(root_publish::Args),
}

#[derive(Debug, Subcommand)]
enum Release {
    /// Sign a release of these images
    Publish(Box<release_publish::Args>),
    /// List a model's releases
    List(release_list::Args),
    /// Say what one release is, demands and shuts
    Show(release_show::Args),
}

#[derive(Debug, Subcommand)]
enum Device {
    /// List the devices that the server knows
    List(device_list::Args),
    /// Let a device check in
    Accept(device_accept::Args),
    /// Turn a device away
    Refuse(device_refuse::Args),
    /// Erase all that the server knows of a device
    Forget(device_forget::Args),
    /// Make a token that admits devices at once
    Token(device_token::Args),
}

impl Cli {
    /// Runs the command.
    pub(crate) fn run(self, screen: Screen) -> Result<ExitCode, Failure> {
        let SiteArgs { dir, keys, passphrase_file, clock_file } = self.site;
        let keys = if keys.is_empty() { vec![dir.join("keys")] } else { keys };
        let key_dirs = KeyDirs::new(keys, Passphrases::new(passphrase_file));
        let site = Site { dir, key_dirs, clock: Clock::new(clock_file), screen };
        match self.command {
            Command::Init(args) => init::run(&site, &args)?,
            Command::Model(Model::Add(args)) => model_add::run(&site, &args)?,
            Command::Model(Model::Image(args)) => model_image::run(&site, &args)?,
            Command::Model(Model::Renew(args)) => model_renew::run(&site, &args)?,
            Command::Statement(Statement::Issue(args)) => statement_issue::run(&site, &args)?,
            Command::Statement(Statement::List(args)) => statement_list::run(&site, &args)?,
            Command::Statement(Statement::Show(args)) => statement_show::run(&site, &args)?,
            Command::Statement(Statement::Verify(args)) => statement_verify::run(&site, &args)?,
            Command::Statement(Statement::Export(args)) => statement_export::run(&site, &args)?,
            Command::Record(Record::Add(args)) => record_add::run(&site, &args)?,
            Command::Record(Record::List(args)) => record_list::run(&site, &args)?,
            Command::Record(Record::Export(args)) => record_export::run(&site, &args)?,
            Command::Record(Record::Verify(args)) => record_verify::run(&site, &args)?,
            Command::Assess(args) => assess::run(&site, &args)?,
            Command::Receipt(Receipt::Verify(args)) => receipt_verify::run(&site, &args)?,
            Command::Proof(Proof::Export(args)) => proof_export::run(&site, &args)?,
            Command::Proof(Proof::Verify(args)) => proof_verify::run(&site, &args)?,
            Command::Label(Label::Add(args)) => label::add(&site, &args)?,
            Command::Label(Label::List(args)) => label::list(&site, &args)?,
            Command::Label(Label::Remove(args)) => label::remove(&site, &args)?,
            Command::Support(Support::Declare(args)) => support_declare::run(&site, *args)?,
            Command::Support(Support::Extend(args)) => support_extend::run(&site, &args)?,
            Command::Support(Support::Correct(args)) => support_correct::run(&site, *args)?,
            Command::Support(Support::Cease(args)) => support_cease::run(&site, &args)?,
            Command::Support(Support::Show(args)) => support_show::run(&site, &args)?,
            Command::Support(Support::Diff(args)) => support_diff::run(&site, &args)?,
            Command::Support(Support::History(args)) => support_history::run(&site, &args)?,
            Command::Release(Release::Publish(args)) => release_publish::run(&site, &args)?,
            Command::Release(Release::List(args)) => release_list::run(&site, &args)?,
            Command::Release(Release::Show(args)) => release_show::run(&site, &args)?,
            Command::Bundle(Bundle::Export(args)) => bundle_export::run(&site, &args)?,
            Command::Board(Board::ImportRauc(args)) => board_import_rauc::run(&site, &args)?,
            Command::Key(Key::Generate(args)) => keyring::generate(&site, &args)?,
            Command::Key(Key::Import(args)) => keyring::import(&site, &args)?,
            Command::Key(Key::List(args)) => key_list::run(&site, &args)?,
            Command::Key(Key::Protect(args)) => key_protect::run(&site, &args)?,
            Command::Root(Root::Propose(args)) => root_propose::run(&site, &args)?,
            Command::Root(Root::Sign(args)) => root_sign::run(&site, &args)?,
            Command::Root(Root::Publish(args)) => root_publish::run(&site, &args)?,
            Command::Verify(args) => verify::run(&site, args)?,
            Command::Delivered(args) => delivered::run(&site, &args)?,
            Command::Doctor(args) => return Ok(doctor::run(&site, &args)?),
            Command::ShelfCheck(args) => return Ok(shelf_check::run(&site, &args)?),
            Command::ShelfVerify(args) => shelf_verify::run(&site, &args)?,
            Command::Login(args) => login::run(&site, &args)?,
            Command::Push(args) => push::run(&site, &args)?,
            Command::Device(Device::List(args)) => device_list::run(&site, &args)?,
            Command::Device(Device::Accept(args)) => device_accept::run(&site, &args)?,
            Command::Device(Device::Refuse(args)) => device_refuse::run(&site, &args)?,
            Command::Device(Device::Forget(args)) => device_forget::run(&site, &args)?,
            Command::Device(Device::Token(args)) => device_token::run(&site, &args)?,
            Command::Advisory(command) => command.run(&site)?,
            Command::Silence(Silence::List(args)) => silence_list::run(&site, &args)?,
            Command::Vulnerability(command) => command.run(&site)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Vulnerability {
    fn run(&self, site: &Site) -> Result<(), Failure> {
        match self {
            Self::Add(args) => vulnerability_add::run(site, args)?,
            Self::List(args) => vulnerability_list::run(site, args)?,
            Self::Show(args) => vulnerability_show::run(site, args)?,
            Self::Set(args) => vulnerability_set::run(site, args)?,
            Self::Report(args) => vulnerability_report::run(site, args)?,
            Self::Submitted(args) => vulnerability_report::submitted(site, args)?,
            Self::Close(args) => vulnerability_close::run(site, args)?,
        }
        Ok(())
    }
}

impl Advisory {
    fn run(self, site: &Site) -> Result<(), advisory::Error> {
        match self {
            Self::Publish(args) => advisory_publish::run(site, &args),
            Self::List(args) => advisory_list::list(site, &args),
            Self::Withdraw(args) => advisory_list::withdraw(site, &args),
            Self::Export(args) => advisory_list::export(site, &args),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
