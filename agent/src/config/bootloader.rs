//! `[bootloader]`: which one it is, and where its state is.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::raw::{Command, FullPath};
use super::{Error, Slot, or};

/// How to talk to the bootloader.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Bootloader {
    /// U-Boot's environment.
    UBoot {
        /// Where the environment is, as `fw_printenv` reads it.
        fw_env_config: PathBuf,
        /// What its variables are called and mean.
        variables: UBootVariables,
        /// Where `rauc.slot=` is.
        kernel_command_line: PathBuf,
    },
    /// GRUB's environment blocks.
    Grub {
        /// Where they are, and what their variables mean.
        variables: GrubVariables,
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
    /// Raspberry Pi's firmware with tryboot.
    Rpi {
        /// The file that names the boot partitions.
        autoboot_txt: PathBuf,
        /// The folder in which the firmware says what it booted.
        device_tree: PathBuf,
    },
    /// barebox, through its program `barebox-state`.
    Barebox {
        /// The program, with its first arguments.
        command: Vec<String>,
        /// Where `bootstate.active=`, `bootchooser.active=` or `rauc.slot=` is.
        kernel_command_line: PathBuf,
    },
    /// A program of the board's with RAUC's protocol.
    Script {
        /// The program, with its first arguments.
        command: Vec<String>,
        /// Where `rauc.slot=` is.
        kernel_command_line: PathBuf,
    },
    /// The boot manager of the UEFI firmware.
    Efi {
        /// The folder with the EFI variables.
        efi_variables: PathBuf,
        /// Where `rauc.slot=` is.
        kernel_command_line: PathBuf,
    },
}

/// Variables in U-Boot's environment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum UBootVariables {
    /// `BOOT_ORDER` and `BOOT_x_LEFT`.
    Rauc,
    /// `mender_boot_part`, `upgrade_available`, `bootcount`; a slot's name is its partition's number.
    Mender,
    /// The same with a name of the board's own for the first.
    Plain {
        /// The variable that names the slot.
        slot_variable: String,
    },
}

/// Variables in GRUB's environment blocks.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum GrubVariables {
    /// `ORDER`, `x_OK` and `x_TRY`.
    Rauc {
        /// The file that GRUB's `load_env` reads.
        grubenv: PathBuf,
    },
    /// `mender_boot_part` and others, in two copies; a slot's name is its partition's number.
    Mender {
        /// The folder with both copies.
        folder: PathBuf,
    },
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    kind: Option<Kind>,
    fw_env_config: Option<FullPath>,
    variables: Option<Variables>,
    slot_variable: Option<VariableName>,
    grubenv: Option<FullPath>,
    mender_grubenv_dir: Option<FullPath>,
    kernel_command_line: Option<FullPath>,
    esp: Option<FullPath>,
    entry: Option<Entry>,
    efi_variables: Option<FullPath>,
    autoboot_txt: Option<FullPath>,
    device_tree: Option<FullPath>,
    command: Option<Command>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Uboot,
    Grub,
    SystemdBoot,
    Efi,
    Rpi,
    Barebox,
    Script,
}

/// Where Linux shows them.
const EFI_VARIABLES: &str = "/sys/firmware/efi/efivars";

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
    fn settings(&self) -> [(&'static str, bool, &'static [Kind]); 12] {
        use Kind::{Barebox, Efi, Grub, Rpi, Script, SystemdBoot, Uboot};
        [
            ("bootloader.fw_env_config", self.fw_env_config.is_some(), &[Uboot]),
            ("bootloader.variables", self.variables.is_some(), &[Uboot, Grub]),
            ("bootloader.slot_variable", self.slot_variable.is_some(), &[Uboot]),
            ("bootloader.mender_grubenv_dir", self.mender_grubenv_dir.is_some(), &[Grub]),
            ("bootloader.grubenv", self.grubenv.is_some(), &[Grub]),
            (
                "bootloader.kernel_command_line",
                self.kernel_command_line.is_some(),
                &[Uboot, Grub, SystemdBoot, Efi, Barebox, Script],
            ),
            ("bootloader.autoboot_txt", self.autoboot_txt.is_some(), &[Rpi]),
            ("bootloader.device_tree", self.device_tree.is_some(), &[Rpi]),
            ("bootloader.command", self.command.is_some(), &[Barebox, Script]),
            ("bootloader.esp", self.esp.is_some(), &[SystemdBoot]),
            ("bootloader.entry", self.entry.is_some(), &[SystemdBoot]),
            ("bootloader.efi_variables", self.efi_variables.is_some(), &[SystemdBoot, Efi]),
        ]
    }
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Variables {
    #[default]
    Rauc,
    Mender,
    Plain,
}

