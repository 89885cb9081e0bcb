//! What owners read on the pages of a real server: in their language to the last word, and plain.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]
#![expect(clippy::print_stdout, reason = "the figures are worth a look")]

use std::collections::BTreeSet;

use tenure_proto::words::Language;
use tenure_tests::api::Api;
use tenure_tests::ensure;
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::reading::Reading;
use tenure_tests::rendered::{Text, texts};
use tenure_tests::stage::{MODEL, Stage};

/// See `plain_words.rs`, which holds the same for the texts by themselves.
const GRADE_MAX: f64 = 7.0;
/// The hardest that a page may be by LIX; short lines of long words (German ones) make it high.
const LIX_MAX: f64 = 52.0;

/// Words that no owner has to know, and that nobody sells with.
const JARGON: [&str; 12] = [
    "firmware",
    "vulnerab",
    "metadata",
    "metadat",
    "rollout",
    "payload",
    "manifest",
    "upgrade",
    "discount",
    "rabatt",
    "patch",
    "end-of-life",
];
/// Words that are English and nothing else.
const ENGLISH: [&str; 8] = ["the", "and", "of", "until", "with", "this", "your", "which"];

/// Everything that a page can show: labels, a statement, a batch, late holes, an open one, letters.
fn server(stage: &Stage) -> Result<tenure_tests::server::Server> {
    let more = "public_url = \"http://updates.example\"\n[mail]\nsmtp = \"smtp://127.0.0.1:9\"\nfrom = \"ACME <news@acme.example>\"\n";
    let server = stage.start_server_with(more)?;
    let run = |args: &[&str]| stage.maker.run(args);
    let later = stage.ends.plus_days(400).to_string();
    run(&["support", "extend", MODEL, "--ends", &later, "--batch", "2027-03"])?;
    let reference = ["--reference", "2026-0123", "--expires", "2027-12-31"];
    run(&[&["label", "add", MODEL, "--scheme", "jc-star"][..], &reference].concat())?;
    let words = ["--summary", "It has a hole.", "--risk", "Strangers could look in.", "--action", "Wait."];
    let image = format!("rootfs={}", stage.first.file.display());
    let fix = ["release", "publish", MODEL, "1.0.1", "--image", &image, "--kind", "security", "--fixes", "A", "B"];
    let known = format!("A={}", stage.world.clock().today());
    run(&[&fix[..], &words, &["--disclosed", &known]].concat())?;
    run(&[&["advisory", "publish", MODEL, "ACME-2026-0002"][..], &words].concat())?;
    stage.maker.push()?;
    Ok(server)
}

fn page(api: &Api, path: &str, language: Language) -> Result<Vec<Text>> {
    let answer = api.get(&format!("{path}?lang={language}"))?;
    ensure!(answer.status == 200, "{path}: {}", answer.status);
    Ok(texts(answer.body.as_str().context("a page is text")?))
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|letter: char| !letter.is_alphabetic()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

#[test]
fn row_05_each_page_is_in_the_owners_language_to_the_last_word_and_plain() -> Result<()> {
    let stage = Stage::set("plain-pages")?;
    let server = server(&stage)?;
    let (api, batch) = (Api::anonymous(&server.url()), format!("/p/{MODEL}/2027-03"));
    let places = ["", "/archive", "/mail"].map(|place| format!("/p/{MODEL}{place}"));
    let paths = ["/".to_owned(), "/policy".to_owned(), batch].into_iter().chain(places);
    for path in paths {
        let english: BTreeSet<_> = page(&api, &path, Language::English)?.into_iter().map(|text| text.words).collect();
        for language in Language::ALL {
            let ours: Vec<_> = page(&api, &path, language)?;
            let ours: Vec<_> = ours.into_iter().filter(|text| text.language == language.code()).collect();
            ensure!(ours.len() > 5, "{path} says nothing in {language}");
            for Text { words: said, .. } in &ours {
                let lower = said.to_lowercase();
                let jargon = JARGON.iter().find(|word| lower.contains(**word));
                ensure!(jargon.is_none(), "{path} in {language} says {jargon:?}: {said}");
                if language != Language::English {
                    let stray = words(said).find(|word| ENGLISH.contains(&word.as_str()));
                    ensure!(stray.is_none(), "{path} in {language} says {stray:?}: {said}");
                    let same = english.contains(said) && words(said).count() > 3;
                    ensure!(!same, "{path} in {language} is English: {said}");
                }
            }
            let whole = ours.iter().map(|text| text.words.as_str()).filter(|said| words(said).count() > 2);
            let reading = Reading::of(&whole.collect::<Vec<_>>().join("\n"));
            println!("{path} {language}: grade {:.1}, LIX {:.1}", reading.grade(), reading.lix());
            ensure!(reading.lix() <= LIX_MAX, "{path} has LIX {:.1} in {language}", reading.lix());
            let is_hard = language == Language::English && reading.grade() > GRADE_MAX;
            ensure!(!is_hard, "{path} has grade {:.1}", reading.grade());
        }
    }
    Ok(())
}
