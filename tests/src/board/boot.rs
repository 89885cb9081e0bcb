//! The boot step: RAUC's `contrib/uboot.sh`, which U-Boot runs before any of our code.

use std::os::unix::fs::PermissionsExt;

use super::{Board, SLOTS};
use crate::failure::{Context as _, Failure, Result};
use crate::images::{self, Health};
use crate::uboot_env::{UbootEnv, Variables};

/// A real bootloader with its environment.
pub trait Loader: std::fmt::Debug + Send {
    /// Starts the machine once. Gives the slot that is booted; `None` for a rescue system, or none.
    fn start(&mut self) -> Result<Option<&'static str>>;
    /// Whether a slot is good and has all its tries.
    fn is_kept(&self, slot: &str) -> Result<bool>;
    /// The file with its environment.
    fn environment(&self) -> &std::path::Path;
}

/// More resets in a row than this, and the board counts as bricked.
const RESETS_MAX: u32 = 12;

impl Board {
    /// Lets a real bootloader choose the slot instead of the boot step, and gives the agent this
    /// section; the power is off.
    pub fn take_loader(&mut self, section: &str, loader: Box<dyn Loader>) -> Result<()> {
        let config = std::fs::read_to_string(self.config()).context("cannot read agent.toml")?;
        let (before, rest) = config.split_once("[bootloader]").context("no bootloader is configured")?;
        let (_, after) = rest.split_once("[[slots]]").context("no slots are configured")?;
        let command_line = self.path("cmdline");
        let section = format!("[bootloader]\n{section}\nkernel_command_line = \"{}\"\n", command_line.display());
        std::fs::write(self.config(), format!("{before}{section}\n[[slots]]{after}")).context("cannot configure")?;
        self.loader = Some(loader);
        Ok(())
    }

    /// Whether the slot that runs has all its tries again, as it has once its checks have passed.
    pub fn is_kept(&self) -> bool {
        if let (Some(loader), Some(slot)) = (&self.loader, self.booted) {
            return loader.is_kept(slot).unwrap_or_default();
        }
        let variables = self.env().and_then(|env| env.read()).ok().flatten().unwrap_or_default();
        self.booted.is_some_and(|slot| tries_left(&variables, slot) == 3)
    }

    /// Resets until a slot boots.
    pub(super) fn boot(&mut self) -> Result<()> {
        for _ in 0..RESETS_MAX {
            let chosen = match &mut self.loader {
                Some(loader) => loader.start()?,
                None => choose_slot(&self.env()?)?,
            };
            if let Some(slot) = chosen {
                self.boots += 1;
                if self.enter(slot)? {
                    return Ok(());
                }
            }
        }
        Err(Failure::new(format_args!(
            "the board is bricked: no slot boots; its environment is {:?}",
            self.env()?.read()?
        )))
    }

    /// The slot that the bootloader is to try first.
    pub(super) fn first_slot(&self) -> Result<Option<String>> {
        let variables = self.env()?.read()?.unwrap_or_default();
        Ok(variables.get("BOOT_ORDER").and_then(|order| order.split(' ').next()).map(str::to_owned))
    }

    /// Starts the kernel of a slot; `false` if there is none that is whole.
    fn enter(&mut self, slot: &'static str) -> Result<bool> {
        let Some(image) = self.release_in(slot)?.cloned() else { return Ok(false) };
        let system = images::read_system(self.slot(slot)?)?;
        let os_release = system.os_release.unwrap_or_else(|| images::os_release(&image.version).into_bytes());
        // A given image has no check of ours: the board stands in, and 1.2.0 is the sick one.
        let stand_in = if image.version == "1.2.0" { Health::Bad } else { Health::Good };
        let health = system.health.unwrap_or_else(|| images::health_script(stand_in).into());
        std::fs::write(self.path("root/os-release"), os_release).context("cannot write os-release")?;
        let check = self.path("root/health");
        std::fs::write(&check, health).context("cannot write the health check")?;
        std::fs::set_permissions(&check, PermissionsExt::from_mode(0o755)).context("cannot make it run")?;
        let command_line = format!("console=ttyS0 quiet rauc.slot={slot}\n");
        std::fs::write(self.path("cmdline"), command_line).context("cannot write the command line")?;
        self.booted = Some(slot);
        Ok(true)
    }
}

/// Walks `BOOT_ORDER` to the first slot with tries left, counts one down, and saves before the boot.
/// With none left all get three again, and the board resets.
pub(crate) fn choose_slot(env: &UbootEnv) -> Result<Option<&'static str>> {
    // Without a valid copy U-Boot loads its compiled defaults, which know no slots.
    let mut variables = env.read()?.unwrap_or_default();
    let order = variables.entry("BOOT_ORDER".into()).or_insert_with(|| SLOTS.join(" ")).clone();
    for slot in SLOTS {
        variables.entry(left_key(slot)).or_insert_with(|| "3".into());
    }
    let mut in_order = order.split(' ').filter_map(|name| SLOTS.into_iter().find(|slot| *slot == name));
    let chosen = in_order.find(|slot| tries_left(&variables, slot) > 0);
    match chosen {
        Some(slot) => variables.insert(left_key(slot), format!("{:x}", tries_left(&variables, slot) - 1)),
        None => SLOTS.into_iter().fold(None, |_, slot| variables.insert(left_key(slot), "3".into())),
    };
    env.write(&variables)?;
    Ok(chosen)
}

fn left_key(slot: &str) -> String {
    format!("BOOT_{slot}_LEFT")
}

/// The tries that a slot has left; hexadecimal, as `setexpr` counts.
pub(crate) fn tries_left(variables: &Variables, slot: &str) -> u64 {
    variables.get(&left_key(slot)).and_then(|text| u64::from_str_radix(text, 16).ok()).unwrap_or(0)
}
