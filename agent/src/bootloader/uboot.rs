//! U-Boot with RAUC's variables.
//!
//! `BOOT_ORDER` names the slots in the order in which they are tried; `BOOT_x_LEFT` says how many
//! tries are left, in **hexadecimal** without `0x`. A board's script walks the order, takes the
//! first slot with tries left, counts it down and saves before it boots. Values of ten and more
//! would be invisible to scripts that forget the `0x`, so we write 0 to 9 only.

use tenure_proto::limits;

use super::Spare;
use super::environment::{Scheme, Variables, is_before, order, put_first, set, text};

/// See above.
#[derive(Debug)]
pub(super) struct Tries {
    pub(super) names: Vec<String>,
}

impl Tries {
    fn order(&self, variables: &Variables) -> Vec<String> {
        order(variables, "BOOT_ORDER", &self.names)
    }
}

fn left(variables: &Variables, slot: &str) -> u64 {
    let Some(value) = text(variables, &variable(slot)) else { return limits::BOOT_TRIES_CONFIRMED.into() };
    let digits = value.trim().trim_start_matches("0x");
    // What U-Boot cannot read counts as none there.
    u64::from_str_radix(digits, 16).unwrap_or(0)
}

fn variable(slot: &str) -> String {
    format!("BOOT_{slot}_LEFT")
}

fn set_left(variables: &mut Variables, slot: &str, tries: u8) {
    set(variables, &variable(slot), &format!("{tries:x}"));
}

fn set_order(variables: &mut Variables, order: &[String]) {
    set(variables, "BOOT_ORDER", &order.join(" "));
}

impl Scheme for Tries {
    fn spare(&self, variables: &Variables, running: &str, spare: &str) -> Spare {
        let order = self.order(variables);
        let next = order.iter().find(|slot| left(variables, slot) > 0);
        match next.is_some_and(|next| next == spare) {
            true => Spare::Pending,
            false if is_before(&order, spare, running) && left(variables, spare) == 0 => Spare::Spent,
            false => Spare::NotArmed,
        }
    }

    fn is_kept(&self, variables: &Variables, slot: &str) -> bool {
        let first = self.order(variables).first().is_some_and(|name| name == slot);
        first && left(variables, slot) >= limits::BOOT_TRIES_CONFIRMED.into()
    }

    fn mark_bad(&self, variables: &mut Variables, slot: &str, _back: &str) {
        let mut order = self.order(variables);
        order.retain(|name| name != slot);
        set_order(variables, &order);
        set_left(variables, slot, 0);
    }

    fn try_once(&self, variables: &mut Variables, slot: &str, back: &str) {
        let order = put_first(put_first(self.order(variables), back), slot);
        set_order(variables, &order);
        set_left(variables, slot, limits::BOOT_TRIES);
        // It runs, so it is good; and unattended power cuts use up tries.
        set_left(variables, back, limits::BOOT_TRIES_CONFIRMED);
    }

    fn confirm(&self, variables: &mut Variables, slot: &str) {
        let order = put_first(self.order(variables), slot);
        set_order(variables, &order);
        set_left(variables, slot, limits::BOOT_TRIES_CONFIRMED);
    }

