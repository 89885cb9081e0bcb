//! Judges what was fetched.

use serde_json::Value;
use tenure_proto::support::Fingerprint;

use super::copies::{self, Copy};
use super::dates::Found;
use super::page::{self, Block, Page};
use super::{Answer, Code, Expected, Fetched, Finding, Verdict, dates, words};

/// How much of a page is read as text.
const TEXT_BYTES_MAX: usize = 1024 * 1024;

/// Says whether what was fetched agrees with what is expected, and whether anybody can read it.
pub fn judge(expected: &Expected, fetched: &Fetched) -> Verdict {
    let mut judge =
        Judge { expected, verdict: Verdict { copies: std::collections::BTreeSet::new(), findings: Vec::new() } };
    match fetched {
        Fetched::Answer(answer) => judge.answer(answer),
        Fetched::Loop => {
            judge.note(Code::RedirectLoop, "text", "the address leads from one to the next and never to a page");
        }
        Fetched::TooSlow => judge.note(Code::TooSlow, "text", "the page did not come in time"),
        Fetched::Unreachable(why) => judge.note(Code::Unreachable, "text", format!("no server was reached: {why}")),
    }
    judge.verdict.findings.sort_by_key(|finding| (finding.code.is_note(), finding.code, finding.copy));
    judge.verdict
}

struct Judge<'a> {
    expected: &'a Expected,
    verdict: Verdict,
}

