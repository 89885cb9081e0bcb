//! What an owner can do at the page: a form for each thing, and what it is answered.
//!
//! The password goes with each form, so that no other page can send one that counts.

use tenure_proto::choice::{Quiet, Settings};
use tenure_proto::lifecycle::State;
use tenure_proto::words::{Language, LocalPage, fill};

use super::facts::{Facts, Told};
use super::html::Html;
use crate::owner::Overview;

/// What the reader is answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Said {
    /// Nothing was asked for.
    Nothing,
    /// It is noted.
    Done,
    /// It is noted, and cut to what is allowed.
    Capped,
    /// It was put off often enough.
    Enough,
    /// The quiet hours are none.
    Hours,
    /// The update is looked for.
    Starts,
    /// The password is wrong.
    Wrong,
    /// It was wrong too often.
    TooMany,
    /// It did not work.
    Failed,
}

impl Said {
    pub(super) fn words(self, words: &LocalPage) -> Option<&'static str> {
        Some(match self {
            Self::Nothing => return None,
            Self::Done => words.done,
            Self::Capped => words.capped,
            Self::Enough => words.put_off_enough,
            Self::Hours => words.hours_wrong,
            Self::Starts => words.starts,
            Self::Wrong => words.wrong,
            Self::TooMany => words.too_many,
            Self::Failed => words.failed,
        })
    }

    pub(super) fn status(self) -> &'static str {
        match self {
            Self::Nothing | Self::Done | Self::Capped | Self::Starts => "200 OK",
            Self::Hours => "400 Bad Request",
            Self::Wrong => "403 Forbidden",
            Self::Enough => "409 Conflict",
            Self::TooMany => "429 Too Many Requests",
            Self::Failed => "503 Service Unavailable",
        }
    }
}

/// For how many hours updates can be put off at the page.
const WAITS_H: [u64; 4] = [8, 24, 72, 168];

fn begin(html: &mut Html, action: &str, language: Language) {
    html.raw("<form method=\"post\" action=\"").raw(action).raw("?lang=").raw(language.code()).raw("\">\n");
}

/// The password's field, whose identifier ends with `of`, and the button.
fn end(html: &mut Html, of: &str, button: &str, words: &LocalPage) {
    html.raw("<label for=\"password-")
        .text(of)
        .within("\">", words.password, "</label>\n<input id=\"password-")
        .text(of);
    html.raw(
        "\" name=\"password\" type=\"password\" autocomplete=\"current-password\" required aria-describedby=\"use-",
    );
    html.text(of).raw("\">\n<p class=\"hint\" id=\"use-").text(of).within("\">", words.password_use, "</p>\n");
    html.within("<button>", button, "</button>\n</form>\n");
}

/// A box to tick.
fn tick(html: &mut Html, name: &str, is_on: bool, more: &str, label: &str) {
    html.raw("<label class=\"box\"><input type=\"checkbox\" name=\"").raw(name).raw("\"").raw(more);
    html.raw(if is_on { " checked> " } else { "> " }).text(label).raw("</label>\n");
}

/// A notice is read. That support has ended is acknowledged by a deliberate act only.
pub(super) fn acknowledge(html: &mut Html, nth: usize, notice: &Told, language: Language) {
    let words = LocalPage::of(language);
    begin(html, "/acknowledge", language);
    html.within("<input type=\"hidden\" name=\"id\" value=\"", &notice.id, "\">\n");
    if notice.says_ended() {
        tick(html, "ended", false, " required", words.end_known);
    }
    end(html, &nth.to_string(), words.acknowledge, words);
}

/// When updates are installed, where there is something to choose.
pub(super) fn updates(html: &mut Html, facts: &Facts, overview: &Overview, language: Language) {
    let (words, device) = (LocalPage::of(language), &overview.device);
    let is_there =
        facts.next_version().is_some() || device.news.as_ref().is_some_and(|news| news.version > device.version);
    // Where each update waits for the owner anyway, only one that is installed can be put off.
    let is_put_off = device.settings.automatic || device.state == State::Staged;
    if !is_there && !is_put_off {
        return;
    }
    begin(html, "/update", language);
    html.within("<label for=\"when\">", words.when, "</label>\n<select id=\"when\" name=\"when\">\n");
    let mut option = |value: &str, text: &str| {
        html.raw("<option value=\"").raw(value).within("\">", text, "</option>\n");
    };
    if is_there && !facts.is_installing() {
        option("now", words.now);
    }
    for hours in WAITS_H.into_iter().filter(|_| is_put_off) {
        let (template, place, number) =
            if hours < 48 { (words.wait_hours, "hours", hours) } else { (words.wait_days, "days", hours / 24) };
        option(&hours.to_string(), &fill(template, &[(place, &number.to_string())]));
    }
    if device.deferred_until.is_some() {
        option("0", words.wait_no_more);
    }
    html.raw("</select>\n");
    end(html, "when", words.go, words);
}

/// What an owner can choose, as it is now.
pub(super) fn settings(html: &mut Html, settings: &Settings, language: Language) {
    let words = LocalPage::of(language);
    html.within("<h2>", words.choices, "</h2>\n");
    begin(html, "/settings", language);
    if settings.managed {
        html.paragraph(words.managed);
    } else {
        tick(html, "automatic", settings.automatic, "", words.automatic);
    }
    tick(html, "notifications", settings.notifications, " aria-describedby=\"tell\"", words.tell);
    html.within("<p class=\"hint\" id=\"tell\">", words.tell_use, "</p>\n");
    if !settings.managed {
        tick(html, "reports", settings.reports, " aria-describedby=\"known\"", words.reports);
        html.within("<p class=\"hint\" id=\"known\">", words.reports_use, "</p>\n");
    }
    html.within("<fieldset>\n<legend>", words.quiet, "</legend>\n<p class=\"hint\">")
        .text(words.quiet_use)
        .raw("</p>\n");
    let hours = if settings.quiet_hours == Quiet::Never { String::new() } else { String::from(settings.quiet_hours) };
    let (from, to) = hours.split_once('-').unwrap_or_default();
    for (name, label, value) in [("from", words.from, from), ("to", words.to, to)] {
        html.raw("<label for=\"").raw(name).within("\">", label, "</label>\n<input id=\"").raw(name);
        html.raw("\" name=\"").raw(name).raw("\" type=\"time\" value=\"").text(value).raw("\">\n");
    }
    html.within(
        "</fieldset>\n<label for=\"speaks\">",
        words.speaks,
        "</label>\n<select id=\"speaks\" name=\"language\">\n",
    );
    for other in Language::ALL {
        let code = other.code();
        html.raw("<option value=\"").raw(code).raw("\" lang=\"").raw(code);
        html.raw(if other == settings.language { "\" selected>" } else { "\">" })
            .text(other.own_name())
            .raw("</option>\n");
    }
    html.raw("</select>\n");
    end(html, "settings", words.save, words);
}