    fn fall_back(&self, variables: &mut Variables, slot: &str, back: &str) {
        self.mark_bad(variables, slot, back);
        self.confirm(variables, back);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    use crate::bootloader::Bootloader as _;
    use crate::bootloader::environment::Environment;
    use crate::bootloader::running::tests::by_command_line;
    use crate::bootloader::uboot_env::Env;

    fn board(pairs: &[(&str, &str)], command_line: &str) -> (tempfile::TempDir, Environment) {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let mut data =
            pairs.iter().flat_map(|(name, value)| format!("{name}={value}\0").into_bytes()).collect::<Vec<_>>();
        data.resize(1024 - 5, 0);
        let copy = [&crc32fast::hash(&data).to_le_bytes()[..], &[255], &data].concat();
        fs::write(at("env"), [&copy[..], &[0xFF; 1024]].concat()).unwrap();
        let env = at("env").display().to_string();
        fs::write(at("fw_env.config"), format!("{env} 0x0 0x400\n{env} 0x400 0x400\n")).unwrap();
        fs::write(at("cmdline"), command_line).unwrap();
        let names = vec!["A".into(), "B".into()];
        let uboot = Environment {
            store: Box::new(Env::new(&at("fw_env.config"))),
            scheme: Box::new(Tries { names: names.clone() }),
            running: by_command_line(&at("cmdline"), &["A", "B"]),
            names,
        };
        (dir, uboot)
    }

    fn shown(uboot: &Environment) -> String {
        let variables = uboot.store.read().unwrap();
        let text = |name: &str| text(&variables, name).unwrap_or("-".into());
        format!("{} {} {}", text("BOOT_ORDER"), text("BOOT_A_LEFT"), text("BOOT_B_LEFT"))
    }

    const FRESH: [(&str, &str); 3] = [("BOOT_ORDER", "A B"), ("BOOT_A_LEFT", "3"), ("BOOT_B_LEFT", "3")];

    #[test]
    fn the_life_of_an_update_leaves_these_variables() {
        let (_dir, uboot) = board(&FRESH, "console=ttyS0 rauc.slot=A quiet\n");
        assert_eq!(uboot.running().unwrap(), "A");
        assert_eq!(uboot.spare("A", "B").unwrap(), Spare::NotArmed);
        uboot.mark_bad("B").unwrap();
        assert_eq!(shown(&uboot), "A 3 0");
        assert_eq!(uboot.spare("A", "B").unwrap(), Spare::NotArmed);
        uboot.try_once("B", "A").unwrap();
        assert_eq!(shown(&uboot), "B A 3 1");
        assert_eq!(uboot.spare("A", "B").unwrap(), Spare::Pending);
        // What the board's script does, when it boots B in vain.
        let mut variables = uboot.store.read().unwrap();
        set_left(&mut variables, "B", 0);
        uboot.store.write(&variables).unwrap();
        assert_eq!(uboot.spare("A", "B").unwrap(), Spare::Spent);
        assert!(!uboot.is_kept("B").unwrap());
        uboot.confirm("B").unwrap();
        assert_eq!(shown(&uboot), "B A 3 3");
        assert!(uboot.is_kept("B").unwrap());
        uboot.fall_back("B", "A").unwrap();
        assert_eq!(shown(&uboot), "A 3 0");
        assert_eq!(uboot.spare("A", "B").unwrap(), Spare::NotArmed);
    }

    #[test]
    fn each_change_is_one_write_and_none_if_nothing_changes() {
        let (dir, uboot) = board(&FRESH, "rauc.slot=A");
        let flags = || {
            let bytes = fs::read(dir.path().join("env")).unwrap();
            (bytes[4], bytes[1024 + 4])
        };
        assert_eq!(flags(), (255, 255));
        uboot.mark_bad("B").unwrap();
        assert_eq!(flags(), (255, 0));
        uboot.mark_bad("B").unwrap();
        assert_eq!(flags(), (255, 0));
        uboot.try_once("B", "A").unwrap();
        assert_eq!(flags(), (1, 0));
    }

    #[test]
    fn it_writes_the_devices_of_its_configuration_each_once() {
        let (dir, uboot) = board(&FRESH, "");
        assert_eq!(uboot.writes(), [dir.path().join("env")]);
        fs::write(dir.path().join("fw_env.config"), "nonsense").unwrap();
        assert!(uboot.writes().is_empty());
    }

    #[test]
    fn a_count_is_hexadecimal() {
        for (text, tries) in [("a", 10), ("1F", 31), ("0x3", 3), ("", 0), ("-1", 0), ("x", 0)] {
            let (_dir, uboot) = board(&[("BOOT_A_LEFT", text)], "");
            assert_eq!(left(&uboot.store.read().unwrap(), "A"), tries, "{text}");
        }
    }

    #[test]
    fn what_is_unset_has_the_default_of_the_boards_script() {
        let (_dir, uboot) = board(&[("ethaddr", "1")], "rauc.slot=B");
        assert_eq!(uboot.running().unwrap(), "B");
        assert_eq!(uboot.spare("A", "B").unwrap(), Spare::NotArmed);
        uboot.try_once("B", "A").unwrap();
        assert_eq!(shown(&uboot), "B A 3 1");
        assert_eq!(uboot.store.read().unwrap()[&b"ethaddr".to_vec()], b"1");
    }

    #[test]
    fn a_third_slot_of_others_keeps_its_place() {
        let (_dir, uboot) = board(&[("BOOT_ORDER", "A  R B")], "rauc.slot=A");
        uboot.try_once("B", "A").unwrap();
        assert_eq!(text(&uboot.store.read().unwrap(), "BOOT_ORDER").unwrap(), "B A R");
        uboot.fall_back("B", "A").unwrap();
        assert_eq!(text(&uboot.store.read().unwrap(), "BOOT_ORDER").unwrap(), "A R");
    }
}
