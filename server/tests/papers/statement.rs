//! Statements of compliance, from the office over the server to a shop.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tenure_proto::digest::Digest;
use tenure_proto::dsse::Envelope;
use tenure_proto::key::SigningKey;
use tenure_proto::statement::{Pack, Statement};
use tenure_server::disk::{PUBLIC, replace};
use tenure_server::keys;

use crate::office::{Office, copy};

const SIGNED: &str = "--schedule 1 --name A.&Smith --function Head&of&compliance --place London";

fn issue(office: &Office, more: &str) -> Value {
    office.json(&format!("statement issue acme-gw1 {SIGNED} {more}"))
}

/// A promise of 2026 until 2033, and the statement of a batch that was supplied then.
fn first() -> Office {
    let office = Office::declared("2026-12-01", "2033-12-31");
    office.on("2026-12-02");
    let said = issue(&office, "--batch 2026-12 --first-supplied 2026-12-02 --standard ETSI&EN&303&645&V2.1.1");
    assert_eq!((&said["number"], &said["signed"]), (&json!(1), &json!(true)));
    office
}

fn file(office: &Office, number: u32) -> PathBuf {
    office.path(&format!("models/acme-gw1/statements/{number}.json"))
}

fn root(office: &Office) -> String {
    office.path("models/acme-gw1/root.json").display().to_string()
}

#[test]
fn row_08_statement_is_frozen_as_of_first_supply_and_a_later_extension_does_not_alter_it() {
    let office = first();
    let (before, path) = (std::fs::read(file(&office, 1)).unwrap(), file(&office, 1));
    office.on("2028-01-01");
    office.ok("support extend acme-gw1 --ends 2036-06-30");
    // The same batch states the same for ever, whenever it is asked.
    let said = issue(&office, "--batch 2026-12 --first-supplied 2026-12-02 --standard ETSI&EN&303&645&V2.1.1");
    assert_eq!((&said["number"], &said["signed"]), (&json!(1), &json!(false)));
    let early = issue(&office, "--batch 2027-06 --first-supplied 2027-06-01");
    assert_eq!(early["statement"]["support_period"]["ends"], "2033-12-31", "what was declared by then");
    let late = issue(&office, "--batch 2028-01 --first-supplied 2028-01-01");
    assert_eq!(late["statement"]["support_period"]["ends"], "2036-06-30");
    assert_eq!((&early["number"], &late["number"]), (&json!(2), &json!(3)));
    assert_eq!(std::fs::read(&path).unwrap(), before, "the first one is as it was");

    let mut stated = office.json("statement show acme-gw1 1")["statement"].take();
    let declaration = stated["support_period"].as_object_mut().unwrap().remove("declaration_sha256").unwrap();
    let history = office.json("support history acme-gw1");
    assert_eq!(declaration, history["history"][0]["sha256"]);
    let golden = json!({
        "_type": "statement_of_compliance",
        "model": "acme-gw1",
        "number": 1,
        "product": {"type": "ACME Gateway 1", "batch": "2026-12"},
        "manufacturers": [{"name": "ACME Ltd", "address": "1 High Street, London"}],
        "prepared": "by_manufacturer",
        "compliance": "schedule_1",
        "standards": ["ETSI EN 303 645 V2.1.1"],
        "support_period": {"first_supplied": "2026-12-02", "ends": "2033-12-31", "declaration": 1},
        "signatory": {"name": "A. Smith", "function": "Head of compliance"},
        "place": "London",
        "issued": "2026-12-02",
    });
    assert_eq!(stated, golden);

    let error = office.refused(&format!("statement issue acme-gw1 {SIGNED} --first-supplied 2026-11-30"));
    assert!(error.contains("no support was declared for acme-gw1 by 30 November 2026"), "{error}");
}

