//! What runs was changed, and not by an update: who may say so, and what ends it.

use tenure_proto::lifecycle::State;
use tenure_proto::report::ReportEvent;

use super::begin;
use crate::channel::{Reply, Request};
use crate::installd::Caller;

fn integrity(reason: Option<&str>) -> Request {
    Request::Integrity { reason: reason.map(str::to_owned) }
}

#[test]
fn a_change_stands_past_a_restart_until_another_slot_is_kept_or_a_person_says_so() {
    let (board, repository) = begin();
    let boot = board.boot();
    for request in [integrity(Some("whatever")), integrity(None)] {
        let (reply, _) = boot.shared().answer(Caller::Fetch, 99, request, &[]);
        assert!(matches!(&reply, Reply::Refused { code, .. } if code == "not_allowed"), "{reply:?}");
    }
    assert_eq!(boot.status().alarm, None);
    // Nothing in it can move a terminal's cursor, and who says it again says nothing new.
    for reason in ["dm-verity:\u{1b}[2J a block\n", "again"] {
        assert_eq!(boot.connect().ask(integrity(Some(reason)), &[]), Reply::Done);
    }
    let alarm = boot.status().alarm.unwrap();
    assert_eq!((alarm.slot.as_str(), alarm.reason.as_str()), ("A", "dm-verity:[2J a block"));
    drop(boot);
    let boot = board.boot();
    assert_eq!(boot.status().alarm, Some(alarm));
    drop(boot);

    board.update_and_restart(&repository, "1.1.0");
    assert_eq!(board.boot_step(), "B");
    let boot = board.boot();
    assert_eq!(boot.wait(|status| status.state == State::Idle).alarm, None);
    let told = |event: ReportEvent| match event {
        ReportEvent::IntegrityFailed { version, .. } => Some((version.to_string(), true)),
        ReportEvent::IntegrityRestored { version } => Some((version.to_string(), false)),
        ReportEvent::UpdateEnded { .. }
        | ReportEvent::Rescue { .. }
        | ReportEvent::Retry { .. }
        | ReportEvent::ShorteningRefused { .. }
        | ReportEvent::Refused { .. } => None,
    };
    let events: Vec<_> = boot.connect().events().into_iter().filter_map(|event| told(event.event)).collect();
    assert_eq!(events, [("1.0.0".to_owned(), true), ("1.1.0".to_owned(), false)]);

    assert_eq!(boot.connect().ask(integrity(Some("IMA")), &[]), Reply::Done);
    assert_eq!(boot.status().alarm.unwrap().slot, "B");
    for _ in 0..2 {
        assert_eq!(boot.connect().ask(integrity(None), &[]), Reply::Done);
        assert_eq!(boot.status().alarm, None);
    }
}
