//! barebox with its bootchooser, through `barebox-state`.
//!
//! Each slot has two variables in the state: `bootstate.A.priority`, of which the highest is booted,
//! and `bootstate.A.remaining_attempts`, which barebox counts down before it boots. A slot with 0 in
//! either is bad. All that changes is set in one call: barebox keeps its state in redundant copies.

use std::path::PathBuf;

use tenure_proto::limits;

use super::running::Running;
use super::tool::Tool;
use super::{Bootloader, Error, Spare};
use crate::disk;

/// As RAUC sets them.
const FIRST: u32 = 20;
const SECOND: u32 = 10;

/// See above. The state is asked for anew each time: barebox counts.
#[derive(Debug)]
pub(super) struct Barebox {
    pub(super) tool: Tool,
    pub(super) command_line: PathBuf,
    pub(super) running: Running,
    pub(super) names: Vec<String>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Target {
    name: String,
    priority: u32,
    attempts: u32,
}

impl Barebox {
    fn read(&self) -> Result<Vec<Target>, Error> {
        let read = |name: &String| {
            let [priority, attempts] = variables(name);
            let answer = self.tool.ask(&["-g", &priority, "-g", &attempts])?;
            let numbers: Vec<u32> = answer.lines().filter_map(|line| line.trim().parse().ok()).collect();
            match (numbers.as_slice(), answer.lines().count()) {
                ([priority, attempts], 2) => {
                    Ok(Target { name: name.clone(), priority: *priority, attempts: *attempts })
                }
                _ => Err(self.tool.misunderstood(&answer, "the slot's priority and its remaining attempts")),
            }
        };
        self.names.iter().map(read).collect()
    }

    /// Changes the state in one call; none if it is as wanted.
    fn change(&self, change: impl Fn(&mut Target)) -> Result<(), Error> {
        let (old, mut new) = (self.read()?, self.read()?);
        new.iter_mut().for_each(change);
        if new == old {
            return Ok(());
        }
        let set = |target: &Target| {
            let [priority, attempts] = variables(&target.name);
            [format!("{priority}={}", target.priority), format!("{attempts}={}", target.attempts)]
        };
        let settings: Vec<_> = new.iter().flat_map(set).collect();
        let words: Vec<_> = settings.iter().flat_map(|setting| ["-s", setting]).collect();
        self.tool.ask(&words)?;
        let (what, device) = ("state of barebox", self.tool.program());
        if self.read()? == new { Ok(()) } else { Err(Error::ReadBack { what, device }) }
    }
}

fn variables(slot: &str) -> [String; 2] {
    ["priority", "remaining_attempts"].map(|variable| format!("bootstate.{slot}.{variable}"))
}

fn first(targets: &[Target]) -> Option<&Target> {
    targets.iter().filter(|target| target.attempts > 0 && target.priority > 0).max_by_key(|target| target.priority)
}

impl Target {
    fn set(&mut self, priority: u32, attempts: u8) {
        (self.priority, self.attempts) = (priority, attempts.into());
    }

    fn set_bad(&mut self) {
        self.set(0, 0);
    }

    /// Behind the first, if it is not bad.
    fn set_behind(&mut self) {
        self.priority = self.priority.min(SECOND);
    }
}

impl Bootloader for Barebox {
    fn running(&self) -> Result<String, Error> {
        let line = disk::read_bounded(&self.command_line, limits::CONFIG_BYTES_MAX)?.unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        let value = |word: &str| {
            word.strip_prefix("bootstate.active=").or(word.strip_prefix("bootchooser.active=")).map(String::from)
        };
        let active = line.split_ascii_whitespace().filter_map(value).next_back();
        active.filter(|name| self.names.contains(name)).map_or_else(|| self.running.name(), Ok)
    }

