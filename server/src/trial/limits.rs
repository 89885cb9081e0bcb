//! The pages at the limits of what can be declared: light, and nothing is lost.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tenure_proto::digest::Digest;
use tenure_proto::release::Release;
use tenure_proto::support::Declaration;
use tenure_proto::trust::TargetFile as _;

use super::World;
use crate::store::{self, issued, models};

/// Each public page is under 30 KiB.
const PAGE_BYTES: usize = 30 * 1024;

/// A declaration; each text is as `fill` makes it of a length.
fn declaration(model: &str, sequence: u64, previous: Option<Digest>, fill: impl Fn(usize) -> String) -> Value {
    let batches: serde_json::Map<_, _> =
        (0..150).map(|nth| (format!("batch-{nth:03}"), Value::from("2041-12-31"))).collect();
    json!({
        "_type": "support_declaration", "model": model, "sequence": sequence, "previous_sha256": previous,
        "designation": fill(3000), "manufacturer": fill(3000), "manufacturer_address": fill(3000),
        "declared_at": "2026-11-01T00:00:00Z", "ends": "2040-12-31", "batches": batches,
        "change": (sequence > 1).then(|| fill(4000)),
        "components": (0..64).map(|nth| format!("part {nth} {}", fill(80))).collect::<Vec<_>>(),
        "basis": fill(4000), "after_end": fill(4000), "risks": fill(4000), "advice": fill(4000), "posture": "isolate",
        "contact": {
            "url": format!("https://acme.example/{}", fill(3000).replace(' ', "-")),
            "person": format!("mailto:{}", fill(2000).replace(' ', "-")),
            "acknowledge_within_days": 5, "status_every_days": 14,
        },
        "cessation": {"on": "2039-12-31", "notice": fill(4000)},
    })
}

fn release(model: &str, nth: u64, fill: impl Fn(usize) -> String) -> Value {
    let version = format!("1.0.{nth}");
    let digest = Digest::of(version.as_bytes());
    let inside = |name: &str| format!("releases/{version}/{name}");
    let artifacts = (0..64).map(|part| {
        let payload = json!({
            "kind": "full", "path": inside(&format!("part-{part}.full")), "size_bytes": 9, "sha256": digest,
            "index": {"path": inside(&format!("part-{part}.frames")), "size_bytes": 9, "sha256": digest},
        });
        json!({"slot_class": format!("part-{part}"), "size_bytes": 9, "sha256": digest, "payloads": [payload]})
    });
    let artifacts: Vec<_> = artifacts.collect();
    json!({
        "_type": "release", "model": model, "version": version, "released_at": "2026-11-02T00:00:00Z",
        "kind": "security", "disruption": "restart", "rollback_index": 0, "artifacts": artifacts,
        "advisory": {"summary": fill(4000), "risk": fill(4000), "action": fill(4000), "fixes": ["CVE-2026-0001"]},
    })
}

/// Puts them into the index, as a publication does.
fn index(world: &World, model: &str, declarations: &[Value], releases: &[Value]) {
    let model = model.parse().unwrap();
    let at = "2026-11-03T00:00:00Z".parse().unwrap();
    let writing = async {
        let mut change = world.app.store.change().await?;
        models::add(&mut change, &model, Digest::of(b"root"), at).await?;
        for declaration in declarations {
            let body = declaration.to_string();
            models::add_declaration(&mut change, &Declaration::parse(body.as_bytes()).unwrap(), &body, at).await?;
        }
        for release in releases {
            let release = Release::parse(release.to_string().as_bytes()).unwrap();
            issued::add(&mut change, &model, &release, at).await?;
        }
        change.commit().await.map_err(store::Error::from)
    };
    tokio::runtime::Runtime::new().unwrap().block_on(writing).unwrap();
}

/// The words between these.
fn between<'a>(text: &'a str, before: &str, after: char) -> Vec<&'a str> {
    text.split(before).skip(1).map(|rest| rest.split(after).next().unwrap()).collect()
}

/// Every page of a list, by the links that lead on; each is light.
fn pages(world: &World, path: &str) -> Vec<String> {
    let (mut pages, mut next) = (Vec::new(), Some(path.to_string()));
    while let Some(path) = next {
        let answer = world.get(&path, &[("accept-encoding", "identity")]);
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.body.len() < PAGE_BYTES, "{path} has {} bytes", answer.body.len());
        let page = answer.text().to_string();
        let links = page.split("<a href=\"").skip(1);
        let on = links.map(|link| link.split('>').next().unwrap()).filter(|link| link.contains("rel=\"next\""));
        let list = path.split('?').next().unwrap().to_string();
        next = on
            .map(|link| link.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&"))
            .find(|link| link.starts_with(&format!("{list}?")));
        pages.push(page);
        assert!(pages.len() < 400, "{list} does not end");
    }
    pages
}

