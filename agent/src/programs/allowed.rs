//! Which programs may be ordered: those that the maker named in the configuration.

use std::path::{Path, PathBuf};

use crate::config::{Bootloader, Config, SingleKind};
use crate::hooks;
use crate::journal::Phase;
use crate::outside::Order;

/// What may be run.
#[derive(Debug)]
pub(super) struct Allowed {
    /// How a command has to begin. What follows is ours to say: a slot, a version.
    commands: Vec<Vec<String>>,
    /// Every program in these folders, with any argument.
    folders: Vec<PathBuf>,
}

/// What we ask of the system ourselves (`confirm/units.rs`, `conditions.rs`).
const OURS: [&str; 7] = [
    "systemctl is-system-running --wait",
    "systemctl --no-pager list-units --all --plain --no-legend --full --state=failed,auto-restart",
    "systemctl --no-pager show --property=Id,LoadState,ActiveState,SubState --",
    "journalctl --no-pager --boot --output=cat --lines=20 --unit",
    "busctl --json=short call org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager ListInhibitors",
    "busctl --json=short get-property org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager IdleHint",
    "busctl --json=short get-property org.freedesktop.NetworkManager /org/freedesktop/NetworkManager org.freedesktop.NetworkManager Metered",
];

impl Allowed {
    pub(super) fn new(config: &Config) -> Self {
        let mut commands: Vec<_> = OURS.iter().map(|line| line.split(' ').map(String::from).collect()).collect();
        commands.push(config.restart.command.clone());
        commands.push(config.posture.command.clone());
        commands.extend(config.health.command.clone());
        if let Bootloader::Barebox { command, .. } | Bootloader::Script { command, .. } = &config.bootloader {
            commands.push(command.clone());
        }
        commands.extend(config.singles.iter().filter_map(|single| match &single.kind {
            SingleKind::Handler { command, .. } => Some(command.clone()),
            SingleKind::BootEmmc(_) | SingleKind::BootRaw(_) => None,
        }));
        let mut folders: Vec<_> = config.notices.hook_dir.iter().cloned().collect();
        folders.extend(config.health.folders().map(|(folder, _)| folder));
        if config.hooks.dir.is_dir() {
            let phases = [Phase::PreInstall, Phase::PostInstall, Phase::PreReboot, Phase::PostBoot];
            folders.extend(phases.map(|phase| config.hooks.dir.join(phase.folder())));
            // The way back of a hook has to outlive the slot that it came with.
            folders.push(hooks::folder_of_ways_back(&config.install_dir()));
        }
        Self { commands, folders }
    }

    /// Whether this may be run. Beyond the words, nothing but variables of ours: none that has the
    /// program load or find something else.
    pub(super) fn allows(&self, order: &Order) -> bool {
        let Some(program) = order.words.first() else { return false };
        let ours = order.environment.keys().all(|name| name.starts_with("TENURE_"));
        let named = self.commands.iter().any(|command| !command.is_empty() && order.words.starts_with(command));
        let folder = Path::new(program).parent();
        ours && (named
            || self.folders.iter().any(|known| folder == Some(known) && Path::new(program).file_name().is_some()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(line: &str) -> Order {
        Order { words: line.split(' ').map(String::from).collect(), ..Order::default() }
    }

    #[test]
    fn what_the_maker_did_not_name_is_not_run() {
        let words = |line: &str| line.split(' ').map(String::from).collect::<Vec<_>>();
        let allowed = Allowed {
            commands: vec![words("/usr/lib/health --all"), Vec::new()],
            folders: vec!["/etc/tenure/hooks".into()],
        };
        for line in ["/usr/lib/health --all", "/usr/lib/health --all slot=B", "/etc/tenure/hooks/10-tell urgent"] {
            assert!(allowed.allows(&order(line)), "{line}");
        }
        for line in [
            "/bin/sh -c id",
            "/usr/lib/health",
            "/usr/lib/health2 --all",
            "health --all",
            "/etc/tenure/hooks/..",
            "/etc/tenure/hooks/../../../bin/sh",
            "/etc/tenure/hooks/deeper/x",
            "",
        ] {
            assert!(!allowed.allows(&order(line)), "{line}");
        }
        let environment = [("LD_PRELOAD".to_owned(), "/tmp/x.so".to_owned())].into();
        assert!(!allowed.allows(&Order { environment, ..order("/usr/lib/health --all") }));
        assert!(!allowed.allows(&Order::default()));
    }
}