    fn spare(&self, running: &str, spare: &str) -> Result<Spare, Error> {
        let targets = self.read()?;
        let priority = |slot: &str| targets.iter().find(|target| target.name == slot).map(|target| target.priority);
        Ok(match first(&targets).map(|target| target.name.as_str()) {
            Some(next) if next == spare => Spare::Pending,
            _ if priority(spare) > priority(running) => Spare::Spent,
            _ => Spare::NotArmed,
        })
    }

    fn is_kept(&self, slot: &str) -> Result<bool, Error> {
        let targets = self.read()?;
        Ok(first(&targets)
            .is_some_and(|target| target.name == slot && target.attempts >= limits::BOOT_TRIES_CONFIRMED.into()))
    }

    fn mark_bad(&self, slot: &str) -> Result<(), Error> {
        self.change(|target| {
            if target.name == slot {
                target.set_bad();
            }
        })
    }

    fn try_once(&self, slot: &str, back: &str) -> Result<(), Error> {
        self.change(|target| match target.name.as_str() {
            name if name == slot => target.set(FIRST, limits::BOOT_TRIES),
            name if name == back => target.set(SECOND, limits::BOOT_TRIES_CONFIRMED),
            _ => {}
        })
    }

    fn confirm(&self, slot: &str) -> Result<(), Error> {
        self.change(|target| {
            if target.name == slot { target.set(FIRST, limits::BOOT_TRIES_CONFIRMED) } else { target.set_behind() }
        })
    }

    fn fall_back(&self, slot: &str, back: &str) -> Result<(), Error> {
        self.change(|target| match target.name.as_str() {
            name if name == slot => target.set_bad(),
            name if name == back => target.set(FIRST, limits::BOOT_TRIES_CONFIRMED),
            _ => {}
        })
    }

    fn writes(&self) -> Vec<PathBuf> {
        // What the tool opens, its device tree says.
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::super::running::tests::by_command_line;
    use super::super::tool::tests::{FAULTS, calls, shell};
    use super::*;
    use std::fs;

    /// The tool as far as it is used: one file a variable, in the place of barebox's own medium.
    const TOOL: &str = r#"
        while [ $# -gt 0 ]; do
            case $1 in
            -g) cat "$D/$2" || exit 1 ;;
            -s) echo "${2#*=}" > "$D/${2%%=*}" ;;
            *) exit 1 ;;
            esac
            shift 2
        done
    "#;

    fn board(script: &str) -> (tempfile::TempDir, Barebox) {
        let dir = tempfile::tempdir().unwrap();
        for slot in ["A", "B"] {
            let [priority, attempts] = variables(slot);
            fs::write(dir.path().join(priority), if slot == "A" { "20\n" } else { "10\n" }).unwrap();
            fs::write(dir.path().join(attempts), "3\n").unwrap();
        }
        let command_line = dir.path().join("cmdline");
        fs::write(&command_line, "quiet bootstate.active=A").unwrap();
        let running = by_command_line(&command_line, &["A", "B"]);
        let names = vec!["A".into(), "B".into()];
        let barebox = Barebox { tool: shell(dir.path(), script), command_line, running, names };
        (dir, barebox)
    }

    fn shown(barebox: &Barebox) -> String {
        let targets = barebox.read().unwrap();
        let shown = targets.iter().map(|target| format!("{} {}/{} ", target.name, target.priority, target.attempts));
        shown.collect::<Vec<_>>().concat()
    }

    /// barebox in our own words: the highest priority with attempts left; it counts down before it boots.
    fn boot(folder: &std::path::Path) -> String {
        let number = |name: &String| fs::read_to_string(folder.join(name)).unwrap().trim().parse::<u32>().unwrap();
        let slots = ["A", "B"].map(|slot| (slot, variables(slot)));
        let able = slots.iter().filter(|(_, names)| names.iter().all(|name| number(name) > 0));
        let (slot, [_, attempts]) = able.max_by_key(|(_, [priority, _])| number(priority)).unwrap();
        fs::write(folder.join(attempts), (number(attempts) - 1).to_string()).unwrap();
        (*slot).into()
    }