/// Plain words, and the worst that HTML makes of a text.
fn fills() -> [fn(usize) -> String; 2] {
    [
        |length| "words ".repeat(length).chars().take(length - 1).chain(['.']).collect(),
        |length| "<&\">'".repeat(length).chars().take(length / 2).collect(),
    ]
}

#[test]
fn row_04_three_hundred_models_are_on_light_pages_that_lead_to_each_of_them() {
    let world = World::start();
    let short = |length: usize| fills()[0](length.min(20));
    for nth in 0..300 {
        let model = format!("acme-gw{nth:03}");
        let fill = |length| if nth % 50 == 7 { fills()[1](length) } else { short(length) };
        let mut declaration = declaration(&model, 1, None, fill);
        (declaration["batches"], declaration["components"]) = (json!({}), json!(["device"]));
        index(&world, &model, &[declaration], &[]);
    }
    for language in ["en", "de", "fr", "es", "cy"] {
        for list in ["/", "/policy"] {
            let pages = pages(&world, &format!("{list}?lang={language}"));
            let models: Vec<_> = pages.iter().flat_map(|page| between(page, "<a href=\"/p/", '?')).collect();
            assert_eq!(models.len(), 300, "{list} in {language}");
            assert_eq!(models.iter().collect::<BTreeSet<_>>().len(), 300, "each is named once");
            assert!(pages.iter().all(|page| page.contains(&format!("<html lang=\"{language}\">"))));
        }
        assert!(pages(&world, &format!("/?lang={language}")).len() < 30, "a page shows what fits");
    }
    assert_eq!(world.get("/?after=no%20model", &[]).status, 400);
}

#[test]
fn row_04_the_longest_texts_and_forty_changes_fit_on_light_pages_that_lead_to_the_rest() {
    for fill in fills() {
        let world = World::start();
        let (mut declarations, mut previous) = (Vec::new(), None);
        for sequence in 1..=40 {
            let next = declaration("acme-gw1", sequence, previous, fill);
            previous = Some(Digest::of(next.to_string().as_bytes()));
            declarations.push(next);
        }
        let releases: Vec<_> = (0..12).map(|nth| release("acme-gw1", nth, fill)).collect();
        index(&world, "acme-gw1", &declarations, &releases);
        for language in ["en", "de", "es", "cy"] {
            for place in ["", "/batch-149", "/history", "/batches", "/archive"] {
                let path = format!("/p/acme-gw1{place}?lang={language}");
                let length = world.get(&path, &[]).body.len();
                assert!(length < PAGE_BYTES, "{path} has {length} bytes");
            }
        }
        let of = |place: &str| pages(&world, &format!("/p/acme-gw1{place}?lang=fr"));
        let all = format!("/repo/acme-gw1/targets/support/{}.declaration.json", previous.unwrap());
        for place in ["", "/batch-149"] {
            let [page] = &of(place)[..] else { panic!("one page") };
            assert!(page.contains(&all), "it says where all of it is: {page}");
        }
        let [first] = &of("")[..] else { panic!("one page") };
        for more in ["/history?before=", "/batches?before="] {
            assert_eq!(between(first, &format!("\"/p/acme-gw1{more}"), '"').len(), 1, "{more}");
        }
        let shown = of("/history").concat();
        assert_eq!(shown.matches("<span lang=\"en\">").count(), 39, "each change, once");
        let shown = of("/batches").concat();
        let batches: BTreeSet<_> = between(&shown, "<a href=\"/p/acme-gw1/batch-", '?').into_iter().collect();
        assert_eq!(batches.len(), 150);
        let shown = of("/archive").concat();
        for nth in 0..releases.len() {
            assert!(shown.contains(&format!("/p/acme-gw1/release/1.0.{nth}\"")), "the whole of 1.0.{nth}");
            assert!(shown.contains(&format!("/repo/acme-gw1/targets/releases/1.0.{nth}/")), "a file of 1.0.{nth}");
        }
        let whole = world.get("/p/acme-gw1/release/1.0.3", &[]).json();
        assert_eq!((&whole["advisory"], &whole["artifacts"]), (&releases[3]["advisory"], &releases[3]["artifacts"]));
        assert_eq!(world.get("/p/acme-gw1/release/2.0.0", &[]).status, 404);
    }
}