/// A name that U-Boot's scripts can use.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct VariableName(String);

impl TryFrom<String> for VariableName {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let taken = ["upgrade_available", "bootcount", "bootlimit"].contains(&text.as_str());
        let ok = (1..=64).contains(&text.len()) && plain && !taken;
        if ok {
            Ok(Self(text))
        } else {
            Err("a variable's name has 1 to 64 of A-Z, a-z, 0-9 and '_', and is not taken")
        }
    }
}

/// Scripts make variables, or partitions, out of the names of slots; FAT knows no capitals.
pub(super) fn check_names(path: &Path, bootloader: &Bootloader, slots: &[Slot]) -> Result<(), Error> {
    let alone = |name: &str| {
        slots.iter().all(|slot| slot.name.as_str() == name || !slot.name.as_str().eq_ignore_ascii_case(name))
    };
    let rule: (&dyn Fn(&str) -> bool, _) = match bootloader {
        Bootloader::UBoot { variables: UBootVariables::Mender, .. }
        | Bootloader::Grub { variables: GrubVariables::Mender { .. }, .. } => {
            (&is_a_partition, "Mender's variables name the number of its partition")
        }
        Bootloader::UBoot { .. } | Bootloader::Efi { .. } | Bootloader::Barebox { .. } | Bootloader::Script { .. } => {
            return Ok(());
        }
        Bootloader::Grub { .. } => (&is_in_a_variable, "GRUB's variables have A-Z, a-z, 0-9 and '_' in their names"),
        Bootloader::Rpi { .. } => (&is_a_partition, "autoboot.txt names the number of its boot partition"),
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

fn is_in_a_variable(name: &str) -> bool {
    let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    letters && !name.starts_with(|first: char| first.is_ascii_digit())
}

fn is_a_partition(name: &str) -> bool {
    // No other way of writing the number.
    name.parse::<u8>().is_ok_and(|number| number.to_string() == name)
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
    let slot_variable = raw.slot_variable.map_or_else(|| "boot_slot".into(), |name| name.0);
    Ok(match kind {
        Kind::Uboot => {
            let variables = match raw.variables.unwrap_or_default() {
                Variables::Rauc => UBootVariables::Rauc,
                Variables::Mender => UBootVariables::Mender,
                Variables::Plain => UBootVariables::Plain { slot_variable },
            };
            let fw_env_config = or(raw.fw_env_config, "/etc/fw_env.config");
            Bootloader::UBoot { fw_env_config, variables, kernel_command_line }
        }
        Kind::Grub => {
            let variables = match raw.variables.unwrap_or_default() {
                Variables::Rauc => GrubVariables::Rauc { grubenv: or(raw.grubenv, "/boot/grub/grubenv") },
                Variables::Mender => {
                    let folder = or(raw.mender_grubenv_dir, "/boot/efi/grub-mender-grubenv");
                    GrubVariables::Mender { folder }
                }
                Variables::Plain => {
                    let reason = "is \"plain\", which is for U-Boot: GRUB has \"rauc\" and \"mender\"".into();
                    return Err(Error::Unfit { path: path.into(), key: "bootloader.variables", reason });
                }
            };
            Bootloader::Grub { variables, kernel_command_line }
        }
        Kind::Barebox => {
            let command = raw.command.map_or_else(|| vec!["barebox-state".into()], Vec::from);
            Bootloader::Barebox { command, kernel_command_line }
        }
        Kind::Script => {
            let command = raw.command.ok_or_else(|| Error::Unset { path: path.into(), key: "bootloader.command" })?;
            Bootloader::Script { command: command.into(), kernel_command_line }
        }
        Kind::Rpi => Bootloader::Rpi {
            autoboot_txt: or(raw.autoboot_txt, "/boot/firmware/autoboot.txt"),
            device_tree: or(raw.device_tree, "/proc/device-tree/chosen/bootloader"),
        },
        Kind::Efi => Bootloader::Efi { efi_variables: or(raw.efi_variables, EFI_VARIABLES), kernel_command_line },
        Kind::SystemdBoot => {
            let esp = or(raw.esp, "/efi");
            let entry = raw.entry.map_or_else(|| esp.join("loader/entries/tenure-{slot}.conf"), |entry| entry.0);
            let efi_variables = or(raw.efi_variables, EFI_VARIABLES);
            Bootloader::SystemdBoot { esp, entry, efi_variables, kernel_command_line }
        }
    })
}