impl Judge<'_> {
    fn note(&mut self, code: Code, copy: &'static str, what: impl Into<String>) {
        self.verdict.findings.push(Finding { code, copy, what: what.into() });
    }

    fn answer(&mut self, answer: &Answer) {
        if let Some((code, what)) = barrier_of_status(answer) {
            return self.note(code, "text", what);
        }
        if answer.is_cut {
            self.note(Code::TooLong, "text", "the page does not end within 2 MiB");
        }
        if answer.sets_cookie {
            self.note(Code::SetsCookie, "text", "the page sets a cookie before anything was asked for");
        }
        if answer.robots_refuse {
            self.note(Code::RobotsRefuse, "text", "robots.txt keeps search engines and shops' programs away");
        }
        if answer.url.starts_with("http://") && !is_near(&answer.url) {
            self.note(Code::PlainHttp, "text", "the page comes without TLS: anybody on the way can change the day");
        }
        let text = String::from_utf8_lossy(&answer.body);
        let kind = answer.kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let expected = self.expected;
        let copy = match kind.as_str() {
            "text/csv" => copies::of_csv(&text, expected),
            "text/calendar" => Some(copies::of_calendar(&text, expected)),
            kind if kind == "application/json" || kind.ends_with("+json") => {
                serde_json::from_str(&text).ok().and_then(|value: Value| copies::of_json(&value, expected))
            }
            kind if kind.starts_with("text/") || kind.contains("xml") || kind.is_empty() => {
                return self.page(answer, &page::read(cut(&text)));
            }
            _ => None,
        };
        match copy {
            Some(copy) => self.copy(&copy),
            None => self.note(
                Code::NotReadable,
                "text",
                format!("this is neither a page nor a format that is known: {kind}"),
            ),
        }
    }

    /// Compares a copy for programs, word for word.
    fn copy(&mut self, copy: &Copy) {
        self.verdict.copies.insert(copy.of);
        let ends = self.expected.ends.to_string();
        if copy.is_frozen && self.is_older(copy) {
            let day = copy.day.as_deref().unwrap_or_default();
            return self.note(Code::Older, copy.of, format!("it speaks of an earlier declaration, until {day}"));
        }
        match copy.day.as_deref() {
            None | Some("") => self.note(Code::DateMissing, copy.of, "it names no end of support for this product"),
            Some(day) if day != ends => {
                let what = format!("it says {day}, and {ends} is declared");
                self.note(
                    if day.parse::<tenure_proto::time::Day>().is_ok() { Code::DateWrong } else { Code::DateVague },
                    copy.of,
                    what,
                );
            }
            Some(_) => {}
        }
        if let Some(shown) = &copy.fingerprint {
            self.fingerprint(shown, copy.of);
        }
        if !copy.names.is_empty() && !copies::names_ours(&copy.names, self.expected) {
            let what = format!("it speaks of {}, and not of {}", copy.names.join(", "), self.expected.designation);
            self.note(Code::ModelWrong, copy.of, what);
        }
    }

    /// Whether a copy that is never changed speaks of a declaration before the last.
    fn is_older(&self, copy: &Copy) -> bool {
        let Some(Ok(day)) = copy.day.as_deref().map(str::parse) else { return false };
        let is_another = copy.fingerprint.as_ref().map(|shown| shown.parse() != Ok(self.expected.fingerprint));
        is_another.unwrap_or(day < self.expected.ends) && self.expected.may_have_been(day)
    }

    fn fingerprint(&mut self, shown: &str, copy: &'static str) {
        let (code, words) = (shown.parse::<Fingerprint>(), shown.split_whitespace().next().unwrap_or_default());
        let is_ours = code.map_or(words == self.expected.fingerprint.words(), |code| code == self.expected.fingerprint);
        if !is_ours {
            let what = format!("it shows the fingerprint {shown}, and {} is declared", self.expected.fingerprint);
            self.note(Code::FingerprintWrong, copy, what);
        }
    }

    fn page(&mut self, answer: &Answer, page: &Page) {
        let text = page.text.to_lowercase();
        let has_day = self.text(&text, page);
        if !has_day && let Some((code, what)) = barrier_of_page(answer, page, &text) {
            // Nothing else can be said of what is behind it.
            self.verdict.findings.retain(|finding| finding.code.is_note());
            return self.note(code, "text", what);
        }
        self.model(page);
        self.components(&text);
        self.fingerprints_in(&page.text);
        for block in &page.blocks {
            self.block(block);
        }
        for json in &page.json_ld {
            let Ok(value) = serde_json::from_str::<Value>(json) else { continue };
            if value.to_string().contains("\"isAccessibleForFree\":false") {
                self.note(Code::Paywall, "json_ld", "the page says of itself that it is not free");
            }
            if let Some(copy) = copies::json_ld(&value, self.expected) {
                self.copy(&copy);
            }
        }
    }

    /// Looks for the day in what people see; whether it is there.
    fn text(&mut self, text: &str, page: &Page) -> bool {
        self.verdict.copies.insert("text");
        let ends = self.expected.ends;
        let found = dates::find(text);
        let about: Vec<_> = found.iter().filter(|date| words::is_about_support(text, date.start, date.end)).collect();
        let is_end = |date: &Found| words::is_an_end(text, date.start) || words::is_named_after(text, date.end);
        let right = about.iter().find(|date| date.means(ends) && is_end(date));
        let wrong = about.iter().find(|date| {
            !date.means(ends)
                && words::is_an_end(text, date.start)
                && !self.expected.others.iter().any(|other| date.means(*other))
        });
        match (right, wrong) {
            (Some(right), None) if right.is_month => {
                self.note(Code::DayMissing, "text", format!("it names the month only: {}", right.in_words()));
            }
            (Some(_), Some(wrong)) => {
                let what = format!("it also names {} as an end, and {} is declared", wrong.in_words(), ends.in_words());
                self.note(Code::DateConflict, "text", what);
            }
            (Some(_), None) => {}
            (None, Some(wrong)) => {
                let what = format!("it says {}, and {} is declared", wrong.in_words(), ends.in_words());
                self.note(Code::DateWrong, "text", what);
            }
            (None, None) => self.absent(text, page),
        }
        right.is_some()
    }

    /// Says why no end is there to be seen.
    fn absent(&mut self, text: &str, page: &Page) {
        let holds = |text: &str| dates::find(&text.to_lowercase()).iter().any(|date| date.means(self.expected.ends));
        if let Some(phrase) = words::vague(text) {
            self.note(
                Code::DateVague,
                "text",
                format!("{phrase:?} is no end: a buyer can check a day, with month and year"),
            );
        } else if holds(&page.scripts) {
            self.note(
                Code::ScriptOnly,
                "text",
                "the day stands in a script only: who has none, or a program, sees nothing",
            );
        } else if holds(&page.hidden) || page.json_ld.iter().any(|json| holds(json)) || !page.blocks.is_empty() {
            self.note(Code::DateHidden, "text", "the day is there for programs, and people do not see it");
        } else {
            self.note(Code::DateMissing, "text", "it does not say until when there are security updates");
        }
    }

    fn model(&mut self, page: &Page) {
        let simple = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
        let text = simple(&page.text);
        let Expected { designation, model, gtins, .. } = self.expected;
        let numbers = gtins.iter().any(|gtin| text.contains(gtin.trim_start_matches('0')));
        if !text.contains(&simple(designation)) && !text.contains(&model.to_lowercase()) && !numbers {
            let what = format!("it does not name the product: {designation}");
            self.note(Code::ModelMissing, "text", what);
        }
    }

    /// Every part that is covered is named, where there is more than the product itself.
    fn components(&mut self, text: &str) {
        let missing: Vec<_> = match self.expected.components.as_slice() {
            [_] => Vec::new(),
            all => all.iter().filter(|part| !text.contains(&part.to_lowercase())).cloned().collect(),
        };
        // The product's own name stands for the device.
        let missing: Vec<_> = missing.into_iter().filter(|part| part != "device").collect();
        if !missing.is_empty() {
            let what = format!("it does not say that this is covered, too: {}", missing.join(", "));
            self.note(Code::ComponentMissing, "text", what);
        }
    }

    fn fingerprints_in(&mut self, text: &str) {
        let pieces: Vec<&str> =
            text.split(|letter: char| letter.is_whitespace() || matches!(letter, '(' | ')' | ',' | '"')).collect();
        let shown: Vec<_> = pieces.iter().enumerate().filter(|(_, piece)| is_words(piece)).collect();
        for (at, words) in &shown {
            let code = pieces.get(at + 1..).and_then(|rest| rest.iter().find(|piece| !piece.is_empty()));
            let code = code
                .filter(|code| code.len() == 19 && code.parse::<Fingerprint>().is_ok())
                .copied()
                .unwrap_or_default();
            self.fingerprint(format!("{words} {code}").trim_end(), "text");
        }
        if shown.is_empty() {
            self.note(
                Code::FingerprintMissing,
                "text",
                "it shows no fingerprint, so that nobody can compare it with the product at a glance",
            );
        }
    }

    fn block(&mut self, block: &Block) {
        let names = Some(block.model.clone()).filter(|model| !model.is_empty()).into_iter().collect();
        let fingerprint = Some(block.fingerprint.clone()).filter(|shown| !shown.is_empty());
        self.copy(&Copy { of: "block", day: Some(block.datetime.clone()), fingerprint, names, ..Copy::default() });
    }
}

