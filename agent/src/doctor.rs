//! `tenure doctor`: will this board take an update, and come back from a bad one?
//!
//! First all that can be seen is gathered, and nothing is changed: the watchdog is not opened, the
//! bootloader is moved on a copy only. Then the checks of one table look at what was gathered, each at
//! one thing. They know nothing of the system, so that the same facts always lead to the same answer.

mod boot;
mod clock;
mod files;
mod finding;
mod folders;
mod programs;
mod slots;
mod trust;
mod units;
mod watchdog;

use std::path::Path;

use crate::chain::Chain;
use crate::config::{self, Config};
use boot::Boot;
use clock::Time;
use folders::Folders;
use programs::Programs;
use slots::Slots;
use trust::Trust;
use units::Units;
use watchdog::Watchdog;

pub(crate) use finding::Findings;

/// All that was gathered.
#[derive(Debug)]
struct Facts {
    slots: Slots,
    boot: Boot,
    programs: Programs,
    watchdog: Watchdog,
    time: Time,
    trust: Trust,
    folders: Folders,
    units: Option<Units>,
}

/// A check: its name, and what it makes of the facts.
type Check = (&'static str, fn(&Facts, &mut Findings));

/// Every check, in the order of the answer. `docs/operate/integrate.md` lists them.
const CHECKS: [Check; 28] = [
    ("slot_found", |facts, findings| slots::are_found(&facts.slots, findings)),
    ("slot_once", |facts, findings| slots::are_once(&facts.slots, findings)),
    ("slot_size", |facts, findings| slots::are_large_enough(&facts.slots, findings)),
    ("slot_free", |facts, findings| slots::is_free(&facts.slots, facts.boot.running(), findings)),
    ("boot_state", |facts, findings| boot::is_settled(&facts.boot, &facts.slots, findings)),
    ("boot_order", |facts, findings| boot::names_our_slots(&facts.boot, findings)),
    ("boot_copies", |facts, findings| boot::is_redundant(&facts.boot, findings)),
    ("boot_writable", |facts, findings| boot::can_be_written(&facts.boot, findings)),
    ("boot_rehearsal", |facts, findings| boot::can_be_moved(&facts.boot, findings)),
    ("kernel_panic", |facts, findings| boot::comes_back(&facts.boot, findings)),
    ("health", |facts, findings| programs::judge_health(&facts.programs, findings)),
    ("program", |facts, findings| programs::can_be_run(&facts.programs, findings)),
    ("watchdog", |facts, findings| watchdog::watches(&facts.watchdog, findings)),
    ("clock", |facts, findings| clock::is_right(&facts.time, findings)),
    ("clock_source", |facts, findings| clock::has_source(&facts.time, findings)),
    ("root", |facts, findings| trust::has_root(&facts.trust, findings)),
    ("root_expiry", |facts, findings| trust::root_lasts(&facts.trust, facts.time.now, findings)),
    ("backstop", |facts, findings| trust::has_backstop(&facts.trust, findings)),
    ("device_key", |facts, findings| trust::keeps_its_key(&facts.trust, findings)),
    ("enrolment_token", |facts, findings| trust::keeps_its_token(&facts.trust, findings)),
    ("server", |facts, findings| trust::knows_its_server(&facts.trust, findings)),
    ("support", |facts, findings| trust::knows_the_promise(&facts.trust, findings)),
    ("version", |facts, findings| trust::knows_its_version(&facts.trust, findings)),
    ("state_folder", |facts, findings| folders::state_outlives(&facts.folders, &facts.slots, findings)),
    ("permissions", |facts, findings| folders::are_ours(&facts.folders, facts.trust.owner(), findings)),
    ("space", |facts, findings| folders::have_room(&facts.folders, findings)),
    ("user", |facts, findings| trust::has_its_user(&facts.trust, findings)),
    ("units", |facts, findings| {
        units::are_enabled(facts.units.as_ref(), findings);
        units::open_the_cage(facts.units.as_ref(), findings);
    }),
];

/// Looks at this board. A configuration that cannot be loaded is all that is told then.
pub(crate) fn examine(path: &Path, config: &Result<Config, config::Error>) -> Findings {
    let mut findings = Findings::default();
    findings.begin("configuration");
    match config {
        Err(error) => findings.fault(&path.display().to_string(), &Chain(error).to_string(), "correct what it names"),
        Ok(config) => {
            findings.ok(&path.display().to_string(), "it can be loaded");
            let facts = Facts::gather(config);
            for (name, check) in CHECKS {
                findings.begin(name);
                check(&facts, &mut findings);
            }
        }
    }
    findings
}

impl Facts {
    fn gather(config: &Config) -> Self {
        let (trust, has_systemd) = (Trust::look(config), units::has_systemd());
        Self {
            slots: Slots::look(config),
            boot: Boot::look(config),
            programs: Programs::look(config, has_systemd),
            watchdog: Watchdog::look(config, has_systemd),
            time: Time::look(config, trust.built_at()),
            trust,
            folders: Folders::look(config),
            units: Units::look(config),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const PAGE: &str = include_str!("../../docs/operate/integrate.md");

    #[test]
    fn the_page_lists_every_check_and_no_other() {
        let rows = PAGE.split("<!-- checks -->").nth(1).unwrap().lines().filter(|line| line.starts_with("| `"));
        let listed: Vec<_> = rows.map(|row| row.split('`').nth(1).unwrap()).collect();
        let names: Vec<_> = ["configuration"].into_iter().chain(CHECKS.map(|(name, _)| name)).collect();
        assert_eq!(listed, names);
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "each name once");
    }

    #[test]
    fn the_configuration_of_each_recipe_can_be_loaded() {
        let recipes: Vec<_> = PAGE.split("<!-- recipe: ").skip(1).collect();
        assert_eq!(recipes.len(), 5);
        for recipe in recipes {
            let text = recipe.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("agent.toml"), text).unwrap();
            let config = Config::load(&dir.path().join("agent.toml")).unwrap();
            assert_eq!(config.fetch_user.as_deref(), Some("tenure"), "{text}");
        }
    }

    #[test]
    fn a_configuration_that_cannot_be_loaded_is_a_fault_and_says_why() {
        let path = Path::new("/nowhere/agent.toml");
        let findings = examine(path, &Config::load(path));
        assert!(!findings.are_good());
        assert!(findings.text().contains("there is no configuration /nowhere/agent.toml"), "{}", findings.text());
    }
}
