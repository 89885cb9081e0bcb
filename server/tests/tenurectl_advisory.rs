//! `tenurectl advisory`: the signed list that each device judges by its own version.

#[cfg(test)]
mod ctl;
#[cfg(test)]
mod serve;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};
    use tenure_server::disk::{PUBLIC, replace};

    use super::ctl::{json_of, ok, refused};
    use super::serve::Server;

    const WORDS: [&str; 6] = [
        "--summary",
        "The web page of the gateway has a hole.",
        "--risk",
        "Somebody on your network could read your settings.",
        "--action",
        "Let the update be installed.",
    ];

    fn maker() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        ok(dir.path(), &["init", "--manufacturer", "ACME Ltd", "--contact", "https://acme.example/security"]);
        ok(dir.path(), &["model", "add", "acme-gw1", "--designation", "ACME Gateway 1"]);
        dir
    }

    fn publish(dir: &Path, more: &[&str]) -> Value {
        json_of(dir, &[&["advisory", "publish", "acme-gw1", "ACME-2026-0001"][..], &WORDS, more].concat())
    }

    fn listed(dir: &Path) -> Vec<String> {
        let list = json_of(dir, &["advisory", "list", "acme-gw1"]);
        list["advisories"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_string()).collect()
    }

    #[test]
    fn an_advisory_is_signed_by_support_beside_the_promise_and_neither_drops_the_other() {
        let dir = maker();
        let dir = dir.path();
        let early = [&["advisory", "publish", "acme-gw1", "ACME-2026-0001"][..], &WORDS].concat();
        assert!(refused(dir, &early).contains("no support was declared for acme-gw1 yet"));
        ok(dir, &["support", "declare", "acme-gw1", "--ends", "2099-12-31", "--component", "device"]);
        let first = publish(dir, &["--versions", "..1.2.0", "--alias", "CVE-2026-12345"])["advisory"].clone();
        assert_eq!((&first["remedy"], &first["changed_at"]), (&json!("vendor_fix"), &Value::Null));
        // Said again, nothing is signed; said otherwise, it is the same advisory.
        let version = || json_of(dir, &["verify", "acme-gw1"])["support"].clone();
        let before = version();
        publish(dir, &["--versions", "..1.2.0", "--alias", "CVE-2026-12345"]);
        assert_eq!(version(), before);
        let again = publish(
            dir,
            &[
                "--versions",
                "..1.2.1",
                "--exploited",
                "--in",
                "de:summary=Ein Loch.",
                "--in",
                "de:risk=Jemand.",
                "--in",
                "de:action=Nichts.",
            ],
        );
        assert_eq!(again["advisory"]["published_at"], first["published_at"]);
        assert!(
            again["advisory"]["changed_at"].is_string() && again["advisory"]["translations"]["de"]["risk"] == "Jemand."
        );
        ok(dir, &["support", "extend", "acme-gw1", "--ends", "2100-12-31"]);
        assert_eq!(listed(dir), ["ACME-2026-0001"]);
        ok(dir, &["verify", "acme-gw1"]);
        assert!(
            refused(dir, &["advisory", "withdraw", "acme-gw1", "OTHER-1"]).contains("there is no advisory OTHER-1")
        );
        ok(dir, &["advisory", "withdraw", "acme-gw1", "ACME-2026-0001"]);
        assert_eq!(listed(dir), [""; 0]);
        assert_eq!(json_of(dir, &["support", "show", "acme-gw1"])["declaration"]["ends"], "2100-12-31");
    }

    #[test]
    fn an_advisory_that_no_device_would_take_is_not_signed() {
        let dir = maker();
        let dir = dir.path();
        ok(dir, &["support", "declare", "acme-gw1", "--ends", "2099-12-31", "--component", "device"]);
        let with = |more: &[&str]| {
            refused(dir, &[&["advisory", "publish", "acme-gw1", "ACME-2026-0001"][..], &WORDS, more].concat())
        };
        assert!(with(&["--versions", "1.2..1.2.0"]).contains("begin where they end"));
        assert!(with(&["--remedy", "vendor-fix"]).contains("a release that shuts the hole"));
        assert!(with(&["--cvss", "CVSS:3.1/AV:N"]).contains("does not say AC"));
        assert!(with(&["--in", "de:risk=Jemand."]).contains("each once"));
        let long = "x".repeat(601);
        let words = ["--summary", "A hole.", "--risk", &long, "--action", "Nothing."];
        let said = refused(dir, &[&["advisory", "publish", "acme-gw1", "ACME-2026-0001"][..], &words].concat());
        assert!(said.contains("of bounded length"), "{said}");
        assert_eq!(listed(dir), [""; 0]);
    }

    #[test]
    fn a_list_goes_live_and_a_forged_one_does_not() {
        let (dir, data) = (maker(), tempfile::tempdir().unwrap());
        let (dir, server) = (dir.path(), Server::start(data.path()));
        ok(dir, &["support", "declare", "acme-gw1", "--ends", "2099-12-31", "--component", "device"]);
        ok(dir, &["login", &server.url, "--setup-link", &server.link, "--user", "ada"]);
        publish(dir, &[]);
        ok(dir, &["push", "acme-gw1"]);
        let folder = data.path().join("repo/acme-gw1/targets/support");
        let live = || {
            let names =
                std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            names.filter(|name| name.ends_with(".advisories.json")).collect::<Vec<_>>()
        };
        let [first] = &live()[..] else { panic!("{:?}", live()) };
        // The text is changed behind the back of whoever signed it.
        publish(dir, &["--exploited"]);
        let signed = dir.join("models/acme-gw1/repo/targets/support");
        let second = std::fs::read_dir(&signed).unwrap().map(|entry| entry.unwrap().path());
        let second =
            second.filter(|path| path.to_string_lossy().ends_with(".advisories.json") && !path.ends_with(first));
        let second = second.last().unwrap();
        let text = std::fs::read_to_string(&second).unwrap().replace("Somebody", "Nobody..");
        replace(&second, text.as_bytes(), PUBLIC).unwrap();
        refused(dir, &["push", "acme-gw1"]);
        assert_eq!(&live(), std::slice::from_ref(first));
    }

    #[test]
    fn row_14_no_contact_is_no_maker_and_nothing_is_signed() {
        let dir = tempfile::tempdir().unwrap();
        for contact in ["", "security", "http://acme.example", "tel:+441234567"] {
            let said = refused(dir.path(), &["init", "--manufacturer", "ACME Ltd", "--contact", contact]);
            assert!(said.contains("is no public contact"), "{said}");
        }
        let (code, _, said) = super::ctl::run(dir.path(), &["init", "--manufacturer", "ACME Ltd"]);
        assert!(code == 2 && said.contains("--contact"), "{said}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing was made");
    }

    #[test]
    fn row_23_a_security_release_without_advisory_risk_and_action_is_not_signed() {
        let dir = maker();
        let dir = dir.path();
        let image = dir.join("rootfs.img");
        replace(&image, &[7; 10_000], PUBLIC).unwrap();
        let image = format!("rootfs={}", image.display());
        let publish = ["release", "publish", "acme-gw1", "1.0.1", "--image", &image, "--kind", "security"];
        assert!(refused(dir, &publish).contains("needs --summary, --risk, --action"));
        assert!(refused(dir, &[&publish[..], &WORDS[..4]].concat()).contains("needs --action"));
        let empty = ["--summary", "A hole.", "--risk", " ", "--action", "Nothing."];
        assert!(refused(dir, &[&publish[..], &empty].concat()).contains("the advisory needs summary, risk and action"));
        assert_eq!(json_of(dir, &["release", "list", "acme-gw1"])["releases"], json!([]));
    }

    #[test]
    fn an_export_is_csaf_with_the_remedy_that_is_true_today() {
        let dir = maker();
        let dir = dir.path();
        ok(dir, &["support", "declare", "acme-gw1", "--ends", "2099-12-31", "--component", "device"]);
        let vector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N";
        publish(dir, &["--versions", "1.0..1.2.0", "--alias", "CVE-2026-12345", "--cvss", vector]);
        let export = ["advisory", "export", "acme-gw1", "ACME-2026-0001"];
        let document: Value = serde_json::from_str(&ok(dir, &export)).unwrap();
        assert_eq!(document, json_of(dir, &export));
        let at = |pointer: &str| document.pointer(pointer).cloned().unwrap_or_default();
        assert_eq!(at("/document/csaf_version"), "2.1");
        assert_eq!(at("/document/publisher/namespace"), "https://acme.example");
        assert_eq!(at("/product_tree/branches/0/branches/0/branches/0/name"), "vers:generic/>=1.0|<1.2.0");
        assert_eq!(at("/vulnerabilities/0/cve"), "CVE-2026-12345");
        assert_eq!(
            at("/vulnerabilities/0/product_status"),
            json!({"known_affected": ["affected"], "fixed": ["fixed"]})
        );
        assert_eq!(at("/vulnerabilities/0/remediations/0/category"), "vendor_fix");
        assert_eq!(at("/vulnerabilities/0/metrics/0/content/cvss_v3/baseScore"), 7.5);
        // What nobody fixed by the end of support, nobody plans to.
        publish(dir, &["--remedy", "none-available"]);
        let clock = dir.join("clock.json");
        let category = |offset_s: i64| {
            replace(&clock, json!({ "offset_s": offset_s }).to_string().as_bytes(), PUBLIC).unwrap();
            let export = [&["--clock-file", clock.to_str().unwrap()][..], &export].concat();
            json_of(dir, &export)["vulnerabilities"][0]["remediations"][0]["category"].clone()
        };
        assert_eq!(category(0), "none_available");
        assert_eq!(category(80 * 365 * 86_400), "no_fix_planned");
    }
}