#[test]
fn system_row_08_statement_on_paper_reads_as_schedule_4_asks() {
    let office = first();
    let eu = "--first-supplied 2026-12-02 --union-law Regulation&(EU)&2024/2847 --notified-body Example&Body&0123 \
              --also-made-by Łódź&Elektronik=ul.&Piotrkowska&1,&Łódź";
    issue(&office, eu);
    let out = office.path("delivery");
    office.ok(&format!("statement export acme-gw1 2 --out {}", out.display()));
    let pdf = out.join("statement-acme-gw1-2.pdf");
    let read = std::process::Command::new("pdftotext").args(["-layout"]).arg(&pdf).arg("-").output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    let text = String::from_utf8(read.stdout).unwrap();
    let digest = Digest::of(&std::fs::read(out.join("statement-acme-gw1-2.json")).unwrap()).to_string();
    let declaration: Digest = office.json("support show acme-gw1")["sha256"].as_str().unwrap().parse().unwrap();
    let fingerprint = tenure_proto::support::Fingerprint::of(declaration).to_string();
    let (start, end) = digest.split_at(32);
    let text = text.replace(start, "DIGEST 1").replace(end, "DIGEST 2");
    let lines: Vec<_> = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let lines: Vec<_> = lines.iter().map(|line| line.trim_matches('\u{c}')).filter(|line| !line.is_empty()).collect();
    // A long one goes on in the next line.
    let text = lines.join("\n").replace(&fingerprint.replace(' ', "\n"), &fingerprint);
    assert_eq!(text.replace(&fingerprint, "FINGERPRINT"), include_str!("statement.txt").trim_end());
    // The same statement makes the same paper.
    let first = std::fs::read(&pdf).unwrap();
    office.ok(&format!("statement export acme-gw1 2 --out {}", out.display()));
    assert_eq!(std::fs::read(&pdf).unwrap(), first);
}

