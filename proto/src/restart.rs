//! May an update be installed now, and may the device restart into it now? If not: for what does it
//! wait, in the order in which a person would want to know?
//!
//! Three kinds of reasons, in the order of their weight:
//!
//! 1. **The product** says that it is at work ([`Hold::Inhibited`]). That always counts.
//! 2. **The device**: its battery, locks of other programs, the price of its network.
//! 3. **The owner**: a window, an idle hour, a deferral, a word that was asked for.
//!
//! A security release carries the deadline that its manufacturer signed. Once that is past, and the
//! update has waited for [`Rules::overdue_s_max`] at least, only the product's own word still holds
//! it. The deadline is compared with proven time, so that a wrong clock hurries nothing.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::choice::Quiet;
use crate::limits;
use crate::release::{Kind, Summary};
use crate::time::{Proof, Reading, Timestamp};
use crate::window::{Opening, Window, Zone, opening};

/// When a device restarts into an update.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// As soon as it is installed.
    AtOnce,
    /// In a window of the week.
    Window,
    /// When nobody uses it.
    Idle,
    /// When the owner says so.
    Owner,
}

/// Over which network an update may be fetched while that is metered.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Metered {
    /// Every release.
    Allow,
    /// Releases with security fixes.
    Security,
    /// None.
    Never,
}

/// What the maker and the owner of a device want.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// When to restart.
    pub when: When,
    /// The windows, if `when` says so.
    pub windows: Vec<Window>,
    /// Where they are; `None` if the system does not know the place.
    pub zone: Option<Zone>,
    /// Whether windows go by a clock that nothing proves right.
    pub any_clock: bool,
    /// The longest that an owner may defer an update.
    pub defer_s_max: u64,
    /// The same for one with security fixes.
    pub security_defer_s_max: u64,
    /// How often an owner may put one update off.
    pub defer_times_max: u32,
    /// The same for one with security fixes.
    pub security_defer_times_max: u32,
    /// Hours in which nothing is installed and the device does not restart.
    pub quiet: Quiet,
    /// Whether updates are installed by themselves.
    pub automatic: bool,
    /// How long an update may wait past the deadline of its manufacturer.
    pub overdue_s_max: u64,
    /// On battery, less charge than this is too little.
    pub battery_percent_min: u8,
    /// Whether the device must be on mains.
    pub mains_only: bool,
    /// What is fetched over a metered network.
    pub metered: Metered,
    /// So many bytes must be free in the state folder.
    pub free_bytes_min: u64,
}

/// An update that waits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Waiting {
    /// What it changes.
    pub kind: Kind,
    /// The deadline that its manufacturer signed.
    pub deadline: Option<Timestamp>,
    /// For how long it has waited, at least.
    pub waited_s: u64,
    /// Whether the owner has said: now.
    pub released: bool,
}

/// A lock file of the product.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Inhibitor {
    /// The name of the file.
    pub name: String,
    /// The reason, in the product's words.
    pub why: String,
    /// Since when.
    pub since: Timestamp,
    /// From when on it no longer counts, unless it is renewed.
    pub until: Timestamp,
}

/// A lock that a program took of the system (`systemd-inhibit`).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Lock {
    /// Who took it.
    pub who: String,
    /// Why, in its words.
    pub why: String,
}

/// Where the power comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Power {
    /// From outside, or nothing is known of a battery.
    Mains,
    /// From a battery.
    Battery {
        /// Its charge, if it is known.
        percent: Option<u8>,
    },
}

/// What is so on the device.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The time.
    pub reading: Reading,
    /// Up to when the owner has deferred updates.
    pub deferred_until: Option<Timestamp>,
    /// What is at work, in words; `None` if the device is idle.
    pub busy: Option<String>,
    /// The product's lock files that count.
    pub inhibitors: Vec<Inhibitor>,
    /// The system's locks.
    pub locks: Vec<Lock>,
    /// The power.
    pub power: Power,
}

