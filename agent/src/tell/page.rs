//! The page of the product itself: the facts, and what there is to read.
//!
//! No script and nothing from elsewhere. Every text that is not ours is escaped, and one in another
//! language than the page's says so.

use tenure_proto::silence::Verdict;
use tenure_proto::support::{Declaration, Posture};
use tenure_proto::words::{Language, LocalPage, Notices, fill};

use super::facts::{Facts, Told};
use super::forms::{self, Said};
use super::html::Html;
use crate::channel::RefusedDeclaration;
use crate::owner::Overview;

/// Whether a password was made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Password {
    /// One can be asked for.
    Made,
    /// There is none.
    None,
}

/// The style sheet.
pub(super) const STYLE: &str = "\
:root { color-scheme: light dark; --line: #767676; }\n\
body { font: 1.125rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 0 auto; padding: 1rem; }\n\
h1 { font-size: 1.5rem; line-height: 1.25; } h2 { font-size: 1.25rem; margin: 2rem 0 .5rem; }\n\
dt { font-weight: 600; margin-top: 1rem; } dd { margin: 0; }\n\
p, dd { overflow-wrap: anywhere; }\n\
article, .said { border: 2px solid var(--line); border-radius: .5rem; padding: 0 1rem 1rem; margin: 1rem 0; }\n\
.said { padding-top: 1rem; font-weight: 600; }\n\
label { display: block; margin: 1rem 0 .25rem; font-weight: 600; }\n\
button { margin-top: 1rem; }\n\
button { font: inherit; padding: .5rem .75rem; min-height: 2.75rem; box-sizing: border-box; max-width: 100%; }\n\
input, select { font: inherit; padding: .5rem .75rem; min-height: 2.75rem; box-sizing: border-box; max-width: 100%; }\n\
input, select { width: 16rem; border: 2px solid var(--line); border-radius: .25rem; }\n\
input[type=checkbox] { width: 1.5rem; min-height: 1.5rem; margin: 0 .5rem 0 0; flex: none; }\n\
label.box { display: flex; align-items: center; min-height: 2.75rem; margin: 0; }\n\
fieldset { border: 0; padding: 0; margin: 0; } legend { font-weight: 600; padding: 1rem 0 0; }\n\
.hint { margin: .25rem 0 .5rem; }\n\
button { border: 2px solid; border-radius: .25rem; font-weight: 600; cursor: pointer; }\n\
nav ul { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .5rem 1.25rem; }\n\
nav a { display: inline-block; padding: .5rem 0; }\n\
:focus-visible { outline: 3px solid; outline-offset: 2px; }\n";

/// The page.
pub(super) fn render(facts: &Facts, language: Language, said: Said, password: Password) -> String {
    let words = LocalPage::of(language);
    let overview = facts.overview.as_ref();
    let declaration = overview.and_then(|overview| overview.device.declaration.as_ref());
    let model = overview.map_or_else(|| "Tenure".into(), |overview| overview.device.model.to_string());
    let product = declaration.map_or(model, |declaration| declaration.designation.clone());
    let title = fill(words.title, &[("product", &product)]);
    let mut html = Html::default();
    html.raw("<!doctype html>\n<html lang=\"").raw(language.code());
    html.raw(
        "\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
    );
    html.within("<title>", &title, "</title>\n<link rel=\"stylesheet\" href=\"/style.css\">\n</head>\n");
    html.within("<body>\n<main>\n<h1>", &title, "</h1>\n");
    if let Some(text) = said.words(words) {
        html.within("<p class=\"said\" role=\"status\">", text, "</p>\n");
    }
    if let (Some(overview), Some(declaration)) = (overview, declaration) {
        promise(&mut html, overview, declaration, facts.has_ended(), language);
    } else {
        html.paragraph(words.no_promise);
    }
    if let Some(overview) = overview {
        warnings(&mut html, overview, language);
    }
    notices(&mut html, facts, language, password);
    if let Some(overview) = overview {
        updates(&mut html, facts, overview, language);
        if password == Password::Made {
            forms::updates(&mut html, facts, overview, language);
            forms::settings(&mut html, &overview.device.settings, language);
        }
    }
    html.within("</main>\n<nav aria-label=\"", words.language, "\">\n<ul>\n");
    for other in Language::ALL {
        let code = other.code();
        html.raw("<li><a href=\"/?lang=").raw(code).raw("\" lang=\"").raw(code).raw("\" hreflang=\"").raw(code);
        html.raw(if other == language { "\" aria-current=\"true\">" } else { "\">" });
        html.text(other.own_name()).raw("</a></li>\n");
    }
    html.raw("</ul>\n</nav>\n</body>\n</html>\n");
    html.done()
}

