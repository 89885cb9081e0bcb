use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

fn health(scripts: &Path) -> Health {
    Health {
        command: None,
        scripts: scripts.into(),
        timeout_s: 2,
        min_uptime_s: 0,
        systemd: false,
        units: Vec::new(),
        network: None,
        server: None,
    }
}

fn script(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn checks<'a>(health: &'a Health, clock: &'a Clock, reached: &'a dyn Fn() -> Option<Reached>) -> Checks<'a> {
    Checks { health, clock, reached }
}

fn before(health: &Health) -> Vec<String> {
    checks(health, &Clock::for_test(), &|| None).before().failed.into_iter().collect()
}

fn after(health: &Health, failed: &[&str]) -> Vec<(String, Weight, String)> {
    let before = Baseline { failed: failed.iter().map(ToString::to_string).collect() };
    let found = checks(health, &Clock::for_test(), &|| None).after(&before);
    found.into_iter().map(|finding| (finding.check, finding.weight, finding.said)).collect()
}

#[test]
fn scripts_run_in_the_order_of_their_names_and_only_programs_do() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    for name in ["required.d/20-b", "required.d/10-a", "wanted.d/05-c"] {
        script(dir.path(), name, &format!("echo {name} >> {}; exit 1", log.display()));
    }
    fs::write(dir.path().join("required.d/README"), "not a program").unwrap();
    let names = ["script required.d/10-a", "script required.d/20-b", "script wanted.d/05-c"];
    assert_eq!(before(&health(dir.path())), names, "before the update all are run");
    assert_eq!(fs::read_to_string(&log).unwrap(), "required.d/10-a\nrequired.d/20-b\nwanted.d/05-c\n");
    fs::remove_file(&log).unwrap();
    let found = after(&health(dir.path()), &[]);
    assert_eq!((found.len(), found[0].0.as_str(), found[0].1), (1, names[0], Weight::Required), "the first decides");
    assert!(found[0].2.ends_with("required.d/10-a ended with exit status: 1"), "{}", found[0].2);
    fs::remove_file(&log).unwrap();
    assert_eq!(after(&health(dir.path()), &names[..2])[0].1, Weight::Wanted);
    assert_eq!(fs::read_to_string(&log).unwrap(), "wanted.d/05-c\n", "what failed before is not run");
}

#[test]
fn the_makers_command_is_a_judge_and_what_failed_is_named() {
    let nowhere = Path::new("/nonexistent");
    for (script, said) in [
        ("exit 0", None),
        ("echo no route; exit 3", Some("ended with exit status: 3: no route")),
        ("exec sleep 9", Some("did not end within 2 s")),
    ] {
        let command = Some(["/bin/sh", "-c", script].map(String::from).into());
        let found = after(&Health { command, ..health(nowhere) }, &[]);
        assert_eq!(found.first().map(|finding| &*finding.0), said.map(|_| "command"));
        assert!(found.iter().all(|finding| finding.2.ends_with(said.unwrap())), "{found:?}");
    }
}

#[test]
fn one_limit_holds_for_all_and_what_hung_before_keeps_no_other_from_its_turn() {
    let dir = tempfile::tempdir().unwrap();
    script(dir.path(), "required.d/10-hangs", "exec sleep 60");
    script(dir.path(), "required.d/20-fails", "exit 1");
    let health = health(dir.path());
    let start = std::time::Instant::now();
    assert_eq!(before(&health), ["script required.d/10-hangs"], "nobody knows of the second one");
    assert!(start.elapsed() < Duration::from_secs(4));
    let found = after(&health, &["script required.d/10-hangs"]);
    assert_eq!(found[0].0, "script required.d/20-fails");
    script(dir.path(), "wanted.d/10-never", "exit 0");
    fs::remove_file(dir.path().join("required.d/20-fails")).unwrap();
    script(dir.path(), "wanted.d/00-hangs", "exec sleep 60");
    let found = after(&health, &["script required.d/10-hangs"]);
    assert_eq!(found[1].2, "script wanted.d/10-never could not be run within the 2 s that all checks have");
}

fn reach(health: &Health, reached: Option<Reached>) -> (Baseline, Vec<Finding>) {
    let (clock, reached) = (Clock::for_test(), move || reached);
    let checks = checks(health, &clock, &reached);
    (checks.before(), checks.after(&Baseline::default()))
}

#[test]
fn network_and_server_are_what_fetchd_tells_and_are_waited_for() {
    let both = Some(Weight::Required);
    let required = Health { network: both, server: both, timeout_s: 1, ..health(Path::new("/nonexistent")) };
    let (before, after) = reach(&required, Some(Reached { network: true, server: true }));
    assert!(before.failed.is_empty() && after.is_empty());
    let (before, after) = reach(&required, Some(Reached { network: true, server: false }));
    assert_eq!(before.failed.iter().collect::<Vec<_>>(), ["server"]);
    assert_eq!(after[0].said, "the server was not reached");
    // Who withholds it can make a required check fail, and not have it left out.
    let (before, after) = reach(&required, None);
    assert!(before.failed.is_empty() && after[0].weight == Weight::Required);
    let wanted = Health { network: Some(Weight::Wanted), ..health(Path::new("/nonexistent")) };
    assert_eq!(reach(&wanted, None).0.failed.len(), 1, "a device without a network waits for none");

    let (clock, asked) = (Clock::for_test(), std::cell::Cell::new(0));
    let comes_up = || {
        asked.set(asked.get() + 1);
        (asked.get() > 2).then_some(Reached { network: true, server: true })
    };
    assert_eq!(checks(&wanted, &clock, &comes_up).after(&Baseline::default()), []);
    assert_eq!(asked.get(), 3);
}

#[test]
fn a_slot_has_to_run_for_a_while_and_not_before_the_update() {
    let least = Health { timeout_s: 9, min_uptime_s: 3, ..health(Path::new("/nonexistent")) };
    let start = std::time::Instant::now();
    assert_eq!(before(&least).len(), 0);
    assert!(start.elapsed() < Duration::from_millis(2900));
    assert_eq!(after(&least, &[]), []);
    assert!(start.elapsed() >= Duration::from_millis(2900));
}
