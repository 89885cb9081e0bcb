//! For what an update waits, and the way out of each wait, in the owner's language.

use tenure_proto::lifecycle::State;
use tenure_proto::restart::{Hold, Unknown};
use tenure_proto::words::{Language, Progress, fill};

use crate::channel::{Status, Step, Waits};

/// The lines of `tenure status` about it.
pub(super) fn lines(device: &Status) -> Vec<(&'static str, String)> {
    let language = device.settings.language;
    let words = Progress::of(language);
    let holds = device.waits.iter().flat_map(|waits| &waits.holds);
    let mut lines: Vec<_> = holds.map(|hold| (words.waits_for, of(hold, language))).collect();
    if let Some(latest) = device.waits.as_ref().and_then(|waits| waits.latest) {
        lines.push((words.latest, language.moment(latest)));
    }
    if let Some(until) = device.deferred_until {
        lines.push((words.put_off, fill(words.until_put_off, &[("at", &language.moment(until))])));
    }
    if let Some(trouble) =
        device.restart_trouble.as_ref().filter(|_| matches!(device.state, State::Armed | State::FallingBack))
    {
        lines.push((words.restart, fill(words.again, &[("trouble", trouble)])));
    }
    lines
}

/// An update that waits, in one sentence.
pub(crate) fn waits(waits: &Waits, language: Language) -> String {
    let words = Progress::of(language);
    let template = match waits.step {
        Step::Installation => words.to_install,
        Step::Restart => words.to_restart,
    };
    let holds: Vec<_> = waits.holds.iter().map(|hold| of(hold, language)).collect();
    fill(template, &[("version", waits.version.as_str()), ("holds", &holds.join("; "))])
}

fn of(hold: &Hold, language: Language) -> String {
    let words = Progress::of(language);
    let at = |template, at| fill(template, &[("at", &language.moment(at))]);
    match hold {
        Hold::Inhibited(inhibitor) => {
            let [since, until] = [inhibitor.since, inhibitor.until].map(|at| language.moment(at));
            let places = [("why", &*inhibitor.why), ("name", &inhibitor.name), ("since", &since), ("until", &until)];
            fill(words.inhibited, &places)
        }
        Hold::Locked(lock) => fill(words.locked, &[("who", &lock.who), ("why", &lock.why)]),
        Hold::Battery { percent, percent_min } => {
            let [percent, least] = [percent, percent_min].map(|percent| format!("{percent} %"));
            fill(words.battery, &[("percent", &percent), ("least", &least)])
        }
        Hold::NoMains => words.mains.into(),
        Hold::Deferred { until } => at(words.owner_until, *until),
        Hold::Owner => words.owner.into(),
        Hold::Window { opens } => at(words.window, *opens),
        Hold::UnknownWindow { why, left_s } => {
            let template = match why {
                Unknown::Clock => words.clock,
                Unknown::Zone => words.zone,
            };
            fill(template, &[("left", &language.duration(*left_s))])
        }
        Hold::Busy { why } => fill(words.busy, &[("why", why)]),
        Hold::Quiet { until } => at(words.quiet, *until),
        Hold::NotAutomatic => words.by_hand.into(),
        Hold::Metered => words.metered.into(),
        Hold::Room { free_bytes, free_bytes_min } => {
            fill(words.room, &[("free", &free_bytes.to_string()), ("needed", &free_bytes_min.to_string())])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenure_proto::restart::{Inhibitor, Lock};
    use tenure_proto::time::Timestamp;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn an_update_that_waits_is_told_with_every_reason_and_its_way_out() {
        let (since, until) = (time("2026-11-22T09:30:00Z"), time("2026-11-22T11:30:00Z"));
        let inhibitor = Inhibitor { name: "oven".into(), why: "bread is baking".into(), since, until };
        let lock = Lock { who: "apt".into(), why: "packages are being installed".into() };
        let holds = vec![
            Hold::Inhibited(inhibitor),
            Hold::Locked(lock),
            Hold::Battery { percent: 12, percent_min: 20 },
            Hold::Window { opens: time("2026-11-23T02:00:00Z") },
        ];
        let mut device: Status = serde_json::from_value(serde_json::json!({
            "model": "acme-gw1", "slot": "A", "version": "1.0.0", "state": "staged",
            "now": "2026-11-22T09:30:00Z", "floor": "2026-11-22T09:00:00Z", "clock": "synchronised",
            "metadata": {}, "refused": [], "denied": [],
        }))
        .unwrap();
        assert_eq!(lines(&device), []);
        let version = "1.2.0".parse().unwrap();
        device.waits = Some(Waits { version, step: Step::Restart, holds, latest: Some(time("2026-12-01T00:00:00Z")) });
        device.deferred_until = Some(time("2026-11-24T00:00:00Z"));
        device.restart_trouble = Some("an old one".into());
        let said: Vec<_> = lines(&device).iter().map(|(label, words)| format!("{label}: {words}")).collect();
        assert_eq!(
            said,
            [
                "Waits for: bread is baking (oven), since 22 November 2026, 09:30 UTC; this counts until 22 November 2026, 11:30 UTC, unless it is renewed",
                "Waits for: apt, which holds a lock of the system: packages are being installed",
                "Waits for: power: the battery has 12 %, and 20 % is the least; connect the device to mains",
                "Waits for: the window that opens on 23 November 2026, 02:00 UTC; now: `tenure restart`",
                "At the latest: 1 December 2026, 00:00 UTC",
                "Put off: until 24 November 2026, 00:00 UTC; no longer: `tenure defer --withdraw`",
            ]
        );
        device.settings.language = Language::German;
        let (label, said) = lines(&device).swap_remove(2);
        assert_eq!(
            (label, &*said),
            (
                "Wartet auf",
                "Strom: der Akku hat 12 %, und 20 % sind das Mindeste; schließen Sie das Gerät an das Stromnetz an",
            )
        );
        device.settings.language = Language::English;
        device.state = State::Armed;
        device.waits = None;
        assert_eq!(lines(&device).last().unwrap().1, "is tried again: an old one");
    }

    #[test]
    fn a_release_that_waits_to_be_fetched_is_told_in_one_sentence() {
        let holds = vec![Hold::Metered, Hold::Room { free_bytes: 5, free_bytes_min: 1_048_576 }];
        let waiting = Waits { version: "1.2.0".parse().unwrap(), step: Step::Installation, holds, latest: None };
        assert_eq!(
            waits(&waiting, Language::English),
            "version 1.2.0 waits to be installed: a network that is not metered; over this one: download.metered; \
room: the state folder has 5 bytes free, and 1048576 are needed"
        );
    }
}
