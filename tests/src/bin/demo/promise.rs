//! The second half: the promise is held, extended, and told.

use std::time::Duration;

use serde_json::{Value, json};
use tenure_proto::digest::Digest;
use tenure_proto::support::DECLARATION_PATH;
use tenure_proto::time::Day;
use tenure_tests::attacker::{self, Forged, StolenKeys, check_refused};
use tenure_tests::board::Board;
use tenure_tests::ensure;
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::stage::MODEL;

use crate::cast::Cast;
use crate::show::Show;

/// How long the board may take to hear of something.
const HEAR_LIMIT: Duration = Duration::from_secs(30);

/// Plays it.
pub(crate) fn play(cast: &mut Cast, show: &mut Show) -> Result<()> {
    show.step("shorten_tenurectl", "Shortening the promise: refused by tenurectl", |_| shorten_with_tenurectl(cast))?;
    show.step("shorten_server", "Forced with the keys: refused by the server", |_| shorten_at_server(cast))?;
    show.step("shorten_device", "Forced past both: refused by the device", |_| shorten_on_device(cast))?;
    show.step("extend", "Extending the promise: accepted everywhere", |_| extend(cast))?;
    show.step("notices", "The end comes near, and the owner is told in time", |show| notices(cast, show))?;
    show.step("unsynchronised", "A clock that nobody vouches for ends nothing", |_| unsynchronised(cast))?;
    show.step("ended", "The end, and 30 days after", |show| ended(cast, show))
}

/// A year too early.
fn shorter(cast: &Cast) -> Day {
    cast.ends.plus_days(-365)
}

fn shorten_with_tenurectl(cast: &mut Cast) -> Result<String> {
    let earlier = shorter(cast);
    let answer = cast.maker()?.attempt(&["support", "extend", MODEL, "--ends", &earlier.to_string()])?;
    check_refused(
        "tenurectl support extend",
        answer.code,
        &answer.stderr,
        &[&earlier.in_words(), &cast.ends.in_words()],
    )?;
    Ok(answer.stderr)
}

/// Writes what an honest next declaration would be, but for its date, signed with the real key.
fn forge(cast: &Cast, folder: &std::path::Path) -> Result<(Forged, Vec<u8>)> {
    let forged = Forged::open(folder)?;
    let bytes = forged.next_declaration(shorter(cast))?;
    Ok((forged, bytes))
}

/// The support key of the manufacturer.
fn support_key(cast: &Cast) -> Result<tenure_proto::key::SigningKey> {
    attacker::key(&cast.maker()?.folder().join("keys/support-1.pem"))
}

fn shorten_at_server(cast: &mut Cast) -> Result<String> {
    let (forged, bytes) = forge(cast, &cast.maker()?.repository())?;
    let mut support = forged.targets("support")?;
    support.head.version += 1;
    support.targets.insert(DECLARATION_PATH.into(), tenure_proto::metadata::Target::of(&bytes));
    let signed = attacker::sign(&support, &[support_key(cast)?])?;
    let api = cast.api()?;
    let opened = api.post(&format!("/api/v1/models/{MODEL}/publications"), &json!({}))?;
    let id = opened.body.get("id").context(format_args!("expected a publication, saw {opened:?}"))?;
    let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
    let metadata = format!("/api/v1/publications/{id}/metadata/{}.support.json", support.head.version);
    let target = format!("/api/v1/publications/{id}/targets/support/{}.declaration.json", Digest::of(&bytes));
    for (path, body) in [(metadata, &signed), (target, &bytes)] {
        let put = api.put(&path, body)?;
        ensure!(put.status < 300, "expected {path} to be taken, saw {put:?}");
    }
    let commit = api.post(&format!("/api/v1/publications/{id}/commit"), &json!({}))?;
    let code = commit.body.get("code").and_then(Value::as_str);
    ensure!(
        commit.status == 409 && code == Some("support_shortened"),
        "expected 409 support_shortened, saw {commit:?}"
    );
    let page = cast.page(&format!("/p/{MODEL}"))?;
    ensure!(page.contains(&cast.ends.in_words()), "expected the public page to keep {}", cast.ends.in_words());
    Ok(commit.body.get("detail").and_then(Value::as_str).unwrap_or("409 support_shortened").to_owned())
}

fn shorten_on_device(cast: &mut Cast) -> Result<String> {
    let repository = cast.server.as_ref().context("no server")?.repository(MODEL);
    let backup = cast.world.path("backup");
    attacker::copy_folder(&repository, &backup)?;
    let (mut forged, bytes) = forge(cast, &repository)?;
    let (_, promised) = forged.declaration()?;
    forged.place("support", DECLARATION_PATH, &bytes, &[support_key(cast)?])?;
    let keys = StolenKeys::from(&cast.maker()?.online_keys())?;
    forged.publish(&keys)?;
    let (held, offered) = (cast.ends.to_string(), shorter(cast).to_string());
    let refusal = cast.board()?.run_until("the device refuses the shorter promise", HEAR_LIMIT, |board| {
        let Some(status) = board.status()? else { return Ok(None) };
        ensure!(status.support_ends() == Some(held.as_str()), "expected the device to hold {held}, saw {}", status.0);
        Ok(status.refused().into_iter().find(|refusal| refusal.get("offered_ends") == Some(&offered.as_str().into())))
    })?;
    let evidence = refusal.get("evidence").and_then(Value::as_str).context("expected a folder with evidence")?;
    attacker::check_evidence(evidence, &[&promised, &bytes])?;
    wait_for_refusal_report(cast)?;
    // The operator brings the folder back from the backup, under versions that devices take.
    attacker::copy_folder(&backup, &repository)?;
    let versions = (forged.snapshot.head.version + 1, forged.timestamp.head.version + 1);
    let mut restored = Forged::open(&repository)?;
    restored.publish_as(&keys, versions.0, versions.1)?;
    Ok(format!("the device still holds {}; both signed texts are kept in {evidence}", cast.ends.in_words()))
}

