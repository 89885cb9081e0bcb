//! One variable names the slot, another says that it is on trial: Mender's variables, or plain ones.
//!
//! `upgrade_available=1` means that the slot which the first variable names is on trial. At each
//! boot of a trial `bootcount` is counted up and saved; past its limit, the board's script names the
//! other slot and ends the trial. A slot that is kept costs no write at a boot. GRUB's script takes
//! `bootcount` back when it returns, so `tenure_trying` remembers which slot was tried.

use super::environment::{Scheme, Variables, set, text};
use super::{Error, Spare};

/// The slot that is being tried.
const TRYING: &str = "tenure_trying";

/// See above.
#[derive(Debug)]
pub(super) struct Trial {
    /// The variable that names the slot.
    pub(super) variable: String,
    /// Who counts.
    pub(super) loader: Loader,
}

/// Who counts the boots of a trial.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Loader {
    /// U-Boot itself, up to `bootlimit`.
    UBoot,
    /// U-Boot itself; Mender's scripts want the partition's number in hexadecimal, too.
    UBootMender,
    /// Mender's menu, once.
    GrubMender,
}

impl Trial {
    /// Names the slot; it is `"1"` on trial or `"0"` kept.
    fn choose(&self, variables: &mut Variables, slot: &str, on_trial: &str) {
        set(variables, &self.variable, slot);
        set(variables, "upgrade_available", on_trial);
        set(variables, "bootcount", "0");
        variables.remove(TRYING.as_bytes());
        let number: Option<u32> = slot.parse().ok();
        if let (Loader::UBootMender, Some(number)) = (self.loader, number) {
            set(variables, "mender_boot_part_hex", &format!("{number:x}"));
        }
    }

    fn names(&self, variables: &Variables, slot: &str) -> bool {
        text(variables, &self.variable).is_some_and(|value| value.trim() == slot)
    }
}

fn number(variables: &Variables, name: &str) -> u64 {
    text(variables, name).and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}

impl Scheme for Trial {
    fn check(&self, variables: &Variables) -> Result<(), Error> {
        let is_one = |name| number(variables, name) == 1;
        match self.loader {
            Loader::UBootMender if is_one("mender_check_saveenv_canary") && !is_one("mender_saveenv_canary") => {
                Err(Error::NotSaved { variable: "mender_saveenv_canary" })
            }
            Loader::UBootMender | Loader::UBoot | Loader::GrubMender => Ok(()),
        }
    }

    fn spare(&self, variables: &Variables, _running: &str, spare: &str) -> Spare {
        let is_named = self.names(variables, spare);
        let was_counted = number(variables, "bootcount") != 0;
        let was_tried = text(variables, TRYING).is_some_and(|slot| slot == spare);
        if was_counted || (was_tried && !is_named) {
            Spare::Spent
        } else if is_named && number(variables, "upgrade_available") == 1 {
            Spare::Pending
        } else {
            Spare::NotArmed
        }
    }

    fn is_kept(&self, variables: &Variables, slot: &str) -> bool {
        self.names(variables, slot) && number(variables, "upgrade_available") == 0
    }

    fn mark_bad(&self, variables: &mut Variables, _slot: &str, back: &str) {
        self.choose(variables, back, "0");
    }

    fn try_once(&self, variables: &mut Variables, slot: &str, _back: &str) {
        self.choose(variables, slot, "1");
        set(variables, TRYING, slot);
        // Without a limit U-Boot would never go back.
        if self.loader != Loader::GrubMender && number(variables, "bootlimit") == 0 {
            set(variables, "bootlimit", "1");
        }
    }

    fn confirm(&self, variables: &mut Variables, slot: &str) {
        self.choose(variables, slot, "0");
    }

