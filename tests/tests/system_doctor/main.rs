//! `tenure doctor`: no false alarm on five good boards, and of each seeded fault the check that it is for.
//!
//! The boards are the recipes of `docs/operate/integrate.md`, with real devices, files and processes.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

mod agent;
mod boot;

use std::collections::BTreeSet;
use std::fs;

use tenure_tests::failure::{Failure, Result};
use tenure_tests::maker::Maker;
use tenure_tests::rooted::{Examined, Recipe, Rooted};
use tenure_tests::stage::MODEL;
use tenure_tests::world::World;

/// A manufacturer who has declared support and published nothing yet.
fn maker(world: &World) -> Result<Maker> {
    let maker = Maker::new(world, "maker", MODEL)?;
    maker.declare(world.clock().today().plus_days(5 * 365))?;
    Ok(maker)
}

#[test]
fn system_five_good_boards_have_no_fault_and_no_warning() -> Result<()> {
    let world = World::new("doctor-good")?;
    let maker = maker(&world)?;
    for recipe in Recipe::ALL {
        let said = Rooted::new(&world, &maker, recipe, recipe.name())?.examine()?;
        assert_eq!(said.troubles(), [], "{recipe:?}");
        assert_eq!(said.code, 0, "{recipe:?}");
        assert!(said.findings.len() > 28, "{recipe:?}: {} lines", said.findings.len());
    }
    Ok(())
}

/// What is wrong, on which board, how it comes about, and which check finds it with which words.
#[derive(Clone, Copy)]
struct Fault {
    what: &'static str,
    on: Recipe,
    sow: fn(&mut Rooted<'_>, &Maker) -> Result<()>,
    check: &'static str,
    verdict: &'static str,
    seen: &'static str,
}

const fn fault(
    what: &'static str,
    on: Recipe,
    sow: fn(&mut Rooted<'_>, &Maker) -> Result<()>,
    check: &'static str,
    seen: &'static str,
) -> Fault {
    Fault { what, on, sow, check, verdict: "fault", seen }
}

const fn warning(fault: Fault) -> Fault {
    Fault { verdict: "warning", ..fault }
}

/// Seeds each fault on a good board of its own; the one check that it is for says so, and no other.
fn each_is_found(name: &str, faults: &[Fault]) -> Result<()> {
    let world = World::new(name)?;
    let maker = maker(&world)?;
    let mut missed = Vec::new();
    for (nth, Fault { what, on, sow, check, verdict, seen }) in faults.iter().enumerate() {
        let mut board = Rooted::new(&world, &maker, *on, &format!("{nth}"))?;
        sow(&mut board, &maker).map_err(|error| Failure::new(format_args!("cannot seed: {what}: {error:?}")))?;
        let said = board.examine().map_err(|error| Failure::new(format_args!("{what}: {error:?}")))?;
        let troubles = said.troubles();
        let checks: BTreeSet<_> = troubles.iter().map(|(check, ..)| *check).collect();
        let told = troubles.iter().find(|(found, found_verdict, found_seen, remedy)| {
            found == check && found_verdict == verdict && found_seen.contains(seen) && !remedy.is_empty()
        });
        let code = i32::from(*verdict == "fault");
        if told.is_none() || checks != BTreeSet::from([*check]) || said.code != code {
            missed.push(format!("{what} ({on:?}): exit {}, {troubles:#?}", said.code));
        }
        fs::remove_dir_all(world.path(&format!("{nth}")))?;
    }
    assert!(missed.is_empty(), "{} of {}:\n{}", missed.len(), faults.len(), missed.join("\n"));
    Ok(())
}

#[test]
fn system_each_fault_of_slots_and_bootloaders_is_found_by_its_check_alone() -> Result<()> {
    each_is_found("doctor-boot", boot::FAULTS)
}

#[test]
fn system_each_fault_around_the_agent_is_found_by_its_check_alone() -> Result<()> {
    each_is_found("doctor-agent", agent::FAULTS)
}

/// The real environment, and the state, are what they were before.
#[test]
fn system_the_doctor_changes_nothing_on_the_board() -> Result<()> {
    let world = World::new("doctor-still")?;
    let maker = maker(&world)?;
    for recipe in [Recipe::UBoot, Recipe::Grub, Recipe::SystemdBoot, Recipe::Rpi] {
        let board = Rooted::new(&world, &maker, recipe, recipe.name())?;
        let list = "find /dev /boot /efi /etc /run /tmp /var /usr /data -type f ! -name slot-a -exec sha256sum '{}' + 2>/dev/null | sort";
        let sums =
            |name: &str| format!("chroot $R /bin/sh -c \"cd /; {list}\" > {}/{name}; ", world.folder().display());
        let doctor = "chroot $R /usr/bin/tenure doctor > /dev/null; ";
        let answer = board.run(&format!("{{ {}{doctor}{}true; }}", sums("before"), sums("after")))?;
        assert_eq!(answer.code, 0, "{}", answer.stderr);
        let [before, after] = ["before", "after"].map(|name| fs::read_to_string(world.path(name)));
        let (before, after) = (before?, after?);
        assert!(before.lines().count() > 20, "{before}");
        assert_eq!(after, before, "{recipe:?}");
    }
    Ok(())
}

#[test]
fn system_an_ordinary_user_is_told_what_could_not_be_seen() -> Result<()> {
    let world = World::new("doctor-user")?;
    let maker = maker(&world)?;
    let mut board = Rooted::new(&world, &maker, Recipe::UBoot, "board")?;
    board.before = "chmod 600 $R/dev/env $a $b; chmod 1777 $R/tmp".into();
    let answer = board.run("chroot --userspec=65534:65534 $R /usr/bin/tenure doctor --json")?;
    let said = Examined::of(&answer)?;
    assert!(said.troubles().iter().all(|(_, verdict, ..)| *verdict == "unseen"), "{:#?}", said.troubles());
    let unseen: BTreeSet<_> = said.troubles().iter().map(|(check, ..)| *check).collect();
    for check in ["slot_size", "boot_state", "boot_writable", "device_key", "support"] {
        assert!(unseen.contains(check), "{check}: {unseen:?}");
    }
    assert!(said.troubles().iter().all(|(.., remedy)| *remedy == "run tenure doctor as root"));
    assert_eq!(said.code, 0);
    let people = board.run("chroot --userspec=65534:65534 $R /usr/bin/tenure doctor")?;
    assert!(people.stdout.contains("unseen ") && people.stdout.contains("not to be seen: "), "{}", people.stdout);
    Ok(())
}
