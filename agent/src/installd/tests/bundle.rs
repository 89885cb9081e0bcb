//! Who may bring a bundle, and who has to wait meanwhile.

use super::board::{Client, wait_until};
use super::*;
use crate::channel::WantedFile;

fn refresh(bundle: bool) -> Request {
    Request::Refresh { release: None, bundle }
}

fn wants_a_root(reply: &Reply) -> bool {
    matches!(reply, Reply::Want { want: Some(WantedFile { file, .. }) } if file == "2.root.json")
}

#[test]
fn no_network_takes_the_place_of_a_person_with_a_bundle() {
    let (board, repository) = begin();
    let boot = board.boot();
    let (mut fetchd, mut person, mut other) = (boot.connect(), boot.connect(), boot.connect());
    fetchd.refresh(&repository);
    assert!(wants_a_root(&person.ask(refresh(true), &[])), "a person need not wait");
    let is_kept_waiting = |client: &mut Client| {
        let Reply::Refused { reason, retry, .. } = client.ask(refresh(false), &[]) else { return false };
        assert_eq!(
            (reason.as_str(), retry),
            ("an update from a bundle is under way; come again when it has ended", Retry::Later)
        );
        true
    };
    assert!(is_kept_waiting(&mut fetchd));
    assert!(wants_a_root(&other.ask(refresh(true), &[])), "another person takes over");
    drop(person);
    assert!(is_kept_waiting(&mut fetchd));
    assert_eq!(fetchd.events(), [], "that is nothing to report");
    drop(other);
    wait_until("the network leads again", || wants_a_root(&boot.connect().ask(refresh(false), &[])));
}

#[test]
fn the_process_with_the_network_cannot_claim_to_have_none() {
    let (board, _repository) = begin();
    let boot = board.boot();
    let (reply, _) = boot.shared().answer(Caller::Fetch, u64::MAX, refresh(true), &[]);
    assert_eq!(reply, refusal::Error::NotAllowed.to_reply());
    let (reply, _) = boot.shared().answer(Caller::Fetch, u64::MAX, refresh(false), &[]);
    assert!(wants_a_root(&reply), "{reply:?}");
}

#[test]
fn a_bundle_brings_its_own_release_and_no_other() {
    let (board, mut repository) = begin();
    repository.release("1.2.0", &image(10_000, 2));
    let boot = board.boot();
    let mut person = boot.connect();
    person.refresh(&repository);
    let bundle = |version: &str| Offered::Bundle(version.parse().unwrap());
    assert_eq!(person.choose(bundle("1.3.0")), None);
    assert!(person.choose(bundle("1.1.0")).unwrap().file.starts_with("releases/1.1.0/"));
}
