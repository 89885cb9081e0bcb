//! A rehearsal: all that the agent does to a bootloader, done to a copy of what it goes by.
//!
//! The copy is read and written by the same code as the real one, in a folder of its own; the real
//! one is only read. A bootloader that a program knows has no copy: the program is not run to change
//! anything.

use std::fmt;
use std::ops::Range;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

use tenure_proto::limits;

use super::efi_variables::GLOBAL;
use super::environment::{Store as _, text};
use super::{Bootloader, Error, Spare, grub_env, open, systemd_boot_entry, uboot_env};
use crate::config::{self, Config, GrubVariables, UBootVariables};
use crate::disk;

/// A copy of an environment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Copy {
    /// The device or file.
    pub(crate) device: PathBuf,
    /// Where in it.
    pub(crate) at: Range<u64>,
    /// Whether its checksum is right.
    pub(crate) is_valid: bool,
}

impl fmt::Display for Copy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {:#x}", self.device.display(), self.at.start)
    }
}

/// The copies of an environment that is kept in copies; none of another.
pub(crate) fn copies(config: &Config) -> Result<Vec<Copy>, Error> {
    let config::Bootloader::UBoot { fw_env_config, .. } = &config.bootloader else { return Ok(Vec::new()) };
    uboot_env::copies(fw_env_config)
}

/// The slots that the bootloader goes by, if it keeps a list of them that can be read.
pub(crate) fn order(config: &Config) -> Option<Vec<String>> {
    let loader = &config.bootloader;
    let (variables, name) =
        if let config::Bootloader::UBoot { fw_env_config, variables: UBootVariables::Rauc, .. } = loader {
            (uboot_env::Env::new(fw_env_config).read(), "BOOT_ORDER")
        } else if let config::Bootloader::Grub { variables: GrubVariables::Rauc { grubenv }, .. } = loader {
            (grub_env::File { path: grubenv.clone() }.read(), "ORDER")
        } else {
            return None;
        };
    let order = text(&variables.ok()?, name)?;
    Some(order.split_ascii_whitespace().map(String::from).collect())
}

/// Goes from the slot that runs to the other one and back, on a copy in `folder`; `None` if there can
/// be no copy.
pub(crate) fn rehearse(config: &Config, folder: &Path) -> Result<Option<()>, Error> {
    let Some(mut copy) = copied(config, folder)? else { return Ok(None) };
    let here = open(config).running()?;
    let there = config.boot_names().into_iter().find(|name| *name != here).unwrap_or_default();
    there_and_back(&*open(&copy), &here, there)?;
    open(&copy).try_once(there, &here)?;
    boot_copy(&mut copy, there)?;
    let loader = open(&copy);
    loader.confirm(there)?;
    must("confirm", loader.is_kept(there)?)?;
    there_and_back(&*loader, there, &here)?;
    Ok(Some(()))
}

fn there_and_back(loader: &dyn Bootloader, here: &str, there: &str) -> Result<(), Error> {
    loader.mark_bad(there)?;
    must("mark bad", loader.spare(here, there)? == Spare::NotArmed)?;
    loader.try_once(there, here)?;
    must("try once", loader.spare(here, there)? == Spare::Pending)?;
    loader.fall_back(there, here)?;
    must("fall back", loader.spare(here, there)? == Spare::NotArmed && loader.is_kept(here)?)
}

fn must(step: &'static str, shows: bool) -> Result<(), Error> {
    if shows { Ok(()) } else { Err(Error::Unchanged { step }) }
}

/// The configuration of a copy in `folder`.
fn copied(config: &Config, folder: &Path) -> Result<Option<Config>, Error> {
    let mut copy = Config { state_dir: folder.join("state"), ..config.clone() };
    disk::make_folder(&copy.install_dir(), 0o700).map_err(Error::Write)?;
    match &mut copy.bootloader {
        config::Bootloader::UBoot { fw_env_config, .. } => *fw_env_config = uboot_env::copy(fw_env_config, folder)?,
        config::Bootloader::Grub { variables: GrubVariables::Rauc { grubenv }, .. } => copy_file(grubenv, folder)?,
        config::Bootloader::Grub { variables: GrubVariables::Mender { folder: both }, .. } => {
            for copy in ["mender_grubenv1", "mender_grubenv2"] {
                copy_files(&both.join(copy), &folder.join(copy), |_| true)?;
            }
            *both = folder.into();
        }
        config::Bootloader::Efi { efi_variables, .. } => {
            copy_files(efi_variables, folder, |name| name.starts_with("Boot") && name.ends_with(GLOBAL))?;
            *efi_variables = folder.into();
        }
        config::Bootloader::Rpi { autoboot_txt, device_tree } => {
            copy_file(autoboot_txt, folder)?;
            copy_files(device_tree, folder, |name| name == "partition")?;
            *device_tree = folder.into();
        }
        config::Bootloader::SystemdBoot { esp, entry, .. } => {
            let root = entry.ancestors().nth(3).unwrap_or(Path::new("/")).to_owned();
            let inside = if root == *esp { folder.join("esp") } else { folder.join("boot") };
            copy_entries(esp, &folder.join("esp"))?;
            copy_entries(&root, &inside)?;
            *esp = folder.join("esp");
            *entry = inside.join(entry.strip_prefix(&root).unwrap_or(Path::new("")));
            give_images(entry, &config.boot_names())?;
            for slot in config.slots.iter().filter(|slot| matches!(slot.kind, config::Kind::File(..))) {
                let path = slot.kind.path().and_then(|path| path.strip_prefix(&root).ok());
                path.map_or(Ok(()), |path| give_file(&inside.join(path)))?;
            }
        }
        config::Bootloader::Barebox { .. } | config::Bootloader::Script { .. } => return Ok(None),
    }
    Ok(Some(copy))
}

