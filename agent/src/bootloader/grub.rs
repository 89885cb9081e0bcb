//! GRUB with RAUC's variables.
//!
//! `ORDER` names the slots in the order in which they are tried; a slot is good with `x_OK=1` and
//! `x_TRY=0`. The menu's script walks the order, sets `x_TRY=1` of each slot that it looks at, boots
//! the first that was good, and saves before it boots. A slot thus has **one try a boot**, the slot
//! that is kept too, and has to be confirmed after each. With no good slot the menu boots its first
//! entry (a rescue system, by custom) and takes `x_TRY=1` back, so that the next boot tries again.

use super::Spare;
use super::environment::{Scheme, Variables, is_before, order, put_first, set, text};

/// See above.
#[derive(Debug)]
pub(super) struct Flags {
    pub(super) names: Vec<String>,
}

impl Flags {
    fn order(&self, variables: &Variables) -> Vec<String> {
        order(variables, "ORDER", &self.names)
    }

    fn put_first(&self, variables: &mut Variables, slot: &str) {
        let order = put_first(self.order(variables), slot);
        set(variables, "ORDER", &order.join(" "));
    }
}

fn is_set(variables: &Variables, slot: &str, flag: &str) -> bool {
    text(variables, &format!("{slot}_{flag}")).is_some_and(|value| value.trim() == "1")
}

fn is_good(variables: &Variables, slot: &str) -> bool {
    is_set(variables, slot, "OK") && !is_set(variables, slot, "TRY")
}

/// Marks a slot good, with its try, or bad.
fn mark(variables: &mut Variables, slot: &str, ok: &str) {
    set(variables, &format!("{slot}_OK"), ok);
    set(variables, &format!("{slot}_TRY"), "0");
}

impl Scheme for Flags {
    fn spare(&self, variables: &Variables, running: &str, spare: &str) -> Spare {
        let comes_first = is_before(&self.order(variables), spare, running);
        if !comes_first || !is_set(variables, spare, "OK") {
            Spare::NotArmed
        } else if is_set(variables, spare, "TRY") {
            Spare::Spent
        } else if is_good(variables, running) {
            Spare::Pending
        } else {
            // It would be tried without a way back: somebody else did that, or nobody did.
            Spare::NotArmed
        }
    }

    fn is_kept(&self, variables: &Variables, slot: &str) -> bool {
        self.order(variables).iter().find(|name| is_good(variables, name)).is_some_and(|name| name == slot)
    }

    fn mark_bad(&self, variables: &mut Variables, slot: &str, back: &str) {
        mark(variables, slot, "0");
        // It is all that is left, it runs, and its try of this boot may not have been given back.
        mark(variables, back, "1");
        if !self.order(variables).iter().any(|name| name == back) {
            self.put_first(variables, back);
        }
    }

    fn try_once(&self, variables: &mut Variables, slot: &str, back: &str) {
        mark(variables, back, "1");
        mark(variables, slot, "1");
        self.put_first(variables, back);
        self.put_first(variables, slot);
    }

    fn confirm(&self, variables: &mut Variables, slot: &str) {
        mark(variables, slot, "1");
        self.put_first(variables, slot);
    }

    fn fall_back(&self, variables: &mut Variables, slot: &str, back: &str) {
        mark(variables, slot, "0");
        self.confirm(variables, back);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn flags() -> Flags {
        Flags { names: vec!["A".into(), "B".into()] }
    }

    /// Order, then OK and TRY of A, then of B.
    fn variables(values: &str) -> Variables {
        let values: Vec<_> = values.split(' ').collect();
        let names = ["A_OK", "A_TRY", "B_OK", "B_TRY"];
        let mut variables: Variables = names
            .iter()
            .zip(&values[1..])
            .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
            .collect();
        set(&mut variables, "ORDER", &values[0].replace(',', " "));
        variables
    }

    fn shown(variables: &Variables) -> String {
        let value = |name: &str| text(variables, name).unwrap_or("-".into());
        let flags = ["A_OK", "A_TRY", "B_OK", "B_TRY"].map(value);
        format!("{} {}", value("ORDER").replace(' ', ","), flags.join(" "))
    }

    #[test]
    fn the_life_of_an_update_leaves_these_variables() {
        // The board has started from A and A's try of this boot is spent.
        let mut now = variables("A,B 1 1 1 0");
        assert!(!flags().is_kept(&now, "A"));
        flags().confirm(&mut now, "A");
        assert_eq!(shown(&now), "A,B 1 0 1 0");
        assert!(flags().is_kept(&now, "A") && !flags().is_kept(&now, "B"));
        flags().mark_bad(&mut now, "B", "A");
        assert_eq!(shown(&now), "A,B 1 0 0 0");
        assert_eq!(flags().spare(&now, "A", "B"), Spare::NotArmed);
        flags().try_once(&mut now, "B", "A");
        assert_eq!(shown(&now), "B,A 1 0 1 0");
        assert_eq!(flags().spare(&now, "A", "B"), Spare::Pending);
        set(&mut now, "B_TRY", "1");
        assert_eq!(flags().spare(&now, "A", "B"), Spare::Spent);
        let mut kept = now.clone();
        flags().confirm(&mut kept, "B");
        assert_eq!(shown(&kept), "B,A 1 0 1 0");
        assert!(flags().is_kept(&kept, "B"));
        flags().fall_back(&mut now, "B", "A");
        assert_eq!(shown(&now), "A,B 1 0 0 0");
        assert_eq!(flags().spare(&now, "A", "B"), Spare::NotArmed);
    }

    #[test]
    fn a_slot_that_runs_is_good_before_the_other_is_given_up() {
        let mut now = variables("B,A 0 1 1 0");
        flags().mark_bad(&mut now, "B", "A");
        assert_eq!(shown(&now), "B,A 1 0 0 0");
        assert!(flags().is_kept(&now, "A"));
        let mut now = variables("B 0 1 1 0");
        flags().mark_bad(&mut now, "B", "A");
        assert_eq!(shown(&now), "A,B 1 0 0 0");
    }

    #[test]
    fn a_try_without_a_way_back_is_not_armed() {
        assert_eq!(flags().spare(&variables("B,A 1 1 1 0"), "A", "B"), Spare::NotArmed);
        assert_eq!(flags().spare(&variables("A,B 1 0 1 0"), "A", "B"), Spare::NotArmed);
    }

    #[test]
    fn what_is_unset_is_not_good_and_has_the_scripts_order() {
        let mut now = BTreeMap::new();
        assert!(!flags().is_kept(&now, "A"));
        assert_eq!(flags().spare(&now, "A", "B"), Spare::NotArmed);
        flags().confirm(&mut now, "B");
        assert_eq!(shown(&now), "B,A - - 1 0");
    }
}
