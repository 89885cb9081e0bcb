//! The running machine: QEMU, in software emulation.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::failure::{Context as _, Failure, Result};
use crate::process::{self, Process};

/// Whether each write and each flush is recorded.
#[derive(Clone, Debug)]
pub enum Recording {
    /// It is not.
    Off,
    /// Into this file, as the kernel's dm-log-writes does.
    Into(PathBuf),
}

/// A machine with the power on. It is killed when this is dropped.
#[derive(Debug)]
pub struct Guest {
    process: Process,
    serial: PathBuf,
    started: Instant,
    read_bytes: usize,
}

impl Guest {
    /// Powers a machine on.
    pub(super) fn start(disk: &Path, firmware: &[String], serial: &Path, recording: &Recording) -> Result<Self> {
        let mut command = Command::new("qemu-system-x86_64");
        command.args(["-accel", "tcg,thread=multi", "-cpu", "max", "-m", "512", "-smp", "1"]);
        command.args(["-display", "none", "-monitor", "none", "-no-user-config"]);
        command.arg("-serial").arg(format!("file:{}", serial.display()));
        command.args(["-blockdev", &format!("driver=file,node-name=f0,filename={}", disk.display())]);
        command.args(["-blockdev", "driver=raw,node-name=r0,file=f0"]);
        let drive = match recording {
            Recording::Off => "r0",
            Recording::Into(log) => {
                std::fs::write(log, b"").context("cannot make the log of writes")?;
                command.args(["-blockdev", &format!("driver=file,node-name=l0,filename={}", log.display())]);
                command.args(["-blockdev", "driver=blklogwrites,node-name=b0,file=r0,log=l0,log-sector-size=512"]);
                "b0"
            }
        };
        command.args(["-device", &format!("virtio-blk-pci,drive={drive},bootindex=1")]);
        command.args(["-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0,romfile="]);
        command.args(["-device", "i6300esb", "-action", "watchdog=reset"]);
        command.args(firmware);
        let log = process::log_file(&serial.with_extension("qemu"))?;
        command.stdout(log.try_clone()?).stderr(log);
        let process = Process::start("qemu-system-x86_64", &mut command)?;
        Ok(Self { process, serial: serial.into(), started: Instant::now(), read_bytes: 0 })
    }

    /// How long the power is on.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Waits until these words were said, whether they were waited for before or not; `false` if they are
    /// not by then.
    pub(super) fn says(&mut self, words: &str, limit: Duration) -> Result<bool> {
        let start = Instant::now();
        loop {
            crate::interrupt::check()?;
            if String::from_utf8_lossy(&std::fs::read(&self.serial).unwrap_or_default()).contains(words) {
                return Ok(true);
            }
            if start.elapsed() > limit || self.process.ended()?.is_some() {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until a line with these words appears that was not yet waited for; the line.
    pub fn wait_for(&mut self, words: &str, limit: Duration) -> Result<String> {
        self.wait_for_one_of(&[words], limit)
    }

    /// Waits until a line with one of these texts appears that was not yet waited for; the line.
    pub fn wait_for_one_of(&mut self, texts: &[&str], limit: Duration) -> Result<String> {
        let start = Instant::now();
        loop {
            crate::interrupt::check()?;
            while let Some(line) = self.next_line() {
                if texts.iter().any(|text| line.contains(text)) {
                    return Ok(line);
                }
            }
            if let Some(status) = self.process.ended()? {
                let words = last_words(&self.serial);
                return Err(Failure::new(format_args!("the machine ended ({status}) before {texts:?}; {words}")));
            }
            if start.elapsed() > limit {
                let (limit, words) = (limit.as_secs(), last_words(&self.serial));
                return Err(Failure::new(format_args!("waited {limit} s in vain for {texts:?}; {words}")));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Lets the machine run until its power was on for so long; the lines with one of these texts.
    pub fn wait_until_cut(&mut self, texts: &[&str], moment: Duration) -> Result<Vec<String>> {
        let mut found = Vec::new();
        while self.uptime() < moment {
            crate::interrupt::check()?;
            ensure!(self.process.ended()?.is_none(), "the machine ended by itself; {}", last_words(&self.serial));
            std::thread::sleep(Duration::from_millis(5).min(moment.saturating_sub(self.uptime())));
        }
        while let Some(line) = self.next_line() {
            if texts.iter().any(|text| line.contains(text)) {
                found.push(line);
            }
        }
        Ok(found)
    }

    /// The next whole line that the console has.
    fn next_line(&mut self) -> Option<String> {
        let bytes = std::fs::read(&self.serial).ok()?;
        let rest = bytes.get(self.read_bytes..)?;
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        self.read_bytes += end + 1;
        Some(String::from_utf8_lossy(rest.get(..end)?).trim_end().to_owned())
    }

    /// Waits until the machine has switched itself off, or was not let to start again.
    pub fn wait_for_end(&mut self, limit: Duration) -> Result<()> {
        let start = Instant::now();
        while self.process.ended()?.is_none() {
            crate::interrupt::check()?;
            ensure!(start.elapsed() < limit, "the machine does not end; {}", last_words(&self.serial));
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Cuts the power: SIGKILL.
    pub fn cut_power(mut self) {
        self.process.kill();
    }
}

/// The end of what a machine said.
pub(super) fn last_words(serial: &Path) -> String {
    let said = std::fs::read(serial).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<_> = said.lines().rev().take(25).collect();
    let lines: Vec<_> = lines.into_iter().rev().collect();
    format!("{} ends with:\n{}", serial.display(), lines.join("\n"))
}
