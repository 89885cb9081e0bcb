//! What the agent asks of a bootloader, whichever it is.
//!
//! The bootloader is the authority on what runs and what runs next; the journal only remembers
//! what we wanted. **Invariant:** each change is one atomic write, and at every instant the slot
//! that runs, or a slot that ran, is among those that will be booted.

mod armed;
mod barebox;
mod efi;
mod efi_variables;
mod env_medium;
mod environment;
mod fw_env_config;
mod grub;
mod grub_env;
mod medium;
mod mender;
mod mender_env;
pub(crate) mod rehearsal;
mod rpi;
mod running;
mod script;
mod systemd_boot;
mod systemd_boot_entry;
mod tool;
mod uboot;
mod uboot_env;

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use crate::clock::Clock;
use crate::config::{self, Config, GrubVariables, UBootVariables};
use crate::{disk, program};
use armed::Armed;
use environment::{Environment, Scheme};
use mender::Loader;
use running::Running;
use tool::Tool;

/// What the bootloader thinks of the slot that does not run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Spare {
    /// It will not be tried.
    NotArmed,
    /// It will be tried at the next boot.
    Pending,
    /// It was tried, and its tries are used up.
    Spent,
}

/// A bootloader with two slots, by name. Every method that changes something may be repeated.
pub(crate) trait Bootloader: Debug + Send {
    /// The slot that was booted.
    fn running(&self) -> Result<String, Error>;
    /// What will happen to the spare slot.
    fn spare(&self, running: &str, spare: &str) -> Result<Spare, Error>;
    /// Whether the slot has all the tries of a slot that is kept.
    fn is_kept(&self, slot: &str) -> Result<bool, Error>;
    /// Never boot the slot: it is about to be overwritten.
    fn mark_bad(&self, slot: &str) -> Result<(), Error>;
    /// Boot `slot` once, then `back` again, unless the former is confirmed in between.
    fn try_once(&self, slot: &str, back: &str) -> Result<(), Error>;
    /// Boot the slot from now on.
    fn confirm(&self, slot: &str) -> Result<(), Error>;
    /// Never boot `slot` again, boot `back`.
    fn fall_back(&self, slot: &str, back: &str) -> Result<(), Error>;
    /// What the restart command gets as its last word, where the try depends on how the system
    /// restarts. Asked right before the restart.
    fn restart_argument(&self) -> Result<Option<&'static str>, Error> {
        Ok(None)
    }
    /// What it opens for writing; the folder, where it makes, renames or removes files. `installd`
    /// may write nothing else (`cage.rs`). What cannot be found out is left out.
    fn writes(&self) -> Vec<PathBuf>;
}

/// Why the bootloader could not be asked or told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file of the bootloader's cannot be read.
    #[error("cannot ask the bootloader")]
    Read(#[from] disk::Error),
    /// A file that must be there is not.
    #[error("there is no {path}, which says {what}")]
    Missing {
        /// Which.
        path: PathBuf,
        /// What it is for.
        what: &'static str,
    },
    /// The kernel's command line does not name a slot of ours.
    #[error(
        "{path} does not say which slot was booted: it needs rauc.slot={wanted}, or root= with the device of a slot, and has {found}"
    )]
    NoSlot {
        /// The file with the command line.
        path: PathBuf,
        /// The names that we know.
        wanted: String,
        /// What stands there.
        found: String,
    },
    /// `fw_env.config` is not understood.
    #[error("{path}, line {line}: {reason}")]
    Config {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// Why.
        reason: &'static str,
    },
    /// No copy of the environment is valid.
    #[error(
        "no copy of the U-Boot environment in {places} is valid: U-Boot runs on its built-in defaults and no slot can be chosen; \
         write a fresh one with `saveenv` at the U-Boot prompt, or with `fw_setenv -f DEFAULTS`"
    )]
    Corrupt {
        /// Where the copies are.
        places: String,
    },
    /// GRUB does not read its environment block either.
    #[error(
        "the GRUB environment block {path} {reason}: GRUB finds no slot in it and boots its fallback; write a fresh one with \
         `grub-editenv {path} create`, then name the slot that runs: `grub-editenv {path} set {example}`"
    )]
    NoBlock {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
        /// What to set.
        example: &'static str,
    },
    /// A change of Mender's environment for GRUB was cut in both copies.
    #[error(
        "neither copy of Mender's environment in {folder} is whole: the menu goes by the first one as it is; see that \
         {folder}/mender_grubenv1/env names the slot that runs, then set editing=0 in both files called lock with `grub-editenv`"
    )]
    BothOpen {
        /// The folder.
        folder: PathBuf,
    },
    /// The environment that we read is not the one that U-Boot saves.
    #[error(
        "U-Boot has not saved the environment that we read: {variable} is not 1 there; see that fw_env.config names the \
         places that U-Boot's saveenv writes"
    )]
    NotSaved {
        /// The variable that U-Boot sets and saves.
        variable: &'static str,
    },
    /// The environment cannot be opened, read or written.
    #[error("cannot {doing} the {what} in {device}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        what: &'static str,
        /// The device or file.
        device: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// More variables than fit.
    #[error("the {what} in {device} is full: {needed} bytes do not fit into {size}")]
    Full {
        /// What.
        what: &'static str,
        /// The device or file.
        device: PathBuf,
        /// What would be written.
        needed: usize,
        /// The room.
        size: usize,
    },
    /// The environment does not read back as written.
    #[error("the {what} in {device} does not read back as it was written")]
    ReadBack {
        /// What.
        what: &'static str,
        /// The device or file.
        device: PathBuf,
    },
    /// What the bootloader goes by cannot be written.
    #[error("cannot tell the bootloader")]
    Write(#[source] disk::Error),
    /// A program that knows the bootloader failed.
    #[error("a program that knows the bootloader failed: {0}")]
    Tool(program::Failed),
    /// It said what nobody asked.
    #[error("{program} was to print {wanted}, and printed {answer:?}")]
    Answer {
        /// The program.
        program: String,
        /// The beginning of what it printed.
        answer: String,
        /// What was asked.
        wanted: &'static str,
    },
    /// The firmware booted a partition that is no slot of ours.
    #[error("{path} does not say which slot was booted: it needs {wanted}, and has {found}")]
    NoPartition {
        /// The file.
        path: PathBuf,
        /// The partitions that we know.
        wanted: String,
        /// What it says.
        found: String,
    },
    /// The Raspberry Pi's firmware would not do as we want by its file.
    #[error(
        "{path} {reason}; it needs these lines: [all] tryboot_a_b=1 boot_partition=2 [tryboot] boot_partition=3, with the numbers \
         of the slots"
    )]
    NoAutoboot {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
    /// What was changed does not show.
    #[error("what was changed to {step} does not show when it is read again")]
    Unchanged {
        /// What was to be done.
        step: &'static str,
    },
    /// The firmware has nothing to start a slot by.
    #[error(
        "no active boot entry of the firmware has slot {slot} as its label; make one: \
         `efibootmgr --create-only --label {slot} --disk DISK --part PARTITION --loader FILE`"
    )]
    NoBootEntry {
        /// The slot.
        slot: String,
    },
    /// systemd-boot has nothing to start a slot by.
    #[error("there is no entry for slot {slot}: put one back as {path}")]
    NoEntry {
        /// The slot.
        slot: String,
        /// Where it belongs.
        path: PathBuf,
    },
    /// Something else than the counters decides what systemd-boot starts.
    #[error(
        "systemd-boot does not start slot {slot} when it should, and nothing was changed after that was seen: it starts {found}; \
         an entry whose kernel is missing is passed over; a default in {conf} or by `bootctl set-default` overrules the \
         counters, and has to go, as has an entry of others that sorts first"
    )]
    Overruled {
        /// The slot.
        slot: String,
        /// What is started instead.
        found: PathBuf,
        /// Where a default may stand.
        conf: PathBuf,
    },
}