/// Whether a text has the form of a fingerprint's three words.
fn is_words(piece: &str) -> bool {
    let of = |letters: &'static str| move |letter: char| letters.contains(letter);
    let (consonant, vowel) = (of("bdfghjklmnprstvz"), of("aiou"));
    let word = |word: &str| {
        word.len() == 5
            && word.chars().enumerate().all(|(at, letter)| if at % 2 == 0 { consonant(letter) } else { vowel(letter) })
    };
    let words: Vec<_> = piece.trim_end_matches('.').split('-').collect();
    words.len() == 3 && words.iter().all(|one| word(one))
}

fn is_near(url: &str) -> bool {
    ["http://127.", "http://localhost", "http://[::1]"].iter().any(|start| url.starts_with(start))
}

/// At most so much of a text, at a whole letter.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// What a status says of who may read.
fn barrier_of_status(answer: &Answer) -> Option<(Code, String)> {
    let said = |code, what: &str| Some((code, format!("{what} (status {})", answer.status)));
    match answer.status {
        200..=299 => None,
        401 | 403 | 407 => said(Code::LoginWall, "the page is for those only who log in"),
        402 => said(Code::Paywall, "the page is for those only who pay"),
        404 | 410 => said(Code::NotFound, "nothing is at this address"),
        _ => said(Code::ServerError, "the server does not give the page"),
    }
}

/// What stands between a reader and the day, on a page that does not show it.
fn barrier_of_page(answer: &Answer, page: &Page, text: &str) -> Option<(Code, &'static str)> {
    let leads = |url: &String| {
        let path = url.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
        path.split('/')
            .skip(3)
            .any(|part| ["login", "signin", "sign-in", "sign_in", "auth", "account", "sso"].contains(&part))
    };
    if page.asks_password || answer.hops.iter().chain([&answer.url]).any(leads) {
        return Some((Code::LoginWall, "a login stands before it"));
    }
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
    if page.asks_data {
        return Some((Code::DataWall, "a form that asks who one is stands before it"));
    }
    if text.len() < 4000
        && says(&[
            "accept cookies",
            "accept all cookies",
            "cookies akzeptieren",
            "accepter les cookies",
            "aceptar cookies",
            "aceptar las cookies",
            "derbyn cwcis",
        ])
    {
        return Some((Code::CookieWall, "consent to cookies stands before it"));
    }
    if says(&[
        "subscribe to continue",
        "subscribe to read",
        "members only",
        "subscribers only",
        "abonnieren sie",
        "réservé aux abonnés",
        "solo para suscriptores",
    ]) {
        return Some((Code::Paywall, "a subscription stands before it"));
    }
    None
}