fn promise(html: &mut Html, overview: &Overview, declaration: &Declaration, has_ended: bool, language: Language) {
    let (words, notices) = (LocalPage::of(language), Notices::of(language));
    let ends = overview.device.support_ends.unwrap_or(declaration.ends);
    let (fact, consequence) = if has_ended {
        (notices.ended_fact, notices.ended_consequence)
    } else {
        (notices.until_fact, notices.ends_consequence)
    };
    let places = [("product", declaration.designation.as_str()), ("day", &language.day(ends))];
    html.strong(&fill(fact, &places)).paragraph(&fill(consequence, &places));
    let (own, texts) = declaration.words_in(language);
    html.raw("<dl>\n");
    for (term, text) in [(words.after, &texts.after_end), (words.risks, &texts.risks), (words.advice, &texts.advice)] {
        if !text.trim().is_empty() {
            html.within("<dt>", term, "</dt>\n<dd lang=\"").raw(own.code()).within("\">", text, "</dd>\n");
        }
    }
    html.within("<dt>", words.contact, "</dt>\n<dd>").link(&declaration.contact.url).raw("</dd>\n");
    if let Some(fingerprint) = &overview.device.fingerprint {
        html.within("<dt>", words.fingerprint, "</dt>\n").within("<dd><strong>", fingerprint, "</strong><br>");
        html.text(words.fingerprint_use).within("<br><a href=\"/promise.json\">", words.proof, "</a></dd>\n");
    }
    html.raw("</dl>\n");
}

fn warnings(html: &mut Html, overview: &Overview, language: Language) {
    let words = LocalPage::of(language);
    match overview.device.posture {
        Posture::Keep => {}
        Posture::LocalOnly => drop(html.strong(words.local_only)),
        Posture::Isolate => drop(html.strong(words.isolated)),
    }
    if let Some(Verdict::Silent { since }) = overview.maker {
        html.strong(&fill(words.silent, &[("since", &language.day(since.day()))]));
    }
    for refused in &overview.device.refused {
        html.strong(&words_of_refusal(refused, language));
    }
}

/// A promise that was refused.
fn words_of_refusal(refused: &RefusedDeclaration, language: Language) -> String {
    let (words, RefusedDeclaration { at, held_ends, offered_ends, .. }) = (LocalPage::of(language), refused);
    let text = if offered_ends < held_ends { words.refused } else { words.refused_other };
    let [on, until, held] = [at.day(), *offered_ends, *held_ends].map(|day| language.day(day));
    fill(text, &[("on", &on), ("until", &until), ("held", &held)])
}

fn notices(html: &mut Html, facts: &Facts, language: Language, password: Password) {
    let words = LocalPage::of(language);
    html.within("<h2>", words.notices, "</h2>\n");
    let (open, read): (Vec<_>, Vec<_>) = facts.notices.iter().partition(|notice| notice.acknowledged_at.is_none());
    if open.is_empty() {
        html.paragraph(words.no_notice);
    }
    if password == Password::None {
        html.paragraph(words.no_password);
    }
    let own = facts.own_words();
    for (nth, notice) in open.iter().enumerate() {
        html.raw("<article>\n");
        told(html, notice, facts.language(), &own, language);
        if password == Password::Made {
            forms::acknowledge(html, nth, notice, language);
        }
        html.raw("</article>\n");
    }
    for notice in read {
        let on = notice.acknowledged_at.map(|at| language.day(at.day())).unwrap_or_default();
        html.raw("<article>\n");
        told(html, notice, facts.language(), &own, language);
        html.paragraph(&fill(words.acknowledged, &[("on", &on)])).raw("</article>\n");
    }
}

/// A notice, in the language in which the device speaks; the maker's own words in theirs.
fn told(html: &mut Html, notice: &Told, spoken: Language, own: &[(Language, String)], language: Language) {
    html.raw("<div");
    if spoken != language {
        html.raw(" lang=\"").raw(spoken.code()).raw("\"");
    }
    html.raw(">\n<p><strong>");
    with_own(html, &notice.fact, spoken, own);
    html.raw("</strong></p>\n");
    for text in [&notice.consequence, &notice.action].into_iter().filter(|text| !text.is_empty()) {
        html.raw("<p>");
        with_own(html, text, spoken, own);
        html.raw("</p>\n");
    }
    html.raw("</div>\n");
}

