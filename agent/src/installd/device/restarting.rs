//! How this device restarts now.

use super::Device;
use crate::chain::Chain;

impl Device {
    /// The restart command, with the word that the bootloader needs for a try: Raspberry Pi's firmware
    /// forgets what is not said at the restart. Asked right before it runs.
    pub(in crate::installd) fn restart_command(&self) -> Vec<String> {
        let argument = self.bootloader.restart_argument().unwrap_or_else(|error| {
            tracing::warn!(reason = Chain(&error).to_string(), "the device restarts into the slot that is kept");
            None
        });
        self.config.restart.command.iter().cloned().chain(argument.map(String::from)).collect()
    }
}