#[test]
fn row_09_statement_is_kept_for_its_term_against_an_administrator_and_a_restored_backup() {
    let office = first();
    let (data, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = office.serve(data.path());
    // What an old backup would bring back: a server that has no statement yet.
    let path = "/api/v1/models/acme-gw1/statements/1";
    drop(server);
    copy(data.path(), backup.path());
    let server = office.serve(data.path());
    office.ok("push acme-gw1");
    let kept = std::fs::read(file(&office, 1)).unwrap();
    assert_eq!(server.get("/p/acme-gw1/statement.json"), (200, "application/json".into(), kept.clone()));
    let bearer = office.bearer();
    let delete = |server: &crate::office::Server| server.ask("DELETE", path, Some(&bearer), b"");
    let (status, _, problem) = delete(&server);
    let problem: Value = serde_json::from_slice(&problem).unwrap();
    assert_eq!((status, &problem["code"]), (409, &json!("retained")));
    // Longer than support lasts: ten years from the day of issue.
    assert!(problem["detail"].as_str().unwrap().contains("until 2 December 2036"), "{problem}");
    // Nor can another text take its place.
    let mut other: Value = serde_json::from_slice(&kept).unwrap();
    other["roots"].as_array_mut().unwrap().push(json!(""));
    let (status, _, problem) = server.ask("PUT", path, Some(&bearer), other.to_string().as_bytes());
    assert_eq!(status, 409, "{}", String::from_utf8_lossy(&problem));
    assert!(String::from_utf8_lossy(&problem).contains("statement_frozen"));
    assert_eq!(server.get("/p/acme-gw1/statements/1.json").2, kept);

    // An older database, and after it the whole data folder as it was before, are put in its place.
    drop(server);
    for name in ["tenure.db", "tenure.db-wal", "tenure.db-shm"] {
        drop(std::fs::remove_file(data.path().join(name)));
        drop(std::fs::copy(backup.path().join(name), data.path().join(name)));
    }
    let server = office.serve(data.path());
    office.ok("push acme-gw1");
    assert_eq!(server.get("/p/acme-gw1/statement.json").2, kept);
    assert_eq!(delete(&server).0, 409);
    drop(server);
    let restored = tempfile::tempdir().unwrap();
    copy(backup.path(), restored.path());
    let server = office.serve(restored.path());
    assert_eq!(server.get("/p/acme-gw1/statement.json").0, 404);
    office.ok("push acme-gw1");
    assert_eq!(server.get("/p/acme-gw1/statement.json").2, kept, "the office brings it back");
    assert_eq!(delete(&server).0, 409);
    // When its time is over it may go.
    office.on("2036-12-02");
    assert_eq!(delete(&server).0, 409);
    office.on("2036-12-04");
    assert_eq!(delete(&server).0, 204);
    assert_eq!(server.get("/p/acme-gw1/statement.json").0, 404);
}

/// A good pack, a folder for bad ones, and what a shop does with each.
struct Shop {
    office: Office,
    good: Pack,
}

impl Shop {
    fn verify(&self, bytes: &[u8], root: &Path, more: &str) -> (i32, String) {
        let pack = self.office.path("at-the-shop.json");
        replace(&pack, bytes, PUBLIC).unwrap();
        let line = format!("statement verify {} --root {} {more}", pack.display(), root.display());
        let (code, out, err) = self.office.run(line.trim_end());
        (code, if code == 0 { out } else { err })
    }

    fn bad(&self, pack: &Pack) -> String {
        let (code, said) = self.verify(&serde_json::to_vec(pack).unwrap(), Path::new(&root(&self.office)), "");
        assert_eq!(code, 1, "{said}");
        said
    }

    /// The pack with a changed statement in it, signed by `key`.
    fn signed_by(&self, key: &SigningKey, change: impl FnOnce(&mut Statement)) -> Pack {
        let mut statement = self.good.peek().unwrap();
        change(&mut statement);
        Pack { statement: Envelope::seal(&statement, key).unwrap(), ..self.good.clone() }
    }
}

/// A shop with the statement of a batch of 2027, whose maker extended support in 2028.
fn shop() -> (Shop, Vec<u8>, PathBuf) {
    let office = first();
    office.on("2028-01-01");
    office.ok("support extend acme-gw1 --ends 2036-06-30");
    issue(&office, "--batch 2027-06 --first-supplied 2027-06-01");
    let good = std::fs::read(file(&office, 2)).unwrap();
    let shop = Shop { good: Pack::parse(&good).unwrap(), office };
    let root = PathBuf::from(root(&shop.office));
    (shop, good, root)
}

#[test]
fn row_11_statement_a_good_one_is_verified_offline_and_forged_ones_are_not() {
    let (shop, good, ours) = shop();
    let (code, said) = shop.verify(&good, &ours, "--date 2033-12-31 --batch 2027-06");
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("security updates until: 31 December 2033"), "{said}");
    assert!(said.contains("support was extended until 30 June 2036"), "{said}");

    // What the shop shows, or has on its shelf, is something else.
    assert!(shop.verify(&good, &ours, "--date 2036-06-30").1.contains("the statement says 2033-12-31"));
    assert!(
        shop.verify(&good, &ours, "--batch 2026-12")
            .1
            .contains("batch 2027-06, and the product at hand of batch 2026-12")
    );

    // The date is edited in the file.
    let mut edited = shop.good.clone();
    let payload = String::from_utf8(BASE64.decode(&edited.statement.payload).unwrap()).unwrap();
    edited.statement.payload = BASE64.encode(payload.replace("2033-12-31", "2039-12-31"));
    assert!(shop.bad(&edited).contains("0 of 1 valid signatures"));
    // So is the batch.
    edited.statement.payload = BASE64.encode(payload.replace("2027-06", "2026-12"));
    assert!(shop.bad(&edited).contains("somebody changed it, or made it"));
    // Somebody else signs, and brings a declaration and roots of his own.
    let stranger = SigningKey::from_seed(&[9; 32]);
    assert!(shop.bad(&shop.signed_by(&stranger, |_| {})).contains("0 of 1 valid signatures"));
    let other = Office::declared("2026-12-01", "2039-12-31");
    issue(&other, "--first-supplied 2026-12-01");
    let foreign = Pack::parse(&std::fs::read(file(&other, 1)).unwrap()).unwrap();
    assert!(shop.bad(&foreign).contains("do not vouch"));
    assert!(shop.bad(&Pack { roots: shop.good.roots.clone(), ..foreign.clone() }).contains("do not vouch"));
    assert_eq!(shop.verify(&good, Path::new(&root(&other)), "").0, 1, "by another maker's root");
    // The same keys signed for another model of the maker's.
    shop.office.add("acme-gw2", "ACME&Gateway&2");
    shop.office.ok("support declare acme-gw2 --ends 2036-12-31");
    shop.office.ok(&format!("statement issue acme-gw2 {SIGNED} --first-supplied 2028-01-01"));
    let second = std::fs::read(shop.office.path("models/acme-gw2/statements/1.json")).unwrap();
    let second = Pack::parse(&second).unwrap();
    let spliced = Pack { statement: second.statement.clone(), ..shop.good.clone() };
    let said = shop.bad(&spliced);
    assert!(
        said.contains("do not vouch") || said.contains("0 of 1") || said.contains("is a statement of model acme-gw2"),
        "{said}"
    );

    // Cut short anywhere, it is nothing; and nothing panics.
    for length in (0..good.len()).step_by(good.len() / 40) {
        assert!(Pack::parse(&good[..length]).is_err(), "{length}");
    }
    assert!(shop.verify(&good[..good.len() - 1], &ours, "").1.contains("not the whole of one"));
    // The good one still is.
    assert_eq!(shop.verify(&good, &ours, "").0, 0);
}