/// Who wants an installation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wanted {
    /// Nobody has said so: it would begin by itself.
    ByItself,
    /// It has begun, and goes on.
    Begun,
    /// A person asks for it now.
    Now,
}

/// What is so before an update is installed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Around {
    /// The time.
    pub reading: Reading,
    /// Who wants it.
    pub wanted: Wanted,
    /// The power.
    pub power: Power,
    /// Whether the network is metered, as the process that has one says.
    pub metered: bool,
    /// What is free in the state folder.
    pub free_bytes: u64,
}

/// For what an update waits.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "hold", rename_all = "snake_case")]
pub enum Hold {
    /// The product is at work.
    Inhibited(Inhibitor),
    /// A program holds a lock of the system.
    Locked(Lock),
    /// Too little is left in the battery.
    Battery {
        /// What is left.
        percent: u8,
        /// What is needed.
        percent_min: u8,
    },
    /// The device is not on mains.
    NoMains,
    /// The owner has deferred it.
    Deferred {
        /// Up to here.
        until: Timestamp,
    },
    /// The owner has to say so.
    Owner,
    /// No window is open.
    Window {
        /// When the next one opens.
        opens: Timestamp,
    },
    /// No window can be known: nothing proves the clock right, or the time zone is unknown.
    UnknownWindow {
        /// Which of the two.
        why: Unknown,
        /// After so many seconds more any time will do.
        left_s: u64,
    },
    /// The device is in use.
    Busy {
        /// By what.
        why: String,
    },
    /// It is in the quiet hours.
    Quiet {
        /// When they end.
        until: Timestamp,
    },
    /// Updates are not installed by themselves, and nobody has asked for this one.
    NotAutomatic,
    /// The network is metered.
    Metered,
    /// The state folder has too little room.
    Room {
        /// What is free.
        free_bytes: u64,
        /// What is needed.
        free_bytes_min: u64,
    },
}

/// Why no window can be known.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// Nothing proves the clock right.
    Clock,
    /// The system has no rules for the time zone.
    Zone,
}

/// Says for what an installed update waits; nothing if the device may restart now.
pub fn restart_holds(rules: &Rules, waiting: &Waiting, facts: &Facts) -> Vec<Hold> {
    let mut holds: Vec<_> = facts.inhibitors.iter().cloned().map(Hold::Inhibited).collect();
    if is_overdue(rules, waiting, facts.reading.floor) {
        return holds;
    }
    holds.extend(power_hold(rules, facts.power));
    holds.extend(facts.locks.iter().cloned().map(Hold::Locked));
    if !waiting.released {
        holds.extend(deferral(rules, waiting, facts));
        holds.extend(owners_hold(rules, waiting, facts));
        // A window that lies in the quiet hours would never come; so they count as long as a deferral may.
        let counts = waiting.waited_s < defer_s_max(rules, waiting.kind);
        holds.extend(quiet_hold(rules, facts.reading).filter(|_| counts));
    }
    holds
}

/// Says for what the installation of a release waits; nothing if it may begin now.
pub fn install_holds(rules: &Rules, release: &Summary, around: &Around) -> Vec<Hold> {
    let mut holds = Vec::new();
    if around.free_bytes < rules.free_bytes_min {
        holds.push(Hold::Room { free_bytes: around.free_bytes, free_bytes_min: rules.free_bytes_min });
    }
    // Whoever has turned automatic installation off has turned it off for late ones, too.
    if !rules.automatic && around.wanted == Wanted::ByItself {
        holds.push(Hold::NotAutomatic);
    }
    // It has not begun to wait: here the deadline alone counts.
    if is_past(rules, release.deadline, around.reading.floor) {
        return holds;
    }
    if around.wanted != Wanted::Now {
        holds.extend(quiet_hold(rules, around.reading));
    }
    holds.extend(power_hold(rules, around.power));
    let dear = match rules.metered {
        Metered::Allow => false,
        Metered::Security => release.kind == Kind::Feature,
        Metered::Never => true,
    };
    if around.metered && dear {
        holds.push(Hold::Metered);
    }
    holds
}

