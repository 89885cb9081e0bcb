//! `tenurectl shelf-check` on good and faulty pages, each from a real socket.

#[cfg(test)]
mod ctl;
#[cfg(test)]
mod serve;

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::path::Path;
    use std::time::Duration;

    use serde_json::Value;
    use tenure_server::disk::{PUBLIC, replace};

    use super::ctl::{json_of, ok, refused, run};
    use super::serve::Server;

    const PARTS: &[u8] = br#"{"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "components": [{"type": "library", "name": "zlib", "version": "1.3.1"}]}"#;
    const PAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/shelf");

    /// A maker whose gateway is supported until 31 December 2099, with its app.
    fn maker() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        ok(dir.path(), &["init", "--manufacturer", "ACME Ltd", "--contact", "https://acme.example/security"]);
        ok(dir.path(), &["model", "add", "acme-gw1", "--designation", "ACME Gateway 1"]);
        let declare = ["support", "declare", "acme-gw1", "--ends", "2099-12-31", "--gtin", "4006381333931"];
        ok(dir.path(), &[&declare[..], &["--component", "device", "--component", "ACME app"]].concat());
        dir
    }

    /// A shop that gives the pages of the folder, and other answers that shops give.
    fn shop(fingerprint: String) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let fingerprint = fingerprint.clone();
                std::thread::spawn(move || drop(serve(stream.unwrap(), &fingerprint)));
            }
        });
        url
    }

    fn serve(mut stream: TcpStream, fingerprint: &str) -> std::io::Result<()> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte)? == 1 {
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let path = head.split_whitespace().nth(1).unwrap_or("/").to_string();
        let mut say = |status: &str, headers: &str, body: &str| {
            let length = body.len();
            write!(stream, "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}")
        };
        let html = "content-type: text/html; charset=utf-8\r\n";
        let page = |name: &str| {
            let text = std::fs::read_to_string(Path::new(PAGES).join(name)).unwrap_or_default();
            text.replace("{fingerprint}", fingerprint)
        };
        match path.as_str() {
            "/robots.txt" => say("404 Not Found", "", ""),
            "/login_status" => say("401 Unauthorized", html, ""),
            "/forbidden" => say("403 Forbidden", html, ""),
            "/pay" => say("402 Payment Required", html, ""),
            "/gone" => say("410 Gone", html, "gone"),
            "/missing" => say("404 Not Found", html, "nothing"),
            "/broken" => say("503 Service Unavailable", html, "later"),
            "/to_login" => say("302 Found", "location: /account/login?next=/gateway\r\n", ""),
            "/account/login?next=/gateway" => say("200 OK", html, "<p>Welcome to ACME Gateway 1</p>"),
            "/circle" => say("302 Found", "location: /circle2\r\nset-cookie: a=1\r\n", ""),
            "/circle2" => say("302 Found", "location: circle\r\n", ""),
            path if path.starts_with("/far") => say("301 Moved", &format!("location: {path}x\r\n"), ""),
            "/picture" => say("200 OK", "content-type: image/png\r\n", "\u{89}PNG"),
            "/moved" => say("301 Moved Permanently", "location: good_shop.html\r\n", ""),
            "/cookie" => say("200 OK", &format!("{html}set-cookie: session=1\r\n"), &page("good_shop.html")),
            "/endless" => {
                write!(stream, "HTTP/1.1 200 OK\r\n{html}connection: close\r\n\r\n<title>ACME Gateway 1</title>")?;
                loop {
                    stream.write_all(&[b'a'; 8192])?;
                }
            }
            "/slow" => {
                write!(stream, "HTTP/1.1 200 OK\r\n{html}connection: close\r\n\r\n")?;
                loop {
                    stream.write_all(b".")?;
                    std::thread::park_timeout(Duration::from_millis(100));
                }
            }
            path => say("200 OK", html, &page(path.trim_start_matches('/'))),
        }
    }

    fn fingerprint(dir: &Path) -> String {
        json_of(dir, &["support", "show", "acme-gw1"])["fingerprint"].as_str().unwrap().to_string()
    }

    /// Checks one address: the exit status, and the codes that are more than notes.
    fn check(dir: &Path, args: &[&str]) -> (i32, Vec<(String, String)>, Value) {
        let (code, out, error) = run(dir, &[&["shelf-check", "--json"], args].concat());
        let said: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{args:?}: {out} {error}"));
        let found = said["pages"].as_array().unwrap().iter().flat_map(|page| page["findings"].as_array().unwrap());
        let notes = ["older", "day_missing", "fingerprint_missing", "sets_cookie", "robots_refuse", "plain_http"];
        let text = |value: &Value| value.as_str().unwrap().to_string();
        let codes = found.map(|finding| (text(&finding["code"]), text(&finding["copy"])));
        (code, codes.filter(|(code, _)| !notes.contains(&code.as_str())).collect(), said)
    }

    const FAULTS: [(&str, &str, &str); 36] = [
        ("years_unknown.html", "date_vague", "text"),
        ("two_years.html", "date_vague", "text"),
        ("lifetime.html", "date_vague", "text"),
        ("to_be_announced.html", "date_vague", "text"),
        ("german_vague.html", "date_vague", "text"),
        ("no_model.html", "model_missing", "text"),
        ("wrong_year.html", "date_wrong", "text"),
        ("wrong_day_spanish.html", "date_wrong", "text"),
        ("two_ends.html", "date_conflict", "text"),
        ("no_date.html", "date_missing", "text"),
        ("password.html", "login_wall", "text"),
        ("mail_wall.html", "data_wall", "text"),
        ("cookie_wall.html", "cookie_wall", "text"),
        ("paywall.html", "paywall", "text"),
        ("paywall_said.html", "paywall", "json_ld"),
        ("script_only.html", "script_only", "text"),
        ("hidden.html", "date_hidden", "text"),
        ("data_only.html", "date_hidden", "text"),
        ("wrong_fingerprint.html", "fingerprint_wrong", "text"),
        ("wrong_json_ld.html", "date_wrong", "json_ld"),
        ("wrong_block.html", "date_wrong", "block"),
        ("other_product.html", "model_wrong", "json_ld"),
        ("app_missing.html", "component_missing", "text"),
        ("login_status", "login_wall", "text"),
        ("forbidden", "login_wall", "text"),
        ("to_login", "login_wall", "text"),
        ("pay", "paywall", "text"),
        ("gone", "not_found", "text"),
        ("missing", "not_found", "text"),
        ("broken", "server_error", "text"),
        ("circle", "redirect_loop", "text"),
        ("far", "redirect_loop", "text"),
        ("picture", "not_readable", "text"),
        ("endless", "too_long", "text"),
        ("slow", "too_slow", "text"),
        ("none", "unreachable", "text"),
    ];
    const GOOD: [&str; 9] = [
        "good_shop.html",
        "good_german.html",
        "good_french.html",
        "good_month.html",
        "good_welsh_and_spanish.html",
        "good_block.html",
        "good_json_ld.html",
        "moved",
        "cookie",
    ];

    #[test]
    fn row_25_every_seeded_fault_is_found_and_named_and_the_good_pages_pass() {
        let maker = maker();
        let url = shop(fingerprint(maker.path()));
        for path in GOOD {
            let (code, found, said) = check(maker.path(), &[&format!("{url}/{path}"), "--model", "acme-gw1"]);
            assert_eq!((code, found.len()), (0, 0), "{path}: {said}");
        }
        for (path, code_of_fault, copy) in FAULTS {
            let address = if path == "none" { "http://127.0.0.1:1/".to_string() } else { format!("{url}/{path}") };
            let (code, found, said) = check(maker.path(), &[&address, "--model", "acme-gw1", "--timeout-s", "3"]);
            let unread = ["not_readable", "unreachable"].contains(&code_of_fault);
            assert_eq!(code, if unread { 3 } else { 1 }, "{path}: {said}");
            assert!(found.contains(&(code_of_fault.to_string(), copy.to_string())), "{path}: {found:?} in {said}");
            let others: Vec<_> = found.iter().filter(|(code, _)| code != code_of_fault).collect();
            assert!(others.is_empty() || path == "endless", "{path}: {others:?}");
        }
        let pages: Vec<_> =
            std::fs::read_dir(PAGES).unwrap().map(|page| page.unwrap().file_name().into_string().unwrap()).collect();
        for page in pages {
            assert!(GOOD.contains(&&*page) || FAULTS.iter().any(|(name, ..)| *name == page), "{page} is in no list");
        }
    }

    #[test]
    fn the_feeds_of_a_server_agree_and_whichever_copy_is_changed_is_the_one_that_is_named() {
        let (data, maker) = (tempfile::tempdir().unwrap(), maker());
        let (server, dir) = (Server::start(data.path()), maker.path());
        ok(dir, &["login", "--setup-link", &server.link, "--user", "ada"]);
        ok(dir, &["push", "acme-gw1"]);
        let get = |path: &str| {
            ureq::get(format!("{}{path}", server.url)).call().unwrap().body_mut().read_to_string().unwrap()
        };
        let copies = [
            ("/p/acme-gw1", "json_ld", "html"),
            ("/p/acme-gw1/openeox.json", "openeox", "json"),
            ("/p/acme-gw1/cle.json", "cle", "json"),
            ("/p/acme-gw1/product.jsonld", "json_ld", "jsonld"),
            ("/p/acme-gw1/proof.json", "proof", "json"),
            ("/feeds/retailers.csv", "csv", "csv"),
            ("/feeds/endoflife/v1/products/acme-gw1", "endoflife", "json"),
            ("/feeds/endoflife/v1/products/full", "endoflife", "json"),
        ];
        let urls: Vec<_> = copies.iter().map(|(path, ..)| format!("{}{path}", server.url)).collect();
        let root = dir.join("root.json").display().to_string();
        replace(Path::new(&root), get("/repo/acme-gw1/metadata/1.root.json").as_bytes(), PUBLIC).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let by_server = ["--server", &server.url, "--model", "acme-gw1", "--root", &root];
        let all: Vec<&str> = urls.iter().map(String::as_str).chain(by_server).collect();
        let (code, found, said) = check(elsewhere.path(), &all);
        assert_eq!(
            (code, found.len(), &said["compared_with"]),
            (0, 0, &Value::from("proved by the maker's root")),
            "{said}"
        );
        // Each copy in turn, with another year: it alone is named.
        let proof = elsewhere.path().join("proof.json").display().to_string();
        replace(Path::new(&proof), get("/p/acme-gw1/proof.json").as_bytes(), PUBLIC).unwrap();
        for (path, copy, kind) in copies {
            let url = altered(&get(path).replace("2099-12-31", "2097-12-31"), kind);
            let (code, found, said) = check(elsewhere.path(), &[&url, "--proof", &proof, "--root", &root]);
            assert!(code == 1 && found.iter().any(|(_, of)| of == copy), "{path}: {said}");
        }
        let (code, _, error) = run(elsewhere.path(), &["shelf-check", &urls[0]]);
        assert!(code == 2 && error.contains("--model"), "{error}");
    }

    #[test]
    fn what_is_compared_with_is_read_first_and_refused_if_it_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("none.json").display().to_string();
        replace(Path::new(&file), b"{}", PUBLIC).unwrap();
        let page = "http://127.0.0.1:1/";
        let said = refused(dir.path(), &["shelf-check", page, "--declaration", &file]);
        assert!(said.contains("cannot be compared with"), "{said}");
        let said = refused(dir.path(), &["shelf-check", page, "--proof", &file, "--root", &file]);
        assert!(said.contains("the proof proves no promise"), "{said}");
    }

    #[test]
    fn a_list_of_parts_from_before_an_extension_is_older_and_one_that_nobody_declared_is_wrong() {
        let (data, maker) = (tempfile::tempdir().unwrap(), maker());
        let (server, dir) = (Server::start(data.path()), maker.path());
        ok(dir, &["login", "--setup-link", &server.link, "--user", "ada"]);
        let file = |name: &str, text: &[u8]| {
            replace(&dir.join(name), text, PUBLIC).unwrap();
            dir.join(name).display().to_string()
        };
        let bom = file("bom.json", PARTS);
        let image = format!("rootfs={}", file("rootfs.img", &[7; 5000]));
        let publish = ["release", "publish", "acme-gw1", "1.0.0", "--kind", "feature", "--sbom", &bom];
        ok(dir, &[&publish[..], &["--image", &image]].concat());
        ok(dir, &["push", "acme-gw1"]);
        let sbom = format!("{}/p/acme-gw1/sbom.cdx.json", server.url);
        let root = dir.join("root.json").display().to_string();
        let get = |path: &str| {
            ureq::get(format!("{}{path}", server.url)).call().unwrap().body_mut().read_to_string().unwrap()
        };
        replace(Path::new(&root), get("/repo/acme-gw1/metadata/1.root.json").as_bytes(), PUBLIC).unwrap();
        let by_server = ["--server", &server.url, "--model", "acme-gw1", "--root", &root];
        let by_both = |url: &str| {
            let mine = check(dir, &[url, "--model", "acme-gw1"]);
            let others = check(dir, &[&[url][..], &by_server].concat());
            [mine, others].map(|(code, found, said)| {
                let finding = said["pages"][0]["findings"][0]["code"].as_str().unwrap_or_default().to_owned();
                (code, found.len(), finding)
            })
        };
        assert_eq!(by_both(&sbom), [(0, 0, String::new()), (0, 0, String::new())], "the same day");
        ok(dir, &["support", "extend", "acme-gw1", "--ends", "2101-12-31"]);
        ok(dir, &["push", "acme-gw1"]);
        assert_eq!(by_both(&sbom), [(0, 0, "older".into()), (0, 0, "older".into())], "a note, and nothing is wrong");
        let text = get("/p/acme-gw1/sbom.cdx.json");
        // Nobody but the maker's folder knows which days were declared before.
        let other = text.replace("2099-12-31", "2098-12-31").replace("vnd.cyclonedx", "");
        assert_eq!(by_both(&altered(&other, "json")).map(|(code, ..)| code), [1, 0]);
        let later = altered(&text.replace("2099-12-31", "2105-12-31"), "json");
        assert_eq!(by_both(&later).map(|(code, ..)| code), [1, 1], "more than was ever promised");
    }

    #[test]
    fn a_signed_finding_is_checked_and_judged_again_without_a_network_and_no_byte_of_it_can_be_changed() {
        let (maker, shopper) = (maker(), tempfile::tempdir().unwrap());
        let (url, dir) = (shop(fingerprint(maker.path())), shopper.path());
        let at = |name: &str| dir.join(name).display().to_string();
        let declaration = json_of(maker.path(), &["support", "show", "acme-gw1"])["sha256"].clone();
        for who in ["checker", "other"] {
            ok(dir, &["key", "generate", "checker", "--out", &at(&format!("{who}.pem")), "--unencrypted"]);
        }
        let pages = ["good_shop.html", "wrong_year.html", "to_login", "circle"].map(|page| format!("{url}/{page}"));
        let maker_dir = maker.path().display().to_string();
        let sign = ["--sign-with", &at("checker.pem"), "--out", &at("finding")];
        let model = ["--dir", &maker_dir, "--model", "acme-gw1"];
        let args: Vec<&str> = pages.iter().map(String::as_str).chain(model).chain(sign.iter().copied()).collect();
        let (code, _, said) = check(dir, &args);
        assert_eq!(code, 1, "{said}");
        let verify = ["shelf-verify", &at("finding"), "--key", &at("checker.pub")];
        let whole = json_of(dir, &verify);
        let found = &whole["finding"];
        assert_eq!(found["declaration_sha256"], declaration);
        let codes: Vec<_> =
            found["pages"].as_array().unwrap().iter().map(|page| &page["verdict"]["findings"][0]["code"]).collect();
        assert_eq!(codes[1..], [&Value::from("date_wrong"), &"login_wall".into(), &"redirect_loop".into()]);
        assert!(ok(dir, &verify).contains("The finding is whole"));
        let text = std::fs::read_to_string(at("finding/finding.json")).unwrap();
        // Another key, another page, another word in what is signed: each is refused.
        let other = ["shelf-verify", &at("finding"), "--key", &at("other.pub")];
        assert!(refused(dir, &other).contains("no finding that this key signed"));
        let page = std::fs::read_dir(at("finding")).unwrap().map(|file| file.unwrap().path());
        let page = page.filter(|path| !path.ends_with("finding.json")).max().unwrap();
        let body = std::fs::read(&page).unwrap();
        replace(&page, &[&body[..], b" "].concat(), PUBLIC).unwrap();
        assert!(refused(dir, &verify).contains("is not the page that came"));
        replace(&page, &body, PUBLIC).unwrap();
        let mut envelope: Value = serde_json::from_str(&text).unwrap();
        let payload = envelope["payload"].as_str().unwrap().replacen('I', "J", 1);
        envelope["payload"] = payload.into();
        replace(Path::new(&at("finding/finding.json")), envelope.to_string().as_bytes(), PUBLIC).unwrap();
        assert!(refused(dir, &verify).contains("no finding that this key signed"));
    }

    /// Gives this text once more under an address of its own.
    fn altered(text: &str, kind: &str) -> String {
        let kind = match kind {
            "html" => "text/html",
            "csv" => "text/csv",
            "jsonld" => "application/ld+json",
            _ => "application/json",
        };
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
            text.len()
        );
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming().take(4) {
                let mut stream = stream.unwrap();
                let mut head = [0; 4096];
                drop(stream.read(&mut head));
                drop(stream.write_all(answer.as_bytes()));
            }
        });
        url
    }
}
