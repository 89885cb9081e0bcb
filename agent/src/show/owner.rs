//! What an owner reads of it, in the owner's language.

use tenure_proto::lifecycle::{self, State};
use tenure_proto::notice::Notice;
use tenure_proto::release::{Disruption, Kind, News};
use tenure_proto::silence::witness::Says;
use tenure_proto::silence::{Obstacle, Verdict};
use tenure_proto::support::{Declaration, Posture};
use tenure_proto::time::{Day, Reading};
use tenure_proto::words::{Afterwards, Language, Progress, Terminal, fill};

use super::progress;
use crate::channel::{LastUpdate, RefusedDeclaration, Rescue, Status};
use crate::owner::Support;

pub(super) fn support_line(device: &Status, language: Language) -> String {
    let words = Terminal::of(language);
    let Some(ends) = device.support_ends else { return words.no_promise.into() };
    // Support is not said to have ended on the word of a clock that proves nothing.
    let reading = Reading { now: device.now, floor: device.floor, proof: device.clock };
    let is_over = reading.proven() >= ends.over_everywhere();
    fill(if is_over { words.ended } else { words.until }, &[("day", &language.day(ends))])
}

/// What the end of support, or a change of the software, did to the network.
pub(super) fn posture_line(device: &Status, words: &Terminal) -> Option<String> {
    if let Some(trouble) = &device.posture_trouble {
        return Some(trouble.clone());
    }
    let what = match device.posture {
        Posture::Keep => return None,
        Posture::LocalOnly => words.local_only,
        Posture::Isolate => words.isolated,
    };
    let why = if device.alarm.is_some() { words.until_right } else { words.declared_so };
    Some(fill(what, &[("why", why)]))
}

pub(super) fn maker_line(verdict: Verdict, witness: Option<Says>, language: Language) -> String {
    let words = Terminal::of(language);
    let (template, at, why) = match verdict {
        Verdict::Kept { until } => (words.kept, until, ""),
        Verdict::Late { since } => (words.late, since, ""),
        Verdict::Silent { since } => (words.silent, since, ""),
        Verdict::CannotTell { since, why } => {
            let why = match why {
                Obstacle::NoNetwork => words.no_network,
                Obstacle::Unreachable => words.unreachable,
                Obstacle::NotAuthentic => words.not_authentic,
                Obstacle::NotAsked => words.not_asked,
                Obstacle::Clock => words.no_clock,
                Obstacle::KeptAway => words.kept_away,
            };
            (words.unknown, since, why)
        }
    };
    let said = fill(template, &[("day", &language.day(at.day())), ("why", why)]);
    match (verdict, witness) {
        (Verdict::Kept { .. }, _) | (_, None | Some(Says::Newer)) => said,
        (_, Some(Says::NothingNewer)) => fill(words.nothing_newer, &[("said", &said)]),
        (_, Some(Says::NotReached)) => fill(words.not_reached, &[("said", &said)]),
    }
}

pub(super) fn update_line(device: &Status) -> String {
    let language = device.settings.language;
    let words = Terminal::of(language);
    let numbered = |version: &str| fill(words.numbered, &[("version", version)]);
    let update = device.installing.as_ref().map_or_else(|| words.unnamed.into(), |version| numbered(version.as_str()));
    let told = |template| fill(template, &[("update", &update)]);
    match device.state {
        State::Idle if device.waits.is_some() => words.waits.into(),
        State::Idle => words.idle.into(),
        State::Writing => match device.progress_bytes {
            Some((bytes, of_bytes)) => told(words.installing) + ": " + &progress(bytes, of_bytes),
            None => told(words.installing),
        },
        State::Staged => told(words.staged),
        State::Armed => told(words.armed),
        State::Trying => told(words.trying),
        State::Confirming => told(words.confirming),
        State::FallingBack => told(words.falling_back),
        State::Ended { ended } => told(ended_words(ended, Progress::of(language))),
    }
}

fn ended_words(outcome: lifecycle::Outcome, words: &Progress) -> &'static str {
    match outcome {
        lifecycle::Outcome::Confirmed => words.confirmed,
        lifecycle::Outcome::FellBack => words.fell_back,
        lifecycle::Outcome::Failed => words.not_installed,
    }
}

pub(super) fn last_update_line(last: &LastUpdate, language: Language) -> String {
    let words = Progress::of(language);
    let update = fill(Terminal::of(language).numbered, &[("version", last.version.as_str())]);
    let said = fill(ended_words(last.outcome, words), &[("update", &update)]);
    let reason = last.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let said = format!("{}: {said}{reason}", language.moment(last.at));
    if last.outcome != lifecycle::Outcome::Confirmed || last.checks.is_empty() {
        return said;
    }
    let found: Vec<_> = last.checks.iter().map(|finding| &*finding.said).collect();
    fill(words.since_then, &[("said", &said), ("found", &found.join("; "))])
}

