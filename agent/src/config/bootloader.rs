//! `[bootloader]`: which one it is, and where its state is.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::raw::FullPath;
use super::{Error, Slot, or};

/// How to talk to the bootloader.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Bootloader {
    /// U-Boot's environment with RAUC's variables.
    UBoot {
        /// Where the environment is, as `fw_printenv` reads it.
        fw_env_config: PathBuf,
        /// Where `rauc.slot=` is.
        kernel_command_line: PathBuf,
    },
    /// GRUB's environment block with RAUC's variables.
    Grub {
        /// The file that GRUB's `load_env` reads.
        grubenv: PathBuf,
        /// Where `rauc.slot=` is.
        kernel_command_line: PathBuf,
    },
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    kind: Option<Kind>,
    fw_env_config: Option<FullPath>,
    grubenv: Option<FullPath>,
    kernel_command_line: Option<FullPath>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Uboot,
    Grub,
}

/// GRUB's script has variables with a slot's name in theirs.
pub(super) fn check_names(path: &Path, bootloader: &Bootloader, slots: &[Slot]) -> Result<(), Error> {
    let Bootloader::Grub { .. } = bootloader else { return Ok(()) };
    let plain = |name: &&str| {
        let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        letters && !name.starts_with(|first: char| first.is_ascii_digit())
    };
    match slots.iter().map(|slot| slot.name.as_str()).find(|name| !plain(name)) {
        None => Ok(()),
        Some(name) => {
            let reason = format!("is {name}, and GRUB's variables have A-Z, a-z, 0-9 and '_' in their names");
            Err(Error::Unfit { path: path.into(), key: "a slot's name", reason })
        }
    }
}

pub(super) fn check(path: &Path, raw: Raw) -> Result<Bootloader, Error> {
    let kind = raw.kind.ok_or_else(|| Error::Unset { path: path.into(), key: "bootloader.kind" })?;
    let kernel_command_line = or(raw.kernel_command_line, "/proc/cmdline");
    Ok(match kind {
        Kind::Uboot => {
            Bootloader::UBoot { fw_env_config: or(raw.fw_env_config, "/etc/fw_env.config"), kernel_command_line }
        }
        Kind::Grub => Bootloader::Grub { grubenv: or(raw.grubenv, "/boot/grub/grubenv"), kernel_command_line },
    })
}
