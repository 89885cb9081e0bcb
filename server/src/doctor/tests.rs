use tenure_proto::key::{PublicKey, SigningKey};
use tenure_proto::time::{Day, Timestamp};

use super::*;
use crate::sign::Holders;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn key(seed: u8) -> PublicKey {
    SigningKey::from_seed(&[seed; 32]).public()
}

fn quantum(seed: u8) -> PublicKey {
    SigningKey::ml_dsa_65(&[seed; 32]).public()
}

fn role(name: &str, seeds: std::ops::Range<u8>, threshold: u32) -> OfflineRole {
    let holders = Holders { keys: seeds.map(key).collect(), threshold };
    OfflineRole { name: name.into(), expires: at("2036-11-19T04:00:00Z"), holders }
}

/// A model of which nothing is to be said.
fn healthy() -> Facts {
    Facts {
        model: "acme-gw1".parse().unwrap(),
        now: at("2026-11-22T04:00:00Z"),
        promise: Some(Promise { ends: "2033-12-31".parse().unwrap(), contact: "https://acme.example/security".into() }),
        offline: vec![role("root", 1..4, 2), role("targets", 4..6, 1), role("support", 6..8, 1)],
        served: Served::Server(online(at("2026-11-22T04:00:00Z"))),
        address: Address::Tls("u.acme.example".into(), Ok(chain())),
        releases: vec![],
        at_hand: vec![KeyFolder { path: "keys".into(), keys: vec![key(4)] }],
        labels: vec![],
    }
}

/// As it was signed at `now`.
fn online(now: Timestamp) -> Online {
    Online { snapshot: now.plus_s(30 * 86_400), timestamp: now.plus_s(7 * 86_400) }
}

fn chain() -> Chain {
    Chain {
        not_before: at("2026-10-30T00:00:00Z"),
        not_after: at("2027-01-28T00:00:00Z"),
        authority_not_after: Some(at("2035-06-04T00:00:00Z")),
        refused: None,
    }
}

fn with(change: impl FnOnce(&mut Facts)) -> Facts {
    let mut facts = healthy();
    change(&mut facts);
    facts
}

/// What is found beyond that which is good, one line each.
fn said(facts: &Facts) -> Vec<String> {
    let report = examine(facts);
    let found = report.findings.iter().filter(|finding| finding.grade > Grade::Good);
    found.map(|found| format!("{} {:?} {}: {}", found.grade.word(), found.code, found.subject, found.what)).collect()
}

/// The finding of a code, for its way out and its day.
fn found(facts: &Facts, code: Code) -> Finding {
    examine(facts).findings.into_iter().find(|finding| finding.code == code).unwrap()
}

#[test]
fn a_healthy_model_outlives_its_promise() {
    let report = examine(&healthy());
    let lines: Vec<_> = report.findings.iter().map(|found| format!("{}: {}", found.subject, found.what)).collect();
    assert_eq!(
        lines,
        [
            "promise: security updates until 31 December 2033",
            "contact: https://acme.example/security",
            "root: signed until 19 November 2036",
            "targets: signed until 19 November 2036",
            "support: signed until 19 November 2036",
            "root: 2 of 3 keys must sign: 1 can be lost",
            "targets: 1 of 2 keys must sign: 1 can be lost",
            "support: 1 of 2 keys must sign: 1 can be lost",
            "root: 2 keys would have to be stolen",
            "keys: the keys here can sign for targets",
            "root: signed on 22 November 2026: its keys worked then",
            "root: no algorithm of its keys is withdrawn before the promise ends",
            "snapshot: fresh until 22 December 2026",
            "timestamp: fresh until 29 November 2026",
            "u.acme.example: its certificate counts until 28 January 2027",
            "u.acme.example: its authority's certificate counts until 4 June 2035",
            "dates: none is past 19 January 2038, where 32-bit clocks end",
        ]
    );
    assert!(report.findings.iter().all(|finding| finding.grade == Grade::Good && finding.way_out.is_none()));
    assert_eq!(report.verdict, "Everything that the promise rests on outlives 31 December 2033.");
    assert_eq!((report.grade, report.ends.unwrap().to_string()), (Grade::Good, "2033-12-31".into()));
}