    fn fall_back(&self, variables: &mut Variables, _slot: &str, back: &str) {
        self.choose(variables, back, "0");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(loader: Loader) -> Trial {
        Trial { variable: "mender_boot_part".into(), loader }
    }

    /// Slot, trial, count.
    fn variables(values: [&str; 3]) -> Variables {
        let mut variables = Variables::new();
        for (name, value) in ["mender_boot_part", "upgrade_available", "bootcount"].iter().zip(values) {
            set(&mut variables, name, value);
        }
        variables
    }

    #[test]
    fn the_life_of_an_update_leaves_menders_variables() {
        let trial = trial(Loader::UBootMender);
        // As Mender's own client leaves them.
        let mut now = variables(["10", "0", "1"]);
        assert!(trial.is_kept(&now, "10") && !trial.is_kept(&now, "11"));
        trial.mark_bad(&mut now, "11", "10");
        assert_eq!(trial.spare(&now, "10", "11"), Spare::NotArmed);
        trial.try_once(&mut now, "11", "10");
        let wanted = [
            ("bootcount", "0"),
            ("bootlimit", "1"),
            ("mender_boot_part", "11"),
            ("mender_boot_part_hex", "b"),
            ("tenure_trying", "11"),
            ("upgrade_available", "1"),
        ];
        assert_eq!(now, wanted.map(|(name, value)| (name.into(), value.into())).into());
        assert_eq!(trial.spare(&now, "10", "11"), Spare::Pending);
        let mut kept = now.clone();
        trial.confirm(&mut kept, "11");
        assert!(trial.is_kept(&kept, "11"));
        assert_eq!(text(&kept, "tenure_trying"), None);
        trial.fall_back(&mut now, "11", "10");
        assert!(trial.is_kept(&now, "10"));
        assert_eq!(text(&now, "mender_boot_part_hex").unwrap(), "a");
        assert_eq!(trial.spare(&now, "10", "11"), Spare::NotArmed);
    }

    #[test]
    fn a_trial_that_the_bootloader_ended_is_spent_whether_it_keeps_the_count_or_not() {
        for (loader, count) in [(Loader::UBootMender, "2"), (Loader::UBoot, "2"), (Loader::GrubMender, "0")] {
            let mut now = variables(["2", "0", "0"]);
            trial(loader).try_once(&mut now, "3", "2");
            for (name, value) in [("mender_boot_part", "2"), ("upgrade_available", "0"), ("bootcount", count)] {
                set(&mut now, name, value);
            }
            assert_eq!(trial(loader).spare(&now, "2", "3"), Spare::Spent);
            assert!(trial(loader).is_kept(&now, "2"));
        }
        // U-Boot went back and could not save it.
        let mut now = variables(["3", "1", "2"]);
        assert_eq!(trial(Loader::UBoot).spare(&now, "2", "3"), Spare::Spent);
        trial(Loader::UBoot).mark_bad(&mut now, "3", "2");
        assert_eq!(trial(Loader::UBoot).spare(&now, "2", "3"), Spare::NotArmed);
    }

    #[test]
    fn a_limit_that_is_there_stays_and_none_is_made_one() {
        for (given, kept) in [(None, "1"), (Some("0"), "1"), (Some("3"), "3")] {
            let mut now = variables(["2", "0", "0"]);
            if let Some(limit) = given {
                set(&mut now, "bootlimit", limit);
            }
            trial(Loader::UBoot).try_once(&mut now, "3", "2");
            assert_eq!(text(&now, "bootlimit").unwrap(), kept);
        }
        let mut now = variables(["2", "0", "0"]);
        trial(Loader::GrubMender).try_once(&mut now, "3", "2");
        assert_eq!(text(&now, "bootlimit"), None);
    }

    #[test]
    fn an_environment_that_uboot_did_not_save_is_not_trusted() {
        let mut now = variables(["2", "0", "0"]);
        set(&mut now, "mender_check_saveenv_canary", "1");
        let error = trial(Loader::UBootMender).check(&now).unwrap_err().to_string();
        assert!(error.contains("mender_saveenv_canary") && error.contains("fw_env.config"), "{error}");
        set(&mut now, "mender_saveenv_canary", "1");
        assert!(trial(Loader::UBootMender).check(&now).is_ok());
    }
}