fn wait_for_refusal_report(cast: &mut Cast) -> Result<()> {
    let Cast { board, api, .. } = cast;
    let (board, api) = (board.as_mut().context("no board")?, api.as_ref().context("no API")?);
    board.run_until("the server hears of the refusal", HEAR_LIMIT, |_| {
        let reports = api.reports()?;
        Ok(reports.into_iter().find(|report| report.get("event") == Some(&"shortening_refused".into())).map(drop))
    })
}

fn extend(cast: &mut Cast) -> Result<String> {
    let later = cast.ends.plus_days(365);
    cast.maker()?.extend(later)?;
    cast.maker()?.push()?;
    let page = cast.page(&format!("/p/{MODEL}"))?;
    ensure!(page.contains(&later.in_words()), "expected the public page to say {}", later.in_words());
    let wanted = later.to_string();
    cast.board()?.run_until("the device holds the later end", HEAR_LIMIT, |board| {
        Ok(board.status()?.filter(|status| status.support_ends() == Some(wanted.as_str())))
    })?;
    let told = cast.board()?.run(&["support"])?;
    ensure!(
        told.stdout.contains(&later.in_words()),
        "expected `tenure support` to say {}, saw {}",
        later.in_words(),
        told.stdout
    );
    cast.ends = later;
    let notice = wait_for_notice(cast, "extended")?;
    Ok(text_of(&notice, "fact"))
}

/// Waits for an open notice whose name starts so.
fn wait_for_notice(cast: &mut Cast, name: &str) -> Result<Value> {
    let id = format!("{name}-{}", cast.ends);
    cast.board()?.run_until(&format!("there is the notice {id}"), HEAR_LIMIT, |board| {
        Ok(all_notices(board)?.into_iter().find(|notice| notice.get("id") == Some(&id.as_str().into())))
    })
}

fn all_notices(board: &Board) -> Result<Vec<Value>> {
    let answer = board.run(&["notices", "--json"])?;
    if answer.code != 0 {
        return Ok(Vec::new());
    }
    let json = answer.json()?;
    Ok(json.get("notices").unwrap_or(&json).as_array().cloned().unwrap_or_default())
}

fn text_of(notice: &Value, field: &str) -> String {
    notice.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Moves every clock to noon of a day; the server renews what it signs when it starts.
fn move_to(cast: &mut Cast, day: Day) -> Result<()> {
    let noon = day.midnight_utc().plus_s(12 * 3600);
    cast.world.clock_mut().set(noon)?;
    cast.server.as_mut().context("no server")?.restart()?;
    cast.board()?.clock().set(noon)
}

fn notices(cast: &mut Cast, show: &Show) -> Result<String> {
    for days in [365_i64, 180, 90, 30] {
        move_to(cast, cast.ends.plus_days(-days))?;
        let notice = wait_for_notice(cast, &format!("{days}-days"))?;
        show.note(&format!("{days:>3} days before: {}", text_of(&notice, "fact")));
    }
    let motd = std::fs::read_to_string(cast.board()?.path("run/motd")).context("expected a motd")?;
    ensure!(motd.contains(&cast.ends.in_words()), "expected the motd to name the day, saw {motd}");
    let id = format!("30-days-{}", cast.ends);
    let acknowledged = cast.board()?.run(&["notices", "--acknowledge", &id])?;
    ensure!(acknowledged.code == 0, "expected {id} to be acknowledged, saw {}", acknowledged.stderr);
    Ok("365, 180, 90 and 30 days before, each once; the last one acknowledged".into())
}

fn unsynchronised(cast: &mut Cast) -> Result<String> {
    let after = cast.ends.plus_days(10).midnight_utc();
    cast.board()?.clock().set_synchronised(false)?;
    cast.board()?.clock().set(after)?;
    let start = std::time::Instant::now();
    let ended = format!("ended-{}", cast.ends);
    cast.board()?.run_until("some checks", HEAR_LIMIT, |board| {
        let said = all_notices(board)?.iter().any(|notice| notice.get("id") == Some(&ended.as_str().into()));
        ensure!(!said, "expected no word of an end on the word of an unproven clock");
        Ok((start.elapsed() > Duration::from_secs(4)).then_some(()))
    })?;
    Ok(format!("the board's clock says {}, unproven: nothing is said to have ended", after.day().in_words()))
}

fn ended(cast: &mut Cast, show: &Show) -> Result<String> {
    for (name, days) in [("ended", 1), ("ended-30-days-ago", 31)] {
        move_to(cast, cast.ends.plus_days(days))?;
        cast.board()?.clock().set_synchronised(true)?;
        let notice = wait_for_notice(cast, name)?;
        show.note(&format!("{}: {}", cast.ends.plus_days(days).in_words(), text_of(&notice, "fact")));
    }
    let page = cast.page(&format!("/p/{MODEL}"))?;
    ensure!(page.contains(&cast.ends.in_words()), "expected the public page to keep the day");
    Ok("said when the last day was over everywhere on Earth, and not before".into())
}
