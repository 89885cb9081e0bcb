//! The command line.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tenure_proto::support::Posture;
use tenure_proto::time::{Day, length_s};
use tenure_proto::version::Version;

use crate::ask::{self, Ask, Form};
use crate::channel::Until;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::program;
use crate::{cage, doctor, fetchd, installd, log, memory, password, posture, programs, run, tell};

/// It went as it should.
pub(crate) const EXIT_OK: u8 = 0;
/// It was refused, or it failed.
pub(crate) const EXIT_FAILED: u8 = 1;

const EXAMPLES: &str = "\
Examples:
  tenure status                     what runs, until when it gets security updates, and what goes on
  tenure update                     check now, and watch an update until the device restarts
  tenure notices                    what you should know about the end of support
  tenure run --config agent.toml    run the agent where there is no systemd

Exit status: 0 when it went as it should, 1 when it was refused or failed, 2 when the command is \
not understood.";

const DOCTOR_EXAMPLES: &str = "\
Examples:
  tenure doctor             before the first update, and before the first unit ships
  tenure doctor --json      for a test at the end of the line

Exit status: 0 when there is no fault, warnings or not, 1 when there is one.";

const INSTALL_EXAMPLES: &str = "\
Examples:
  tenure install /media/stick/acme-gw1-1.2.0.tar             without a network
  tenure install https://bench.example/acme-gw1-1.2.0.tar    from any web server

Exit status: 0 when it is installed, runs already or waits for its restart, 1 when it was refused or \
failed.";

const SET_EXAMPLES: &str = "\
Examples:
  tenure set automatic off             updates are told of, and wait for `tenure update`
  tenure set notifications off         of updates; the end of support is told of all the same
  tenure set reports off               the maker's server is told nothing of this device
  tenure set quiet-hours 22:00-07:00   nothing is told, installed or restarted then
  tenure set language de               what is told is told in German
  tenure set automatic default         as the maker of the device has set it

Exit status: 0 when it holds, 1 when it was refused or failed.";

/// The update agent of this device.
#[derive(Debug, Parser)]
#[command(name = "tenure", version, about, after_help = EXAMPLES, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// The configuration; drop-ins are read from the folder `agent.d` beside it
    #[arg(long, global = true, value_name = "FILE", default_value = config::PATH)]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

const RECEIPT_EXAMPLES: &str = "\
Examples:
  tenure receipt export > receipt.json    the last one; `tenurectl receipt verify` checks it anywhere
  tenure receipt export --number 1        the first one

Exit status: 0 when there is one, 1 when nothing was refused or the evidence cannot be read.";

#[derive(Debug, Subcommand)]
enum Receipt {
    /// Print the evidence of a refused shortening as one file; needs root
    #[command(after_help = RECEIPT_EXAMPLES)]
    Export {
        /// Which refusal, from 1 [default: the last]
        #[arg(long, value_name = "N")]
        number: Option<usize>,
    },
}

const SETTINGS_EXAMPLES: &str = "\
Examples:
  tenure settings                    what holds now
  tenure settings --ask              at the first start, at a terminal; once it is answered it asks no more
  echo no | tenure settings --ask    from the product's own set-up

Exit status: 0 when it went as it should, 1 when nothing was chosen.";

const INTEGRITY_EXAMPLES: &str = "\
Examples:
  tenure integrity 'dm-verity: a block of rootfs'    the owner and the server are told
  tenure integrity --restored                        you have looked, and it is well

Exit status: 0 when it is noted, 1 when it was refused or failed.";

const POSTURE_EXAMPLES: &str = "\
Examples:
  tenure posture isolate            what it would be
  tenure posture isolate --enact    try it
  tenure posture keep --enact       and lift it again

