//! What anybody sees of a promise: pages, feeds and pictures, of the real server.

#[cfg(test)]
#[path = "../ctl/mod.rs"]
mod ctl;
#[cfg(test)]
mod office;
#[cfg(test)]
#[path = "../serve/mod.rs"]
mod serve;
#[cfg(test)]
mod system_readers;

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use crate::office::{Office, Page};

    const LANGUAGES: [(&str, &str); 5] = [
        ("en", "31 December 2099"),
        ("de", "31. Dezember 2099"),
        ("fr", "31 décembre 2099"),
        ("es", "31 de diciembre de 2099"),
        ("cy", "31 Rhagfyr 2099"),
    ];

    /// Data for programs, which no browser runs.
    const DATA: &str = "<script type=\"application/ld+json\"";

    /// No login, cookie, form, script, nothing of other hosts, and light.
    fn check_open(page: &Page, path: &str) {
        assert_eq!(page.status, 200, "{path}");
        assert!(page.header("set-cookie").is_none(), "{path}");
        assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"), "{path}");
        assert!(page.body.len() < 30 * 1024, "{path} has {} bytes", page.body.len());
        for barrier in ["<form", "<input", "<button", "<script", "<iframe", "http-equiv", " on", "src="] {
            let tags = page.body.split('<').skip(1).map(|rest| format!("<{}", rest.split('>').next().unwrap_or("")));
            // The style has no tags, and words stand outside of them.
            assert!(
                !tags.into_iter().any(|tag| tag.contains(barrier) && !tag.contains("content=") && !tag.contains(DATA)),
                "{path}: {barrier}"
            );
        }
    }

    #[test]
    fn row_04_every_public_page_is_open_to_anybody_and_light() {
        let office = Office::serving();
        office.publish("1.0.1", "security");
        office.extend(&["--ends", "2101-06-30", "--batch", "2027-03"]);
        office.push();
        for path in ["/", "/policy", "/p/acme-gw1", "/p/acme-gw1/2027-03", "/p/acme-gw1/archive"] {
            for (language, _) in LANGUAGES {
                let path = format!("{path}?lang={language}");
                check_open(&office.get(&path, &[]), &path);
            }
        }
        assert_eq!(office.get("/p/acme-gw2", &[]).status, 404);
        assert_eq!(office.get("/p/acme-gw1/2027-04", &[]).status, 404, "no batch of this name");
    }

    #[test]
    fn row_25_the_page_says_the_day_in_words_and_all_that_is_covered_in_each_language() {
        let office = Office::serving();
        for (language, day) in LANGUAGES {
            let asked = office.get(&format!("/p/acme-gw1?lang={language}"), &[]);
            assert!(asked.body.contains(&format!("<html lang=\"{language}\">")), "{language}");
            assert!(asked.body.contains(&format!("<time datetime=\"2099-12-31\">{day}</time>")), "{language}");
            assert!(asked.body.contains("ACME Gateway 1") && asked.body.contains("ACME app"), "{language}");
            assert_eq!(asked.header("content-language").as_deref(), Some(language));
            assert!(asked.header("vary").is_none(), "the address names the language");
            // A browser that wishes for the language gets the same page.
            let wished = office.get("/p/acme-gw1", &[("accept-language", &format!("{language};q=0.9, en;q=0.1"))]);
            assert!(wished.body.contains(&format!("<html lang=\"{language}\">")));
            assert_eq!(wished.header("vary").as_deref(), Some("Accept-Language"));
            for (other, _) in LANGUAGES {
                assert!(asked.body.contains(&format!("hreflang=\"{other}\" href=\"/p/acme-gw1?lang={other}\"")));
            }
        }
        assert!(office.get("/?lang=de", &[]).body.contains("Bis 31. Dezember 2099"));
        assert!(office.get("/p/acme-gw1?lang=xx", &[("accept-language", "fr")]).body.contains("<html lang=\"fr\">"));
    }

    #[test]
    fn the_makers_words_are_in_the_owners_language_or_marked_as_english() {
        let office = Office::serving();
        let page = office.get("/p/acme-gw1?lang=de", &[]).body;
        assert!(page.contains("<p lang=\"de\">Lücken, die später gefunden werden,"), "{page}");
        assert!(page.contains("<dd lang=\"de\">So lange wird ein solches Produkt"), "{page}");
        let own = ["--after-end", "Its cloud ends.", "--basis", "It is built for ten years."];
        office.ok(&[&["support", "correct", "acme-gw1", "--change", "Our words"], &own[..]].concat());
        office.push();
        let page = office.get("/p/acme-gw1?lang=de", &[]).body;
        assert!(page.contains("<p lang=\"en\">Its cloud ends.</p>"), "{page}");
        assert!(page.contains("<dd lang=\"en\">It is built for ten years.</dd>"), "{page}");
        let file = office.file(
            "words.toml",
            "[de]\nafter_end = \"Fernzugriff geht nicht mehr.\"\nrisks = \"Fremde.\"\nadvice = \"Trennen Sie es.\"\n",
        );
        let said = office.ok(&["support", "correct", "acme-gw1", "--change", "German words", "--translations", &file]);
        assert!(said.contains("owners who read Français, Español, Cymraeg get your words in English"), "{said}");
        assert!(office.ok(&["support", "show", "acme-gw1"]).contains("in de: Fernzugriff geht nicht mehr. Fremde."));
        office.push();
        let page = office.get("/p/acme-gw1?lang=de", &[]).body;
        assert!(page.contains("<p lang=\"de\">Fernzugriff geht nicht mehr.</p>"), "{page}");
        assert!(office.get("/p/acme-gw1?lang=fr", &[]).body.contains("<p lang=\"en\">Its cloud ends.</p>"));
        let english = office.file("english.toml", "[en]\nafter_end = \"a\"\nrisks = \"b\"\nadvice = \"c\"\n");
        let refused = office.refused(&["support", "correct", "acme-gw1", "--change", "x", "--translations", &english]);
        assert!(refused.contains("the English words are given with --after-end"), "{refused}");
    }

    #[test]
    fn row_26_what_the_product_does_after_the_end_is_said_to_buyers_in_each_language() {
        let isolates = [
            ("en", "the product shuts itself off from networks; you keep a way in."),
            ("de", "trennt sich das Produkt von Netzen; Sie kommen weiter hinein."),
            ("fr", "le produit se coupe des réseaux ; vous gardez un accès."),
            ("es", "el producto se aísla de las redes; usted conserva una entrada."),
            ("cy", "mae’r cynnyrch yn cau ei hun oddi wrth rwydweithiau; cewch chi fynd i mewn o hyd."),
        ];
        let office = Office::declared("2099-12-31", &["--posture", "isolate"]);
        office.extend(&["--ends", "2101-06-30", "--batch", "2027-03"]);
        office.push();
        for (language, sentence) in isolates {
            for page in ["/p/acme-gw1", "/p/acme-gw1/2027-03"] {
                let page = office.get(&format!("{page}?lang={language}"), &[]).body;
                assert!(page.contains(&format!("{sentence}</p>")), "{language}: {page}");
            }
        }
        office.ok(&["support", "correct", "acme-gw1", "--change", "It stays in the home", "--posture", "local-only"]);
        office.push();
        assert!(office.get("/p/acme-gw1", &[]).body.contains("the product talks to your own network only.</p>"));
        office.ok(&["support", "correct", "acme-gw1", "--change", "It goes on", "--posture", "keep"]);
        office.push();
        assert!(office.get("/p/acme-gw1", &[]).body.contains("the product goes on as it is.</p>"));
    }

    #[test]
    fn row_34_a_batch_has_its_later_day_and_never_less_than_the_models() {
        let office = Office::serving();
        office.extend(&["--ends", "2101-06-30", "--batch", "2027-03", "--unit", "SN-4711"]);
        office.push();
        let model = office.get("/p/acme-gw1", &[]).body;
        assert!(model.contains("<a href=\"/p/acme-gw1/2027-03\">2027-03</a>: Until 30 June 2101"), "{model}");
        assert!(model.contains("Some single units have a later day"), "{model}");
        assert!(!model.contains("SN-4711"), "no serial number is public");
        let batch = office.get("/p/acme-gw1/2027-03", &[]).body;
        assert!(batch.contains("<time datetime=\"2101-06-30\">30 June 2101</time>"), "{batch}");
        assert!(batch.contains("All other units: until 31 December 2099"), "{batch}");
        // When everybody's day is later, so is the batch's.
        office.extend(&["--ends", "2103-12-31"]);
        office.push();
        assert_eq!(office.get("/p/acme-gw1/2027-03", &[]).status, 404);
        assert!(office.get("/p/acme-gw1", &[]).body.contains("31 December 2103"));
    }

    #[test]
    fn the_page_the_figures_and_the_command_count_the_same() {
        let office = Office::serving();
        office.publish("1.0.1", "security");
        office.later_by_days(100);
        office.publish("1.0.2", "security");
        office.ok(&["support", "extend", "acme-gw1", "--ends", "2100-12-31"]);
        office.push();
        let served = office.json_of("/p/acme-gw1/delivered.json");
        assert_eq!(served["within_the_promise"], 2);
        assert_eq!(served["longest_gap"]["days"], 100);
        assert_eq!(served["security_updates"][1]["version"], "1.0.2");
        let day = served["as_of"].as_str().unwrap().to_owned();
        let counted = office.json(&["delivered", "acme-gw1", "--as-of", &day]);
        assert_eq!(counted, served, "the maker's folder gives the same figures");
        // Anybody's copy of what the server serves does, too, with nothing but the root.
        let copy = office.data("repo/acme-gw1");
        let counted = office.json(&["delivered", &copy, "--as-of", &day]);
        assert_eq!(counted, served, "a copy gives the same figures");
        let page = office.get("/p/acme-gw1", &[]).body;
        assert!(page.contains("<dt>Security updates so far</dt><dd>2</dd>"), "{page}");
        assert!(page.contains("<dd>100 days, from "), "{page}");
        // Figures of an earlier day are those that were counted then.
        let early = office.json_of(&format!("/p/acme-gw1/delivered.json?as_of={}", office.first_day()));
        assert_eq!(early["within_the_promise"], 1);
        // A copy that was changed counts nothing.
        let root = office.data("repo/acme-gw1/metadata/1.root.json");
        let bytes = std::fs::read_to_string(&root).unwrap().replacen("\"version\":1", "\"version\":2", 1);
        let root = office.file("root.json", &bytes);
        assert!(!office.refused(&["delivered", &copy, "--root", &root]).is_empty());
    }

    #[test]
    fn row_22_the_time_from_disclosure_to_fix_is_the_same_on_the_page_in_the_file_and_by_the_command() {
        let office = Office::serving();
        let known = office.first_day();
        let words = ["--summary", "A hole.", "--risk", "Strangers could look in.", "--action", "Wait for the update."];
        let advise = |id: &str, more: &[&str]| {
            office.ok(&[&["advisory", "publish", "acme-gw1", id][..], &words, more].concat());
        };
        // One that the maker told of first, one that others knew, one of which nobody says since when.
        advise("ACME-2026-0001", &["--alias", "CVE-2026-0001"]);
        office.later_by_days(12);
        office.publish_fixing("1.0.1", &["--fixes", "CVE-2026-0001", "CVE-2026-0002"]);
        office.later_by_days(30);
        let other = format!("CVE-2026-0003={known}");
        office.publish_fixing("1.0.2", &["--fixes", "CVE-2026-0003", "--disclosed", &other]);
        let image = format!("rootfs={}", office.path("fix.img"));
        let more = ["--image", &image, "--fixes", "CVE-2026-0004", "--disclosed", &other];
        let refused = office.refused(&office.fixing("1.0.3", &more));
        assert!(refused.contains("--disclosed CVE-2026-0003: name what --fixes names"), "{refused}");
        advise("ACME-2026-0005", &["--disclosed", &known]);
        office.push();
        let served = office.json_of("/p/acme-gw1/delivered.json");
        let times = &served["time_to_fix"];
        let figures = [&times["stated"], &times["not_stated"], &times["median_days"], &times["longest_days"]];
        assert_eq!(figures, [2, 1, 12, 42], "{times}");
        let fixed: Vec<_> = times["fixed"].as_array().unwrap().iter().map(|fix| (&fix["name"], &fix["days"])).collect();
        let (first, second) = (Value::from("ACME-2026-0001"), Value::from("CVE-2026-0002"));
        let third = Value::from("CVE-2026-0003");
        assert_eq!(fixed, [(&first, &12.into()), (&second, &Value::Null), (&third, &42.into())]);
        assert_eq!((&times["open"][0]["name"], &times["open"][0]["days"]), (&"ACME-2026-0005".into(), &42.into()));
        let day = served["as_of"].as_str().unwrap().to_owned();
        let copy = office.data("repo/acme-gw1");
        for what in ["acme-gw1", &copy] {
            assert_eq!(office.json(&["delivered", what, "--as-of", &day]), served, "{what}");
            let said = office.ok(&["delivered", what]);
            assert!(said.contains("half within 12 days, longest 42 days (2 holes; not stated for 1)"), "{said}");
            assert!(said.contains("known and not fixed: ACME-2026-0005 since"), "{said}");
        }
        let page = office.get("/p/acme-gw1", &[]).body;
        assert!(
            page.contains("<dd>Half within 12 days, the slowest took 42 days (2 counted); not stated for 1</dd>"),
            "{page}"
        );
        assert!(page.contains("<dt>Known, and not fixed yet</dt><dd>1, the oldest since"), "{page}");
        // The manifest keeps what the list of advisories does not say any more, and nothing hides what is open.
        office.ok(&["advisory", "withdraw", "acme-gw1", "ACME-2026-0001"]);
        office.push();
        let later = &office.json_of("/p/acme-gw1/delivered.json")["time_to_fix"];
        assert_eq!((&later["stated"], &later["longest_days"]), (&2.into(), &42.into()));
        // Figures of an earlier day are those that were counted then.
        let early = &office.json_of(&format!("/p/acme-gw1/delivered.json?as_of={known}"))["time_to_fix"];
        assert_eq!((&early["stated"], early["open"].as_array().unwrap().len()), (&0.into(), 1), "{early}");
    }

    #[test]
    fn row_12_the_page_shows_labels_of_others_with_their_own_end_and_leads_to_the_statement() {
        let office = Office::serving();
        assert!(!office.get("/p/acme-gw1", &[]).body.contains("Labels from others"));
        assert!(!office.get("/p/acme-gw1", &[]).body.contains("statement.pdf"), "there is none");
        let ends = tenure_server::clock::Clock::new(None).now().day().plus_days(100);
        let add = ["label", "add", "acme-gw1", "--scheme", "jc-star", "--level", "STAR-1", "--reference", "2026-0123"];
        office.ok(&[&add[..], &["--expires", &ends.to_string()]].concat());
        let maker = std::fs::read_to_string(office.path("tenure.toml")).unwrap();
        office.file("tenure.toml", format!("address = \"1 High Street\"\n{maker}"));
        let signatory = ["--name", "A. Smith", "--function", "Head", "--place", "London", "--schedule", "1"];
        let issue = ["statement", "issue", "acme-gw1", "--first-supplied", &office.first_day()];
        office.ok(&[&issue[..], &signatory].concat());
        office.push();
        let page = office.get("/p/acme-gw1?lang=de", &[]).body;
        assert!(page.contains("<span lang=\"en\">JC-STAR (Japan) STAR-1</span> <code>2026-0123</code>"), "{page}");
        assert!(page.contains("Gültig bis ") && !page.contains("Nicht mehr gültig"), "{page}");
        assert!(
            page.contains("<a href=\"/p/acme-gw1/statement.pdf?lang=de\" hreflang=\"en\">Konformitätserklärung"),
            "{page}"
        );
        assert!(office.bytes("/p/acme-gw1/statement.pdf").starts_with(b"%PDF"));
        office.later_by_days(102);
        let page = office.get("/p/acme-gw1?lang=de", &[]).body;
        assert!(page.contains("Nicht mehr gültig: es endete am "), "{page}");
        assert!(
            page.contains("<time datetime=\"2099-12-31\">31. Dezember 2099</time>"),
            "and moves no promise: {page}"
        );
    }

    #[test]
    fn who_reads_advisories_by_machine_finds_them_all_from_security_txt_and_nothing_that_was_not_pushed() {
        let office = Office::serving();
        let words = ["--summary", "A hole.", "--risk", "Strangers could look in.", "--action", "Wait for the update."];
        let provider = || {
            let text = office.get("/.well-known/security.txt", &[]).body;
            let url = text.lines().find_map(|line| line.strip_prefix("CSAF: ").map(str::to_owned)).unwrap();
            office.json_of(url.strip_prefix(&office.url()).unwrap())
        };
        let feed = || {
            let url = provider()["distributions"][0]["rolie"]["feeds"][0]["url"].as_str().unwrap().to_owned();
            office.json_of(url.strip_prefix(&office.url()).unwrap())["feed"].clone()
        };
        assert_eq!(feed()["entry"], serde_json::json!([]));
        assert_eq!((&provider()["role"], &provider()["metadata_version"]), (&"csaf_provider".into(), &"2.1".into()));
        office
            .ok(&[&["advisory", "publish", "acme-gw1", "ACME-2026-0001", "--alias", "CVE-2026-0001"][..], &words]
                .concat());
        assert_eq!(feed()["entry"], serde_json::json!([]), "it is signed, and not pushed");
        office.push();
        let entry = feed()["entry"][0].clone();
        let path = entry["content"]["src"].as_str().unwrap().strip_prefix(&office.url()).unwrap().to_owned();
        assert!(
            path.starts_with("/.well-known/csaf/clear/20") && path.ends_with("/acme-gw1-acme-2026-0001.json"),
            "{path}"
        );
        let document = office.get(&path, &[]);
        assert_eq!(document.header("access-control-allow-origin").as_deref(), Some("*"));
        let document = document.json();
        assert_eq!(
            document,
            office.json(&["advisory", "export", "acme-gw1", "ACME-2026-0001"]),
            "as the maker exports it"
        );
        assert_eq!(document["document"]["tracking"]["id"], entry["id"]);
        assert_eq!(document["document"]["publisher"], provider()["publisher"]);
        let digest = tenure_proto::digest::Digest::of(&office.bytes(&path)).to_string();
        assert!(office.get(&format!("{path}.sha256"), &[]).body.starts_with(&format!("{digest}  ")));
        // When support ends, it says by itself that nothing more comes, as another version.
        assert_eq!(document["document"]["tracking"]["version"], "1");
        office.later_by_days(80 * 365);
        let after = office.get(&path, &[]).json();
        assert_eq!(after["document"]["tracking"]["version"], "2");
        assert_eq!(after["vulnerabilities"][0]["remediations"][0]["category"], "no_fix_planned");
        assert_eq!(feed()["entry"][0]["updated"], after["document"]["tracking"]["current_release_date"]);
    }

    #[test]
    fn row_36_past_the_end_the_page_warns_and_marks_what_came_later() {
        let office = Office::serving_until(400);
        office.publish("1.0.1", "security");
        office.later_by_days(500);
        office.publish("1.0.2", "security");
        office.push();
        let page = office.get("/p/acme-gw1", &[]).body;
        assert!(page.contains("Security updates ended on"), "{page}");
        assert!(page.contains("It is a risk to go on using it on a network"), "{page}");
        let archive = office.get("/p/acme-gw1/archive", &[]).body;
        assert!(archive.contains("It is a risk to go on using it on a network"), "{archive}");
        let (newer, older) = archive.split_once("Version 1.0.1").unwrap();
        assert!(newer.contains("Version 1.0.2") && newer.contains("Beyond the promise"), "{archive}");
        assert!(!older.contains("Beyond the promise"), "{archive}");
        let served = office.json_of("/p/acme-gw1/delivered.json");
        assert_eq!((&served["within_the_promise"], &served["beyond_the_promise"]), (&1.into(), &1.into()));
    }

    #[test]
    fn row_34_past_the_models_end_pages_and_mud_know_of_units_that_go_on() {
        let office = Office::serving_until(400);
        office.publish("1.0.1", "security");
        let later = office.day(900);
        office.extend(&["--ends", &later.to_string(), "--batch", "2027-03"]);
        let latest = office.day(1200);
        office.extend(&["--ends", &latest.to_string(), "--unit", "SN-4711"]);
        office.push();
        let is_supported = || office.json_of("/p/acme-gw1/mud.json")["ietf-mud:mud"]["is-supported"].clone();
        let said = format!("Some units get security updates for longer: until {} at the latest.", latest.in_words());
        let pages = || ["/p/acme-gw1", "/p/acme-gw1/archive"].map(|page| office.get(page, &[]).body);
        assert_eq!(is_supported(), true);
        assert!(pages().iter().all(|page| !page.contains(&said) && !page.contains("It is a risk to go on")));
        office.later_by_days(500);
        assert_eq!(is_supported(), true, "the model's day is over, and not that of every unit");
        for page in pages() {
            assert!(page.contains(&said) && page.contains("It is a risk to go on"), "{page}");
        }
        assert!(office.get("/p/acme-gw1/2027-03", &[]).body.contains("Security updates until"));
        office.later_by_days(702);
        assert_eq!(is_supported(), false);
        assert!(pages().iter().all(|page| !page.contains(&said) && page.contains("It is a risk to go on")));
    }

    #[test]
    fn row_35_each_security_update_can_be_had_and_verified_ten_years_later() {
        let office = Office::serving_until(700);
        office.publish("1.0.1", "security");
        office.publish("1.0.2", "security");
        office.push();
        office.later_by_days(3650);
        let archive = office.get("/p/acme-gw1/archive", &[]).body;
        let links: Vec<_> =
            archive.split("href=\"/repo/").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert_eq!(links.len(), 2, "{archive}");
        for link in links {
            let bytes = office.bytes(&format!("/repo/{link}"));
            let digest = tenure_proto::digest::Digest::of(&bytes).to_string();
            assert!(link.contains(&digest) && archive.contains(&digest), "{link}");
        }
    }

    #[test]
    fn row_09_nothing_that_was_issued_is_taken_away_before_its_time() {
        let office = Office::serving_until(700);
        office.back_up();
        office.publish("1.0.1", "security");
        office.push();
        // The maker's folder of before, with a higher release: it lists 1.0.1 no more.
        office.forget("1.0.1");
        office.publish("1.0.2", "security");
        let before = office.get("/p/acme-gw1/archive", &[]).body;
        let said = office.refused(&["push", "acme-gw1"]);
        assert!(said.contains("security update 1.0.1 must stay available until"), "{said}");
        assert_eq!(office.get("/p/acme-gw1/archive", &[]).body, before, "nothing changed");
        // Nor with a database from before the update was issued.
        office.restore();
        let said = office.refused(&["push", "acme-gw1"]);
        assert!(said.contains("security update 1.0.1 must stay available until"), "{said}");
        office.later_by_days(3000);
        office.renew();
        office.later_by_days(660);
        office.push();
        assert!(!office.get("/p/acme-gw1/archive", &[]).body.contains("1.0.1"));
    }

    #[test]
    fn the_history_says_what_changed_why_and_how_soon_it_was_public() {
        let office = Office::serving();
        office.ok(&[
            "support",
            "correct",
            "acme-gw1",
            "--change",
            "The advice was hard to read.",
            "--advice",
            "Take it off the internet.",
        ]);
        office.later_by_days(3);
        // Two at once: the one between was never pushed by itself.
        office.ok(&["support", "extend", "acme-gw1", "--ends", "2100-12-31"]);
        office.push();
        let page = office.get("/p/acme-gw1", &[]).body;
        assert!(page.contains("Why: <span lang=\"en\">The advice was hard to read.</span>"), "{page}");
        assert!(page.contains("Public here 3 days after it was signed."), "{page}");
        assert!(page.contains("until 31 December 2100") && page.contains("until 31 December 2099"), "{page}");
        // Each stays to be had, by the digest that the next one names.
        let history = office.json(&["support", "history", "acme-gw1"]);
        for entry in history["history"].as_array().unwrap() {
            let path = format!("/repo/acme-gw1/targets/support/{}.declaration.json", entry["sha256"].as_str().unwrap());
            let declaration: Value = serde_json::from_slice(&office.bytes(&path)).unwrap();
            assert_eq!(declaration["sequence"], entry["declaration"]["sequence"]);
        }
    }

    #[test]
    fn row_03_a_restored_database_makes_no_extension_look_late() {
        let office = Office::serving();
        office.back_up();
        office.extend(&["--ends", "2101-06-30"]);
        office.push();
        let before = office.get("/p/acme-gw1", &[]).body;
        office.later_by_days(5);
        office.restore();
        let after = office.get("/p/acme-gw1", &[]).body;
        assert!(after.contains("until 30 June 2101"), "what is signed is back: {after}");
        let lag = |page: &str| page.matches("min after it was signed.").count();
        assert_eq!((lag(&before), lag(&after)), (2, 2), "{after}");
        assert!(!after.contains("days after it was signed"), "{after}");
    }

    #[test]
    fn row_14_security_txt_names_a_contact_and_never_expires_while_we_run() {
        let office = Office::empty();
        let answer = office.get("/.well-known/security.txt", &[]);
        assert_eq!((answer.status, answer.json()["code"].clone()), (404, "no_contact".into()));
        let office = Office::serving();
        let field = |name: &str| {
            let text = office.get("/.well-known/security.txt", &[]).body;
            text.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")).map(str::to_owned)).unwrap()
        };
        assert_eq!(field("Contact"), "https://acme.example/security");
        assert_eq!(field("Preferred-Languages"), "en");
        assert!(field("Canonical").ends_with("/.well-known/security.txt"));
        assert!(field("Policy").ends_with("/policy"));
        let expires = |at: &str| at.parse::<tenure_proto::time::Timestamp>().unwrap();
        let first = expires(&field("Expires"));
        office.later_by_days(3650);
        let later = expires(&field("Expires"));
        let days = later.seconds_since(first).unwrap() / 86_400;
        assert!((3649..=3651).contains(&days), "{days}");
        let policy = office.get("/policy", &[]).body;
        assert!(policy.contains("Within 5 days") && policy.contains("Every 14 days"), "{policy}");
    }
}
