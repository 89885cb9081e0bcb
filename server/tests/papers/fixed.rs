//! A product that cannot be updated says why, how it is replaced, and how it is isolated.

use serde_json::{Value, json};
use tenure_proto::support::Declaration;
use tenure_proto::trust::TargetFile as _;

use crate::office::Office;

const WHOLE: [&str; 4] = [
    "--fixed-because Its&chip&can&be&written&once",
    "--replacement Send&it&in&and&get&a&new&one",
    "--replacement-ends 2032-06-30",
    "--isolation Take&the&battery&out",
];

#[test]
fn row_26_a_fixed_product_needs_reason_replacement_and_isolation_and_shows_them() {
    let office = Office::open("2026-12-01");
    let declare = |more: &str| format!("support declare acme-gw1 --ends 2033-12-31 {more}");
    for missing in 0..WHOLE.len() {
        let mut some = WHOLE.to_vec();
        let name = some.remove(missing).split(' ').next().unwrap();
        let error = office.refused(&declare(&some.join(" ")));
        assert!(error.contains(&format!("needs {name} too")), "{error}");
    }
    assert_eq!(office.json("support show acme-gw1")["declaration"], Value::Null, "nothing was signed");
    office.ok(&declare(&WHOLE.join(" ")));
    let declaration = office.json("support show acme-gw1")["declaration"].take();
    let fixed = json!({
        "reason": "Its chip can be written once", "replacement": "Send it in and get a new one",
        "replacement_ends": "2032-06-30", "isolation": "Take the battery out",
    });
    assert_eq!(declaration["fixed"], fixed);
    // Whoever signs one with a field missing or empty: server and devices do not read it.
    Declaration::parse(declaration.to_string().as_bytes()).unwrap();
    for key in ["reason", "replacement", "replacement_ends", "isolation"] {
        for bad in [Value::Null, json!(" ")] {
            let mut other = declaration.clone();
            other["fixed"][key] = bad;
            assert!(Declaration::parse(other.to_string().as_bytes()).is_err(), "{key}");
        }
    }
    // The end of replacements is a promise, too.
    let error = office.refused(&declare("--replacement-ends 2031-06-30"));
    assert!(error.contains("of replacements is promised until 30 June 2032"), "{error}");
    let data = tempfile::tempdir().unwrap();
    let server = office.serve(data.path());
    office.ok("push acme-gw1");
    let page = String::from_utf8(server.get("/p/acme-gw1").2).unwrap();
    for words in
        ["cannot be updated", "Its chip can be written once", "Send it in", "30 June 2032", "Take the battery out"]
    {
        assert!(page.contains(words), "{words}: {page}");
    }
}