#[test]
fn a_role_that_expires_before_the_promise_ends_is_named_with_its_day() {
    let expires = |text: &str| with(|facts| facts.offline[0].expires = at(text));
    for (text, says) in [
        ("2034-01-01T12:00:00Z", None),
        ("2034-01-01T11:59:59Z", Some("warn RoleExpiry root: expires on 1 January 2034, before the promise ends")),
        ("2027-05-21T04:00:01Z", Some("warn RoleExpiry root: expires on 21 May 2027, before the promise ends")),
        ("2027-05-21T03:59:59Z", Some("bad RoleExpiry root: expires on 21 May 2027, in less than 180 days")),
        ("2026-11-22T04:00:01Z", Some("bad RoleExpiry root: expires on 22 November 2026, in less than 180 days")),
        ("2026-11-22T04:00:00Z", Some("bad RoleExpiry root: expired on 22 November 2026: devices take nothing more")),
    ] {
        let lines = said(&expires(text));
        // An expiry so near was signed long ago, which is said on its own line.
        let expiry = lines.iter().find(|line| line.contains("RoleExpiry"));
        assert_eq!(expiry.map(String::as_str), says, "{text}");
    }
    let finding = found(&expires("2027-03-01T00:00:00Z"), Code::RoleExpiry);
    assert_eq!(finding.by, Day::new(2027, 3, 1));
    assert_eq!(
        finding.way_out.unwrap(),
        "let the holders sign it anew: tenurectl root propose acme-gw1 --renew --out FILE"
    );
}

#[test]
fn a_rollback_index_that_falls_is_named_with_the_way_out() {
    let releases = |indexes: [(&str, u32); 3]| {
        let summary = |(version, index): (&str, u32)| serde_json::json!({"version": version, "kind": "feature", "rollback_index": index});
        with(|facts| facts.releases = indexes.map(|of| serde_json::from_value(summary(of)).unwrap()).into())
    };
    assert_eq!(said(&releases([("1.10", 2), ("1.9", 1), ("1.0", 1)])), [""; 0]);
    let fallen = releases([("1.10", 1), ("1.9", 2), ("1.0", 0)]);
    assert_eq!(
        said(&fallen),
        ["warn RollbackIndex releases: version 1.10 has rollback index 1, below 2 of version 1.9: \
          a device that has confirmed that one does not take it"]
    );
    let way_out = found(&fallen, Code::RollbackIndex).way_out.unwrap();
    assert_eq!(way_out, "publish a later version with --rollback-index 2 or more");
}

#[test]
fn a_promise_that_is_over_needs_nobody() {
    let late = with(|facts| {
        facts.now = at("2034-01-01T12:00:00Z");
        facts.served = Served::Server(online(facts.now));
        facts.address = Address::Tls("u".into(), Ok(Chain { not_after: at("2034-03-01T00:00:00Z"), ..chain() }));
        for role in &mut facts.offline {
            role.expires = at("2043-12-29T00:00:00Z");
        }
    });
    let report = examine(&late);
    assert_eq!(report.findings[0].what, "security updates ended on 31 December 2033");
    assert_eq!(
        said(&late),
        ["warn Year2038 dates: past 19 January 2038, where 32-bit clocks end: root, targets, support"]
    );
    assert_eq!(report.verdict, "Support ended on 31 December 2033; care is needed still: 1.");
}

#[test]
fn keys_that_cannot_be_lost_or_may_not_be_stolen_are_told() {
    let root = |seeds, threshold| with(|facts| facts.offline[0] = role("root", seeds, threshold));
    assert_eq!(said(&root(1..4, 3)), ["bad KeyLoss root: 3 of 3 keys must sign: with one lost, nobody can sign"]);
    assert_eq!(
        said(&root(1..2, 1)),
        [
            "bad KeyLoss root: 1 of 1 keys must sign: with one lost, nobody can sign",
            "warn KeyTheft root: one stolen key can take over every device",
        ]
    );
    assert_eq!(said(&root(1..4, 1)), ["warn KeyTheft root: one stolen key can take over every device"]);
    let support = with(|facts| facts.offline[2] = role("support", 6..7, 1));
    assert_eq!(said(&support), ["warn KeyLoss support: 1 of 1 keys must sign: with one lost, nobody can sign"]);
    assert_eq!(
        found(&root(1..2, 1), Code::KeyLoss).way_out.unwrap(),
        "add a key: tenurectl root propose acme-gw1 --add-key FILE --role root --out FILE"
    );
    let mut unknown = key(9);
    unknown.scheme = "falcon-512".into();
    let unusable =
        with(|facts| facts.offline[0].holders = Holders { keys: vec![key(1), key(2), unknown], threshold: 2 });
    assert_eq!(said(&unusable), ["bad KeyLoss root: 2 of 2 keys must sign: with one lost, nobody can sign"]);
}