/// When the device restarts at the latest, whatever the owner wants; `None` if that is not known.
pub fn at_the_latest(rules: &Rules, waiting: &Waiting, now: Reading) -> Option<Timestamp> {
    let waited = now.now.plus_s(rules.overdue_s_max.saturating_sub(waiting.waited_s));
    Some(waiting.deadline?.plus_s(rules.overdue_s_max).max(waited))
}

/// The longest that the owner may defer this update.
pub fn defer_s_max(rules: &Rules, kind: Kind) -> u64 {
    match kind {
        Kind::Feature => rules.defer_s_max,
        Kind::Security | Kind::Mixed => rules.security_defer_s_max,
    }
}

/// How often the owner may put this update off.
pub fn defer_times_max(rules: &Rules, kind: Kind) -> u32 {
    match kind {
        Kind::Feature => rules.defer_times_max,
        Kind::Security | Kind::Mixed => rules.security_defer_times_max,
    }
}

fn is_overdue(rules: &Rules, waiting: &Waiting, floor: Timestamp) -> bool {
    is_past(rules, waiting.deadline, floor) && waiting.waited_s >= rules.overdue_s_max
}

fn is_past(rules: &Rules, deadline: Option<Timestamp>, floor: Timestamp) -> bool {
    deadline.is_some_and(|deadline| deadline.plus_s(rules.overdue_s_max) <= floor)
}

fn power_hold(rules: &Rules, power: Power) -> Option<Hold> {
    let Power::Battery { percent } = power else { return None };
    if rules.mains_only {
        return Some(Hold::NoMains);
    }
    let percent = percent.filter(|percent| *percent < rules.battery_percent_min)?;
    Some(Hold::Battery { percent, percent_min: rules.battery_percent_min })
}

/// A deferral ends with its time, with its cap, and with a clock that was set back, at the cap too.
fn deferral(rules: &Rules, waiting: &Waiting, facts: &Facts) -> Option<Hold> {
    let left_s = defer_s_max(rules, waiting.kind).saturating_sub(waiting.waited_s);
    let now = facts.reading.now;
    let until = facts.deferred_until?.min(now.plus_s(left_s));
    (until > now).then_some(Hold::Deferred { until })
}

fn owners_hold(rules: &Rules, waiting: &Waiting, facts: &Facts) -> Option<Hold> {
    match rules.when {
        When::AtOnce => None,
        When::Owner => Some(Hold::Owner),
        When::Idle => facts.busy.clone().map(|why| Hold::Busy { why }),
        When::Window => window_hold(rules, waiting, facts.reading),
    }
}

/// Without a clock and a zone that are known there are no quiet hours.
fn quiet_hold(rules: &Rules, reading: Reading) -> Option<Hold> {
    let known = reading.proof == Proof::Synchronised || rules.any_clock;
    let until = rules.quiet.until(rules.zone.as_ref().filter(|_| known)?, reading.now)?;
    Some(Hold::Quiet { until })
}

