//! The self-assessment of EN 303 645, clause 5.3: what facts show, and no more.

use serde_json::{Value, json};
use tenure_server::disk::{PUBLIC, replace};

use crate::office::Office;

fn support(assessed: &Value, provision: &str) -> String {
    let row = assessed["ics"].as_array().unwrap().iter().find(|row| row["provision"] == provision).unwrap();
    row["support"].as_str().unwrap().to_string()
}

#[test]
fn the_self_assessment_of_clause_5_3_claims_what_facts_show_and_marks_the_rest_for_a_person() {
    let office = Office::open("2026-12-01");
    assert_eq!(support(&office.json("assess acme-gw1"), "5.3-13"), "N", "nothing is declared");
    office.ok("support declare acme-gw1 --ends 2033-12-31 --component device --component ACME&app");
    let said = office.json("assess acme-gw1");
    assert_eq!(support(&said, "5.3-13"), "to fill in", "it is declared and not public");
    assert_eq!(support(&said, "5.3-14"), "N/A");
    let data = tempfile::tempdir().unwrap();
    let server = office.serve(data.path());
    assert_eq!(support(&office.json("assess acme-gw1"), "5.3-13"), "to fill in", "still not public");
    office.ok("push acme-gw1");
    let said = office.json("assess acme-gw1");
    assert_eq!(support(&said, "5.3-13"), "Y");
    // The statuses of the ICS table; only what is shown is claimed.
    let statuses: Vec<_> = said["ics"].as_array().unwrap().iter().map(|row| &row["status"]).collect();
    let expected = json!([
        "R F(f)", "M C(15)", "M F(g)", "R F(g)", "R F(h)", "R F(g)", "R F(h)", "R F(i)", "M F(g)", "M C(12)", "R F(g)",
        "M F(j)", "R C(12)", "R C(12)", "M", "R C(3)", "R C(3)", "R C(3)", "M"
    ]);
    assert_eq!(json!(statuses), expected);
    let claimed = said["ics"].as_array().unwrap().iter().filter(|row| row["support"] == "Y").count();
    assert_eq!(claimed, 1);
    let markdown = office.ok("assess acme-gw1");
    for words in [
        "| 5.3-13 | M | Y | http://",
        "## IXIT 7-UpdMech",
        "; targets: ",
        " (ed25519",
        "SoftComp-ACME app",
        "[to fill in:",
    ] {
        assert!(markdown.contains(words), "{words}: {markdown}");
    }
    let csv = office.ok("assess acme-gw1 --csv");
    assert!(
        csv.starts_with("table,item,field,status,support,content\r\nICS,5.3-1,,R F(f),to fill in,\"Say for each"),
        "{csv}"
    );
    // Parts, times and the way to report are facts, too; a copy of the repository gives the same tables.
    let bom = office.path("bom.json");
    let parts = json!({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [
        {"type": "library", "name": "zlib", "version": "1.3.1"}, {"type": "library", "name": "openssl", "version": "3.0.7"},
    ]});
    replace(&bom, parts.to_string().as_bytes(), PUBLIC).unwrap();
    let image = office.path("rootfs.img");
    replace(&image, &[7; 5000], PUBLIC).unwrap();
    office.ok(&format!(
        "release publish acme-gw1 1.0.1 --image rootfs={} --sbom {} --kind security --summary A --risk B --action C \
         --fixes CVE-2026-1 --disclosed CVE-2026-1=2026-11-21",
        image.display(),
        bom.display()
    ));
    office.ok("push acme-gw1");
    let markdown = office.ok("assess acme-gw1");
    for words in [
        "half within 10 days, at most 10 (1 counted, 0 not stated, 0 open)",
        "signed with release 1.0.1: 2 parts",
        "/policy, http://",
        "/.well-known/security.txt",
    ] {
        assert!(markdown.contains(words), "{words}: {markdown}");
    }
    let (copy, url) = (data.path().join("repo/acme-gw1"), &server.url);
    let root = copy.join("metadata/1.root.json");
    let of_copy = office.ok(&format!("assess {} --root {} --server {url}", copy.display(), root.display()));
    assert_eq!(of_copy, markdown);
    // A release that brings another declaration is not public until it is pushed.
    office.ok("support extend acme-gw1 --ends 2034-12-31");
    assert_eq!(support(&office.json("assess acme-gw1"), "5.3-13"), "to fill in");
}
