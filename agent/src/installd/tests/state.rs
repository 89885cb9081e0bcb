//! A state file is torn, emptied or gone: what was promised, refused and begun is still known.

use std::fs;
use std::path::{Path, PathBuf};

use tenure_proto::lifecycle::{Outcome, State};
use tenure_proto::report::ReportEvent;

use super::board::Board;
use super::{begin, offered};

const DAMAGES: [&str; 4] = ["emptied", "torn", "zeroed", "gone"];

fn damage(path: &Path, damage: &str) {
    let bytes = fs::read(path).unwrap();
    match damage {
        "emptied" => fs::write(path, "").unwrap(),
        "torn" => fs::write(path, &bytes[..bytes.len() / 2]).unwrap(),
        "zeroed" => fs::write(path, vec![0; bytes.len()]).unwrap(),
        _ => fs::remove_file(path).unwrap(),
    }
}

fn held_texts(board: &Board) -> Vec<PathBuf> {
    let held = board.files("state/install/promise").into_keys();
    held.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("declaration")).collect()
}

#[test]
fn no_damaged_file_forgets_the_promise() {
    let (board, mut repository) = begin();
    {
        let boot = board.boot();
        let mut fetchd = boot.connect();
        fetchd.refresh(&repository);
        fetchd.declare(&repository);
    }
    let texts = held_texts(&board);
    assert_eq!(texts.len(), 2);
    repository.declare("2030-12-31");
    for how in DAMAGES {
        for text in &texts {
            damage(text, how);
            let boot = board.boot();
            assert_eq!(boot.status().declaration.unwrap().ends.to_string(), "2033-12-31", "{how}");
            let mut fetchd = boot.connect();
            fetchd.refresh(&repository);
            if boot.status().refused.is_empty() {
                let (reason, _) = fetchd.try_declare(&repository).unwrap_err();
                assert!(reason.contains("may not be shortened"), "{reason}");
            }
            assert_eq!(fs::read(&texts[0]).unwrap(), fs::read(&texts[1]).unwrap(), "the other one mends it");
        }
    }
}

#[test]
fn no_damaged_file_forgets_what_failed_here() {
    let (board, mut repository) = begin();
    repository.release_with_bad_frame("1.2.0", &super::image(10_000, 2));
    let boot = board.boot();
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    let plan = fetchd.plan(&repository, offered("1.2.0"));
    fetchd.index(&repository, &plan, 0);
    fetchd.frame(&repository.frames("1.2.0")[0]).unwrap_err();
    let (denied, events) = (boot.status().denied, fetchd.events());
    assert_eq!((denied.len(), events.len()), (1, 2), "the refusal, and how the update ended");
    drop((fetchd, boot));
    let (history, waiting) = (board.path("state/install/history.json"), board.path("state/install/events.json"));
    let whole = [fs::read(&history).unwrap(), fs::read(&waiting).unwrap()];
    for how in DAMAGES {
        fs::write(&history, &whole[0]).unwrap();
        fs::write(&waiting, &whole[1]).unwrap();
        damage(&history, how);
        damage(&waiting, how);
        let boot = board.boot();
        assert_eq!((boot.status().denied, boot.connect().events()), (denied.clone(), events.clone()), "{how}");
        let mut fetchd = boot.connect();
        fetchd.refresh(&repository);
        assert_eq!(fetchd.choose(offered("1.2.0")), None, "{how}");
    }
}

#[test]
fn no_damaged_file_forgets_the_update_that_is_being_tried() {
    for how in DAMAGES {
        let (board, repository) = begin();
        board.update_and_restart(&repository, "1.1.0");
        damage(&board.path("state/install/journal.json"), how);
        assert_eq!(board.boot_step(), "B");
        let boot = board.boot();
        let status = boot.wait(|status| status.state == State::Idle);
        assert_eq!(status.last_update.unwrap().outcome, Outcome::Confirmed, "{how}");
        let events = boot.connect().events();
        assert!(matches!(&events[..], [event] if matches!(event.event, ReportEvent::UpdateEnded { .. })), "{how}");
    }
}
