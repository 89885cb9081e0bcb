//! A program of the board's, by RAUC's protocol for a custom bootloader backend.
//!
//! `get-primary` prints the name of the slot that is booted next, `set-primary NAME` makes it so;
//! `get-state NAME` prints `good` or `bad`, `set-state NAME good|bad` makes it so; `get-current`, which
//! may fail, prints the slot that runs. It ends with 0 if it did.
//!
//! The protocol has no word for a try: the board's bootloader must leave a primary slot by itself
//! that does not become good. Nor does it tell a try that is over, so we note when a slot was armed.

use std::path::PathBuf;

use super::armed::{Armed, When};
use super::running::Running;
use super::tool::Tool;
use super::{Bootloader, Error, Spare};

/// See above. The program is asked anew each time.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) tool: Tool,
    pub(super) armed: Armed,
    pub(super) running: Running,
    pub(super) names: Vec<String>,
}

impl Script {
    /// What it prints, which must be one of these words.
    fn ask(&self, arguments: &[&str], words: &[&str], wanted: &'static str) -> Result<String, Error> {
        let answer = self.tool.ask(arguments)?;
        let word = answer.trim();
        if words.contains(&word) { Ok(word.into()) } else { Err(self.tool.misunderstood(&answer, wanted)) }
    }

    fn slot(&self, question: &str) -> Result<String, Error> {
        let names: Vec<_> = self.names.iter().map(String::as_str).collect();
        self.ask(&[question], &names, "the name of a slot")
    }

    fn is_good(&self, slot: &str) -> Result<bool, Error> {
        Ok(self.ask(&["get-state", slot], &["good", "bad"], "good or bad")? == "good")
    }

    fn is_primary(&self, slot: &str) -> Result<bool, Error> {
        Ok(self.slot("get-primary")? == slot)
    }

    /// Tells it, and asks whether it did; nothing if it is so already.
    fn set_state(&self, slot: &str, good: bool) -> Result<(), Error> {
        if self.is_good(slot)? == good {
            return Ok(());
        }
        self.tool.ask(&["set-state", slot, if good { "good" } else { "bad" }])?;
        if self.is_good(slot)? == good { Ok(()) } else { Err(self.not_kept()) }
    }

    fn set_primary(&self, slot: &str) -> Result<(), Error> {
        if self.is_primary(slot)? {
            return Ok(());
        }
        self.tool.ask(&["set-primary", slot])?;
        if self.is_primary(slot)? { Ok(()) } else { Err(self.not_kept()) }
    }

    fn not_kept(&self) -> Error {
        Error::ReadBack { what: "bootloader's state", device: self.tool.program() }
    }
}

impl Bootloader for Script {
    fn running(&self) -> Result<String, Error> {
        // RAUC's backends need not have get-current.
        self.slot("get-current").or_else(|unanswered| self.running.name().map_err(|_| unanswered))
    }

    fn spare(&self, _running: &str, spare: &str) -> Result<Spare, Error> {
        Ok(match self.armed.when(spare)? {
            When::Before => Spare::Spent,
            When::Now | When::Never if self.is_primary(spare)? => Spare::Pending,
            When::Now | When::Never => Spare::NotArmed,
        })
    }

    fn is_kept(&self, slot: &str) -> Result<bool, Error> {
        Ok(self.is_primary(slot)? && self.is_good(slot)?)
    }

    fn mark_bad(&self, slot: &str) -> Result<(), Error> {
        if self.is_primary(slot)? {
            let other = self.names.iter().find(|name| *name != slot).map_or("", String::as_str);
            self.set_primary(other)?;
        }
        self.set_state(slot, false)?;
        self.armed.forget()
    }

    fn try_once(&self, slot: &str, back: &str) -> Result<(), Error> {
        self.set_state(back, true)?;
        self.armed.note(slot)?;
        self.set_primary(slot)
    }

    fn confirm(&self, slot: &str) -> Result<(), Error> {
        self.set_state(slot, true)?;
        self.set_primary(slot)?;
        self.armed.forget()
    }

    fn fall_back(&self, slot: &str, back: &str) -> Result<(), Error> {
        self.set_state(back, true)?;
        self.set_primary(back)?;
        self.mark_bad(slot)
    }