impl From<program::Failed> for Error {
    fn from(failed: program::Failed) -> Self {
        Self::Tool(failed)
    }
}

/// Opens the bootloader that the configuration names.
pub(crate) fn open(config: &Config) -> Box<dyn Bootloader> {
    let names: Vec<String> = config.boot_names().into_iter().map(String::from).collect();
    let environment = |store, scheme: Box<dyn Scheme>, command_line: &Path| {
        Box::new(Environment { store, scheme, running: Running::new(command_line, config), names: names.clone() })
    };
    let armed = || Armed::new(config.install_dir().join("armed"));
    match &config.bootloader {
        config::Bootloader::UBoot { fw_env_config, variables, kernel_command_line } => {
            let store = Box::new(uboot_env::Env::new(fw_env_config));
            environment(store, uboot_scheme(variables, &names), kernel_command_line)
        }
        config::Bootloader::Grub { variables: GrubVariables::Rauc { grubenv }, kernel_command_line } => {
            let store = Box::new(grub_env::File { path: grubenv.clone() });
            environment(store, Box::new(grub::Flags { names: names.clone() }), kernel_command_line)
        }
        config::Bootloader::Grub { variables: GrubVariables::Mender { folder }, kernel_command_line } => {
            let store = Box::new(mender_env::Folder { path: folder.clone() });
            environment(store, trial(MENDER_SLOT, Loader::GrubMender), kernel_command_line)
        }
        config::Bootloader::Efi { efi_variables, kernel_command_line } => Box::new(efi::Efi {
            variables: efi_variables::Variables { folder: efi_variables.clone() },
            running: Running::new(kernel_command_line, config),
            names,
        }),
        config::Bootloader::Rpi { autoboot_txt, device_tree } => {
            let (autoboot_txt, device_tree) = (autoboot_txt.clone(), device_tree.clone());
            Box::new(rpi::Rpi { autoboot_txt, device_tree, armed: armed(), names })
        }
        config::Bootloader::Barebox { command, kernel_command_line } => Box::new(barebox::Barebox {
            tool: Tool::new(command, Clock::new(config)),
            command_line: kernel_command_line.clone(),
            running: Running::new(kernel_command_line, config),
            names,
        }),
        config::Bootloader::Script { command, kernel_command_line } => Box::new(script::Script {
            tool: Tool::new(command, Clock::new(config)),
            armed: armed(),
            running: Running::new(kernel_command_line, config),
            names,
        }),
        config::Bootloader::SystemdBoot { esp, entry, efi_variables, kernel_command_line } => {
            Box::new(systemd_boot::SystemdBoot {
                esp: esp.clone(),
                entry: entry.clone(),
                variables: efi_variables::Variables { folder: efi_variables.clone() },
                running: Running::new(kernel_command_line, config),
                names,
            })
        }
    }
}

/// The variable that names Mender's partition.
const MENDER_SLOT: &str = "mender_boot_part";

fn uboot_scheme(variables: &UBootVariables, names: &[String]) -> Box<dyn Scheme> {
    match variables {
        UBootVariables::Rauc => Box::new(uboot::Tries { names: names.into() }),
        UBootVariables::Mender => trial(MENDER_SLOT, Loader::UBootMender),
        UBootVariables::Plain { slot_variable } => trial(slot_variable, Loader::UBoot),
    }
}

fn trial(variable: &str, loader: Loader) -> Box<dyn Scheme> {
    Box::new(mender::Trial { variable: variable.into(), loader })
}

#[cfg(test)]
mod tests;
