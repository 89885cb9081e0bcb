//! What boards' scripts decide, in our own words: RAUC's for U-Boot and GRUB, Mender's for both, and
//! the one that `docs/operate/bootloaders.md` gives for plain variables.
//!
//! Each gets the environment as the bootloader reads it (nothing, if it cannot), changes and saves it
//! as the script does, and says which slot is started; none is the rescue entry, or a reset.

use std::path::Path;

use super::super::environment::{Store, Variables, set, text};
use super::super::grub_env;

fn number(variables: &Variables, name: &str) -> u64 {
    text(variables, name).and_then(|value| value.parse().ok()).unwrap_or(0)
}

/// RAUC's menu for GRUB. `default=0` is the rescue entry.
pub(super) fn rauc_grub(path: &Path) -> Option<String> {
    let store = grub_env::File { path: path.into() };
    let stored = store.read().unwrap_or_default();
    let flag = |name: String| text(&stored, &name).unwrap_or("0".into());
    let mut tries: Vec<(String, String)> = ["A", "B"].map(|slot| (slot.to_owned(), flag(format!("{slot}_TRY")))).into();
    let mut started = None;
    for slot in text(&stored, "ORDER").unwrap_or("A B".into()).split_ascii_whitespace() {
        let Some((_, now)) = tries.iter_mut().find(|(name, _)| name == slot) else { continue };
        let was = std::mem::replace(now, "1".into());
        if flag(format!("{slot}_OK")) == "1" && was == "0" {
            started = Some(slot.to_owned());
            break;
        }
    }
    if started.is_none() {
        let again = tries.iter_mut().filter(|(slot, now)| flag(format!("{slot}_OK")) == "1" && now == "1");
        for (_, now) in again {
            *now = "0".into();
        }
    }
    // Saving fails where reading fails.
    if store.read().is_ok() {
        for (slot, now) in &tries {
            save_first(path, &format!("\n{slot}_TRY="), now);
        }
    }
    started
}

/// GRUB saves into the first variable of a name, and reads the last.
fn save_first(path: &Path, line: &str, flag: &str) {
    let mut bytes = std::fs::read(path).unwrap();
    let place = bytes.windows(line.len()).position(|found| found == line.as_bytes()).unwrap() + line.len();
    bytes[place] = flag.as_bytes()[0];
    std::fs::write(path, bytes).unwrap();
}

/// RAUC's script for U-Boot. None: no tries were left, all slots got three again, and it resets.
pub(super) fn rauc_uboot(store: &dyn Store) -> Option<String> {
    let stored = store.read();
    let can_save = stored.is_ok();
    let mut variables = stored.unwrap_or_default();
    for (name, default) in [("BOOT_ORDER", "A B"), ("BOOT_A_LEFT", "3"), ("BOOT_B_LEFT", "3")] {
        variables.entry(name.into()).or_insert(default.into());
    }
    let order = text(&variables, "BOOT_ORDER").unwrap();
    let left = |slot: &str| u64::from_str_radix(&text(&variables, &format!("BOOT_{slot}_LEFT")).unwrap(), 16).unwrap();
    let started = order.split_ascii_whitespace().find(|slot| left(slot) > 0).map(str::to_owned);
    match &started {
        Some(slot) => {
            let now = format!("{:x}", left(slot) - 1);
            set(&mut variables, &format!("BOOT_{slot}_LEFT"), &now);
        }
        None => {
            for slot in ["A", "B"] {
                set(&mut variables, &format!("BOOT_{slot}_LEFT"), "3");
            }
        }
    }
    if can_save {
        store.write(&variables).unwrap();
    }
    started
}

/// U-Boot's own counter of boots, and a script that goes to the other slot past its limit: Mender's
/// with `mender_boot_part`, ours with `boot_slot`.
fn counted(store: &dyn Store, variable: &str, slots: [&str; 2]) -> Option<String> {
    let mut variables = store.read().unwrap_or_default();
    variables.entry(variable.into()).or_insert(slots[0].into());
    if number(&variables, "upgrade_available") != 0 {
        let count = number(&variables, "bootcount") + 1;
        set(&mut variables, "bootcount", &count.to_string());
        store.write(&variables).unwrap();
        let limit = number(&variables, "bootlimit");
        if limit != 0 && count > limit {
            let other = if text(&variables, variable).unwrap() == slots[0] { slots[1] } else { slots[0] };
            set(&mut variables, variable, other);
            set(&mut variables, "upgrade_available", "0");
            store.write(&variables).unwrap();
        }
    }
    text(&variables, variable)
}

pub(super) fn mender_uboot(store: &dyn Store) -> Option<String> {
    counted(store, "mender_boot_part", ["2", "3"])
}

pub(super) fn plain_uboot(store: &dyn Store) -> Option<String> {
    counted(store, "boot_slot", ["A", "B"])
}

/// Mender's menu for GRUB, on the files themselves.
pub(super) fn mender_grub(folder: &Path) -> Option<String> {
    let names = ["bootcount", "mender_boot_part", "upgrade_available"];
    let file = |copy: u8, name: &str| folder.join(format!("mender_grubenv{copy}")).join(name);
    let load = |copy, name| grub_env::read(&file(copy, name)).map(|block| block.variables()).unwrap_or_default();
    let save = |copy, name, wanted: &[(&str, String)]| {
        let Ok(before) = grub_env::read(&file(copy, name)) else { return };
        let mut variables = before.variables();
        for (name, value) in wanted {
            set(&mut variables, name, value);
        }
        grub_env::write(&file(copy, name), &before, &before.with(&variables).unwrap()).unwrap();
    };
    let editing = |value: &str| [("editing", value.to_owned())];
    let is_open = |copy| text(&load(copy, "lock"), "editing").as_deref() != Some("0");
    let ours = |variables: &Variables| names.map(|name| (name, text(variables, name).unwrap_or_default()));
    let restore = |from, to| {
        save(to, "env", &ours(&load(from, "env")));
        save(to, "lock", &editing("0"));
    };
    if is_open(2) {
        restore(1, 2);
    } else if is_open(1) {
        restore(2, 1);
    }
    let mut now = load(1, "env");
    let is_one_of = |now: &Variables, name: &str, values: [&str; 2]| {
        text(now, name).is_some_and(|value| values.contains(&value.as_str()))
    };
    let valid = is_one_of(&now, "mender_boot_part", ["2", "3"])
        && is_one_of(&now, "bootcount", ["0", "1"])
        && is_one_of(&now, "upgrade_available", ["0", "1"]);
    if !valid {
        let part = if is_one_of(&now, "mender_boot_part", ["3", "3"]) { "3" } else { "2" };
        set(&mut now, "mender_boot_part", part);
    }
    if number(&now, "upgrade_available") == 1 {
        if number(&now, "bootcount") == 0 {
            set(&mut now, "bootcount", "1");
        } else {
            let other = if is_one_of(&now, "mender_boot_part", ["2", "2"]) { "3" } else { "2" };
            set(&mut now, "mender_boot_part", other);
            set(&mut now, "upgrade_available", "0");
            set(&mut now, "bootcount", "0");
        }
        for copy in [2, 1] {
            save(copy, "lock", &editing("1"));
            save(copy, "env", &ours(&now));
            save(copy, "lock", &editing("0"));
        }
    }
    text(&now, "mender_boot_part")
}
