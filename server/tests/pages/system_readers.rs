//! Feeds and pictures, read by the programs that people read them with.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::office::Office;

/// What a program says, which must succeed.
fn run(program: &str, args: &[&str], input: &str) -> String {
    use std::io::Write as _;
    let mut child = Command::new(program);
    let mut child =
        child.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

const CALENDAR: &str = r"
import sys, json, icalendar
calendar = icalendar.Calendar.from_ical(sys.stdin.buffer.read())
event, = calendar.walk('VEVENT')
print(json.dumps({
    'uid': str(event['UID']), 'sequence': event['SEQUENCE'], 'start': str(event.decoded('DTSTART')),
    'end': str(event.decoded('DTEND')), 'summary': str(event['SUMMARY']), 'about': str(event['DESCRIPTION']),
    'alarms': [alarm.decoded('TRIGGER').days for alarm in event.walk('VALARM')],
    'method': str(calendar['METHOD']), 'errors': [str(e) for e in calendar.errors + event.errors],
}))
";

fn calendar(office: &Office, path: &str) -> Value {
    let page = office.get(path, &[]);
    assert_eq!(page.header("content-type").as_deref(), Some("text/calendar; charset=utf-8; method=PUBLISH"));
    serde_json::from_str(&run("/usr/bin/python3", &["-c", CALENDAR], &page.body)).unwrap()
}

#[test]
fn system_a_calendar_reads_the_day_and_moves_it_when_the_promise_is_extended() {
    let office = Office::serving();
    office.extend(&["--ends", "2101-06-30", "--batch", "2027-03"]);
    office.push();
    let before = calendar(&office, "/p/acme-gw1.ics");
    assert_eq!((&before["start"], &before["end"]), (&"2099-12-31".into(), &"2100-01-01".into()));
    assert_eq!(before["summary"], "Security updates for ACME Gateway 1 end on 31 December 2099.");
    assert!(before["about"].as_str().unwrap().contains(&format!("{}/p/acme-gw1", office.url())));
    assert_eq!(before["alarms"], serde_json::json!([-365, -180, -90, -30, 0, 30]));
    assert_eq!((&before["method"], &before["errors"]), (&"PUBLISH".into(), &serde_json::json!([])));
    let batch = calendar(&office, "/p/acme-gw1/2027-03.ics");
    assert_eq!(batch["start"], "2101-06-30");
    assert_ne!(batch["uid"], before["uid"]);
    office.extend(&["--ends", "2100-06-30"]);
    office.push();
    let after = calendar(&office, "/p/acme-gw1.ics?lang=cy");
    assert_eq!((&after["uid"], &after["start"]), (&before["uid"], &"2100-06-30".into()));
    assert!(after["sequence"].as_i64() > before["sequence"].as_i64());
    assert!(after["summary"].as_str().unwrap().contains("30 Mehefin 2100"));
}

const FEED: &str = r"
import sys, json, feedparser, datetime
feed = feedparser.parse(sys.stdin.buffer.read())
print(json.dumps({
    'bozo': bool(feed.bozo), 'version': feed.version, 'id': feed.feed.id, 'lang': feed.feed.language,
    'links': {link.rel: link.href for link in feed.feed.links}, 'updated': feed.feed.updated,
    'entries': [{'id': e.id, 'title': e.title, 'updated': e.updated, 'author': e.author, 'link': e.link,
                 'content': e.content[0].value, 'lang': e.content[0].language} for e in feed.entries],
}))
";

#[test]
fn system_a_feed_reader_gets_each_promise_and_each_security_update_once() {
    let office = Office::serving();
    office.publish("1.0.1", "security");
    office.later_by_days(2);
    office.ok(&[
        "support",
        "correct",
        "acme-gw1",
        "--change",
        "A <b>part</b> & more",
        "--advice",
        "Take it off the internet.",
    ]);
    office.push();
    let read = |path: &str| -> Value {
        let page = office.get(path, &[]);
        assert_eq!(page.header("content-type").as_deref(), Some("application/atom+xml; charset=utf-8"));
        serde_json::from_str(&run("/usr/bin/python3", &["-c", FEED], &page.body)).unwrap()
    };
    let feed = read("/p/acme-gw1/feed.atom");
    assert_eq!((&feed["bozo"], &feed["version"], &feed["lang"]), (&false.into(), &"atom10".into(), &"en".into()));
    assert_eq!(feed["links"]["self"], format!("{}/p/acme-gw1/feed.atom", office.url()));
    let entries = feed["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 3, "{entries:?}");
    assert_eq!((&entries[0]["content"], &entries[0]["lang"]), (&"A <b>part</b> & more".into(), &"en".into()));
    assert_eq!(feed["updated"], entries[0]["updated"], "as new as its newest entry");
    let ids: std::collections::BTreeSet<_> = entries.iter().map(|entry| entry["id"].as_str().unwrap()).collect();
    assert!(ids.len() == 3 && ids.iter().all(|id| id.starts_with("urn:uuid:")), "{ids:?}");
    let fix = entries.iter().find(|entry| entry["title"].as_str().unwrap().contains("Version 1.0.1")).unwrap();
    assert!(fix["content"].as_str().unwrap().contains("Strangers could open the door."), "{fix}");
    let all = read("/feed.atom?lang=de");
    assert_eq!(all["entries"].as_array().unwrap().len(), 3);
    assert_eq!((&all["lang"], &all["bozo"]), (&"de".into(), &false.into()));
    let all: Vec<_> =
        all["entries"].as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap().to_owned()).collect();
    assert!(all.iter().all(|id| ids.contains(id.as_str())), "the same things have the same names");
}

#[test]
fn system_the_labels_code_leads_to_the_model_and_names_no_unit() {
    let office = Office::serving();
    let fingerprint = office.json(&["support", "show", "acme-gw1"])["fingerprint"].as_str().unwrap().to_owned();
    let code = fingerprint.split(' ').next_back().unwrap().to_owned();
    let scan = |name: &str| {
        let pdf = office.file(&format!("{name}.pdf"), office.bytes("/p/acme-gw1/label.pdf"));
        let png = office.path(name);
        run("pdftoppm", &["-r", "150", "-png", "-singlefile", &pdf, &png], "");
        (run("zbarimg", &["-q", "--raw", &format!("{png}.png")], ""), run("pdftotext", &[&pdf, "-"], ""))
    };
    let (link, text) = scan("plain");
    assert_eq!(link.trim(), format!("{}/p/acme-gw1", office.url()));
    for said in ["ACME Gateway 1", "Security updates at least until", "31 December 2099", &code] {
        assert!(text.contains(said), "{said}: {text}");
    }
    // With a number of the trade, the code is a GS1 Digital Link of the model.
    office.ok(&["support", "correct", "acme-gw1", "--change", "Its number", "--gtin", "4006381333931"]);
    office.push();
    assert_eq!(scan("gtin").0.trim(), format!("{}/01/04006381333931", office.url()));
    let svg = office.get("/p/acme-gw1/label.svg?lang=fr", &[]);
    assert!(svg.body.contains("31 décembre 2099") && svg.body.contains("<title id=\"title\">ACME Gateway 1:"));
    let (page, shot) = (office.file("label.svg", &svg.body), office.path("label.png"));
    browse(&[
        "--force-device-scale-factor=3",
        "--window-size=700,240",
        &format!("--screenshot={shot}"),
        &format!("file://{page}"),
    ]);
    assert_eq!(run("zbarimg", &["-q", "--raw", &shot], "").trim(), format!("{}/01/04006381333931", office.url()));
}

/// What a real browser says.
fn browse(args: &[&str]) -> String {
    let profile = tempfile::tempdir().unwrap();
    let folder = format!("--user-data-dir={}", profile.path().display());
    let always =
        ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage", &folder];
    run("chromium", &[&always[..], args].concat(), "")
}

/// A product's own page with the block among the main characteristics, and a script of the test's that
/// measures it.
const SHOP: &str = r#"<!doctype html><html lang="en"><title>Shop</title>
<style>main{font:20px serif}small{font-size:12px}</style>
<main><h1>ACME Gateway 1</h1><div id="main"><p id="weight">Weight: 300 g</p>BLOCK</div></main>
<script>
const block = document.querySelector('.tenure-support'), other = document.getElementById('weight');
const px = element => parseFloat(getComputedStyle(element).fontSize);
const parts = [block, ...block.querySelectorAll('*')];
document.title = JSON.stringify({
  together: block.parentElement === other.parentElement,
  smallest: Math.min(...parts.map(px)), main: px(other),
  visible: block.getBoundingClientRect().height > 0, day: block.querySelector('time').dateTime,
  text: block.textContent.trim(),
});
</script></html>"#;

#[test]
fn system_row_06_the_block_stands_beside_the_main_characteristics_no_smaller_than_they() {
    let office = Office::serving();
    let block = office.get("/p/acme-gw1/embed.html", &[]);
    assert_eq!(block.status, 200);
    let page = office.file("shop.html", SHOP.replace("BLOCK", &block.body));
    let dom = browse(&["--dump-dom", &format!("file://{page}")]);
    let title = dom.split("<title>").nth(1).unwrap().split("</title>").next().unwrap();
    let measured: Value = serde_json::from_str(title).unwrap();
    assert_eq!((&measured["together"], &measured["visible"]), (&true.into(), &true.into()), "{measured}");
    assert!(measured["smallest"].as_f64() >= measured["main"].as_f64(), "{measured}");
    assert_eq!(measured["day"], "2099-12-31");
    let text = measured["text"].as_str().unwrap();
    assert!(text.starts_with("ACME Gateway 1: Security updates until 31 December 2099."), "{text}");
}

/// Nothing is cut off, and nothing needs scrolling sideways.
#[test]
fn system_each_page_fits_a_telephone_and_a_desk() {
    let office = Office::serving();
    office.publish("1.0.1", "security");
    office.extend(&["--ends", "2101-06-30", "--batch", "2027-03"]);
    office.push();
    let paths = ["/", "/policy", "/p/acme-gw1", "/p/acme-gw1/2027-03", "/p/acme-gw1/archive"];
    let mut frames = String::new();
    for (nth, path) in paths.iter().enumerate() {
        let html = office.get(&format!("{path}?lang=de"), &[]).body;
        let inner = office.file(&format!("{nth}.html"), &html);
        // A frame has the width that it is told; a window of the browser may not.
        for width in ["390", "1280"] {
            frames += &["<iframe height=900 width=", width, " src=\"file://", &inner, "\"></iframe>"].concat();
        }
    }
    let measure = "onload = () => document.title = 'over ' + JSON.stringify([...document.querySelectorAll('iframe')].map(\
                   frame => frame.contentDocument.documentElement.scrollWidth - frame.width))";
    let outer = office.file("outer.html", format!("<title></title>{frames}<script>{measure}</script>"));
    let dom = browse(&[
        "--allow-file-access-from-files",
        "--virtual-time-budget=3000",
        "--dump-dom",
        &format!("file://{outer}"),
    ]);
    let over: Vec<i64> = serde_json::from_str(dom.split("over ").nth(1).unwrap().split('<').next().unwrap()).unwrap();
    assert_eq!(over.len(), 2 * paths.len());
    assert!(over.iter().all(|pixels| *pixels <= 0), "too wide by {over:?}: {paths:?}");
}

#[test]
fn system_the_badge_says_it_in_words_and_not_by_colour_alone() {
    let office = Office::serving_until(500);
    let check = "import sys, xml.etree.ElementTree as t; r = t.parse(sys.stdin).getroot(); n = '{http://www.w3.org/2000/svg}'; \
                 print(r.find(n + 'title').text, '|', r.find(n + 'path').get('d'), '|', r.get('role'))";
    let badge = || {
        let page = office.get("/p/acme-gw1/badge.svg", &[]);
        assert_eq!(page.header("content-type").as_deref(), Some("image/svg+xml; charset=utf-8"));
        run("/usr/bin/python3", &["-c", check], &page.body)
    };
    let fresh = badge();
    assert!(fresh.starts_with("ACME Gateway 1: security updates until ") && fresh.trim().ends_with("img"), "{fresh}");
    office.later_by_days(200);
    let soon = badge();
    office.later_by_days(400);
    let over = badge();
    assert!(over.contains("security updates ended on"), "{over}");
    let marks: std::collections::BTreeSet<_> =
        [fresh, soon, over].map(|said| said.split('|').nth(1).unwrap().to_owned()).into();
    assert_eq!(marks.len(), 3, "each state has a mark of its own");
}