#[test]
fn keys_that_lie_together_are_told_unless_one_role_alone_can_sign() {
    let here = |keys: Vec<PublicKey>| with(|facts| facts.at_hand[0].keys = keys);
    let warn = |names: &str| vec![format!("warn KeysTogether keys: the keys here can sign for {names}")];
    assert_eq!(said(&here(vec![])), [""; 0]);
    assert_eq!(said(&here(vec![key(1), key(4)])), [""; 0]);
    assert_eq!(said(&here(vec![key(4), key(6)])), warn("targets, support"));
    assert_eq!(said(&here(vec![key(1), key(3)])), warn("root"));
    assert_eq!(said(&here((1..8).map(key).collect())), warn("root, targets, support"));
    let archive = with(|facts| facts.offline.push(role("archive", 4..6, 1)));
    assert_eq!(said(&archive), [""; 0]);
    assert_eq!(found(&archive, Code::KeysTogether).what, "the keys here can sign for targets, archive");
}

#[test]
fn a_root_that_was_not_signed_for_a_year_is_told() {
    let later = |text: &str| with(|facts| facts.now = at(text));
    let exercise = |text| found(&later(text), Code::RootExercise);
    assert_eq!(exercise("2027-11-23T04:00:00Z").what, "signed on 22 November 2026: its keys worked then");
    let late = exercise("2027-11-23T04:00:01Z");
    assert_eq!(late.what, "last signed on 22 November 2026: nobody knows whether its keys still work");
    assert_eq!((late.grade, late.by), (Grade::Warn, Day::new(2027, 11, 23)));
    assert_eq!(late.way_out.unwrap(), "once a year: tenurectl root propose acme-gw1 --renew --out FILE");
    let foreign = with(|facts| facts.offline[0].expires = at("2037-01-01T00:00:00Z"));
    assert!(examine(&foreign).findings.iter().all(|finding| finding.code != Code::RootExercise));
}

#[test]
fn an_algorithm_that_the_promise_outlives_must_not_sign_alone() {
    let ends = |text: &str, keys: Vec<PublicKey>, threshold| {
        with(|facts| {
            facts.promise.as_mut().unwrap().ends = text.parse().unwrap();
            facts.offline[0].holders = Holders { keys, threshold };
            facts.offline.iter_mut().for_each(|role| role.expires = at("2038-01-01T00:00:00Z"));
            facts.address = Address::Plain("http://u.acme.example".into());
        })
    };
    let grade = |text, keys, threshold| found(&ends(text, keys, threshold), Code::Algorithm).grade;
    let classical = || vec![key(1), key(2), key(3)];
    assert_eq!(grade("2035-12-31", classical(), 2), Grade::Good);
    assert_eq!(grade("2036-01-01", classical(), 2), Grade::Warn);
    let both = || vec![key(1), key(2), quantum(1), quantum(2)];
    assert_eq!(grade("2036-01-01", both(), 2), Grade::Warn);
    assert_eq!(grade("2036-01-01", both(), 3), Grade::Good);
    assert_eq!(grade("2036-01-01", vec![quantum(1), quantum(2)], 1), Grade::Good);
    let finding = found(&ends("2036-01-01", classical(), 2), Code::Algorithm);
    assert_eq!(finding.what, "ed25519 is withdrawn after 31 December 2035, before the promise ends");
    assert_eq!(finding.by, Day::new(2035, 12, 31));
    assert_eq!(
        finding.way_out.unwrap(),
        "make keys that withstand quantum computers (tenurectl key generate root --scheme ml-dsa-65) and let both \
         families sign: tenurectl root propose acme-gw1 --add-key FILE --role root --threshold root=N --out FILE"
    );
}

