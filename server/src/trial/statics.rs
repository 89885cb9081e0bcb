//! Static plane: what any web server would do, and nothing outside the repository.

use super::World;
use super::maker::Maker;

fn payload(maker: &Maker) -> (String, Vec<u8>) {
    let (name, bytes) = maker.files.iter().find(|(name, _)| name.ends_with(".rootfs.full")).unwrap();
    (format!("/repo/acme-gw1/targets/{name}"), bytes.clone())
}

#[test]
fn ranges_and_validators_follow_the_specification() {
    let world = World::with_operator();
    let (path, bytes) = payload(&Maker::live(&world));
    let length = bytes.len();
    let etag = world.get(&path, &[]).header("etag").to_string();
    let digest = path.rsplit_once('/').unwrap().1.split_once('.').unwrap().0;
    assert_eq!(etag, format!("\"{digest}\""));
    let end = format!("bytes {}-{}/{length}", length - 5, length - 1);
    for (headers, status, expected, range) in [
        (vec![], 200, &bytes[..], ""),
        (vec![("range", "bytes=0-9")], 206, &bytes[..10], &*format!("bytes 0-9/{length}")),
        (vec![("range", "bytes=-5")], 206, &bytes[length - 5..], &*end),
        (vec![("range", &*format!("bytes={}-", length - 5))], 206, &bytes[length - 5..], &*end),
        (vec![("range", &*format!("bytes={length}-"))], 416, &[], &*format!("bytes */{length}")),
        (vec![("range", "bytes=0-1,5-6")], 200, &bytes[..], ""),
        (vec![("range", "bytes=0-9"), ("if-range", &etag)], 206, &bytes[..10], &*format!("bytes 0-9/{length}")),
        (vec![("range", "bytes=0-9"), ("if-range", "\"other\"")], 200, &bytes[..], ""),
        (vec![("if-none-match", &etag)], 304, &[], ""),
        (vec![("if-none-match", "\"other\"")], 200, &bytes[..], ""),
    ] {
        let answer = world.get(&path, &headers);
        assert_eq!(
            (answer.status, &answer.body[..], answer.header("content-range")),
            (status, expected, range),
            "{headers:?}"
        );
        assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(answer.header("etag"), etag);
    }
    let head = world.send("HEAD", &path, &[("range", "bytes=0-9")], b"");
    assert_eq!((head.status, head.header("content-length")), (200, &*length.to_string()));
}

#[test]
fn only_the_timestamp_is_asked_for_anew() {
    let world = World::with_operator();
    drop(Maker::live(&world));
    for (name, caching) in [
        ("timestamp.json", "no-cache"),
        ("1.root.json", "public, max-age=31536000, immutable"),
        ("1.snapshot.json", "public, max-age=31536000, immutable"),
        ("2.targets.json", "public, max-age=31536000, immutable"),
        ("2.support.json", "public, max-age=31536000, immutable"),
    ] {
        let answer = world.get(&format!("/repo/acme-gw1/metadata/{name}"), &[]);
        assert_eq!((answer.status, answer.header("cache-control")), (200, caching), "{name}");
        assert_eq!(answer.header("content-type"), "application/json");
        let digest = tenure_proto::digest::Digest::of(&answer.body);
        assert_eq!(answer.header("etag"), format!("\"{digest}\""));
    }
}

#[test]
fn nothing_outside_a_repository_is_served() {
    let world = World::with_operator();
    drop(Maker::live(&world));
    for path in [
        "/repo/acme-gw1/metadata/2.root.json",
        "/repo/acme-gw1/metadata",
        "/repo/acme-gw1/metadata/",
        "/repo/acme-gw1/targets/releases",
        "/repo/acme-gw1/targets/releases/1.0.0",
        "/repo/acme-gw1/metadata/%2e%2e/%2e%2e/%2e%2e/tenure.db",
        "/repo/acme-gw1/metadata/..%2f..%2f..%2ftenure.db",
        "/repo/%2e%2e/keys/acme-gw1/timestamp.pem",
        "/repo/..%2fkeys/acme-gw1/timestamp.pem",
        "/repo/acme-gw1/..%2f..%2fkeys/acme-gw1/timestamp.pem",
        "/repo/acme-gw1/metadata/timestamp.json%00",
        "/repo/acme-gw1//metadata/timestamp.json",
        "/repo/ACME-GW1/metadata/timestamp.json",
        "/repo/other/metadata/timestamp.json",
        "/repo/acme-gw1/metadata/timestamp.json/x",
    ] {
        let answer = world.get(path, &[]);
        assert_eq!((answer.status, answer.body.is_empty()), (404, true), "{path}");
    }
}

#[test]
fn a_public_page_needs_no_cookie_form_or_script() {
    let world = World::with_operator();
    drop(Maker::live(&world));
    for path in ["/", "/p/acme-gw1"] {
        let answer = world.get(path, &[("accept", "text/html"), ("authorization", "none")]);
        // Data for programs is no script: browsers run nothing of this type.
        let page = answer.text().replacen("<script type=\"application/ld+json\">", "", 1);
        assert_eq!(answer.status, 200);
        assert!(page.len() < 30 * 1024 && page.contains("<html lang=\"en\">") && page.contains("<main"), "{path}");
        assert!(!answer.headers.contains_key("set-cookie"));
        for banned in ["<script", "<form", "<input", "<img", "url(", "@import"] {
            assert!(!page.contains(banned), "{path} has {banned}");
        }
        // The same page in other languages, and as a feed: nothing that a browser fetches by itself.
        let links = page.matches("<link ").count();
        assert_eq!(links, page.matches("<link rel=\"alternate\"").count(), "{page}");
        // What the maker wrote is text, and stays text.
        assert!(page.contains("Acme Gateway &#60;1&#62;") && page.contains("31 December 2033"), "{page}");
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    }
    let page = world.get("/p/acme-gw1", &[]);
    for words in [
        "https://acme.example/security",
        "Within 5 days",
        "Every 14 days",
        "The Acme app",
        "Replace it, or take it off the internet.",
    ] {
        assert!(page.text().contains(words), "{words}");
    }
    assert_eq!(world.get("/p/other", &[]).status, 404);
}

#[test]
fn an_address_with_nothing_says_so_to_people_in_their_language_and_to_programs_by_its_code() {
    let world = World::with_operator();
    for (path, wish, language, said) in [
        ("/p/other", "de-AT,en;q=0.5", "de", "Hier ist nichts"),
        ("/p/other?lang=cy", "de", "cy", "Does dim byd yma"),
        ("/nowhere", "", "en", "Nothing is here"),
    ] {
        let wishes = [("accept", "text/html"), ("accept-language", wish), ("authorization", "none")];
        let answer = world.get(path, &wishes);
        let page = answer.text();
        assert_eq!((answer.status, answer.header("cache-control")), (404, "no-store"), "{path}");
        assert!(page.contains(&format!("<html lang=\"{language}\">")) && page.contains(said), "{page}");
        assert!(page.contains("<code>not_found</code>") && !page.contains("lang=\"en\">there"), "{page}");
    }
    let answer = world.get("/nowhere", &[("authorization", "none")]);
    assert_eq!((answer.status, &answer.json()["code"]), (404, &serde_json::json!("not_found")));
}