/// What the firmware would say after a boot of this slot, where it says so in a file of the copy.
fn boot_copy(copy: &mut Config, slot: &str) -> Result<(), Error> {
    if let (config::Bootloader::Rpi { device_tree, .. }, Ok(number)) = (&copy.bootloader, slot.parse::<u32>()) {
        disk::replace(&device_tree.join("partition"), &number.to_be_bytes()).map_err(Error::Write)?;
    }
    Ok(())
}

/// Copies a file into a folder, and names the copy.
fn copy_file(path: &mut PathBuf, folder: &Path) -> Result<(), Error> {
    let copy = folder.join(path.file_name().unwrap_or_default());
    if let Some(bytes) = disk::read_bounded(path, limits::BOOT_ENV_BYTES_MAX)? {
        disk::replace(&copy, &bytes).map_err(Error::Write)?;
    }
    *path = copy;
    Ok(())
}

fn copy_files(from: &Path, to: &Path, wanted: impl Fn(&str) -> bool) -> Result<(), Error> {
    disk::make_folder(to, 0o700).map_err(Error::Write)?;
    for mut path in disk::list(from)? {
        let is_wanted = path.file_name().and_then(|name| name.to_str()).is_some_and(&wanted);
        if is_wanted && path.is_file() {
            copy_file(&mut path, to)?;
        }
    }
    Ok(())
}

/// Copies what systemd-boot's menu is made of: its settings and entries, images as links, and an
/// empty file for each that an entry names and that is there.
fn copy_entries(from: &Path, to: &Path) -> Result<(), Error> {
    copy_files(&from.join("loader"), &to.join("loader"), |name| name == "loader.conf")?;
    let entries = to.join("loader/entries");
    copy_files(&from.join("loader/entries"), &entries, |_| true)?;
    for entry in disk::list(&entries)? {
        let text = disk::read_bounded(&entry, limits::CONFIG_BYTES_MAX)?.unwrap_or_default();
        for (_, named) in systemd_boot_entry::lines(&String::from_utf8_lossy(&text)) {
            let named = named.replace('\\', "/");
            let inside = Path::new(named.trim_start_matches('/'));
            let is_plain = inside.components().all(|part| matches!(part, Component::Normal(_)));
            if is_plain && from.join(inside).is_file() {
                give_file(&to.join(inside))?;
            }
        }
    }
    let images = to.join("EFI/Linux");
    disk::make_folder(&images, 0o700).map_err(Error::Write)?;
    for image in disk::list(&from.join("EFI/Linux"))? {
        link(&image, &images.join(image.file_name().unwrap_or_default()))?;
    }
    Ok(())
}

/// Makes an empty file, and the folders above it.
fn give_file(path: &Path) -> Result<(), Error> {
    if path.exists() {
        return Ok(());
    }
    let made = path.parent().map_or(Ok(()), |folder| disk::make_folder(folder, 0o700));
    made.and_then(|()| disk::replace(path, b"")).map_err(Error::Write)
}

/// An image that is not written yet is part of what an update writes: here the other slot's stands
/// for it.
fn give_images(entry: &Path, names: &[&str]) -> Result<(), Error> {
    let is_image = entry.extension().is_some_and(|ending| ending == "efi");
    let (folder, name) = (entry.parent().unwrap_or(entry), entry.file_name().unwrap_or_default().to_string_lossy());
    let of = |slot: &str, files: &[PathBuf]| {
        let stem = name.replace("{slot}", slot).trim_end_matches(".efi").to_owned();
        let is_its = |file: &&PathBuf| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&stem));
        files.iter().find(is_its).cloned()
    };
    let files = disk::list(folder)?;
    let any = names.iter().find_map(|slot| of(slot, &files));
    for slot in names.iter().filter(|slot| is_image && of(slot, &files).is_none()) {
        if let Some(image) = &any {
            let off = folder.join(name.replace("{slot}", slot) + ".off");
            link(&std::fs::canonicalize(image).unwrap_or_else(|_| image.clone()), &off)?;
        }
    }
    Ok(())
}

fn link(to: &Path, from: &Path) -> Result<(), Error> {
    if from.exists() {
        return Ok(());
    }
    symlink(to, from).map_err(|source| Error::Write(disk::Error::io("link", from)(source)))
}