#[test]
fn what_the_server_no_longer_renews_is_broken_before_devices_notice() {
    let left = |seconds: u64| {
        with(|facts| {
            let expires = facts.now.plus_s(seconds);
            facts.served = Served::Server(Online { snapshot: at("2026-12-22T04:00:00Z"), timestamp: expires });
        })
    };
    let week_s = 7 * 86_400;
    assert_eq!(said(&left(week_s / 4)), [""; 0]);
    assert_eq!(
        said(&left(week_s / 4 - 1)),
        ["bad Renewal timestamp: fresh until 23 November 2026; most of its life is over, and it was not renewed"]
    );
    assert_eq!(said(&left(0)), ["bad Renewal timestamp: expired on 22 November 2026: devices take nothing new"]);
    let report = examine(&left(0));
    let timestamp = report.findings.iter().find(|finding| finding.subject == "timestamp").unwrap();
    assert_eq!(
        timestamp.way_out.as_deref().unwrap(),
        "does the server run, is its clock right, and what does its log say of \"timestamp not renewed\"?"
    );
    let folder = with(|facts| {
        let Served::Server(online) = facts.served else { unreachable!() };
        facts.served = Served::Folder(online);
    });
    assert_eq!(
        said(&folder),
        [
            "warn Renewal snapshot: fresh until 22 December 2026, and no server is known here that renews it",
            "warn Renewal timestamp: fresh until 29 November 2026, and no server is known here that renews it",
        ]
    );
    assert_eq!(
        found(&folder, Code::Renewal).way_out.unwrap(),
        "each week: tenurectl model renew acme-gw1; or let a server do it: tenurectl push acme-gw1"
    );
    let silent = with(|facts| facts.served = Served::Silent("cannot reach https://u.acme.example".into()));
    assert_eq!(
        said(&silent),
        ["warn Renewal server: the server could not be asked: cannot reach https://u.acme.example"]
    );
    let refused = with(|facts| facts.served = Served::Refused("the repository has no timestamp.json".into()));
    assert_eq!(said(&refused), ["bad Repository repository: the repository has no timestamp.json"]);
}

#[test]
fn a_certificate_is_judged_by_its_own_life() {
    let shown = |chain: Chain| with(|facts| facts.address = Address::Tls("u.acme.example".into(), Ok(chain)));
    let until = |text: &str| shown(Chain { not_after: at(text), ..chain() });
    // Of 90 days, 30 may be left; of 47 days, a third.
    let brief = |text: &str| shown(Chain { not_before: at("2026-10-20T00:00:00Z"), not_after: at(text), ..chain() });
    assert_eq!(
        said(&brief("2026-12-06T00:00:00Z")),
        ["bad Certificate u.acme.example: its certificate expires on 6 December 2026 and was not renewed"]
    );
    assert_eq!(said(&brief("2026-12-09T00:00:00Z")), [""; 0]);
    assert_eq!(
        said(&shown(Chain {
            not_before: at("2025-12-20T00:00:00Z"),
            not_after: at("2026-12-22T03:59:59Z"),
            ..chain()
        })),
        ["bad Certificate u.acme.example: its certificate expires on 22 December 2026 and was not renewed"]
    );
    assert_eq!(
        said(&until("2026-11-22T04:00:00Z")),
        ["bad Certificate u.acme.example: its certificate expired on 22 November 2026: devices reach nothing"]
    );
    assert_eq!(
        said(&shown(Chain { refused: Some(Refused::UnknownAuthority), ..chain() })),
        ["warn Certificate u.acme.example: its certificate is not from a public authority"]
    );
    assert_eq!(
        said(&shown(Chain { refused: Some(Refused::Other("no such name".into())), ..chain() })),
        ["bad Certificate u.acme.example: devices refuse its certificate: no such name"]
    );
    assert_eq!(
        said(&shown(Chain { authority_not_after: Some(at("2034-01-01T11:59:59Z")), ..chain() })),
        [
            "warn Authority u.acme.example: its authority's certificate expires on 1 January 2034, before the promise ends"
        ]
    );
    assert_eq!(said(&shown(Chain { authority_not_after: None, ..chain() })), [""; 0]);
}

#[test]
fn an_address_without_tls_or_answer_is_told() {
    let address = |address: Address| with(|facts| facts.address = address);
    assert_eq!(
        said(&address(Address::Plain("http://u.acme.example".into()))),
        [
            "warn Certificate http://u.acme.example: no TLS: only the signatures protect what devices get, and others can \
         see what they ask for"
        ]
    );
    assert_eq!(
        said(&address(Address::Tls("u.acme.example".into(), Err("cannot reach it: refused".into())))),
        ["warn Certificate u.acme.example: its certificate could not be asked for: cannot reach it: refused"]
    );
    assert_eq!(
        said(&address(Address::Unknown)),
        ["warn Certificate server: the address under which devices reach the server is not known here"]
    );
}

