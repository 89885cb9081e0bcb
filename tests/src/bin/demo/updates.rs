//! The first half: keys, releases, updates, a release that is sick, and power cuts.

use std::time::Duration;

use serde_json::Value;
use tenure_tests::api::Api;
use tenure_tests::board::{Board, Parts};
use tenure_tests::ensure;
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::maker::Maker;
use tenure_tests::power::Seeded;
use tenure_tests::server::Server;
use tenure_tests::stage::MODEL;

use crate::Options;
use crate::cast::{Cast, USER};
use crate::show::Show;

/// How long one update of the demo may take.
const UPDATE_LIMIT: Duration = Duration::from_mins(2);
/// How often the power is cut in the middle of one update.
const CUTS: u64 = 3;

/// Plays it.
pub(crate) fn play(options: &Options, cast: &mut Cast, show: &mut Show) -> Result<()> {
    show.step("images", "Four images of a root file system", |_| make_images(options, cast))?;
    show.step("keys", "The manufacturer makes keys, offline", |_| make_keys(cast))?;
    show.step("server", "A server starts, with no configuration", |_| start_server(cast))?;
    show.step("declare", "The manufacturer declares a support period", |_| declare(cast))?;
    show.step("publish", "Release 1.0.0 is signed and published", |_| publish_first(cast))?;
    show.step("power_on", "A board with 1.0.0 is powered on and enrols", |_| power_on(cast))?;
    show.step("update", "Update to 1.1.0: tried once, healthy, kept", |_| update(cast))?;
    show.step("fall_back", "Update to 1.2.0: its health check fails", |_| fall_back(cast))?;
    show.step("power_cut", "Update to 1.3.0, and the power fails again and again", |show| {
        cut_power(options.seed, cast, show)
    })
}

fn make_images(options: &Options, cast: &mut Cast) -> Result<String> {
    cast.make_images(options)?;
    let bytes: u64 = cast.images.iter().map(|image| image.bytes).sum();
    let kind = if options.from.is_some() { "as given" } else { "squashfs, from real files of this machine" };
    Ok(format!("{} images, {} MiB, {kind}", cast.images.len(), bytes >> 20))
}

fn make_keys(cast: &mut Cast) -> Result<String> {
    let maker = Maker::new(&cast.world, "maker", MODEL)?;
    let keys = std::fs::read_dir(maker.folder().join("keys")).context("expected a folder with keys")?.count();
    cast.maker = Some(maker);
    Ok(format!("{keys} offline keys with thresholds, and two online keys for the server"))
}

fn start_server(cast: &mut Cast) -> Result<String> {
    let server = Server::start(&cast.world, "server")?;
    let token = server.setup_token().context("expected a one-time link for the first administrator")?;
    cast.maker()?.login(&server.url(), Some(token), USER, &cast.password)?;
    cast.api = Some(Api::login(&server.url(), USER, &cast.password)?);
    let ready = Api::anonymous(&server.url()).get("/readyz")?.status;
    ensure!(ready == 200, "expected /readyz to answer 200, saw {ready}");
    let seen = format!("{}; the one-time link made the administrator {USER}", server.url());
    cast.server = Some(server);
    Ok(seen)
}

fn declare(cast: &mut Cast) -> Result<String> {
    cast.maker()?.declare(cast.ends)?;
    Ok(format!("security updates until {}", cast.ends.in_words()))
}

fn publish_first(cast: &mut Cast) -> Result<String> {
    publish(cast, "1.0.0")?;
    let page = cast.page(&format!("/p/{MODEL}"))?;
    let words = cast.ends.in_words();
    ensure!(page.contains(&words), "expected the public page to say {words}, saw {page}");
    Ok(format!("checked by the server as a device would; the public page says {words}"))
}

/// Signs a release and pushes it.
fn publish(cast: &mut Cast, version: &str) -> Result<()> {
    let image = cast.image(version)?;
    cast.maker()?.publish(&image)?;
    cast.maker()?.push()?;
    if let Some(board) = &mut cast.board {
        board.knows(&image);
    }
    Ok(())
}

fn power_on(cast: &mut Cast) -> Result<String> {
    let token = cast.maker()?.device_token()?;
    let (image, factory_root) = (cast.image("1.0.0")?, cast.maker()?.factory_root());
    let longest = cast.images.iter().map(|image| image.bytes).max().unwrap_or(0);
    let slot_bytes = (longest + (1 << 20)).next_multiple_of(1 << 20);
    let server = cast.server_url();
    let parts = Parts {
        model: MODEL,
        server: &server,
        factory_root: &factory_root,
        image: &image,
        slot_bytes,
        enrolment_token: Some(&token),
        more_config: "",
    };
    let mut board = Board::make(&cast.world, "board", &parts)?;
    board.power_on()?;
    cast.board = Some(board);
    let ends = cast.ends.to_string();
    cast.board()?.run_until("the board holds the promise", UPDATE_LIMIT, |board| {
        Ok(board.status()?.filter(|status| status.support_ends() == Some(ends.as_str())))
    })?;
    let device = device(cast)?;
    ensure!(device.get("state") == Some(&"accepted".into()), "expected an accepted device, saw {device}");
    let name = device.get("id").and_then(Value::as_str).unwrap_or_default();
    Ok(format!("enrolled with a token and its own key as {}…, runs 1.0.0 in slot A", name.get(..12).unwrap_or(name)))
}

