//! What processes cost: time of cores, memory, bytes on a medium.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tenure_tests::failure::{Context as _, Failure, Result};

/// What an installation cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// By the wall.
    pub(crate) wall_s: f64,
    /// Of all cores, by all processes that were seen. What a process does in its last moment is missed.
    pub(crate) cpu_s: f64,
    /// The most that was resident in all processes together.
    pub(crate) peak_rss_kib: u64,
    /// The most that was in no file.
    pub(crate) peak_anon_kib: u64,
    /// What reached the slot's device.
    pub(crate) written_bytes: u64,
}

/// Looks at some processes and all their descendants, a hundred times a second.
#[derive(Debug)]
pub(crate) struct Meter {
    stop: Arc<AtomicBool>,
    seen: JoinHandle<Seen>,
    start: Instant,
    written: u64,
}

#[derive(Debug, Default)]
struct Seen {
    ticks: BTreeMap<i32, (u64, u64)>,
    peak_rss_kib: u64,
    peak_anon_kib: u64,
}

const EVERY: Duration = Duration::from_millis(10);

impl Meter {
    /// Starts to look at `roots`, and at what is written to `device`.
    pub(crate) fn start(roots: Vec<i32>, device: &Path) -> Result<Self> {
        let (stop, mut seen) = (Arc::new(AtomicBool::new(false)), Seen::default());
        seen.look(&roots);
        let flag = Arc::clone(&stop);
        let written = written_bytes(device)?;
        let start = Instant::now();
        let seen = std::thread::spawn(move || {
            while !flag.load(Ordering::SeqCst) {
                seen.look(&roots);
                std::thread::sleep(EVERY);
            }
            seen.look(&roots);
            seen
        });
        Ok(Self { stop, seen, start, written })
    }

    /// Ends the measurement.
    pub(crate) fn stop(self, device: &Path) -> Result<Cost> {
        let wall_s = self.start.elapsed().as_secs_f64();
        self.stop.store(true, Ordering::SeqCst);
        let seen = self.seen.join().map_err(|_| Failure::new("the meter broke"))?;
        let ticks: u64 = seen.ticks.values().map(|(first, last)| last - first).sum();
        let hertz = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok().flatten().context("no clock")?;
        Ok(Cost {
            wall_s,
            cpu_s: Duration::from_millis(ticks * 1000 / u64::try_from(hertz).unwrap_or(100)).as_secs_f64(),
            peak_rss_kib: seen.peak_rss_kib,
            peak_anon_kib: seen.peak_anon_kib,
            written_bytes: written_bytes(device)? - self.written,
        })
    }
}

impl Seen {
    fn look(&mut self, roots: &[i32]) {
        let is_first = self.ticks.is_empty();
        let (mut rss, mut anon) = (0, 0);
        for (pid, ticks) in family(roots) {
            // What began later cost nothing before; what was there before had cost something.
            let known = self.ticks.entry(pid).or_insert((if is_first { ticks } else { 0 }, ticks));
            known.1 = ticks;
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let field = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name));
                line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0)
            };
            rss += field("VmRSS:");
            anon += field("RssAnon:");
        }
        self.peak_rss_kib = self.peak_rss_kib.max(rss);
        self.peak_anon_kib = self.peak_anon_kib.max(anon);
    }
}

/// `roots` and all their descendants, with the ticks of a core that each has used.
fn family(roots: &[i32]) -> Vec<(i32, u64)> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let all: Vec<_> = pids.filter_map(|pid| stat(pid).map(|(parent, ticks)| (pid, parent, ticks))).collect();
    let mut family: Vec<_> = roots.to_vec();
    loop {
        let before = family.len();
        for (pid, parent, _) in &all {
            if family.contains(parent) && !family.contains(pid) {
                family.push(*pid);
            }
        }
        if family.len() == before {
            return all.iter().filter(|(pid, ..)| family.contains(pid)).map(|(pid, _, ticks)| (*pid, *ticks)).collect();
        }
    }
}

/// The parent of a process, and the ticks of a core that it has used itself.
fn stat(pid: i32) -> Option<(i32, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<_> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
    Some((fields.get(1)?.parse().ok()?, number(11)? + number(12)?))
}

/// Bytes that were written to a block device since it is there.
fn written_bytes(device: &Path) -> Result<u64> {
    let name = device.file_name().context("a device has a name")?;
    let file = Path::new("/sys/block").join(name).join("stat");
    let text = std::fs::read_to_string(&file).context(format_args!("cannot read {}", file.display()))?;
    let sectors = text.split_ascii_whitespace().nth(6).and_then(|field| field.parse::<u64>().ok());
    Ok(sectors.context("the device does not say what was written")? * 512)
}
