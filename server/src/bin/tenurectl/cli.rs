//! The commands on one page.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tenure_server::clock::Clock;

use crate::folder::{self, Folder};
use crate::offline::KeyDirs;
use crate::passphrase::Passphrases;
use crate::screen::Screen;
use crate::{
    Failure, board_import_rauc, bundle_export, device_accept, device_list, device_refuse, device_token, doctor, init,
    key_list, key_protect, keyring, login, model_add, model_image, model_renew, push, receipt_verify, release_list,
    release_publish, release_show, root_propose, root_publish, root_sign, support_cease, support_correct,
    support_declare, support_diff, support_extend, support_history, support_show, verify,
};

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
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    command: Command,
}

/// Where a command works.
#[derive(Args, Debug)]
struct SiteArgs {
    /// The manufacturer's folder
    #[arg(long, global = true, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Where private keys are; may be given more than once [default: DIR/keys]
    #[arg(long, global = true, value_name = "DIR")]
    keys: Vec<PathBuf>,
    /// The passphrase of private keys is the first line of this file [default: ask at the terminal]
    #[arg(long, global = true, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Move the clock by this file, for drills: {"`offset_s`": 86400}
    #[arg(long, global = true, value_name = "FILE")]
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
    /// Receipts: proof of a broken promise
    #[command(subcommand)]
    Receipt(Receipt),
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
    /// Say whether all that the promise rests on outlives it: dates, keys, algorithms, server
    Doctor(doctor::Args),
    /// Log in to a server, or make its first administrator
    Login(login::Args),
    /// Bring what was signed to the server
    Push(push::Args),
    /// Devices
    #[command(subcommand)]
    Device(Device),
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
    Declare(support_declare::Args),
    /// Move the end of support to a later day
    Extend(support_extend::Args),
    /// Mend a mistake in the words, in public
    Correct(support_correct::Args),
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
enum Receipt {
    /// Say whether a device's receipt proves a broken promise
    Verify(receipt_verify::Args),
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
            Command::Receipt(Receipt::Verify(args)) => receipt_verify::run(&site, &args)?,
            Command::Support(Support::Declare(args)) => support_declare::run(&site, args)?,
            Command::Support(Support::Extend(args)) => support_extend::run(&site, &args)?,
            Command::Support(Support::Correct(args)) => support_correct::run(&site, args)?,
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
            Command::Doctor(args) => return Ok(doctor::run(&site, &args)?),
            Command::Login(args) => login::run(&site, &args)?,
            Command::Push(args) => push::run(&site, &args)?,
            Command::Device(Device::List(args)) => device_list::run(&site, &args)?,
            Command::Device(Device::Accept(args)) => device_accept::run(&site, &args)?,
            Command::Device(Device::Refuse(args)) => device_refuse::run(&site, &args)?,
            Command::Device(Device::Token(args)) => device_token::run(&site, &args)?,
        }
        Ok(ExitCode::SUCCESS)
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
