//! The figures of the trust core that need our own code; started by `tests/bench/trust`, which
//! says what each is.
//!
//! ```text
//! bench_trust verify SIGNATURES.json    verifications a core-second, of each signature in the file
//! bench_trust run PROGRAM [WORD ...]    what a program spends: seconds of a core, memory at its peak
//! bench_trust bytes TUF_CLIENT          what a device's refreshes bring, by models and releases
//! ```

mod fleet;
mod relay;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use serde::Deserialize;
use serde_json::{Value, json};
use tenure_proto::digest::bytes_from_hex;
use tenure_proto::key::PublicKey;
use tenure_tests::ensure;
use tenure_tests::failure::{Context as _, Failure, Result};

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let figures = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["verify", file] => verify(Path::new(file)),
        ["run", program, words @ ..] => run(program, words),
        ["bytes", client] => fleet::measure(Path::new(client)),
        _ => Err(Failure::new("expected one of: verify SIGNATURES.json, run PROGRAM, bytes TUF_CLIENT")),
    };
    let said = match figures.and_then(|figures| print(&figures)) {
        Ok(()) => return ExitCode::SUCCESS,
        Err(failure) => format!("bench_trust: error: {failure}\n"),
    };
    std::io::stderr().write_all(said.as_bytes()).unwrap_or_default();
    ExitCode::FAILURE
}

fn print(figures: &Value) -> Result<()> {
    std::io::stdout().write_all(format!("{figures}\n").as_bytes()).context("cannot print the figures")
}

/// Runs a program from here: a child's peak begins with the memory of the process that started it,
/// and this one is small.
fn run(program: &str, words: &[&str]) -> Result<Value> {
    let start = Instant::now();
    let status = Command::new(program).args(words).stdout(Stdio::null()).status();
    let (status, took) = (status.context(format_args!("cannot run {program}"))?, start.elapsed());
    ensure!(status.success(), "{program}: {status}");
    let used = getrusage(UsageWho::RUSAGE_CHILDREN).context("the kernel keeps no account")?;
    let core_us = [used.user_time(), used.system_time()].map(|time| time.num_microseconds());
    let cpu = Duration::from_micros(u64::try_from(core_us.iter().sum::<i64>()).unwrap_or_default());
    Ok(json!({"cpu_s": cpu.as_secs_f64(), "wall_s": took.as_secs_f64(), "peak_kib": used.max_rss()}))
}

/// Signatures over one message, one of each scheme.
#[derive(Deserialize)]
struct Samples {
    message: String,
    signatures: Vec<Sample>,
}

#[derive(Deserialize)]
struct Sample {
    key: PublicKey,
    sig: String,
}

/// Verifications a second of a core by scheme, each from the key's metadata form, as a refresh does it.
fn verify(file: &Path) -> Result<Value> {
    let text = std::fs::read(file).context(format_args!("cannot read {}", file.display()))?;
    let Samples { message, signatures } = serde_json::from_slice(&text).context("no samples")?;
    let mut rates = serde_json::Map::new();
    for Sample { key, sig } in signatures {
        let signature = bytes_from_hex(&sig).context("no signature")?;
        ensure!(key.verifies(message.as_bytes(), &signature), "a {} signature does not verify", key.scheme);
        let rate = rate(|| std::hint::black_box(key.verifies(message.as_bytes(), &signature)))?;
        rates.insert(key.scheme, json!(rate.round()));
    }
    Ok(rates.into())
}

/// How often this can be done in a second of a core, whatever else the machine does.
fn rate(once: impl Fn() -> bool) -> Result<f64> {
    let (start, mut count) = (spent()?, 0_u32);
    loop {
        let since = Instant::now();
        while since.elapsed() < Duration::from_millis(250) {
            once();
            count += 1;
        }
        let took = spent()?.saturating_sub(start);
        if took >= Duration::from_secs(1) {
            return Ok(f64::from(count) / took.as_secs_f64());
        }
    }
}

/// The time that this thread has run on a core.
fn spent() -> Result<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").context("the kernel keeps no such account")?;
    let ran_ns = text.split(' ').next().and_then(|first| first.parse().ok());
    Ok(Duration::from_nanos(ran_ns.context("the kernel's account cannot be read")?))
}
