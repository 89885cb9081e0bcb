//! Releases that the top-level targets do not name any more.

use super::repository::image;
use super::*;

#[test]
fn the_archive_is_read_for_a_release_that_is_assigned_and_where_one_failed_and_not_else() {
    let (board, mut repository) = begin();
    repository.release_with_bad_frame("1.2.0", &image(10_000, 2));
    repository.archive("1.1.0");
    let boot = board.boot();
    let mut fetchd = boot.connect();
    let is_archive = |file: &String| file.ends_with(".archive.json");
    let wanted = fetchd.try_refresh_for(&repository, Some("1.2.0")).unwrap();
    assert!(!wanted.iter().any(is_archive), "{wanted:?}");
    let wanted = fetchd.try_refresh_for(&repository, Some("1.1.0")).unwrap();
    assert!(wanted.iter().any(is_archive), "{wanted:?}");
    let plan = fetchd.plan(&repository, Offered::Release("1.1.0".parse().unwrap()));
    assert!(matches!(plan, Reply::Plan { version, .. } if version.to_string() == "1.1.0"));

    // The newest fails here for good; the one before it stands in the archive, which is held by now.
    fetchd.refresh(&repository);
    let plan = fetchd.plan(&repository, Offered::NoServer);
    fetchd.index(&repository, &plan, 0);
    fetchd.frame(&repository.frames("1.2.0")[0]).unwrap_err();
    fetchd.refresh(&repository);
    let plan = fetchd.plan(&repository, Offered::NoServer);
    assert!(matches!(plan, Reply::Plan { version, .. } if version.to_string() == "1.1.0"));
}