/// The board as the server sees it.
fn device(cast: &Cast) -> Result<Value> {
    let devices = cast.api()?.devices()?;
    ensure!(devices.len() == 1, "expected one device, saw {devices:?}");
    devices.into_iter().next().context("no device")
}

fn update(cast: &mut Cast) -> Result<String> {
    publish(cast, "1.1.0")?;
    settle(cast, "1.1.0")?;
    Ok("every byte of slot B is the release's; the device reported it, signed".into())
}

/// Waits until a version runs and is kept, then looks at slot and report.
fn settle(cast: &mut Cast, version: &str) -> Result<()> {
    cast.board()?.run_until_settled(version, UPDATE_LIMIT)?;
    let board = cast.board()?;
    let slot = board.booted().context("the board is off")?;
    let release = board.release_in(slot)?.map(|image| image.version.clone());
    ensure!(release.as_deref() == Some(version), "expected {version} in slot {slot}, saw {release:?}");
    wait_for_report(cast, version, "confirmed").map(drop)
}

/// Waits until the server has the report of how the update to a version ended.
fn wait_for_report(cast: &mut Cast, version: &str, outcome: &str) -> Result<Value> {
    let Cast { board, api, .. } = cast;
    let (board, api) = (board.as_mut().context("no board")?, api.as_ref().context("no API")?);
    board.run_until(&format!("the server hears that {version} {outcome}"), UPDATE_LIMIT, |_| {
        let told = |report: &Value| {
            report.get("version") == Some(&version.into()) && report.get("outcome") == Some(&outcome.into())
        };
        Ok(api.reports()?.into_iter().find(told))
    })
}

fn fall_back(cast: &mut Cast) -> Result<String> {
    publish(cast, "1.2.0")?;
    let boots = cast.board()?.boots();
    cast.board()?.run_until("1.2.0 was tried and 1.1.0 runs again", UPDATE_LIMIT, |board| {
        let back = |status: &tenure_tests::board::Status| {
            status.version() == Some("1.1.0")
                && status.last_outcome() == Some("fell_back")
                && status.state() == Some("idle")
        };
        Ok(board.status()?.filter(back))
    })?;
    let report = wait_for_report(cast, "1.2.0", "fell_back")?;
    let tried = cast.board()?.boots();
    ensure!(tried == boots + 2, "expected one try and one boot back, saw {} boots", tried - boots);
    // Three check-ins later it has still not been offered again.
    let start = std::time::Instant::now();
    cast.board()?
        .run_until("three check-ins", UPDATE_LIMIT, |_| Ok((start.elapsed() > Duration::from_secs(4)).then_some(())))?;
    let status = cast.board()?.status()?.context("the agent does not answer")?;
    let untouched = cast.board()?.boots() == tried && status.state() == Some("idle");
    ensure!(untouched, "expected 1.2.0 not to be offered again, saw {}", status.0);
    let reason = report.get("reason").and_then(Value::as_str).unwrap_or("no reason given");
    Ok(format!("fell back to 1.1.0 on its own and reported why ({reason}); not offered again"))
}

fn cut_power(seed: u64, cast: &mut Cast, show: &Show) -> Result<String> {
    cast.board()?.wire_power_switch()?;
    cast.board()?.restart()?;
    publish(cast, "1.3.0")?;
    let bytes = cast.image("1.3.0")?.bytes;
    let mut random = Seeded::new(seed);
    for cut in 1..=CUTS {
        let board = cast.board()?;
        let when = if cut < CUTS {
            let written = board.run_until_written(bytes / 8 + random.below(bytes / 2), UPDATE_LIMIT)?;
            format!("after {} MiB", written >> 20)
        } else {
            board.run_until_armed(UPDATE_LIMIT)?;
            "in the moment of the restart".into()
        };
        let lost = board.cut_power(random.draw())?;
        board.check_bootable()?;
        let open = lost.lost + lost.kept + lost.torn;
        let (lost, torn) = (lost.lost, lost.torn);
        show.note(&format!(
            "cut {cut} {when}: of {open} unsynced changes {lost} lost, {torn} torn; a whole slot still boots"
        ));
        board.power_on()?;
    }
    settle(cast, "1.3.0")?;
    cast.board()?.check_bootable()?;
    cast.board()?.unwire_power_switch();
    cast.board()?.restart()?;
    Ok(format!("{CUTS} cuts (seed {seed}), resumed each time, never unbootable, confirmed in the end"))
}
