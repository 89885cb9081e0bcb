//! No slot boots any more: the boot script comes to an end, and does not go round.

use std::time::Duration;

use super::Rig;
use crate::board::SLOTS;
use crate::crash::record::PATIENCE;
use crate::failure::{Failure, Result};
use crate::machine::boot::Bootloader;
use crate::machine::disk;

/// What the scripts say when a slot has no kernel that can be started, and when there is nothing more to try.
const IN_VAIN: [&str; 2] = ["has no kernel that can be read", "does not start"];
const RESCUE: &str = "tenure: no slot boots any more";

/// How long nothing may follow.
const QUIET: Duration = Duration::from_secs(20);

impl Rig {
    /// Destroys both slots, and says how often a slot was tried in vain before the rescue state.
    pub fn exhaust(&mut self) -> Result<u32> {
        for slot in SLOTS {
            let region = self.machine.layout().slot(slot);
            disk::write(&self.machine.disk(), region, &vec![0xFF; 1 << 20])?;
        }
        self.machine.set_tries()?;
        let mut guest = self.power_on()?;
        let mut in_vain = 0;
        loop {
            let line = guest.wait_for_one_of(&[IN_VAIN[0], IN_VAIN[1], RESCUE], PATIENCE)?;
            if line.contains(RESCUE) {
                break;
            }
            in_vain += 1;
            ensure!(in_vain <= 20, "the boot script goes round and round: {line}");
        }
        let until = guest.uptime() + QUIET;
        let more = guest.wait_until_cut(&["tenure: "], until)?;
        guest.cut_power();
        ensure!(more.is_empty(), "it goes on after the rescue state: {more:?}");
        Ok(in_vain)
    }
}

impl crate::machine::Machine {
    /// Gives the slots what a device has that was cut off in the middle of a trial.
    fn set_tries(&self) -> Result<()> {
        match self.bootloader() {
            Bootloader::Uboot => {
                let variables =
                    [("BOOT_ORDER", "B A"), ("BOOT_A_LEFT", "1"), ("BOOT_B_LEFT", "0"), ("BOOT_ROUNDS", "2")];
                self.environment()?.write(&variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
            }
            Bootloader::Grub => self.set_grub(&["ORDER=B A", "A_OK=1", "A_TRY=1", "B_OK=1", "B_TRY=1", "ROUNDS=3"]),
            other @ (Bootloader::Direct | Bootloader::SystemdBoot | Bootloader::SystemdBootUki) => {
                Err(Failure::new(format_args!("{other:?} has no rescue state; see docs/operate/boot.md")))
            }
        }
    }
}
