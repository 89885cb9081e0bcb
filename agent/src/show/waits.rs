//! For what an update waits, and the way out of each wait.

use tenure_proto::lifecycle::State;
use tenure_proto::restart::{Hold, Unknown};

use super::{age, at};
use crate::channel::{Status, Step, Waits};

/// The lines of `tenure status` about it.
pub(super) fn lines(device: &Status) -> Vec<(&'static str, String)> {
    let mut lines: Vec<_> =
        device.waits.iter().flat_map(|waits| &waits.holds).map(|hold| ("Waits for", of(hold))).collect();
    if let Some(latest) = device.waits.as_ref().and_then(|waits| waits.latest) {
        lines.push(("At the latest", at(latest)));
    }
    if let Some(until) = device.deferred_until {
        lines.push(("Put off", format!("until {}; no longer: `tenure defer --withdraw`", at(until))));
    }
    if let Some(trouble) =
        device.restart_trouble.as_ref().filter(|_| matches!(device.state, State::Armed | State::FallingBack))
    {
        lines.push(("Restart", format!("is tried again: {trouble}")));
    }
    lines
}

/// An update that waits, in one sentence.
pub(crate) fn words(waits: &Waits) -> String {
    let step = match waits.step {
        Step::Installation => "waits to be installed",
        Step::Restart => "is installed and waits for the restart",
    };
    let holds: Vec<_> = waits.holds.iter().map(of).collect();
    format!("version {} {step}: {}", waits.version, holds.join("; "))
}

fn of(hold: &Hold) -> String {
    match hold {
        Hold::Inhibited(inhibitor) => format!(
            "{} ({}), since {}; this counts until {}, unless it is renewed",
            inhibitor.why,
            inhibitor.name,
            at(inhibitor.since),
            at(inhibitor.until)
        ),
        Hold::Locked(lock) => format!("{}, which holds a lock of the system: {}", lock.who, lock.why),
        Hold::Battery { percent, percent_min } => {
            format!("power: the battery has {percent} %, and {percent_min} % is the least; connect the device to mains")
        }
        Hold::NoMains => "power: connect the device to mains".into(),
        Hold::Deferred { until } => format!("the owner, who put it off until {}; now: `tenure restart`", at(*until)),
        Hold::Owner => "the owner: `tenure restart`".into(),
        Hold::Window { opens } => format!("the window that opens on {}; now: `tenure restart`", at(*opens)),
        Hold::UnknownWindow { why: Unknown::Clock, left_s } => format!(
            "a clock that is proven, to know its window; after {} any time will do; now: `tenure restart`",
            age(*left_s)
        ),
        Hold::UnknownWindow { why: Unknown::Zone, left_s } => format!(
            "a time zone that is known here, to know its window (restart.time_zone); after {} any time will do; now: `tenure restart`",
            age(*left_s)
        ),
        Hold::Busy { why } => format!("an idle device: {why}; now: `tenure restart`"),
        Hold::Quiet { until } => {
            format!("the end of the quiet hours, {}; now: `tenure update` or `tenure restart`", at(*until))
        }
        Hold::NotAutomatic => "its owner, who installs updates: `tenure update`".into(),
        Hold::Metered => "a network that is not metered; over this one: download.metered".into(),
        Hold::Room { free_bytes, free_bytes_min } => {
            format!("room: the state folder has {free_bytes} bytes free, and {free_bytes_min} are needed")
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
        device.state = State::Armed;
        device.waits = None;
        assert_eq!(lines(&device).last().unwrap().1, "is tried again: an old one");
    }

    #[test]
    fn a_release_that_waits_to_be_fetched_is_told_in_one_sentence() {
        let holds = vec![Hold::Metered, Hold::Room { free_bytes: 5, free_bytes_min: 1_048_576 }];
        let waits = Waits { version: "1.2.0".parse().unwrap(), step: Step::Installation, holds, latest: None };
        assert_eq!(
            words(&waits),
            "version 1.2.0 waits to be installed: a network that is not metered; over this one: download.metered; \
room: the state folder has 5 bytes free, and 1048576 are needed"
        );
    }
}