/// A text in which the maker's own words say their language, if it is another one.
fn with_own(html: &mut Html, text: &str, spoken: Language, own: &[(Language, String)]) {
    let mut rest = text;
    let foreign = || own.iter().filter(|(language, _)| *language != spoken);
    while let Some((at, language, words)) = foreign()
        .filter_map(|(language, words)| Some((rest.find(words.as_str())?, language, words)))
        .min_by_key(|found| found.0)
    {
        let (before, after) = rest.split_at(at);
        html.text(before).raw("<span lang=\"").raw(language.code()).within("\">", words, "</span>");
        rest = after.get(words.len()..).unwrap_or_default();
    }
    html.text(rest);
}

fn updates(html: &mut Html, facts: &Facts, overview: &Overview, language: Language) {
    let words = LocalPage::of(language);
    let version = |template: &str, version: &str| fill(template, &[("version", version)]);
    html.within("<h2>", words.updates, "</h2>\n");
    html.paragraph(&version(words.version, overview.device.version.as_str()));
    html.paragraph(&match facts.next_version() {
        Some(next) if facts.is_installing() => version(words.update_comes, next.as_str()),
        Some(next) => version(words.update_waits, next.as_str()),
        None => words.no_update.into(),
    });
    if let Some(until) = overview.device.deferred_until {
        html.paragraph(&fill(words.put_off, &[("until", &language.moment(until))]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn escaped(text: &str) -> String {
        let mut html = Html::default();
        html.text(text);
        html.done()
    }

    fn facts(designation: &str) -> Facts {
        let overview = json!({
            "at": "2033-12-01T00:00:00Z", "server": "https://updates.example", "reports_waiting": 0, "notices_open": 1,
            "model": "acme-gw1", "slot": "A", "version": "1.0.0", "state": "idle", "now": "2034-02-01T00:00:00Z",
            "floor": "2034-02-01T00:00:00Z", "clock": "synchronised", "metadata": {}, "denied": [],
            "support_ends": "2033-12-31", "fingerprint": "vohuh-tibol-taluf X4TD-89YH-Y8X2-WE13", "posture": "isolate",
            "refused": [{"at": "2030-01-05T00:00:00Z", "held_ends": "2033-12-31", "offered_ends": "2031-12-31", "evidence": "/x"}],
            "maker": Verdict::Silent { since: "2033-06-30T00:00:00Z".parse().unwrap() },
            "declaration": {
                "_type": "support_declaration", "model": "acme-gw1", "designation": designation,
                "manufacturer": "Acme Ltd", "sequence": 1, "declared_at": "2026-01-01T00:00:00Z", "ends": "2033-12-31",
                "components": ["device"], "basis": "x", "after_end": "Its cloud ends.", "advice": "<script>x</script>",
                "contact": {"url": "https://acme.example/?a=\"&b", "acknowledge_within_days": 5, "status_every_days": 14},
                "translations": {"de": {"after_end": "Die Cloud endet.", "risks": "Keine.", "advice": "Weiter so."}},
            },
        });
        let notice = json!({"id": "a\"><b>", "fact": "<i>f</i>", "consequence": "c", "action": "a'b"});
        Facts {
            overview: Some(serde_json::from_value(overview).unwrap()),
            notices: vec![serde_json::from_value(notice).unwrap()],
        }
    }

    #[test]
    fn whatever_is_signed_stays_text_on_the_page() {
        let html = render(&facts("<img src=x onerror=y>"), Language::English, Said::Nothing, Password::Made);
        for markup in ["<script", "<img", "<i>", "<b>", "a=\"&b"] {
            assert!(!html.contains(markup), "{markup}: {html}");
        }
        assert!(
            html.contains("&lt;script&gt;x&lt;/script&gt;") && html.contains("value=\"a&quot;&gt;&lt;b&gt;\""),
            "{html}"
        );
    }

    #[test]
    fn after_the_end_all_that_went_wrong_is_said_in_each_language() {
        for language in Language::ALL {
            let (words, notices) = (LocalPage::of(language), Notices::of(language));
            let html = render(&facts("Acme Gateway"), language, Said::Wrong, Password::Made);
            let places = [("product", "Acme Gateway"), ("day", &*language.day("2033-12-31".parse().unwrap()))];
            assert!(html.contains(&*escaped(&fill(notices.ended_fact, &places))), "{html}");
            let silent = fill(words.silent, &[("since", &language.day("2033-06-30".parse().unwrap()))]);
            for text in [words.isolated, words.wrong, &silent, words.acknowledge] {
                assert!(html.contains(&*escaped(text)), "{language}: {text}\n{html}");
            }
            let own = if language == Language::German {
                "<dd lang=\"de\">Die Cloud endet."
            } else {
                "<dd lang=\"en\">Its cloud ends."
            };
            assert!(html.contains(own), "{language}: {html}");
        }
    }
}
