//! What an installation costs, ours beside others'; started by `tests/bench/install`, which says what each figure is.

mod meter;
mod others;
mod ours;
mod place;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use clap::Parser;
use serde_json::{Value, json};
use tenure_tests::ensure;
use tenure_tests::failure::{Context as _, Failure, Result};
use tenure_tests::images;
use tenure_tests::world::World;

use meter::Cost;
use others::Bundles;
use ours::Maker;
use place::{Files, Loop};

/// Measures installations side by side.
#[derive(Debug, Parser)]
struct Options {
    /// The agent as it ships
    #[arg(long, value_name = "FILE")]
    agent: PathBuf,
    /// The length of the image that is installed
    #[arg(long, value_name = "N", default_value_t = 512)]
    mib: u64,
    /// How often each of them installs, by turns
    #[arg(long, value_name = "N", default_value_t = 3)]
    rounds: usize,
    /// Who installs
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "pipeline,tenure,swupdate,rauc")]
    only: Vec<String>,
}

fn main() -> ExitCode {
    let said = match measure(&Options::parse()) {
        Ok(()) => return ExitCode::SUCCESS,
        Err(failure) => format!("bench: error: {failure}\n"),
    };
    say(&said);
    ExitCode::FAILURE
}

fn say(text: &str) {
    std::io::stderr().write_all(text.as_bytes()).unwrap_or_default();
}

fn measure(options: &Options) -> Result<()> {
    let world = World::new("bench-install")?;
    say("bench: making images and bundles\n");
    let old = images::of_programs(&world.path("old.img"), "1.0.0", options.mib, 1)?;
    let new = images::of_programs(&world.path("new.img"), "1.1.0", options.mib, 2)?;
    let files = Files::serve(world.folder())?;
    let slots = [Loop::make("a", new.bytes)?, Loop::make("b", new.bytes)?];
    let [first, second] = &slots;
    let bundles = Bundles::make(world.folder(), &files, &new, &second.device)?;
    let maker = Maker::make(&world, &files, &old, &new)?;
    let mut costs: BTreeMap<&str, Vec<Cost>> = BTreeMap::new();
    for round in 0..options.rounds {
        for name in &options.only {
            second.hold(&old.file)?;
            let devices = [first.device.as_path(), second.device.as_path()];
            let cost = match name.as_str() {
                "pipeline" => Bundles::pipeline(&files, devices[1]),
                "swupdate" => Bundles::swupdate(&files, devices[1]),
                "rauc" => bundles.rauc(&files, devices),
                "tenure" => maker.install(&world, &options.agent, &slots, &format!("board-{round}")),
                other => Err(Failure::new(format_args!("there is no {other}"))),
            }?;
            ensure!(tenure_tests::digests::of_file(devices[1])?.1 == new.sha256, "{name} left something else");
            say(&format!("bench: round {round}, {name}: {:.2} s\n", cost.wall_s));
            costs.entry(name).or_default().push(cost);
        }
    }
    let figures = json!({ "image_mib": options.mib, "rounds": options.rounds, "installing": installing(&costs),
        "bytes_on_disk": sizes(&options.agent)? });
    let text = serde_json::to_string_pretty(&figures).context("cannot write the figures")?;
    std::io::stdout().write_all(format!("{text}\n").as_bytes()).context("cannot print the figures")
}

/// The medians of each, and the ratio of its time to the pipeline's.
fn installing(costs: &BTreeMap<&str, Vec<Cost>>) -> Value {
    let limit = costs.get("pipeline").and_then(|costs| median(costs, |cost| cost.wall_s));
    let rows = costs.iter().map(|(name, costs)| {
        let wall_s = median(costs, |cost| cost.wall_s);
        let row = json!({
            "wall_s": wall_s,
            "ratio": wall_s.zip(limit).map(|(wall_s, limit)| wall_s / limit),
            "cpu_s": median(costs, |cost| cost.cpu_s),
            "peak_rss_kib": median(costs, |cost| cost.peak_rss_kib),
            "peak_anon_kib": median(costs, |cost| cost.peak_anon_kib),
            "written_bytes": median(costs, |cost| cost.written_bytes),
        });
        ((*name).to_owned(), row)
    });
    Value::Object(rows.collect())
}

fn median<T: PartialOrd + Copy>(costs: &[Cost], of: fn(&Cost) -> T) -> Option<T> {
    let mut values: Vec<_> = costs.iter().map(of).collect();
    values.sort_by(|one, other| one.partial_cmp(other).unwrap_or(std::cmp::Ordering::Equal));
    values.get(values.len() / 2).copied()
}

/// The length of each program, and of all the libraries that it loads.
fn sizes(agent: &std::path::Path) -> Result<Value> {
    let script = r#"stat -Lc %s "$1"; { ldd "$1" 2>/dev/null || true; } | grep -o '/[^ ]*' | sort -u |
        xargs -r stat -Lc %s | awk '{ sum += $1 } END { print sum + 0 }'"#;
    let mut rows = serde_json::Map::new();
    for (name, program) in
        [("tenure", agent.to_path_buf()), ("rauc", "/usr/bin/rauc".into()), ("swupdate", "/usr/bin/swupdate".into())]
    {
        let said = place::said(Command::new("bash").args(["-c", script, "bash"]).arg(&program))?;
        let numbers: Vec<u64> = said.lines().filter_map(|line| line.parse().ok()).collect();
        rows.insert(name.into(), json!({ "program": numbers.first(), "libraries": numbers.get(1) }));
    }
    Ok(Value::Object(rows))
}
