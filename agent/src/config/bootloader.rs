//! `[bootloader]`: which one it is, and where its state is.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::raw::FullPath;
use super::{Error, or};

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
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    kind: Option<Kind>,
    fw_env_config: Option<FullPath>,
    kernel_command_line: Option<FullPath>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Uboot,
}

pub(super) fn check(path: &Path, raw: Raw) -> Result<Bootloader, Error> {
    let Kind::Uboot = raw.kind.ok_or_else(|| Error::Unset { path: path.into(), key: "bootloader.kind" })?;
    Ok(Bootloader::UBoot {
        fw_env_config: or(raw.fw_env_config, "/etc/fw_env.config"),
        kernel_command_line: or(raw.kernel_command_line, "/proc/cmdline"),
    })
}