    fn writes(&self) -> Vec<PathBuf> {
        // What the program opens, its maker knows.
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::super::armed::tests::{in_folder, restart};
    use super::super::running::tests::by_command_line;
    use super::super::tool::tests::{FAULTS, calls, shell};
    use super::*;
    use std::fs;

    /// A board's program: one file a variable.
    const SCRIPT: &str = r"
        case $1 in
        get-primary) cat $D/primary ;;
        set-primary) echo $2 > $D/primary ;;
        get-state) cat $D/state-$2 ;;
        set-state) echo $3 > $D/state-$2 ;;
        get-current) cat $D/current ;;
        *) exit 1 ;;
        esac
    ";

    fn board(script: &str) -> (tempfile::TempDir, Script) {
        let dir = tempfile::tempdir().unwrap();
        for (name, value) in
            [("primary", "A"), ("current", "A"), ("state-A", "good"), ("state-B", "good"), ("cmdline", "")]
        {
            fs::write(dir.path().join(name), value).unwrap();
        }
        let script = Script {
            tool: shell(dir.path(), script),
            armed: in_folder(dir.path()),
            running: by_command_line(&dir.path().join("cmdline"), &["A", "B"]),
            names: vec!["A".into(), "B".into()],
        };
        (dir, script)
    }

    #[test]
    fn the_life_of_an_update_makes_these_calls() {
        let (dir, script) = board(SCRIPT);
        assert_eq!((script.running().unwrap().as_str(), script.is_kept("A").unwrap()), ("A", true));
        script.mark_bad("B").unwrap();
        assert_eq!(calls(dir.path()), ["set-state B bad"]);
        script.mark_bad("B").unwrap();
        assert_eq!((calls(dir.path()).len(), script.spare("A", "B").unwrap()), (0, Spare::NotArmed));
        script.try_once("B", "A").unwrap();
        assert_eq!(
            (calls(dir.path()), script.spare("A", "B").unwrap()),
            (vec!["set-primary B".into()], Spare::Pending)
        );
        script.try_once("B", "A").unwrap();
        assert!(calls(dir.path()).is_empty() && !script.is_kept("A").unwrap());
        // The board tried it in vain; its program says so, or goes on naming B.
        restart(dir.path());
        for primary in ["A", "B"] {
            fs::write(dir.path().join("primary"), primary).unwrap();
            assert_eq!(script.spare("A", "B").unwrap(), Spare::Spent);
        }
        script.mark_bad("B").unwrap();
        assert_eq!(
            (calls(dir.path()), script.spare("A", "B").unwrap()),
            (vec!["set-primary A".into()], Spare::NotArmed)
        );
        script.try_once("B", "A").unwrap();
        restart(dir.path());
        script.confirm("B").unwrap();
        assert_eq!(
            (calls(dir.path()), script.is_kept("B").unwrap()),
            (vec!["set-primary B".into(), "set-state B good".into()], true)
        );
        script.fall_back("B", "A").unwrap();
        assert_eq!(calls(dir.path()), ["set-primary A", "set-state B bad"]);
    }

    #[test]
    fn a_program_without_get_current_leaves_it_to_the_command_line() {
        let (dir, script) = board(&SCRIPT.replace("get-current)", "never)"));
        fs::write(dir.path().join("cmdline"), "rauc.slot=B").unwrap();
        assert_eq!(script.running().unwrap(), "B");
        fs::write(dir.path().join("cmdline"), "").unwrap();
        assert!(matches!(script.running(), Err(Error::Tool(_))));
    }

    #[test]
    fn a_program_that_hangs_fails_or_prints_rubbish_is_an_error_and_is_told_nothing() {
        for (fault, said) in FAULTS {
            let (dir, script) = board(fault);
            let error = script.mark_bad("B").unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
            assert!(script.running().is_err() && script.spare("A", "B").is_err() && script.is_kept("A").is_err());
            assert!(
                script.try_once("B", "A").is_err()
                    && script.confirm("A").is_err()
                    && script.fall_back("B", "A").is_err()
            );
            assert!(calls(dir.path()).is_empty());
        }
    }

    #[test]
    fn a_program_that_does_not_do_what_it_says_is_found_out() {
        let (_dir, script) = board(&SCRIPT.replace("> $D/primary", "").replace("> $D/state-$2", ""));
        assert!(matches!(script.mark_bad("B"), Err(Error::ReadBack { .. })));
        assert!(matches!(script.try_once("B", "A"), Err(Error::ReadBack { .. })));
        assert_eq!(script.spare("A", "B").unwrap(), Spare::NotArmed);
    }
}