#[test]
fn row_11_statement_on_paper_is_verified_and_no_byte_of_it_can_be_changed() {
    let (shop, _, ours) = shop();
    let out = shop.office.path("delivery");
    shop.office.ok(&format!("statement export acme-gw1 2 --out {}", out.display()));
    let paper = std::fs::read(out.join("statement-acme-gw1-2.pdf")).unwrap();
    let (code, said) = shop.verify(&paper, &ours, "--date 2033-12-31 --batch 2027-06");
    assert!(code == 0 && said.contains("the paper says this, letter for letter"), "{said}");
    assert_eq!(shop.verify(&paper, &ours, "--date 2036-06-30").0, 1, "what is signed is compared, too");
    // A reader of another language gets the same with the name of the paper in it.
    let data = tempfile::tempdir().unwrap();
    let server = shop.office.serve(data.path());
    shop.office.ok("push acme-gw1");
    let german = server.get("/p/acme-gw1/statements/2.pdf?lang=de").2;
    assert_ne!(german, paper);
    assert_eq!(shop.verify(&german, &ours, "").0, 0);
    assert_eq!(server.get("/p/acme-gw1/statements/2.pdf").2, paper);
    // What is drawn is changed, or what lies in it, or something is left out.
    for at in (0..paper.len()).step_by(paper.len() / 24) {
        let mut forged = paper.clone();
        forged[at] ^= 1;
        assert_eq!(shop.verify(&forged, &ours, "").0, 1, "byte {at}");
    }
    let said = shop.verify(&[&paper[..], b"\n"].concat(), &ours, "").1;
    assert!(said.contains("do not trust the paper"), "{said}");
    assert!(shop.verify(b"%PDF-1.7\n", &ours, "").1.contains("has no signed statement in it"));
}

#[test]
fn row_11_statement_of_the_makers_own_keys_says_what_was_promised_or_is_refused() {
    let (shop, good, ours) = shop();
    // The maker's own key, in the maker's own hands or a thief's: the promise of that day counts.
    let keys = keys::files(&shop.office.path("keys"));
    let support = keys.iter().find(|path| path.to_string_lossy().contains("support-1")).unwrap();
    let support = keys::read(support).unwrap();
    let said = shop.bad(&shop.signed_by(&support, |forged| forged.support_period.ends = "2036-06-30".parse().unwrap()));
    assert!(said.contains("2036-06-30 as the last day with security updates, and 2033-12-31 was declared"), "{said}");
    let said = shop.bad(&shop.signed_by(&support, |forged| {
        let newer = shop.good.verify(&std::fs::read(&ours).unwrap()).unwrap();
        forged.support_period.ends = newer.newest.ends;
        forged.support_period.declaration = newer.newest.sequence;
        forged.support_period.declaration_sha256 = Digest::of(shop.good.vouched.declaration.as_bytes());
    }));
    assert!(said.contains("as the declaration, and"), "newer than the first supply: {said}");
    let said = shop.bad(&shop.signed_by(&support, |forged| forged.product.kind = "ACME Gateway 9".into()));
    assert!(said.contains("ACME Gateway 9 as the product's name"), "{said}");
    let said = shop
        .bad(&shop.signed_by(&support, |forged| forged.support_period.first_supplied = "2026-01-01".parse().unwrap()));
    assert!(said.contains("no support was declared yet on 2026-01-01"), "{said}");
    let said = shop.bad(&shop.signed_by(&support, |forged| forged.model = "acme-gw2".parse().unwrap()));
    assert!(said.contains("a statement of model acme-gw2"), "{said}");
    // A declaration of the chain is another one, or is left out.
    assert!(
        shop.bad(&Pack { earlier: vec![shop.good.vouched.declaration.clone()], ..shop.good.clone() })
            .contains("follow each other")
    );
    assert!(shop.bad(&Pack { earlier: Vec::new(), ..shop.good.clone() }).contains("no support was declared yet"));
    assert_eq!(shop.verify(&good, &ours, "").0, 0, "the good one still is");
}

