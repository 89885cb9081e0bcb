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
    /// systemd-boot, which counts tries in the names of files.
    SystemdBoot {
        /// Where the EFI system partition is mounted.
        esp: PathBuf,
        /// The path of a slot's entry, with `{slot}` in its file's name.
        entry: PathBuf,
        /// The folder with the EFI variables.
        efi_variables: PathBuf,
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
    esp: Option<FullPath>,
    entry: Option<Entry>,
    efi_variables: Option<FullPath>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Uboot,
    Grub,
    SystemdBoot,
}

/// The path of systemd-boot's entry for a slot.
#[derive(Debug, Deserialize)]
#[serde(try_from = "PathBuf")]
struct Entry(PathBuf);

impl TryFrom<PathBuf> for Entry {
    type Error = &'static str;

    fn try_from(path: PathBuf) -> Result<Self, Self::Error> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let named = name.matches("{slot}").count() == 1 && !name.starts_with("auto-") && !name.contains('+');
        let placed = ["loader/entries", "EFI/Linux"].iter().zip([".conf", ".efi"]).any(|(folder, ending)| {
            name.ends_with(ending) && path.parent().is_some_and(|parent| parent.ends_with(folder))
        });
        let fits = path.is_absolute() && named && placed;
        fits.then_some(Self(path)).ok_or(
            "an entry is the full path of a file in loader/entries that ends in .conf, or in EFI/Linux that ends in .efi, \
             with {slot} once in its name",
        )
    }
}

impl Raw {
    /// Each setting: whether it is given, and the kinds that have it.
    fn settings(&self) -> [(&'static str, bool, &'static [Kind]); 6] {
        use Kind::{Grub, SystemdBoot, Uboot};
        [
            ("bootloader.fw_env_config", self.fw_env_config.is_some(), &[Uboot]),
            ("bootloader.grubenv", self.grubenv.is_some(), &[Grub]),
            ("bootloader.kernel_command_line", self.kernel_command_line.is_some(), &[Uboot, Grub, SystemdBoot]),
            ("bootloader.esp", self.esp.is_some(), &[SystemdBoot]),
            ("bootloader.entry", self.entry.is_some(), &[SystemdBoot]),
            ("bootloader.efi_variables", self.efi_variables.is_some(), &[SystemdBoot]),
        ]
    }
}

/// GRUB's script has variables with a slot's name in theirs; FAT knows no capitals.
pub(super) fn check_names(path: &Path, bootloader: &Bootloader, slots: &[Slot]) -> Result<(), Error> {
    let plain = |name: &str| {
        let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        letters && !name.starts_with(|first: char| first.is_ascii_digit())
    };
    let alone = |name: &str| {
        slots.iter().all(|slot| slot.name.as_str() == name || !slot.name.as_str().eq_ignore_ascii_case(name))
    };
    let rule: (&dyn Fn(&str) -> bool, _) = match bootloader {
        Bootloader::UBoot { .. } => return Ok(()),
        Bootloader::Grub { .. } => (&plain, "GRUB's variables have A-Z, a-z, 0-9 and '_' in their names"),
        Bootloader::SystemdBoot { .. } => {
            (&alone, "the other's differs from it in capitals only, which FAT does not tell apart")
        }
    };
    match slots.iter().map(|slot| slot.name.as_str()).find(|name| !rule.0(name)) {
        None => Ok(()),
        Some(name) => {
            let reason = format!("is {name}, and {}", rule.1);
            Err(Error::Unfit { path: path.into(), key: "a slot's name", reason })
        }
    }
}

pub(super) fn check(path: &Path, raw: Raw) -> Result<Bootloader, Error> {
    let kind = raw.kind.ok_or_else(|| Error::Unset { path: path.into(), key: "bootloader.kind" })?;
    for (key, given, kinds) in raw.settings() {
        if given && !kinds.contains(&kind) {
            let reason = "is a setting of another kind of bootloader".into();
            return Err(Error::Unfit { path: path.into(), key, reason });
        }
    }
    let kernel_command_line = or(raw.kernel_command_line, "/proc/cmdline");
    Ok(match kind {
        Kind::Uboot => {
            Bootloader::UBoot { fw_env_config: or(raw.fw_env_config, "/etc/fw_env.config"), kernel_command_line }
        }
        Kind::Grub => Bootloader::Grub { grubenv: or(raw.grubenv, "/boot/grub/grubenv"), kernel_command_line },
        Kind::SystemdBoot => {
            let esp = or(raw.esp, "/efi");
            let entry = raw.entry.map_or_else(|| esp.join("loader/entries/tenure-{slot}.conf"), |entry| entry.0);
            let efi_variables = or(raw.efi_variables, "/sys/firmware/efi/efivars");
            Bootloader::SystemdBoot { esp, entry, efi_variables, kernel_command_line }
        }
    })
}
