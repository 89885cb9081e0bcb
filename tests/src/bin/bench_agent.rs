//! The figures of the agent; started by `tests/bench/agent`, which says what each is.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::json;
use tenure_tests::board::{Board, Parts};
use tenure_tests::ensure;
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::hostile::Hostile;
use tenure_tests::images::{self, Image};
use tenure_tests::maker::Maker;
use tenure_tests::memory::Memory;
use tenure_tests::stage::MODEL;
use tenure_tests::world::World;

/// Measures the agent.
#[derive(Debug, Parser)]
struct Options {
    /// The agent as it ships
    #[arg(long, value_name = "FILE")]
    agent: PathBuf,
    /// The length of the image that is installed
    #[arg(long, value_name = "N", default_value_t = 512)]
    mib: u64,
    /// Make all of it but the first 64 MiB a hole
    #[arg(long)]
    holes: bool,
}

/// How long an installation may take.
const LIMIT: Duration = Duration::from_mins(10);

fn main() -> ExitCode {
    let said = match measure(&Options::parse()) {
        Ok(()) => return ExitCode::SUCCESS,
        Err(failure) => format!("bench: error: {failure}\n"),
    };
    std::io::stderr().write_all(said.as_bytes()).unwrap_or_default();
    ExitCode::FAILURE
}

fn measure(options: &Options) -> Result<()> {
    let world = World::new("bench")?;
    let first = images::of_programs(&world.path("1.0.0.img"), "1.0.0", 16, 1)?;
    let make = if options.holes { images::with_holes } else { images::of_programs };
    let second = make(&world.path("1.1.0.img"), "1.1.0", options.mib, 2)?;
    let maker = Maker::new(&world, "maker", MODEL)?;
    maker.declare(world.clock().today().plus_days(3650))?;
    maker.publish(&first)?;
    let files = Hostile::serve(&maker.repository(), MODEL)?;
    let mut board = make_board(&world, &maker, files.url(), &first, second.bytes)?;
    board.take_program(&options.agent);
    board.knows(&second);
    board.power_on()?;
    board.run_until("the board has nothing to do", LIMIT, |board| {
        Ok(board.status()?.filter(|status| status.support_ends().is_some()))
    })?;
    let (idle, check) = idle(&board, &files)?;
    maker.publish(&second)?;
    let pipeline = run_pipeline(&world, &maker, files.url(), second.bytes)?;
    let (install, most) = install(&mut board)?;
    let figures = json!({
        "binary_bytes": options.agent.metadata().context("there is no agent")?.len(),
        "idle_rss_kib": idle.rss_kib,
        "idle_pss_kib": idle.pss_kib,
        "idle_anon_kib": idle.anon_kib,
        "installing_rss_kib": most.rss_kib,
        "installing_pss_kib": most.pss_kib,
        "installing_anon_kib": most.anon_kib,
        "image_mib": options.mib,
        "install_s": install.as_secs_f64(),
        "pipeline_s": pipeline.as_secs_f64(),
        "ratio": install.as_secs_f64() / pipeline.as_secs_f64(),
        "idle_check_bytes": check.0,
        "idle_check_requests": check.1,
    });
    let text = serde_json::to_string_pretty(&figures).context("cannot write the figures")?;
    std::io::stdout().write_all(format!("{text}\n").as_bytes()).context("cannot print the figures")
}

fn make_board(world: &World, maker: &Maker, server: &str, image: &Image, slot_bytes: u64) -> Result<Board> {
    let factory_root = maker.factory_root();
    // A check a day: what happens in between is idle, and no update begins before it is watched.
    let more_config = "check_in_interval_s = 86400\n";
    let parts = Parts {
        model: MODEL,
        server,
        factory_root: &factory_root,
        image,
        slot_bytes,
        enrolment_token: None,
        more_config,
    };
    Board::make(world, "board", &parts)
}

/// Resident memory while nothing happens, and bytes and requests of one check that finds nothing.
fn idle(board: &Board, files: &Hostile) -> Result<(Memory, (u64, u64))> {
    std::thread::sleep(Duration::from_secs(3));
    let before = files.served();
    let answer = board.run(&["check"])?;
    ensure!(answer.code == 0, "the check failed: {}", answer.stderr);
    let after = files.served();
    let requests = |served: &tenure_tests::hostile::Served| served.requests.values().sum::<u64>();
    std::thread::sleep(Duration::from_secs(2));
    Ok((Memory::of(board), (after.bytes - before.bytes, requests(&after) - requests(&before))))
}

/// What a shell would do: fetch, decompress, hash, write, sync, and read back what was written.
fn run_pipeline(world: &World, maker: &Maker, url: &str, bytes: u64) -> Result<Duration> {
    let payload = find_payload(&maker.repository().join("targets/releases/1.1.0"))?;
    let url = format!("{url}/repo/{MODEL}/targets/releases/1.1.0/{payload}");
    let slot = world.path("pipeline.img");
    std::fs::File::create(&slot)?.set_len(bytes)?;
    let script = r#"set -euo pipefail
        curl --silent --fail "$1" | zstd --decompress --stdout --quiet |
            tee >(sha256sum >"$2.sum") | dd of="$2" bs=1M conv=notrunc,fsync iflag=fullblock status=none
        dd if="$2" iflag=nocache count=0 status=none
        sha256sum "$2" >/dev/null"#;
    let start = Instant::now();
    let status =
        Command::new("bash").args(["-c", script, "bash", &url]).arg(&slot).status().context("cannot run bash")?;
    ensure!(status.success(), "the pipeline failed: {status}");
    Ok(start.elapsed())
}

fn find_payload(folder: &Path) -> Result<String> {
    let names = std::fs::read_dir(folder).context("there is no payload")?.flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    names.into_iter().find(|name| name.ends_with(".rootfs.full")).context("there is no payload")
}

/// Installs, and watches time and memory.
fn install(board: &mut Board) -> Result<(Duration, Memory)> {
    let mut most = Memory::default();
    let mut start = None;
    board.wake()?;
    let took = board.run_until("the release is installed", LIMIT, |board| {
        let log = std::fs::read_to_string(board.log()).unwrap_or_default();
        if start.is_none() && log.contains("installing") {
            start = Some(Instant::now());
        }
        most = most.max(Memory::of(board));
        Ok(start.filter(|_| log.contains("after=\"staged\"")).map(|start| start.elapsed()))
    })?;
    Ok((took, most))
}