fn window_hold(rules: &Rules, waiting: &Waiting, reading: Reading) -> Option<Hold> {
    let known = match &rules.zone {
        None => Err(Unknown::Zone),
        Some(_) if reading.proof == Proof::Unproven && !rules.any_clock => Err(Unknown::Clock),
        Some(zone) => Ok(opening(&rules.windows, zone, reading.now)),
    };
    match known {
        Ok(Opening::Open { .. } | Opening::Closed { opens: None }) => None,
        Ok(Opening::Closed { opens: Some(opens) }) => Some(Hold::Window { opens }),
        Err(why) => {
            let left_s = limits::UNKNOWN_WINDOW_S_MAX.saturating_sub(waiting.waited_s);
            (left_s > 0).then_some(Hold::UnknownWindow { why, left_s })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    const NOW: &str = "2026-11-22T09:30:00Z";

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn rules(when: When) -> Rules {
        Rules {
            when,
            // Nightly from 03:00 to 05:00.
            windows: vec![Window { days: Vec::new(), start_s: 10_800, length_s: 7200 }],
            zone: Zone::from_rule("CET-1CEST,M3.5.0,M10.5.0/3"),
            any_clock: false,
            defer_s_max: 604_800,
            security_defer_s_max: 86_400,
            defer_times_max: 5,
            security_defer_times_max: 2,
            quiet: Quiet::Never,
            automatic: true,
            overdue_s_max: 3600,
            battery_percent_min: 20,
            mains_only: false,
            metered: Metered::Security,
            free_bytes_min: 1000,
        }
    }

    fn waiting(kind: Kind) -> Waiting {
        Waiting { kind, deadline: None, waited_s: 0, released: false }
    }

    fn facts() -> Facts {
        let reading = Reading { now: at(NOW), floor: at(NOW), proof: Proof::Synchronised };
        let (inhibitors, locks) = (Vec::new(), Vec::new());
        Facts { reading, deferred_until: None, busy: None, inhibitors, locks, power: Power::Mains }
    }

    fn inhibitor() -> Inhibitor {
        let (name, why) = ("oven".into(), "bread is baking".into());
        Inhibitor { name, why, since: at(NOW), until: at("2026-11-22T11:30:00Z") }
    }

    fn everything_against(now: &str) -> Facts {
        let reading = Reading { now: at(now), floor: at(now), proof: Proof::Synchronised };
        Facts {
            reading,
            deferred_until: Some(reading.now.plus_s(600)),
            busy: Some("load".into()),
            inhibitors: Vec::new(),
            locks: vec![Lock { who: "apt".into(), why: "packages".into() }],
            power: Power::Battery { percent: Some(3) },
        }
    }

    #[test]
    fn each_rule_holds_for_its_reason_and_for_no_other() {
        let holds = |when, facts: &Facts| restart_holds(&rules(when), &waiting(Kind::Feature), facts);
        assert_eq!(holds(When::AtOnce, &facts()), []);
        assert_eq!(holds(When::Idle, &facts()), []);
        assert_eq!(holds(When::Owner, &facts()), [Hold::Owner]);
        assert_eq!(holds(When::Window, &facts()), [Hold::Window { opens: at("2026-11-23T02:00:00Z") }]);
        let busy = Facts { busy: Some("the load is 2.10".into()), ..facts() };
        assert_eq!(holds(When::Idle, &busy), [Hold::Busy { why: "the load is 2.10".into() }]);
        assert_eq!(holds(When::AtOnce, &busy), []);
        let deferred = Facts { deferred_until: Some(at("2026-11-22T10:00:00Z")), ..facts() };
        assert_eq!(holds(When::AtOnce, &deferred), [Hold::Deferred { until: at("2026-11-22T10:00:00Z") }]);
        let baking = Facts { inhibitors: vec![inhibitor()], ..facts() };
        assert_eq!(holds(When::AtOnce, &baking), [Hold::Inhibited(inhibitor())]);
        let low = Facts { power: Power::Battery { percent: Some(19) }, ..facts() };
        assert_eq!(holds(When::AtOnce, &low), [Hold::Battery { percent: 19, percent_min: 20 }]);
        for fine in [Power::Battery { percent: Some(20) }, Power::Battery { percent: None }, Power::Mains] {
            assert_eq!(holds(When::AtOnce, &Facts { power: fine, ..facts() }), []);
        }
    }

    #[test]
    fn the_owners_word_ends_the_owners_own_rules_and_not_the_products() {
        for when in [When::Owner, When::Window, When::Idle] {
            let said = Waiting { released: true, ..waiting(Kind::Feature) };
            let facts = Facts { busy: Some("x".into()), inhibitors: vec![inhibitor()], ..facts() };
            assert_eq!(restart_holds(&rules(when), &said, &facts), [Hold::Inhibited(inhibitor())]);
        }
    }

    #[test]
    fn a_deferral_has_a_cap_and_a_shorter_one_for_security() {
        let facts = Facts { deferred_until: Some(at("2030-01-01T00:00:00Z")), ..facts() };
        let holds =
            |kind, waited_s| restart_holds(&rules(When::AtOnce), &Waiting { waited_s, ..waiting(kind) }, &facts);
        let until = |text: &str| [Hold::Deferred { until: at(text) }];
        assert_eq!(holds(Kind::Feature, 0), until("2026-11-29T09:30:00Z"));
        assert_eq!(holds(Kind::Feature, 604_799), until("2026-11-22T09:30:01Z"));
        assert_eq!(holds(Kind::Feature, 604_800), []);
        assert_eq!(holds(Kind::Security, 0), until("2026-11-23T09:30:00Z"));
        assert_eq!(holds(Kind::Mixed, 86_399), until("2026-11-22T09:30:01Z"));
        assert_eq!(holds(Kind::Security, 86_400), []);
    }

    #[test]
    fn past_the_signed_deadline_and_its_cap_nothing_but_the_product_holds_a_release() {
        let overdue = |waited_s| Waiting { deadline: Some(at(NOW)), waited_s, ..waiting(Kind::Security) };
        for when in [When::AtOnce, When::Owner, When::Window, When::Idle] {
            let holds = |waiting: &Waiting, facts: &Facts| restart_holds(&rules(when), waiting, facts);
            // The deadline is past, the cap is not; or the cap is, for one that has only just come.
            assert_ne!(holds(&overdue(3600), &everything_against("2026-11-22T10:29:59Z")), []);
            assert_ne!(holds(&overdue(3599), &everything_against("2027-11-22T10:30:00Z")), []);
            let late = everything_against("2026-11-22T10:30:00Z");
            assert_eq!(holds(&overdue(3600), &late), []);
            let baking = Facts { inhibitors: vec![inhibitor()], ..late.clone() };
            assert_eq!(holds(&overdue(3600), &baking), [Hold::Inhibited(inhibitor())]);
            // A clock that nothing proves says so alone: the floor counts.
            let reading = Reading { floor: at(NOW), proof: Proof::Unproven, ..late.reading };
            assert_ne!(holds(&overdue(3600), &Facts { reading, ..late }), []);
        }
    }

    #[test]
    fn without_a_proven_clock_or_a_known_zone_a_window_is_waited_for_a_day_and_no_longer() {
        let reading = Reading { proof: Proof::Unproven, ..facts().reading };
        let unproven = Facts { reading, ..facts() };
        let at_night = Reading { now: at("2026-11-22T02:00:00Z"), ..facts().reading };
        let nowhere = Rules { zone: None, ..rules(When::Window) };
        for (rules, facts, why) in [
            (rules(When::Window), unproven.clone(), Unknown::Clock),
            (nowhere, Facts { reading: at_night, ..facts() }, Unknown::Zone),
        ] {
            let holds = |waited_s| restart_holds(&rules, &Waiting { waited_s, ..waiting(Kind::Feature) }, &facts);
            assert_eq!(holds(0), [Hold::UnknownWindow { why, left_s: 86_400 }]);
            assert_eq!(holds(86_399), [Hold::UnknownWindow { why, left_s: 1 }]);
            assert_eq!(holds(86_400), []);
        }
        let any = Rules { any_clock: true, ..rules(When::Window) };
        let holds = restart_holds(&any, &waiting(Kind::Feature), &unproven);
        assert_eq!(holds, [Hold::Window { opens: at("2026-11-23T02:00:00Z") }]);
    }

    #[test]
    fn an_installation_waits_for_power_room_and_a_network_that_is_not_dear() {
        let mut rules = rules(When::AtOnce);
        let release = |kind, deadline: Option<&str>| Summary {
            version: "1.1.0".parse().unwrap(),
            kind,
            deadline: deadline.map(at),
            rollback_index: 0,
        };
        let (reading, wanted) = (facts().reading, Wanted::ByItself);
        let holds = |rules: &Rules, release: &Summary, power, metered, free_bytes| {
            install_holds(rules, release, &Around { reading, wanted, power, metered, free_bytes })
        };
        let (feature, security) = (release(Kind::Feature, None), release(Kind::Security, None));
        assert_eq!(holds(&rules, &feature, Power::Mains, false, 1000), []);
        assert_eq!(holds(&rules, &feature, Power::Mains, true, 1000), [Hold::Metered]);
        assert_eq!(holds(&rules, &security, Power::Mains, true, 1000), []);
        rules.metered = Metered::Never;
        assert_eq!(holds(&rules, &security, Power::Mains, true, 1000), [Hold::Metered]);
        rules.mains_only = true;
        let battery = Power::Battery { percent: Some(100) };
        let room = Hold::Room { free_bytes: 999, free_bytes_min: 1000 };
        assert_eq!(holds(&rules, &feature, battery, false, 999), [room.clone(), Hold::NoMains]);
        // Past the deadline and the cap only what cannot be done is waited for.
        let overdue = release(Kind::Security, Some("2026-11-22T08:30:00Z"));
        assert_eq!(holds(&rules, &overdue, battery, true, 999), [room]);
        let second_left = release(Kind::Security, Some("2026-11-22T08:30:01Z"));
        assert_eq!(holds(&rules, &second_left, battery, true, 1000), [Hold::NoMains, Hold::Metered]);
    }

    #[test]
    fn with_automatic_installation_off_each_release_waits_for_its_owner_even_a_late_one() {
        let rules = Rules { automatic: false, ..rules(When::AtOnce) };
        let holds = |kind, deadline, wanted| {
            let release = Summary { version: "1.1.0".parse().unwrap(), kind, deadline, rollback_index: 0 };
            let (reading, power) = (facts().reading, Power::Mains);
            install_holds(&rules, &release, &Around { reading, wanted, power, metered: false, free_bytes: 1000 })
        };
        let late = Some(at("2026-11-01T00:00:00Z"));
        for (kind, deadline) in [(Kind::Feature, None), (Kind::Security, None), (Kind::Security, late)] {
            assert_eq!(holds(kind, deadline, Wanted::ByItself), [Hold::NotAutomatic]);
            assert_eq!(holds(kind, deadline, Wanted::Begun), []);
            assert_eq!(holds(kind, deadline, Wanted::Now), []);
        }
    }

    #[test]
    fn in_quiet_hours_nothing_begins_by_itself_but_what_is_overdue_or_has_waited_its_time() {
        // NOW is 10:30 there.
        let rules = Rules { quiet: "10:00-12:00".parse().unwrap(), ..rules(When::AtOnce) };
        let until = Hold::Quiet { until: at("2026-11-22T11:00:00Z") };
        let install = |wanted, deadline, facts: &Facts| {
            let release =
                Summary { version: "1.1.0".parse().unwrap(), kind: Kind::Security, deadline, rollback_index: 0 };
            let (reading, power) = (facts.reading, Power::Mains);
            install_holds(&rules, &release, &Around { reading, wanted, power, metered: false, free_bytes: 1000 })
        };
        let (late, now) = (Some(at("2026-11-01T00:00:00Z")), facts());
        assert_eq!(install(Wanted::ByItself, None, &now), core::slice::from_ref(&until));
        assert_eq!(install(Wanted::Begun, None, &now), core::slice::from_ref(&until));
        assert_eq!(install(Wanted::Now, None, &now), []);
        assert_eq!(install(Wanted::ByItself, late, &now), []);
        let restart = |waited_s, deadline, released, facts: &Facts| {
            restart_holds(&rules, &Waiting { deadline, waited_s, released, ..waiting(Kind::Security) }, facts)
        };
        assert_eq!(restart(86_399, None, false, &now), [until]);
        assert_eq!(restart(86_400, None, false, &now), []);
        assert_eq!(restart(0, None, true, &now), []);
        assert_eq!(restart(3600, late, false, &now), []);
        let mut unproven = facts();
        unproven.reading.proof = Proof::Unproven;
        assert_eq!(restart(0, None, false, &unproven), []);
        let mut later = facts();
        later.reading.now = at("2026-11-22T11:00:00Z");
        assert_eq!(restart(0, None, false, &later), []);
    }

    #[test]
    fn a_hold_reads_back_as_it_was_written() {
        for hold in [
            Hold::Inhibited(inhibitor()),
            Hold::Locked(Lock { who: "a".into(), why: "b".into() }),
            Hold::UnknownWindow { why: Unknown::Clock, left_s: 1 },
            Hold::Owner,
        ] {
            let text = serde_json::to_string(&hold).unwrap();
            assert_eq!(serde_json::from_str::<Hold>(&text).unwrap(), hold, "{text}");
        }
        assert_eq!(serde_json::to_string(&Hold::Owner).unwrap(), r#"{"hold":"owner"}"#);
    }

    fn any_when() -> impl Strategy<Value = When> {
        prop::sample::select(vec![When::AtOnce, When::Window, When::Idle, When::Owner])
    }

    proptest! {
        /// Whatever is configured, and whatever is so: an overdue release is held by the product alone.
        #[test]
        fn nothing_but_the_product_holds_an_overdue_release(
            when in any_when(), any_clock in any::<bool>(), known in any::<bool>(), cap_s in 0..=limits::OVERDUE_S_MAX,
            late_s in 0_u64..10_000_000, more_s in 0_u64..10_000_000, deferred_s in any::<u32>(), proven in any::<bool>(),
            baking in any::<bool>(),
        ) {
            let mut rules = Rules { any_clock, overdue_s_max: cap_s, mains_only: true, ..rules(when) };
            rules.zone = rules.zone.filter(|_| known);
            let deadline = at(NOW);
            let mut facts = everything_against(NOW);
            facts.reading.floor = deadline.plus_s(cap_s + late_s);
            facts.reading.now = facts.reading.floor.plus_s(more_s);
            facts.reading.proof = if proven { Proof::Synchronised } else { Proof::Unproven };
            facts.deferred_until = Some(facts.reading.now.plus_s(deferred_s.into()));
            facts.inhibitors = baking.then(inhibitor).into_iter().collect();
            let waiting = Waiting { deadline: Some(deadline), waited_s: cap_s + more_s, kind: Kind::Security, released: false };
            let holds = restart_holds(&rules, &waiting, &facts);
            prop_assert_eq!(holds.len(), usize::from(baking), "{:?}", holds);
            prop_assert!(at_the_latest(&rules, &waiting, facts.reading).unwrap() <= facts.reading.now);
        }

        /// No deferral outlasts its cap, however often it is renewed and wherever the clock goes.
        #[test]
        fn no_deferral_outlasts_its_cap(now_s in 0_i64..4_000_000_000, until_s in 0_i64..8_000_000_000, waited_s in 0_u64..700_000) {
            let mut facts = facts();
            facts.reading.now = Timestamp::from_unix_s(now_s).unwrap();
            facts.deferred_until = Timestamp::from_unix_s(until_s);
            let waiting = Waiting { waited_s, ..waiting(Kind::Security) };
            match restart_holds(&rules(When::AtOnce), &waiting, &facts).as_slice() {
                [] => prop_assert!(until_s <= now_s || waited_s >= 86_400),
                [Hold::Deferred { until }] => {
                    prop_assert!(until.unix_s() <= until_s && *until > facts.reading.now);
                    prop_assert!(until.seconds_since(facts.reading.now).unwrap() + waited_s <= 86_400);
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }
}