#[test]
fn dates_that_32_bits_cannot_hold_are_named() {
    let late = with(|facts| {
        facts.offline[0].expires = at("2038-01-19T03:14:08Z");
        facts.offline[1].expires = at("2038-01-19T03:14:07Z");
        let chain = Chain { authority_not_after: Some(at("2040-01-01T00:00:00Z")), ..chain() };
        facts.address = Address::Tls("u.acme.example".into(), Ok(chain));
    });
    assert_eq!(
        said(&late),
        ["warn Year2038 dates: past 19 January 2038, where 32-bit clocks end: root, the certificate's authority"]
    );
    let finding = found(&late, Code::Year2038);
    assert_eq!(finding.by, Day::new(2038, 1, 19));
    assert_eq!(
        finding.way_out.unwrap(),
        "build kernel, C library and programs of 32-bit devices with a 64-bit time_t, and let one run past that day"
    );
}

#[test]
fn a_contact_that_nobody_can_reach_is_told() {
    let grade =
        |url: &str| found(&with(|facts| facts.promise.as_mut().unwrap().contact = url.into()), Code::Contact).grade;
    for url in [
        "https://acme.example",
        "https://acme.example:8443/x?y",
        "mailto:psirt@acme.example",
        "https://bücher.example/",
    ] {
        assert_eq!(grade(url), Grade::Good, "{url}");
    }
    for url in [
        "https://",
        "https://localhost/security",
        "https://192.0.2.7/",
        "https://a..b/",
        "mailto:",
        "mailto:@a.b",
        "mailto:psirt",
        "mailto:a@b",
    ] {
        assert_eq!(grade(url), Grade::Warn, "{url}");
    }
}

#[test]
fn without_a_promise_there_is_nothing_to_outlive() {
    let none = with(|facts| facts.promise = None);
    assert_eq!(said(&none), ["bad Declaration promise: no end of support is declared"]);
    let report = examine(&none);
    assert_eq!(report.verdict, "No end of support is declared, so there is nothing yet to outlive.");
    assert_eq!(report.findings[0].way_out.as_deref(), Some("tenurectl support declare acme-gw1 --ends YYYY-MM-DD"));
    let report = unreadable("acme-gw1".parse().unwrap(), "the repository has no timestamp.json");
    assert_eq!((report.grade, report.findings.len(), report.findings[0].code), (Grade::Bad, 1, Code::Repository));
}

#[test]
fn the_verdict_counts_what_needs_care_and_what_needs_it_now() {
    let verdict = |change: fn(&mut Facts)| examine(&with(change)).verdict;
    assert_eq!(verdict(|facts| facts.address = Address::Unknown), "1 thing needs care before 31 December 2033.");
    assert_eq!(
        verdict(|facts| facts.offline[0].holders.threshold = 3),
        "1 thing needs care now, or the promise will not last until 31 December 2033."
    );
    let both = |facts: &mut Facts| {
        facts.offline[0].holders.threshold = 3;
        facts.address = Address::Unknown;
    };
    assert_eq!(verdict(both), "2 things need care before 31 December 2033, 1 of them now.");
    assert_eq!(
        verdict(|facts| facts.served = Served::Folder(online(facts.now))),
        "2 things need care before 31 December 2033."
    );
}

#[test]
fn row_12_the_end_of_a_label_is_told_90_days_before_and_is_not_the_promise() {
    let label = |expires: &str| LabelEnd { name: "JC-STAR (Japan)".into(), expires: expires.parse().unwrap() };
    assert!(said(&with(|facts| facts.labels = vec![label("2027-02-21")])).is_empty());
    let near = with(|facts| facts.labels = vec![label("2027-02-20")]);
    assert!(said(&near)[0].contains("valid until 20 February 2027, which is within 90 days"), "{:?}", said(&near));
    let over = with(|facts| facts.labels = vec![label("2026-11-20")]);
    assert!(said(&over)[0].contains("expired on 20 November 2026"), "{:?}", said(&over));
    assert_eq!(examine(&over).ends, examine(&healthy()).ends);
}

#[test]
fn the_page_for_operators_says_every_code_and_no_other() {
    let page = include_str!("../../../docs/operate/doctor.md");
    let table = page.split("<!-- codes -->").nth(1).unwrap();
    let rows: Vec<_> = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let codes = [
        Code::Repository,
        Code::Declaration,
        Code::Contact,
        Code::RoleExpiry,
        Code::KeyLoss,
        Code::KeyTheft,
        Code::KeysTogether,
        Code::RootExercise,
        Code::Algorithm,
        Code::Renewal,
        Code::Certificate,
        Code::Authority,
        Code::Year2038,
        Code::RollbackIndex,
        Code::Label,
    ];
    let words = codes.map(|code| serde_json::to_value(code).unwrap().as_str().unwrap().to_string());
    assert_eq!(rows, words);
}
