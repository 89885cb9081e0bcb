//! `tenurectl support`: what a promise says, what changes it, and what is asked of who signs it.

#[cfg(test)]
mod ctl;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::ctl::{json_of, ok, refused, run};
    use serde_json::{Value, json};
    use tenure_server::disk::{PUBLIC, replace};

    const FIRST: [&str; 16] = [
        "support",
        "declare",
        "acme-gw1",
        "--ends",
        "2099-12-31",
        "--placed-on-market",
        "2026-12-01",
        "--reviewer",
        "A. Smith",
        "--component",
        "device",
        "--reasons",
        "expected-use,components",
        "--risks",
        "Strangers may read your data.",
        "--json",
    ];

    struct Office(tempfile::TempDir);

    impl Office {
        /// A manufacturer with a model, and an address if one is given.
        fn open(more: &[&str]) -> Self {
            let office = Self(tempfile::tempdir().unwrap());
            let init = ["init", "--manufacturer", "ACME Ltd", "--contact", "https://acme.example/security"];
            office.ok(&[&init[..], more].concat());
            office.ok(&["model", "add", "acme-gw1", "--designation", "ACME Gateway 1"]);
            office
        }

        fn declared() -> Self {
            let office = Self::open(&["--address", "1 High Street, London", "--person", "tel:+441234567"]);
            office.ok(&FIRST);
            office
        }

        fn ok(&self, args: &[&str]) -> String {
            ok(self.0.path(), args)
        }

        fn json(&self, args: &[&str]) -> Value {
            json_of(self.0.path(), args)
        }

        fn refused(&self, args: &[&str]) -> String {
            refused(self.0.path(), args)
        }

        fn declaration(&self) -> Value {
            self.json(&["support", "show", "acme-gw1"])["declaration"].take()
        }
    }

    #[test]
    fn what_the_law_wants_said_and_is_not_is_named_and_the_rest_is_signed() {
        let office = Office::open(&[]);
        let said = office.ok(&["support", "declare", "acme-gw1", "--ends", "2099-12-31"]);
        for gap in ["placed_on_market", "manufacturer_address", "reviewer"] {
            assert!(said.contains(&format!("  not said: {gap}: ")), "{said}");
        }
        assert!(!said.contains("reasons:") && !said.contains("risks:"), "what is usual is said: {said}");

        let office = Office::open(&["--address", "1 High Street, London", "--person", "tel:+441234567"]);
        let declared: Value = serde_json::from_str(&office.ok(&FIRST)).unwrap();
        assert_eq!(declared["not_said"], json!([]));
        let declaration = office.declaration();
        for (key, value) in [
            ("manufacturer_address", json!("1 High Street, London")),
            ("placed_on_market", json!("2026-12-01")),
            ("reviewer", json!("A. Smith")),
            ("reasons", json!(["expected_use", "components"])),
            ("risks", json!("Strangers may read your data.")),
        ] {
            assert_eq!(declaration[key], value, "{key}");
        }
        assert_eq!(declaration["contact"]["person"], "tel:+441234567");
    }

    #[test]
    fn a_model_is_named_by_its_numbers_and_a_mistyped_one_is_refused() {
        let office = Office::declared();
        let correct = ["support", "correct", "acme-gw1", "--change", "Numbers for shops"];
        let numbers = ["--gtin", "4006381333931", "--gtin", "96385074", "--purl", "pkg:generic/acme/gateway-1"];
        office.ok(&[&correct[..], &numbers].concat());
        let named = json!({"gtin": ["4006381333931", "96385074"], "purl": "pkg:generic/acme/gateway-1"});
        assert_eq!(office.declaration()["identifiers"], named);
        let (code, _, error) = run(office.0.path(), &[&correct[..], &["--gtin", "4006381333932"]].concat());
        assert_eq!(code, 2, "{error}");
        assert!(error.contains("does not fit the others: 1 would"), "{error}");
        office.ok(&["support", "extend", "acme-gw1", "--ends", "2099-12-31", "--batch", "b2"]);
        assert_eq!(office.declaration()["identifiers"], named, "an extension keeps them");
    }

    #[test]
    fn what_is_declared_is_shown_at_the_desk_as_on_the_page() {
        let representative = ["--representative", "ACME Europe", "--representative-address", "1 Rue Haute, Lyon"];
        let office = Office::open(
            &[&["--address", "1 High Street, London", "--person", "tel:+441234567"][..], &representative].concat(),
        );
        let said = ["--posture", "isolate", "--gtin", "4006381333931"];
        office.ok(&[&FIRST[..], &said].concat());
        office.ok(&["support", "extend", "acme-gw1", "--ends", "2100-12-31", "--batch", "2027-03"]);
        let shown = office.ok(&["support", "show", "acme-gw1"]);
        let lines = [
            "batch 2027-03: until 31 December 2100",
            "covers: ",
            "posture: isolate. After the end, the product shuts itself off from networks; you keep a way in.",
            "after the end: ",
            "risks: Strangers may read your data.",
            "advice: ",
            "contact: ",
            "a person answers: tel:+441234567",
            "GTIN: 4006381333931",
            "address: 1 High Street, London",
            "representative: ACME Europe, 1 Rue Haute, Lyon",
            "on the market since: 1 December 2026",
            "basis: ",
            "reasons: expected-use, components",
            "reviewed by: A. Smith",
            "declaration: 2, fingerprint ",
        ];
        let mut rest = shown.as_str();
        for line in lines {
            let (_, after) = rest.split_once(&format!("\n  {line}")).unwrap_or_else(|| panic!("{line}: {shown}"));
            rest = after;
        }
    }

    #[test]
    fn row_01_thirty_ends_that_are_none_are_refused_at_the_desk_with_the_reason() {
        let office = Office::open(&[]);
        let none = [
            ("", "is no end date"),
            (" ", "is no end date"),
            ("2 years", "is no end date"),
            ("two years", "is no end date"),
            ("24 months", "is no end date"),
            ("P2Y", "is no end date"),
            ("lifetime", "is no end date"),
            ("tba", "is no end date"),
            ("TBD", "is no end date"),
            ("unknown", "is no end date"),
            ("never", "is no end date"),
            ("for ever", "is no end date"),
            ("? years", "is no end date"),
            ("2033", "leaves the day open"),
            ("2033-12", "leaves the day open"),
            ("2033-13-01", "is no day of the calendar"),
            ("2033-02-30", "is no day of the calendar"),
            ("2033-1-1", "is no end date"),
            ("31/12/2033", "is no end date"),
            ("31.12.2033", "is no end date"),
            ("12/31/2033", "is no end date"),
            ("31 December 2033", "is no end date"),
            ("December 2033", "is no end date"),
            ("2033-12-31T00:00:00Z", "is no end date"),
            ("2033-W52-6", "is no end date"),
            ("Q4 2033", "is no end date"),
            ("+2033-12-31", "is no end date"),
            ("~2033-12-31", "is no end date"),
            ("2020-12-31", "has passed already"),
            ("9999-12-31", "is more than 100 years away"),
        ];
        for (end, why) in none {
            let said = office.refused(&["support", "declare", "acme-gw1", "--ends", end]);
            assert!(said.contains(why), "{end:?}: {said}");
        }
        assert_eq!(office.json(&["support", "show", "acme-gw1"])["declaration"], Value::Null, "nothing was signed");
    }

    #[test]
    fn a_period_under_five_years_needs_a_reason() {
        let office = Office::open(&[]);
        let short = ["support", "declare", "acme-gw1", "--ends", "2098-12-30", "--placed-on-market", "2094-01-01"];
        let error = office.refused(&short);
        assert_eq!(
            error,
            "error: 1 January 2094 to 30 December 2098 is under five years; say why with --short-because \
             (EU CRA, Article 13(8): unless the product is expected to be in use for less)\n"
        );
        assert_eq!(office.json(&["support", "show", "acme-gw1"])["declaration"], Value::Null, "nothing was signed");
        office.ok(&[&short[..], &["--short-because", "Its battery is used up by then."]].concat());
        assert_eq!(office.declaration()["short_because"], "Its battery is used up by then.");
    }

    #[test]
    fn the_fingerprint_is_that_of_the_signed_bytes_everywhere() {
        let office = Office::declared();
        let shown = office.json(&["support", "show", "acme-gw1"]);
        let digest: tenure_proto::digest::Digest = shown["sha256"].as_str().unwrap().parse().unwrap();
        let fingerprint = tenure_proto::support::Fingerprint::of(digest).to_string();
        assert_eq!(shown["fingerprint"], json!(fingerprint));
        let history = office.json(&["support", "history", "acme-gw1"]);
        assert_eq!(history["history"][0]["fingerprint"], json!(fingerprint));
        assert!(office.ok(&["support", "show", "acme-gw1"]).contains(&fingerprint));
    }

    #[test]
    fn row_33_parts_that_end_earlier_are_warned_of_and_signed_as_known() {
        let office = Office::declared();
        let write = |path: &Path, text: &str| replace(path, text.as_bytes(), PUBLIC).unwrap();
        let (sbom, ends) = (office.0.path().join("bom.json"), office.0.path().join("ends.toml"));
        let component = json!({"type": "operating-system", "name": "linux", "version": "6.1.90"});
        let bom = json!({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [component]});
        write(&sbom, &bom.to_string());
        write(&ends, "\"linux 6.1\" = \"2097-12-31\"\n");
        let (sbom, ends) = (sbom.display().to_string(), ends.display().to_string());
        let files = ["--sbom", &sbom, "--part-ends", &ends];
        let said = office.ok(&[&["support", "declare", "acme-gw1", "--ends", "2099-12-31"][..], &files].concat());
        let warning = "warning: linux 6.1.90 is supported until 31 December 2097 only, 730 days less";
        assert!(said.contains(warning), "{said}");
        let known = json!([{"name": "linux 6.1.90", "ends": "2097-12-31"}]);
        assert_eq!(office.declaration()["parts_ending_earlier"], known);
    }

    impl Office {
        fn write(&self, name: &str, text: &str) -> String {
            let path = self.0.path().join(name);
            replace(&path, text.as_bytes(), PUBLIC).unwrap();
            path.display().to_string()
        }

        /// A list of parts with these properties of its kernel, for `--sbom`.
        fn list_of_parts(&self, properties: &Value) -> String {
            let kernel =
                json!({"type": "operating-system", "name": "linux", "version": "6.1.90", "properties": properties});
            let bom = json!({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [kernel]});
            self.write("bom.json", &bom.to_string())
        }

        fn publish(&self, version: &str, more: &[&str]) {
            let image = format!("rootfs={}", self.write("rootfs.img", version));
            let publish = ["release", "publish", "acme-gw1", version, "--image", &image, "--kind", "feature"];
            self.ok(&[&publish[..], more].concat());
        }

        fn extend(&self, ends: &str, more: &[&str]) -> String {
            self.ok(&[&["support", "extend", "acme-gw1", "--ends", ends][..], more].concat())
        }
    }

    #[test]
    fn row_33_an_extension_looks_at_the_parts_again_and_says_where_it_cannot() {
        let office = Office::declared();
        let said = office.extend("2100-12-31", &[]);
        assert!(
            said.contains("Note: whether a part of the product ends before the new day was not looked at"),
            "{said}"
        );
        let ends = office.write("ends.toml", "\"linux 6.1\" = \"2102-12-31\"\n");
        let unlisted = ["support", "extend", "acme-gw1", "--ends", "2103-12-31", "--part-ends", &ends];
        assert!(office.refused(&unlisted).contains("--part-ends needs a list of parts"));
        office.publish("1.0.0", &["--sbom", &office.list_of_parts(&json!([]))]);
        let said = office.extend("2101-12-31", &[]);
        assert!(said.contains("Note: of the parts of release 1.0.0, those alone were looked at whose end"), "{said}");
        // The kernel outlives 2102 and not 2103: by a list at hand, or by the signed one.
        let sbom = office.list_of_parts(&json!([]));
        let said = office.extend("2102-06-30", &["--sbom", &sbom, "--part-ends", &ends]);
        assert!(!said.contains("warning") && !said.contains("Note:"), "{said}");
        assert_eq!(office.declaration()["parts_ending_earlier"], Value::Null);
        let said = office.extend("2103-12-31", &["--part-ends", &ends]);
        let warning = "warning: linux 6.1.90 is supported until 31 December 2102 only, 365 days less";
        assert!(said.contains(warning) && !said.contains("Note:"), "{said}");
        let known = json!([{"name": "linux 6.1.90", "ends": "2102-12-31"}]);
        assert_eq!(office.declaration()["parts_ending_earlier"], known);
        // What was signed as known is said again, and stays.
        let said = office.extend("2104-12-31", &["--batch", "2027-03"]);
        assert!(said.contains("until 31 December 2102 only, 731 days less"), "{said}");
        assert_eq!(office.declaration()["parts_ending_earlier"], known);
        office.ok(&["verify", "acme-gw1"]);
    }

    #[test]
    fn row_33_an_extension_past_an_end_that_the_signed_list_names_is_never_silent() {
        let office = Office::declared();
        let end = json!([{"name": "cdx:lifecycle:milestone:endOfSupport", "value": "2101-12-31"}]);
        office.publish("1.0.0", &["--sbom", &office.list_of_parts(&end)]);
        let said = office.extend("2101-12-31", &[]);
        assert!(!said.contains("warning: linux"), "{said}");
        let said = office.extend("2102-12-31", &[]);
        assert!(said.contains("warning: linux 6.1.90 is supported until 31 December 2101 only"), "{said}");
        let known = json!([{"name": "linux 6.1.90", "ends": "2101-12-31"}]);
        assert_eq!(office.declaration()["parts_ending_earlier"], known);
    }

    #[test]
    fn what_is_covered_cannot_be_left_out_and_nothing_is_signed() {
        let office = Office::declared();
        office.ok(&["support", "correct", "acme-gw1", "--change", "x", "--component", "device", "--component", "app"]);
        let before = files(office.0.path());
        let correct = ["support", "correct", "acme-gw1", "--change", "x"];
        let declare = ["support", "declare", "acme-gw1", "--ends", "2105-12-31"];
        for command in [&correct[..], &declare[..]] {
            let error = office.refused(&[command, &["--component", "ACME device"]].concat());
            let reason = "covers \"device\", which cannot be left out";
            let way_out = "--component 'device' --component 'app' --component 'ACME device'";
            assert!(error.contains(reason) && error.contains(way_out), "{error}");
            assert_eq!(files(office.0.path()), before);
        }
        let fixed =
            ["--fixed-because", "x", "--replacement", "x", "--replacement-ends", "2099-12-31", "--isolation", "x"];
        let error = office.refused(&[&declare[..], &fixed].concat());
        assert!(error.contains("declared as one that is updated and may not become one that cannot be"), "{error}");
        assert_eq!(files(office.0.path()), before);
        // A name written better covers the same.
        office.ok(&[&correct[..], &["--component", "Device", "--component", "APP", "--component", "cloud"]].concat());
        office.ok(&["verify", "acme-gw1"]);
    }

    /// Every file below `folder` with its content.
    fn files(folder: &Path) -> std::collections::BTreeMap<std::path::PathBuf, Vec<u8>> {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let inside = |path: std::path::PathBuf| {
            if path.is_dir() { files(&path) } else { [(path.clone(), std::fs::read(&path).unwrap())].into() }
        };
        entries.flat_map(inside).collect()
    }

    #[test]
    fn who_signs_words_that_sell_is_warned_with_the_word_and_the_field() {
        let office = Office::declared();
        let warned = |args: &[&str]| {
            let (code, out, error) = run(office.0.path(), args);
            assert_eq!(code, 0, "{out}{error}");
            error
        };
        let words = office.write(
            "words.toml",
            "[de]\nafter_end = 'Es gibt keine Updates.'\nrisks = 'Die Werkstatt gibt Daten preis.'\nadvice = 'Rabatte im Laden.'\n",
        );
        let correct = ["support", "correct", "acme-gw1", "--change", "x", "--translations", &words, "--advice"];
        let said = warned(&[&correct[..], &["Get an ACME Gateway 2 in our shop."]].concat());
        assert!(said.contains("warning: --advice says \"shop\": a notice sells nothing"), "{said}");
        assert!(said.contains("warning: --translations, advice in de says \"rabatte\""), "{said}");
        assert_eq!(said.lines().count(), 2, "{said}");
        // What was said of a text is not said again; programs are warned as well.
        let cease = ["--json", "support", "cease", "acme-gw1", "--on", "2090-03-31", "--notice", "Prices fall."];
        let said = warned(&cease);
        assert!(said.starts_with("warning: --notice says \"prices\"") && said.lines().count() == 1, "{said}");
        let honest = ["--advice", "Our workshop has a comprehensive list."];
        assert_eq!(warned(&[&["support", "declare", "acme-gw1", "--ends", "2099-12-31"][..], &honest].concat()), "");
        let image = format!("rootfs={}", office.write("rootfs.img", "x"));
        let release = ["release", "publish", "acme-gw1", "1.0.0", "--image", &image, "--kind", "security"];
        let told = ["--summary", "A hole.", "--risk", "It crashes.", "--action", "Upgrade to Gateway 2."];
        let said = warned(&[&release[..], &told].concat());
        assert!(said.contains("warning: --action says \"upgrade to\""), "{said}");
        let advisory = ["advisory", "publish", "acme-gw1", "ACME-2026-0001"];
        let told =
            [&told[..4], &["--action", "Wait.", "--in", "fr:summary=Un trou.", "--in", "fr:risk=Tout."]].concat();
        let said = warned(&[&advisory[..], &told, &["--in", "fr:action=Voir la boutique."]].concat());
        assert!(said.contains("warning: --in fr:action says \"boutique\""), "{said}");
        assert!(!office.ok(&["support", "declare", "--help"]).contains("Gateway 2"), "our own example sells one");
    }

    #[test]
    fn a_correction_is_public_and_moves_no_day() {
        let office = Office::declared();
        let correct = ["support", "correct", "acme-gw1", "--change", "The app was missing."];
        assert!(office.refused(&correct).contains("nothing is corrected"));
        let said = office.ok(&[&correct[..], &["--component", "device", "--component", "app"]].concat());
        assert!(said.contains("  components: \"device\" → \"device\", \"app\"\n"), "{said}");
        let declaration = office.declaration();
        assert_eq!((&declaration["sequence"], &declaration["ends"]), (&json!(2), &json!("2099-12-31")));
        assert_eq!(declaration["change"], "The app was missing.");
        assert_eq!(declaration["reviewer"], "A. Smith", "what is not given stays");
        let diff = office.json(&["support", "diff", "acme-gw1"]);
        assert_eq!(diff["changes"], json!(["components: \"device\" → \"device\", \"app\""]));
        let history = office.ok(&["support", "history", "acme-gw1"]);
        let lines: Vec<_> = history.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[1].ends_with(": The app was missing."), "{history}");
        assert!(office.refused(&["support", "diff", "acme-gw1", "--from", "7"]).contains("the last one is 2"));
        office.ok(&["verify", "acme-gw1"]);
    }

    #[test]
    fn a_batch_and_a_unit_get_a_later_day_and_never_an_earlier_one() {
        let office = Office::declared();
        let extend = |ends: &str, whose: &[&str]| {
            [&["support", "extend", "acme-gw1", "--ends", ends][..], whose].concat().join(" ")
        };
        let run = |line: &str| office.ok(&line.split(' ').collect::<Vec<_>>());
        let said = run(&extend("2102-06-30", &["--batch", "2027-03", "--unit", "SN1"]));
        assert!(said.contains("batch 2027-03: until 30 June 2102"), "{said}");
        let declaration = office.declaration();
        assert_eq!(declaration["ends"], "2099-12-31");
        assert_eq!(declaration["batches"], json!({"2027-03": "2102-06-30"}));
        let unit = tenure_proto::support::unit_digest(&"acme-gw1".parse().unwrap(), "SN1").to_string();
        assert_eq!(declaration["units"], json!({unit: "2102-06-30"}));
        for whose in [["--batch", "2027-03"], ["--unit", "SN1"]] {
            let line = extend("2101-12-31", &whose);
            let error = office.refused(&line.split(' ').collect::<Vec<_>>());
            assert!(error.contains("cannot be shortened to 31 December 2101"), "{error}");
        }
        let earlier = extend("2098-12-31", &["--batch", "2027-04"]);
        assert!(office.refused(&earlier.split(' ').collect::<Vec<_>>()).contains("not earlier"));
        // When everybody's day is later, a batch's says nothing any more.
        run(&extend("2103-12-31", &[]));
        assert_eq!(office.declaration()["batches"], Value::Null);
    }

    #[test]
    fn what_the_product_does_after_the_end_never_becomes_stricter() {
        let office = Office::declared();
        let error = office.refused(&["support", "correct", "acme-gw1", "--change", "x", "--posture", "isolate"]);
        assert!(error.contains("declared as keep and may not become isolate, which is stricter"), "{error}");
        assert_eq!(office.declaration()["posture"], Value::Null);
    }

    #[test]
    fn a_manufacturer_that_stops_says_so_and_takes_no_day_back() {
        let office = Office::declared();
        let cease = ["support", "cease", "acme-gw1", "--on", "2090-03-31", "--notice", "Nobody takes over."];
        office.ok(&cease);
        let declaration = office.declaration();
        assert_eq!(declaration["ends"], "2099-12-31");
        assert_eq!(declaration["cessation"], json!({"on": "2090-03-31", "notice": "Nobody takes over."}));
        assert!(office.ok(&["support", "show", "acme-gw1"]).contains("stops operating on 31 March 2090"));
        let other = Office::open(&[]);
        assert!(other.refused(&cease).contains("no support was declared for acme-gw1 yet"));
    }
}
