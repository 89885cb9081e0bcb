//! The feeds, as `tenurectl` and programs of others see them: real server, real folder, real files.

#[cfg(test)]
mod ctl;
#[cfg(test)]
mod serve;

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::{Value, json};
    use tenure_proto::digest::Digest;
    use tenure_server::disk::{PUBLIC, replace};

    use super::ctl::{json_of, ok, refused};
    use super::serve::Server;

    const ENDS: &str = "2099-12-31";

    struct Shop {
        server: Server,
        dir: tempfile::TempDir,
        _data: tempfile::TempDir,
    }

    struct Answer {
        status: u16,
        headers: ureq::http::HeaderMap,
        body: String,
    }

    impl Answer {
        fn header(&self, name: &str) -> &str {
            self.headers.get(name).map_or("", |value| value.to_str().unwrap())
        }

        fn json(&self) -> Value {
            serde_json::from_str(&self.body).unwrap()
        }
    }

    impl Shop {
        /// A maker with a model that is sold under a number, live.
        fn open() -> Self {
            let data = tempfile::tempdir().unwrap();
            let server = Server::start(data.path());
            let shop = Self { server, dir: tempfile::tempdir().unwrap(), _data: data };
            shop.ok(&[
                "init",
                "--manufacturer",
                "ACME Ltd",
                "--contact",
                "https://acme.example/security",
                "--address",
                "1 High Street",
            ]);
            shop.ok(&["model", "add", "acme-gw1", "--designation", "ACME Gateway 1"]);
            shop.ok(&[
                "support",
                "declare",
                "acme-gw1",
                "--ends",
                ENDS,
                "--placed-on-market",
                "2026-12-01",
                "--component",
                "device",
                "--component",
                "ACME app",
                "--gtin",
                "4006381333931",
                "--purl",
                "pkg:generic/acme/gateway-1",
            ]);
            shop.ok(&["login", "--setup-link", &shop.server.link, "--user", "ada"]);
            shop.ok(&["push", "acme-gw1"]);
            shop
        }

        fn ok(&self, args: &[&str]) -> String {
            ok(self.dir.path(), args)
        }

        fn file(&self, name: &str, bytes: &[u8]) -> String {
            let path: PathBuf = self.dir.path().join(name);
            replace(&path, bytes, PUBLIC).unwrap();
            path.display().to_string()
        }

        fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
            let config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).build();
            let agent: ureq::Agent = config.into();
            let mut request = agent.get(format!("{}{path}", self.server.url));
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let mut response = request.call().unwrap();
            let body = response.body_mut().read_to_string().unwrap();
            Answer { status: response.status().as_u16(), headers: response.headers().clone(), body }
        }

        fn get(&self, path: &str) -> Answer {
            let answer = self.get_with(path, &[]);
            assert_eq!(answer.status, 200, "{path}: {}", answer.body);
            answer
        }

        fn fingerprint(&self) -> String {
            json_of(self.dir.path(), &["support", "show", "acme-gw1"])["fingerprint"].as_str().unwrap().to_string()
        }

        fn publish(&self, version: &str, more: &[&str]) {
            let image = format!("rootfs={}", self.file("image", &vec![7; 70_000]));
            self.ok(
                &[&["release", "publish", "acme-gw1", version, "--image", &image, "--kind", "feature"], more].concat()
            );
            self.ok(&["push", "acme-gw1"]);
        }
    }

    /// The `PropertyValue` of this name in a JSON-LD document.
    fn property<'a>(document: &'a Value, id: &str) -> &'a str {
        let mut all = document["additionalProperty"].as_array().unwrap().iter();
        all.find(|property| property["propertyID"] == id).unwrap()["value"].as_str().unwrap()
    }

    const FEEDS: [(&str, &str); 10] = [
        ("/p/acme-gw1/openeox.json", "application/json"),
        ("/p/acme-gw1/cle.json", "application/json"),
        ("/p/acme-gw1/product.jsonld", "application/ld+json"),
        ("/p/acme-gw1/mud.json", "application/mud+json"),
        ("/p/acme-gw1/proof.json", "application/json"),
        ("/feeds/retailers.csv", "text/csv; charset=utf-8; header=present"),
        ("/feeds/endoflife/v1", "application/json"),
        ("/feeds/endoflife/v1/products", "application/json"),
        ("/feeds/endoflife/v1/products/full", "application/json"),
        ("/feeds/endoflife/v1/products/acme-gw1", "application/json"),
    ];

    #[test]
    fn every_feed_is_for_anybody_and_is_asked_for_anew_with_a_validator() {
        let shop = Shop::open();
        for (path, kind) in FEEDS {
            let answer = shop.get(path);
            assert_eq!((answer.header("content-type"), answer.header("set-cookie")), (kind, ""), "{path}");
            assert_eq!(answer.header("cache-control"), "public, max-age=300", "{path}");
            assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
            let again = shop.get_with(path, &[("if-none-match", answer.header("etag"))]);
            assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
        }
        for path in
            ["/p/other/openeox.json", "/p/../proof.json", "/p/acme-gw1/sbom.cdx.json", "/feeds/endoflife/v1/products/x"]
        {
            assert_eq!(shop.get_with(path, &[]).status, 404, "{path}");
        }
    }

    #[test]
    fn every_format_carries_the_same_day_and_fingerprint_and_all_move_together() {
        let shop = Shop::open();
        for (ends, month) in [(ENDS, "December 2099"), ("2101-06-30", "June 2101")] {
            if ends != ENDS {
                shop.ok(&["support", "extend", "acme-gw1", "--ends", ends]);
                shop.ok(&["push", "acme-gw1"]);
            }
            let (fingerprint, instant) = (shop.fingerprint(), format!("{ends}T23:59:59Z"));
            let openeox = shop.get("/p/acme-gw1/openeox.json").json();
            assert_eq!(
                (&openeox["end_of_life"], &openeox["end_of_security_support"]),
                (&json!(instant), &json!(instant))
            );
            assert_eq!(
                shop.get("/p/acme-gw1/cle.json").json()["events"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .find(|event| event["type"] == "endOfSupport")
                    .unwrap()["effective"],
                json!(instant)
            );
            let product = shop.get("/feeds/endoflife/v1/products/acme-gw1").json();
            let release = &product["result"]["releases"][0];
            assert_eq!((&release["eolFrom"], &release["isEol"]), (&json!(ends), &json!(false)));
            assert_eq!(release["custom"]["fingerprint"], json!(fingerprint));
            let linked = shop.get("/p/acme-gw1/product.jsonld").json();
            assert_eq!(property(&linked, "securityUpdatesUntil"), ends);
            assert_eq!(property(&linked, "supportDeclarationFingerprint"), fingerprint);
            let page = shop.get("/p/acme-gw1");
            let within = page
                .body
                .split("<script type=\"application/ld+json\">")
                .nth(1)
                .unwrap()
                .split("</script>")
                .next()
                .unwrap();
            assert_eq!(serde_json::from_str::<Value>(within).unwrap(), linked, "the page says the same");
            assert!(!page.header("content-security-policy").contains("script-src"), "nothing more is allowed");
            let table = shop.get("/feeds/retailers.csv").body;
            let row = table.lines().nth(1).unwrap();
            for cell in [ends, month, &fingerprint, "04006381333931", "device; ACME app"] {
                assert!(row.contains(&format!("\"{cell}\"")), "{cell}: {row}");
            }
            assert_eq!(shop.get("/p/acme-gw1/mud.json").json()["ietf-mud:mud"]["is-supported"], json!(true));
        }
    }

    /// The rules of `OpenEoX` Core 1.0 (CSD01): its keys and no other, its form of instants, its mandatory tests.
    #[test]
    fn the_openeox_document_is_strictly_core_and_keeps_its_mandatory_tests() {
        let shop = Shop::open();
        let document = shop.get("/p/acme-gw1/openeox.json").json();
        let fields = document.as_object().unwrap();
        let keys: Vec<_> = fields.keys().map(String::as_str).collect();
        assert_eq!(keys, ["$schema", "end_of_life", "end_of_security_support", "general_availability", "last_updated"]);
        assert_eq!(fields["$schema"], "https://docs.oasis-open.org/openeox/v1.0/schema/core.json");
        let instant = |key: &str| fields[key].as_str().unwrap().parse::<tenure_proto::time::Timestamp>().unwrap();
        for key in ["end_of_security_support", "general_availability"] {
            assert!(instant("end_of_life") >= instant(key) && instant("general_availability") <= instant(key), "{key}");
        }
        assert_eq!(instant("general_availability").day().to_string(), "2026-12-01");
        assert!(instant("last_updated").unix_s() > 1_700_000_000);
    }

    /// The rules of ECMA-428 CLE 1.0.0 for what stands in the document.
    #[test]
    fn the_cle_document_has_what_the_standard_requires_and_only_grows() {
        let shop = Shop::open();
        let first = shop.get("/p/acme-gw1/cle.json").json();
        shop.ok(&[
            "support",
            "correct",
            "acme-gw1",
            "--change",
            "Better words",
            "--advice",
            "Take it off the internet.",
        ]);
        shop.ok(&["support", "extend", "acme-gw1", "--ends", "2100-12-31"]);
        shop.ok(&["push", "acme-gw1"]);
        let second = shop.get("/p/acme-gw1/cle.json").json();
        assert_eq!(second["identifier"], json!("pkg:generic/acme/gateway-1"));
        let keys: Vec<_> = second.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["$schema", "definitions", "events", "identifier", "updatedAt"]);
        let policy = second["definitions"]["support"][0].as_object().unwrap();
        assert!(policy.keys().all(|key| ["id", "description", "url"].contains(&key.as_str())));
        assert_eq!(second["definitions"]["support"][0]["id"], first["definitions"]["support"][0]["id"]);
        let events = second["events"].as_array().unwrap();
        let of: Vec<_> =
            events.iter().map(|event| (event["id"].as_u64().unwrap(), event["type"].as_str().unwrap())).collect();
        assert_eq!(of, [(3, "withdrawn"), (2, "endOfSupport"), (1, "endOfSupport")]);
        assert_eq!(&events[2..], &first["events"].as_array().unwrap()[..], "what was published stays");
        assert_eq!(events[0]["eventId"], json!(1));
        for event in events {
            for key in ["effective", "published"] {
                assert!(event[key].as_str().unwrap().ends_with('Z'), "{event}");
            }
        }
        assert_eq!(events[1]["versions"], json!([{"range": "vers:generic/*"}]));
        assert_eq!(events[1]["supportId"], second["definitions"]["support"][0]["id"]);
    }

    /// What the OpenAPI description of endoflife.date's API v1 requires, and a program that reads it: ours.
    #[test]
    fn who_reads_endoflife_date_reads_us() {
        let shop = Shop::open();
        shop.publish("1.0.0", &[]);
        shop.ok(&["support", "extend", "acme-gw1", "--ends", "2102-03-31", "--batch", "2027-03"]);
        shop.ok(&["push", "acme-gw1"]);
        let answer = shop.get("/feeds/endoflife/v1/products/acme-gw1");
        let (product, base) = (answer.json(), "/feeds/endoflife/v1/products");
        let has = |value: &Value, keys: &[&str]| {
            let fields = value.as_object().unwrap();
            for key in keys {
                assert!(fields.contains_key(*key), "{key} in {value}");
            }
        };
        has(&product, &["schema_version", "last_modified", "result"]);
        let result = &product["result"];
        has(result, &["name", "label", "aliases", "category", "tags", "identifiers", "labels", "links", "releases"]);
        has(&result["labels"], &["eol"]);
        assert_eq!(result["identifiers"][0], json!({"id": "4006381333931", "type": "gtin"}));
        let releases = result["releases"].as_array().unwrap();
        for release in releases {
            has(
                release,
                &[
                    "name",
                    "codename",
                    "label",
                    "releaseDate",
                    "isLts",
                    "ltsFrom",
                    "isEol",
                    "eolFrom",
                    "isMaintained",
                    "latest",
                ],
            );
            has(&release["latest"], &["name", "date", "link"]);
            assert!(release["custom"].as_object().unwrap().values().all(Value::is_string));
        }
        assert_eq!((releases.len(), &releases[1]["eolFrom"]), (2, &json!("2102-03-31")));
        assert_eq!(releases[0]["latest"]["name"], json!("1.0.0"));
        for (path, name) in [("latest", "acme-gw1"), ("acme-gw1", "acme-gw1"), ("batch-2027-03", "batch-2027-03")] {
            let one = shop.get(&format!("{base}/acme-gw1/releases/{path}")).json();
            assert_eq!(one["result"]["name"], json!(name));
        }
        assert_eq!(shop.get_with(&format!("{base}/acme-gw1/releases/none"), &[]).status, 404);
        let list = shop.get(base).json();
        has(&list["result"][0], &["name", "label", "aliases", "category", "tags", "uri"]);
        assert_eq!(list["total"], json!(1));
        let uri = list["result"][0]["uri"].as_str().unwrap();
        assert_eq!(uri, format!("{}{base}/acme-gw1", shop.server.url));
        // A product with ours as a part is told that the part ends first.
        let ends = shop.file("part.json", answer.body.as_bytes());
        let bom = json!({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"type": "device", "name": "acme-gw1", "version": "acme-gw1"}]});
        let bom = shop.file("bom.json", bom.to_string().as_bytes());
        shop.ok(&["model", "add", "acme-home", "--designation", "ACME Home"]);
        let said =
            shop.ok(&["support", "declare", "acme-home", "--ends", "2100-12-31", "--sbom", &bom, "--part-ends", &ends]);
        assert!(said.contains("acme-gw1 acme-gw1 is supported until 31 December 2099 only"), "{said}");
    }

    /// The leaves of RFC 8520 and RFC 9472, by the rules of their YANG modules.
    #[test]
    fn the_mud_file_says_that_the_product_is_supported_and_where_its_parts_are_listed() {
        let shop = Shop::open();
        let mud = |shop: &Shop| shop.get("/p/acme-gw1/mud.json").json()["ietf-mud:mud"].clone();
        let first = mud(&shop);
        for key in ["mud-version", "mud-url", "last-update", "is-supported"] {
            assert!(!first[key].is_null(), "{key} is mandatory");
        }
        assert_eq!((&first["mud-version"], &first["is-supported"]), (&json!(1), &json!(true)));
        assert!((1..=168).contains(&first["cache-validity"].as_u64().unwrap()));
        assert!((1..=60).contains(&first["systeminfo"].as_str().unwrap().chars().count()));
        assert_eq!(first["extensions"], json!(["transparency"]));
        let contact = json!("https://acme.example/security");
        assert_eq!(
            first["ietf-mud-transparency:transparency"],
            json!({"sbom-contact-uri": contact, "contact-uri": contact})
        );
        let bom = json!({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": []});
        shop.publish("1.0.0", &["--sbom", &shop.file("bom.json", bom.to_string().as_bytes())]);
        let transparency = &mud(&shop)["ietf-mud-transparency:transparency"];
        let url = transparency["sboms"][0]["sbom-url"].as_str().unwrap();
        assert_eq!(
            (&transparency["sboms"][0]["version-info"], transparency["sbom-contact-uri"].is_null()),
            (&json!("1.0.0"), true)
        );
        assert!(shop.get(url.strip_prefix(&shop.server.url).unwrap()).json()["components"].is_array());
    }

    #[test]
    fn row_38_the_list_of_parts_is_signed_with_the_release_and_has_the_milestones() {
        let shop = Shop::open();
        let bom = json!({
            "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
            "metadata": {"component": {"type": "firmware", "name": "gateway", "properties": [
                {"name": "cdx:lifecycle:milestone:endOfSupport", "value": "2000-01-01"}, {"name": "acme:line", "value": "2"},
            ]}},
            "components": [{"type": "library", "name": "zlib", "version": "1.3.1"}],
        });
        let path = shop.file("bom.cdx.json", bom.to_string().as_bytes());
        shop.publish("1.0.0", &["--sbom", &path]);
        let answer = shop.get("/p/acme-gw1/sbom.cdx.json");
        assert_eq!(answer.header("content-type"), "application/vnd.cyclonedx+json");
        let sbom = answer.json();
        assert_eq!(sbom["components"], bom["components"]);
        let properties = sbom["metadata"]["component"]["properties"].as_array().unwrap();
        let named = |name: &str| -> Vec<_> {
            properties.iter().filter(|one| one["name"] == name).map(|one| one["value"].as_str().unwrap()).collect()
        };
        for (name, value) in [
            ("generalAvailability", "2026-12-01"),
            ("endOfGuaranteedSupport", ENDS),
            ("endOfSupport", ENDS),
            ("endOfLife", ENDS),
        ] {
            assert_eq!(named(&format!("cdx:lifecycle:milestone:{name}")), [value], "{name}");
        }
        assert_eq!((named("acme:line"), named("tenure:support:fingerprint")), (vec!["2"], vec![&*shop.fingerprint()]));
        // It is a signed target: a device reads its digest, and `verify` every byte.
        let digest = Digest::of(answer.body.as_bytes());
        let listed = shop.get("/repo/acme-gw1/metadata/2.archive.json").json();
        assert_eq!(listed["signed"]["targets"]["releases/1.0.0/sbom.cdx.json"]["hashes"]["sha256"], json!(digest));
        let root = shop.dir.path().join("models/acme-gw1/root.json").display().to_string();
        shop.ok(&["verify", "--url", &shop.server.url, "--root", &root, "--model", "acme-gw1", "--payloads"]);
        // Another kind of file is no list of parts, and nothing was published with it.
        let image = format!("rootfs={}", shop.file("image", &vec![7; 70_000]));
        for (text, why) in [
            ("{}", "bomFormat is not CycloneDX"),
            ("nonsense", "it is no JSON"),
            (r#"{"bomFormat":"CycloneDX","specVersion":"1.0","components":[]}"#, "specVersion"),
        ] {
            let path = shop.file("bad.json", text.as_bytes());
            let said = refused(
                shop.dir.path(),
                &["release", "publish", "acme-gw1", "1.1.0", "--image", &image, "--kind", "feature", "--sbom", &path],
            );
            assert!(said.contains(why), "{said}");
        }
        assert_eq!(json_of(shop.dir.path(), &["release", "list", "acme-gw1"])["releases"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn row_43_a_shop_verifies_the_promise_offline_and_an_edited_date_fails() {
        let shop = Shop::open();
        let proof = shop.get("/p/acme-gw1/proof.json").body;
        assert!(proof.len() < 8 * 1024, "{} bytes", proof.len());
        let table = shop.get("/feeds/retailers.csv").body;
        assert!(table.contains(&format!("\"{}\"", Digest::of(proof.as_bytes()))), "the table names the proof: {table}");
        let root = shop.file("root.json", shop.get("/repo/acme-gw1/metadata/1.root.json").body.as_bytes());
        let (good, fingerprint) = (shop.file("proof.json", proof.as_bytes()), shop.fingerprint());
        // Whoever verifies has neither the maker's folder nor a server: an empty folder is enough.
        let elsewhere = tempfile::tempdir().unwrap();
        let verify =
            |file: &str| super::ctl::run(elsewhere.path(), &["proof", "verify", file, "--root", &root, "--json"]);
        let (code, said, error) = verify(&good);
        assert_eq!(code, 0, "{error}");
        let said: Value = serde_json::from_str(&said).unwrap();
        assert_eq!((&said["ends"], &said["fingerprint"]), (&json!(ENDS), &json!(fingerprint)));
        for (what, from, to) in [
            ("a later day", ENDS, "2109-12-31"),
            ("an earlier day", ENDS, "2029-12-31"),
            ("another product", "ACME Gateway 1", "ACME Gateway 9"),
        ] {
            let edited = shop.file("edited.json", proof.replace(from, to).as_bytes());
            let (code, said, error) = verify(&edited);
            assert_eq!((code, said.contains("proved")), (1, false), "{what}: {error}");
            assert!(error.contains("proves no promise"), "{what}: {error}");
        }
        // The maker makes the same kind of file from the folder, and the server's stays as it was.
        let own = shop.dir.path().join("own.json").display().to_string();
        shop.ok(&["proof", "export", "acme-gw1", "--out", &own]);
        assert_eq!(verify(&own).0, 0);
        assert_eq!(shop.get("/p/acme-gw1/proof.json").body, proof);
        shop.ok(&["support", "extend", "acme-gw1", "--ends", "2100-12-31"]);
        shop.ok(&["push", "acme-gw1"]);
        let next = shop.get("/p/acme-gw1/proof.json").body;
        assert_eq!(verify(&shop.file("next.json", next.as_bytes())).0, 0);
        assert_ne!(next, proof);
        assert_eq!(verify(&good).0, 0, "what was proved stays true");
    }

    /// What `docs/operate/feeds.md` says of the row's signature, done with a library that Tenure does not use
    /// for it, and canonical JSON as any program writes it: sorted, without spaces.
    #[test]
    fn row_43_a_shop_checks_the_signature_of_a_line_by_itself() {
        let shop = Shop::open();
        for ends in [ENDS, "2101-06-30"] {
            if ends != ENDS {
                shop.ok(&["support", "extend", "acme-gw1", "--ends", ends]);
                shop.ok(&["push", "acme-gw1"]);
            }
            let table = shop.get("/feeds/retailers.csv").body;
            let cells =
                |line: &str| -> Vec<String> { line.trim_matches('"').split("\",\"").map(str::to_owned).collect() };
            let (head, row) = (cells(table.lines().next().unwrap()), cells(table.lines().nth(1).unwrap()));
            let cell = |name: &str| row[head.iter().position(|column| column == name).unwrap()].clone();
            let get = |url: String| shop.get(url.strip_prefix(&shop.server.url).unwrap()).body;
            let declaration = get(cell("declaration"));
            assert_eq!(
                serde_json::from_str::<Value>(&declaration).unwrap()["ends"],
                json!(cell("security_updates_until"))
            );
            let signed = serde_json::from_str::<Value>(&get(cell("signed_file"))).unwrap()["signed"].clone();
            let listed = &signed["targets"]["support/declaration.json"]["hashes"]["sha256"];
            assert_eq!(*listed, json!(Digest::of(declaration.as_bytes())), "what is signed names the declaration");
            let targets = shop.get("/repo/acme-gw1/metadata/1.targets.json").json();
            let key = targets["signed"]["delegations"]["keys"][cell("key_id")]["keyval"]["public"].clone();
            let bytes = |hex: &str| -> Vec<u8> {
                let digits = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
                (0..hex.len()).step_by(2).map(digits).collect()
            };
            let key = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, bytes(key.as_str().unwrap()));
            let signature = bytes(&cell("signature"));
            key.verify(signed.to_string().as_bytes(), &signature).unwrap();
            let edited = signed.to_string().replace(listed.as_str().unwrap(), &Digest::of(b"another").to_string());
            assert!(key.verify(edited.as_bytes(), &signature).is_err(), "of another declaration it is none");
        }
    }

    #[test]
    fn a_label_leads_to_the_page_of_the_model_and_names_no_unit() {
        let shop = Shop::open();
        for number in ["04006381333931", "4006381333931"] {
            let answer = shop.get_with(&format!("/01/{number}"), &[]);
            assert_eq!(
                (answer.status, answer.header("location"), answer.header("set-cookie")),
                (307, "/p/acme-gw1", "")
            );
        }
        for path in ["/01/00000096385074", "/01/x", "/8013/1987654Ad4X4bL5ttr2310c2K"] {
            assert_eq!(shop.get_with(path, &[]).status, 404, "{path}");
        }
    }
}