#[test]
fn each_batch_has_its_statement_on_the_public_plane_and_the_server_takes_no_forged_one() {
    let office = first();
    issue(&office, "--first-supplied 2026-12-02");
    let data = tempfile::tempdir().unwrap();
    let server = office.serve(data.path());
    assert_eq!(office.json("push acme-gw1")["statements"], json!(2));
    assert_eq!(office.json("push acme-gw1")["pushed"], json!(false));
    let number = |path: &str| {
        let (status, kind, body) = server.get(path);
        assert_eq!((status, kind.as_str()), (200, "application/json"), "{path}");
        Pack::parse(&body).unwrap().peek().unwrap().number
    };
    assert_eq!(number("/p/acme-gw1/statement.json"), 2);
    assert_eq!(number("/p/acme-gw1/statement.json?batch=2026-12"), 1);
    assert_eq!(number("/p/acme-gw1/statement.json?batch=2031-01"), 2, "of every other batch");
    assert_eq!(number("/p/acme-gw1/statements/1.json"), 1);
    for path in ["/p/acme-gw1/statement.pdf", "/p/acme-gw1/statements/1.pdf", "/p/acme-gw1/statement.pdf?batch=2026-12"]
    {
        let (status, kind, body) = server.get(path);
        assert_eq!((status, kind.as_str()), (200, "application/pdf"));
        assert!(body.starts_with(b"%PDF") && body.len() < 100 * 1024, "{}", body.len());
    }
    for path in [
        "/p/acme-gw1/statements/3.json",
        "/p/acme-gw1/statements/1.exe",
        "/p/acme-gw1/statements/1",
        "/p/acme-gw9/statement.json",
    ] {
        assert_eq!(server.get(path).0, 404, "{path}");
    }
    // A third one that the maker's key signed, with a history that is not the public one: a server that
    // holds the declarations sees it.
    let good = Pack::parse(&std::fs::read(file(&office, 2)).unwrap()).unwrap();
    let shop = Shop { office, good };
    let support = keys::read(&shop.office.path("keys/support-1.pem")).unwrap();
    let path = "/api/v1/models/acme-gw1/statements/3";
    let put = |pack: &Pack| {
        let body = serde_json::to_vec(pack).unwrap();
        let (status, _, answer) = server.ask("PUT", path, Some(&shop.office.bearer()), &body);
        (status, String::from_utf8(answer).unwrap())
    };
    let (status, said) = put(&shop.signed_by(&SigningKey::from_seed(&[9; 32]), |forged| forged.number = 3));
    assert!(status == 422 && said.contains("statement_refused"), "{said}");
    shop.office.on("2027-12-02");
    shop.office.ok("support extend acme-gw1 --ends 2035-12-31");
    shop.office.ok("push acme-gw1");
    let stale = shop.signed_by(&support, |late| {
        late.number = 3;
        late.issued = "2028-01-01".parse().unwrap();
        late.support_period.first_supplied = "2028-01-01".parse().unwrap();
    });
    let (status, said) = put(&stale);
    assert!(status == 422 && said.contains("not the one that was public here"), "{said}");
    assert_eq!(server.ask("PUT", path, None, b"").0, 401);
    assert_eq!(server.get("/p/acme-gw1/statements/3.json").0, 404);
}