    #[test]
    fn the_life_of_an_update_leaves_these_variables_each_change_by_one_call() {
        let (dir, barebox) = board(TOOL);
        assert_eq!((barebox.running().unwrap().as_str(), barebox.is_kept("A").unwrap()), ("A", true));
        calls(dir.path());
        barebox.mark_bad("B").unwrap();
        assert_eq!(shown(&barebox), "A 20/3 B 0/0 ");
        let set = "-s bootstate.A.priority=20 -s bootstate.A.remaining_attempts=3 -s bootstate.B.priority=0 \
                   -s bootstate.B.remaining_attempts=0";
        assert_eq!(calls(dir.path()), [set]);
        barebox.mark_bad("B").unwrap();
        assert_eq!(calls(dir.path()), [""; 0]);
        assert_eq!(barebox.spare("A", "B").unwrap(), Spare::NotArmed);
        barebox.try_once("B", "A").unwrap();
        assert_eq!((shown(&barebox).as_str(), barebox.spare("A", "B").unwrap()), ("A 10/3 B 20/1 ", Spare::Pending));
        assert_eq!((boot(dir.path()), boot(dir.path())), ("B".into(), "A".into()));
        assert_eq!((shown(&barebox).as_str(), barebox.spare("A", "B").unwrap()), ("A 10/2 B 20/0 ", Spare::Spent));
        assert!(!barebox.is_kept("A").unwrap());
        barebox.fall_back("B", "A").unwrap();
        assert_eq!((shown(&barebox).as_str(), barebox.is_kept("A").unwrap()), ("A 20/3 B 0/0 ", true));
        barebox.try_once("B", "A").unwrap();
        assert_eq!(boot(dir.path()), "B");
        barebox.confirm("B").unwrap();
        assert_eq!((shown(&barebox).as_str(), barebox.is_kept("B").unwrap()), ("A 10/3 B 20/3 ", true));
        assert_eq!(calls(dir.path()).len(), 4);
    }

    #[test]
    fn the_slot_that_runs_is_read_from_the_kernels_command_line() {
        let (_dir, barebox) = board(TOOL);
        for (line, slot) in [
            ("bootstate.active=A bootchooser.active=B", Some("B")),
            ("rauc.slot=B", Some("B")),
            ("bootstate.active=recovery rauc.slot=A", Some("A")),
            ("bootstate.active=recovery", None),
        ] {
            fs::write(&barebox.command_line, line).unwrap();
            assert_eq!(barebox.running().ok().as_deref(), slot, "{line}");
        }
    }

    #[test]
    fn a_tool_that_hangs_fails_or_prints_rubbish_is_an_error_and_is_told_nothing() {
        for (script, said) in FAULTS {
            let (dir, barebox) = board(script);
            let error = barebox.try_once("B", "A").unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
            assert!(
                barebox.mark_bad("B").is_err() && barebox.spare("A", "B").is_err() && barebox.is_kept("A").is_err()
            );
            assert!(calls(dir.path()).is_empty());
        }
        // It says that it has done it, and has not.
        let (_dir, barebox) = board(&TOOL.replace("echo \"${2#*=}\" > \"$D/${2%%=*}\"", ":"));
        assert!(matches!(barebox.mark_bad("B"), Err(Error::ReadBack { .. })));
    }

    /// Where `barebox-state` is installed, it takes the arguments that we give it.
    #[test]
    fn system_barebox_state_knows_the_arguments() {
        let tool = Tool::new(&["barebox-state".into()], crate::clock::Clock::for_test());
        let help = tool.ask(&["--help"]).unwrap();
        assert!(help.contains("-g, --get <variable>") && help.contains("-s, --set <variable>=<value>"), "{help}");
        // There is no state here, and it says so.
        assert!(matches!(tool.ask(&["-g", "bootstate.A.priority"]), Err(Error::Tool(_))));
    }
}