Exit status: 0 when it went as it should, 1 when it was refused or failed.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what runs, until when it gets security updates, and what goes on
    Status {
        /// Print JSON, as in status.json
        #[arg(long)]
        json: bool,
    },
    /// Check for an update now, and say what it leads to
    Check {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Check now, and show an update's progress until the device restarts
    Update {
        /// The same as `tenure install FILE`
        #[arg(long, value_name = "FILE")]
        from: Option<String>,
        /// Print JSON: progress as lines on standard error, the result on standard output
        #[arg(long)]
        json: bool,
    },
    /// Install the release of a bundle, as `tenurectl bundle export` makes it; needs root
    ///
    /// It is checked as an update from a server is: signatures, model, age, and the promise. Nothing is
    /// stored aside, and what breaks off goes on where it was when the command is run again.
    #[command(after_help = INSTALL_EXAMPLES)]
    Install {
        /// A file, or an address that starts with https:// or http://
        #[arg(value_name = "FILE|URL")]
        from: String,
        /// Print JSON: progress as lines on standard error, the result on standard output
        #[arg(long)]
        json: bool,
    },
    /// Keep the version that runs, without waiting for its health checks
    #[command(after_help = "Example:\n  tenure confirm    after an update, when you have seen that all is well")]
    Confirm,
    /// End an update that is being downloaded or installed, before the device restarts into it
    #[command(
        after_help = "Example:\n  tenure cancel    what is written stays, and is not fetched again when the update goes on"
    )]
    Cancel,
    /// Go back to the version that ran before; the device restarts
    #[command(after_help = "Example:\n  tenure rollback    when the new version does not do what it should")]
    Rollback,
    /// Restart into the update that is installed and waits; what the product is at work on is awaited
    #[command(after_help = "Example:\n  tenure restart    when `tenure status` shows an update that waits")]
    Restart,
    /// Put the restart into updates off, as long as the maker of the device allows
    #[command(after_help = "Examples:\n  tenure defer 8h                      from now on\n  \
                            tenure defer 2026-12-24T18:00:00Z    until then\n  \
                            tenure defer --withdraw              no longer")]
    Defer {
        /// For how long (`90m`, `8h`, `3d`), or until when (an instant in UTC, or a day)
        #[arg(value_name = "TIME", value_parser = until, required_unless_present = "withdraw")]
        time: Option<Until>,
        /// Do not put it off any more
        #[arg(long, conflicts_with = "time")]
        withdraw: bool,
    },
    /// Receipts: proof that the maker signed a promise and then one that breaks it
    #[command(subcommand)]
    Receipt(Receipt),
    /// Show what happened on this device: updates and how they ended, refusals, ways back; needs root
    #[command(
        after_help = "Example:\n  tenure history --json | tail -n 1    the last thing that happened, for a program"
    )]
    History {
        /// Print JSON, an object a line
        #[arg(long)]
        json: bool,
    },
    /// Let a version that failed on this device be tried again
    #[command(
        after_help = "Example:\n  tenure retry 1.2.0    when what made it fail is mended; `tenure status` lists them"
    )]
    Retry {
        /// The version
        #[arg(value_name = "VERSION")]
        version: Version,
    },
    /// Show the manufacturer's promise: until when, what is covered, and what then
    Support {
        /// Print JSON, as in support.json
        #[arg(long)]
        json: bool,
    },
    /// Show what you should know: the end of support, updates, and whether the maker is heard of
    #[command(after_help = "Example:\n  tenure notices --acknowledge 90-days-2033-12-31    you have read it")]
    Notices {
        /// Print JSON, as in notices.json
        #[arg(long)]
        json: bool,
        /// Say that you have read a notice
        #[arg(long, value_name = "ID", conflicts_with = "json")]
        acknowledge: Option<String>,
        /// Needed for a notice that says that support has ended
        #[arg(long, requires = "acknowledge")]
        i_know_that_support_has_ended: bool,
    },
    /// Show what you can choose, and what holds now
    #[command(after_help = SETTINGS_EXAMPLES)]
    Settings {
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// At set-up: tell how updates come, and ask for a yes or a no; needs root
        #[arg(long, conflicts_with = "json")]
        ask: bool,
    },
    /// Erase what this device keeps about its owner, before it gets another one; needs root
    #[command(after_help = "Example:\n  tenure wipe --owner-data    says what was erased and what stays")]
    Wipe {
        /// What was chosen, what was put off, which notices were read, and the local page's password
        #[arg(long, required = true)]
        owner_data: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Choose: automatic updates, notices of updates, reports to the maker, quiet hours, the language; needs root
    #[command(after_help = SET_EXAMPLES)]
    Set {
        /// `automatic`, `notifications`, `reports`, `quiet-hours` or `language`
        #[arg(value_name = "SETTING")]
        name: String,
        /// `on` or `off`; hours such as `22:00-07:00`, or `none`; `en`, `de`, `fr`, `es` or `cy`; or `default`
        #[arg(value_name = "VALUE")]
        value: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Say that what runs was changed, and not by an update, or that this is put right; needs root
    #[command(after_help = INTEGRITY_EXAMPLES)]
    Integrity {
        /// Who found it, and what
        #[arg(value_name = "REASON", required_unless_present = "restored")]
        reason: Option<String>,
        /// It is put right
        #[arg(long, conflicts_with = "reason")]
        restored: bool,
    },
    /// Look at this board before it is shipped: would it take an update, and come back from a bad one?
    ///
    /// Nothing is changed: the bootloader is moved on a copy, and the watchdog is not touched. Each line says
    /// what was looked at, what was seen, and what to do. Needs root to see everything.
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what the network lets through after the end of support, by what the maker declared for then
    ///
    /// The rules are for nft, in a table of their own. The agent puts the declared ones in force when the end is
    /// proven; `--enact` is for a trial beforehand, and needs root.
    #[command(after_help = POSTURE_EXAMPLES)]
    Posture {
        /// `keep`, `local_only` or `isolate`
        posture: Posture,
        /// Put them in force instead of printing them
        #[arg(long)]
        enact: bool,
    },
    /// Print what confines the installer on this device: a drop-in for tenure-installd.service
    Cage,
    /// Run both processes of the agent, where there is no systemd
    Run,
    /// Run the process that verifies and writes (no network)
    Installd,
    /// Run the maker's programs for the other two, which are caged
    Programs,
    /// Make a new password for the local page, and show it this once; needs root
    ///
    /// It takes the place of the one before. Until one is made, the page shows facts and takes no orders.
    #[command(after_help = "Example:\n  tenure password    at the factory, for the label, or at the first start")]
    Password,
    /// Run the process that tells the neighbourhood: the local page, a smart home, the bus, mDNS (no power)
    Tell,
    /// Run the process that polls, fetches and reports (no power)
    Fetchd,
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No configuration.
    #[error("cannot load the configuration")]
    Config(#[from] config::Error),
    /// A person's command.
    #[error(transparent)]
    Ask(#[from] ask::Error),
    /// The process with the network.
    #[error(transparent)]
    Fetchd(#[from] fetchd::Error),
    /// The process with the power.
    #[error(transparent)]
    Installd(#[from] installd::Error),
    /// The process that runs programs.
    #[error("cannot take orders to run programs")]
    Programs(#[source] io::Error),
    /// No rules for the kernel.
    #[error("cannot put the posture in force")]
    Posture(#[from] program::Failed),
    /// No user to let through.
    #[error("cannot tell who asks for updates")]
    Cage(#[from] cage::Error),
    /// The process that tells the neighbourhood.
    #[error(transparent)]
    Tell(#[from] tell::Error),
    /// No password.
    #[error(transparent)]
    Password(#[from] password::Error),
    /// Both.
    #[error(transparent)]
    Run(#[from] run::Error),
}

/// Reads a length of time, an instant or a day.
fn until(text: &str) -> Result<Until, &'static str> {
    let at = || text.parse().or_else(|_| text.parse().map(Day::midnight_utc)).ok().map(Until::At);
    let read = length_s(text).map(Until::ForS).or_else(at);
    read.ok_or("a time is written 90m, 8h, 3d, 2026-12-24 or 2026-12-24T18:00:00Z")
}

/// Does what the command line says.
pub(crate) fn run(cli: &Cli) -> Result<ExitCode, Error> {
    memory::keep_little();
    let config = Config::load(&cli.config);
    if let Command::Doctor { json } = cli.command {
        return examine(&cli.config, &config, json);
    }
    let config = config?;
    let ask = |json: bool| Ask { config: &config, form: if json { Form::Json } else { Form::Text } };
    match &cli.command {
        Command::Status { json } => ask(*json).status()?,
        Command::Check { json } => ask(*json).check()?,
        Command::Install { json, from } | Command::Update { json, from: Some(from) } => ask(*json).install(from)?,
        Command::Update { json, from: None } => ask(*json).update()?,
        Command::Confirm => ask(false).confirm()?,
        Command::Cancel => ask(false).cancel()?,
        Command::Rollback => ask(false).roll_back()?,
        Command::Restart => ask(false).restart()?,
        Command::Defer { time, .. } => ask(false).defer(*time)?,
        Command::History { json } => ask(*json).history()?,
        Command::Receipt(Receipt::Export { number }) => ask(true).receipt(*number)?,
        Command::Retry { version } => ask(false).retry(version)?,
        Command::Support { json } => ask(*json).support()?,
        Command::Notices { acknowledge: Some(id), i_know_that_support_has_ended, .. } => {
            ask(false).acknowledge(id, *i_know_that_support_has_ended)?;
        }
        Command::Notices { json, acknowledge: None, .. } => ask(*json).notices()?,
        Command::Wipe { yes, .. } => ask(false).wipe(*yes)?,
        Command::Integrity { reason, .. } => ask(false).integrity(reason.clone())?,
        Command::Settings { ask: true, .. } => ask(false).ask_at_set_up()?,
        Command::Settings { json, ask: false } => ask(*json).settings()?,
        Command::Set { name, value, json } => ask(*json).set(name, value)?,
        // It was seen to above, since it goes on without a configuration.
        Command::Doctor { .. } => {}
        Command::Cage => {
            io::stdout().write_all(cage::drop_in(&config).as_bytes()).map_err(ask::Error::from)?;
        }
        Command::Posture { posture, enact } => take_posture(&config, *posture, *enact)?,
        Command::Run => {
            log::start();
            run::run(&cli.config)?;
        }
        Command::Installd => {
            log::start();
            run::follow_parent();
            installd::run(&config, &cli.config)?;
        }
        Command::Programs => {
            log::start();
            run::follow_parent();
            programs::serve(&config).map_err(Error::Programs)?;
        }
        Command::Password => {
            let password = password::make(&config)?;
            writeln!(io::stdout(), "{password}").map_err(ask::Error::from)?;
        }
        Command::Tell => {
            log::start();
            run::follow_parent();
            tell::run(&config)?;
        }
        Command::Fetchd => {
            log::start();
            run::follow_parent();
            fetchd::run(&config, &cli.config)?;
        }
    }
    Ok(ExitCode::from(EXIT_OK))
}

/// Shows the rules of a posture, or puts them in force.
fn take_posture(config: &Config, posture: Posture, enact: bool) -> Result<(), Error> {
    let ruleset = posture::ruleset(posture, &cage::ways_of_owner(config)?);
    if enact {
        return Ok(posture::enact(&ruleset, &Clock::new(config))?);
    }
    Ok(io::stdout().write_all(ruleset.as_bytes()).map_err(ask::Error::from)?)
}

/// What the doctor says is good only if the board may be shipped.
fn examine(path: &Path, config: &Result<Config, config::Error>, json: bool) -> Result<ExitCode, Error> {
    let findings = doctor::examine(path, config);
    let text =
        if json { serde_json::to_string_pretty(&findings).map_err(ask::Error::from)? + "\n" } else { findings.text() };
    io::stdout().write_all(text.as_bytes()).map_err(ask::Error::from)?;
    Ok(ExitCode::from(if findings.are_good() { EXIT_OK } else { EXIT_FAILED }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn a_deferral_is_a_length_of_time_an_instant_or_a_day() {
        let at = |text: &str| Ok(Until::At(text.parse().unwrap()));
        assert_eq!(until("8h"), Ok(Until::ForS(28_800)));
        assert_eq!(until("2026-12-24T18:00:00Z"), at("2026-12-24T18:00:00Z"));
        assert_eq!(until("2026-12-24"), at("2026-12-24T00:00:00Z"));
        assert!(until("tomorrow").is_err());
        let parses = |words: &[&str]| Cli::try_parse_from([&["tenure", "defer"], words].concat()).is_ok();
        assert!(parses(&["3d"]) && parses(&["--withdraw"]));
        assert!(!parses(&[]) && !parses(&["3d", "--withdraw"]));
    }

    #[test]
    fn the_command_line_is_consistent_and_the_configuration_may_stand_anywhere() {
        Cli::command().debug_assert();
        for line in [["tenure", "--config", "/x.toml", "status"], ["tenure", "status", "--config", "/x.toml"]] {
            assert_eq!(Cli::parse_from(line).config, PathBuf::from("/x.toml"));
        }
        assert_eq!(Cli::try_parse_from(["tenure", "nonsense"]).unwrap_err().exit_code(), 2);
    }
}