pub(super) fn rescue_line(rescue: &Rescue, language: Language) -> String {
    let words = Progress::of(language);
    fill(words.nothing_healthy, &[("at", &language.moment(rescue.at)), ("reason", &rescue.reason)])
}

pub(super) fn refused_line(refused: &RefusedDeclaration, language: Language) -> String {
    let words = Terminal::of(language);
    let template = if refused.offered_ends < refused.held_ends { words.shortened } else { words.broken };
    let [at, held, offered] = [refused.at.day(), refused.held_ends, refused.offered_ends].map(|day| language.day(day));
    let places = [("at", &*at), ("held", &held), ("shorter", &offered), ("evidence", &refused.evidence)];
    fill(template, &places)
}

pub(super) fn news_line(news: &News, words: &Terminal) -> String {
    let kind = match news.kind {
        Kind::Security => words.fixes,
        Kind::Feature => words.functions,
        Kind::Mixed => words.both,
    };
    let disruption = match news.disruption {
        Disruption::None => words.no_disruption,
        Disruption::Restart => words.restarts,
        Disruption::Outage => words.outage,
    };
    let places = [("version", news.version.as_str()), ("kind", kind), ("disruption", disruption)];
    let said = fill(words.news, &places);
    let risk = news.advisory.as_ref().map(|advisory| &*advisory.risk);
    risk.map_or_else(|| said.clone(), |risk| fill(words.removes, &[("news", &said), ("risk", risk)]))
}

/// The answer to `tenure support`.
pub(crate) fn support(support: &Support, language: Language) -> String {
    let words = Terminal::of(language);
    let mut lines = match (&support.declaration, support.ends) {
        (Some(declaration), Some(ends)) => promise(declaration, ends, language),
        _ => vec![words.nothing_promised.into()],
    };
    lines.extend(
        support.fingerprint.as_ref().map(|fingerprint| fill(words.fingerprint, &[("fingerprint", fingerprint)])),
    );
    for refused in &support.refused {
        lines.extend([String::new(), format!("{}: {}", words.refused, refused_line(refused, language))]);
    }
    lines.join("\n") + "\n"
}

fn promise(declaration: &Declaration, ends: Day, language: Language) -> Vec<String> {
    let Declaration { designation, model, manufacturer, components, contact, .. } = declaration;
    let (words, own) = (Terminal::of(language), declaration.words_in(language).1);
    let (day, on) = (language.day(ends), language.day(declaration.declared_at.day()));
    let mut until = fill(words.declared, &[("day", &day), ("on", &on)]);
    if ends > declaration.ends {
        until = until + " " + &fill(words.others, &[("day", &language.day(declaration.ends))]);
    }
    let text = |template, text: &str| fill(template, &[("text", text)]);
    let mut lines = vec![
        fill(words.by, &[("product", designation), ("model", model.as_str()), ("maker", manufacturer)]),
        until,
        fill(words.covered, &[("parts", &components.join(", "))]),
        text(words.after, &own.after_end),
    ];
    lines.extend((!own.risks.is_empty()).then(|| text(words.risks, &own.risks)));
    let [days, every] = [contact.acknowledge_within_days, contact.status_every_days].map(|days| days.to_string());
    lines.extend([
        text(words.advice, &own.advice),
        Afterwards::said(declaration.posture, language).into(),
        fill(words.report, &[("url", &contact.url), ("days", &days), ("every", &every)]),
    ]);
    lines.extend(contact.person.as_ref().map(|person| fill(words.person, &[("contact", person)])));
    lines.extend(declaration.cessation.as_ref().map(|cessation| {
        let on = language.day(cessation.on);
        fill(words.ceases, &[("maker", manufacturer), ("on", &on), ("text", &cessation.notice)])
    }));
    lines
}

/// The answer to `tenure notices`.
pub(crate) fn notices(notices: &[Notice], language: Language) -> String {
    let words = Terminal::of(language);
    let open = notices.iter().filter(|notice| notice.acknowledged_at.is_none());
    let told = open.map(|notice| {
        let deliberate = if notice.says_ended() { " --i-know-that-support-has-ended" } else { "" };
        let command = format!("tenure notices --acknowledge {}{deliberate}", notice.id);
        let on = language.day(notice.shown_at.day());
        notice.text() + &fill(words.told, &[("on", &on), ("command", &command)]) + "\n"
    });
    let told: Vec<_> = told.collect();
    if told.is_empty() { format!("{}\n", words.nothing_new) } else { told.join("\n") }
}
