//! What one leading connection asks, step by step.
//!
//! refresh → declaration → choose → manifest → index → frames → restart. Every answer rests on
//! what was verified here before; a refusal changes nothing. What a session has proven dies with
//! it: the next one verifies again.

mod advisories;

use std::collections::BTreeSet;
use std::time::Duration;

use tenure_proto::digest::Digest;
use tenure_proto::lifecycle::{self, Event, State};
use tenure_proto::policy::{self, Barred, Candidate, Offer};
use tenure_proto::release::{self, Artifact, Release, Summary};
use tenure_proto::report::ReportEvent;
use tenure_proto::support::{Accepted, DECLARATION_PATH, Declaration, Refusal};
use tenure_proto::trust::{TrustedSet, Verified};
use tenure_proto::version::Version;

use super::destination::{destination, no_way, order};
use super::device::{self, Device, Task};
use super::refusal::Error;
use crate::chain::Chain;
use crate::channel::{Offered, PlannedArtifact, Reply, Request, WantedFile};
use crate::install::{self, Writer, WrittenSlot};
use crate::{promise, slot, verify};

/// See above.
#[derive(Debug, Default)]
pub(super) struct Session {
    is_bundle: bool,
    refresh: Option<verify::Run>,
    set: Option<TrustedSet>,
    chosen: Option<Chosen>,
    plan: Option<Plan>,
    /// Releases that cannot be installed as things are; another one may be.
    unfit: BTreeSet<Digest>,
    /// Somebody ended what it was about.
    cancelled: bool,
    /// Until when nothing more is to be written.
    paced_until: Duration,
}

#[derive(Debug)]
struct Chosen {
    path: String,
    candidate: Candidate,
    /// Whether the network is metered.
    metered: bool,
}

#[derive(Debug)]
struct Plan {
    release: Verified<Release>,
    digest: Digest,
    /// The artifacts in the order of writing: what stands once comes after all others, and the
    /// bootloader last.
    order: Vec<usize>,
    written: Vec<WrittenSlot>,
    writer: Option<(usize, Writer)>,
    /// A frame was refused: those on their way behind it are not what they seem.
    broken: bool,
}

/// An answer, and what has to wait.
type Answer = Result<(Reply, Option<Task>), Error>;

#[expect(clippy::unnecessary_wraps, reason = "it ends the functions that can fail")]
fn answer(reply: Reply) -> Answer {
    Ok((reply, None))
}

impl Session {
    /// Answers the connection that leads.
    pub(super) fn answer(&mut self, device: &mut Device, request: Request, body: &[u8]) -> Answer {
        match request {
            Request::Refresh { release, bundle } => {
                self.is_bundle = bundle;
                self.start(device, release.as_ref())
            }
            Request::Metadata { present } => self.metadata(device, present.then_some(body)),
            Request::Declaration => self.declaration(device),
            Request::DeclarationBytes => self.declaration_bytes(device, body),
            Request::Advisories => self.advisories(device),
            Request::AdvisoriesBytes => self.advisories_bytes(device, body),
            Request::Choose { offer, metered } => self.choose(device, offer, metered),
            Request::Manifest => self.manifest(device, body),
            Request::Index { artifact } => self.index(device, artifact, body),
            Request::Frame => self.frame(device, body),
            Request::GiveUp { reason } => {
                self.plan = None;
                device.give_up(&reason, false)?;
                answer(Reply::Done)
            }
            Request::Restart => self.restart(device),
            Request::Status
            | Request::Events
            | Request::EventsKept { .. }
            | Request::Confirm
            | Request::RollBack
            | Request::Retry { .. }
            | Request::Reached(_)
            | Request::RestartNow
            | Request::Defer { .. }
            | Request::Set { .. }
            | Request::Wipe
            | Request::Integrity { .. }
            | Request::Cancel
            | Request::Resume
            | Request::Proof
            | Request::WithPassword { .. } => Err(Error::TooEarly { what: "another question" }),
        }
    }

    /// Somebody ended what was under way.
    pub(super) fn drop_plan(&mut self) {
        (self.plan, self.chosen, self.cancelled) = (None, None, true);
    }

    /// How long the next answer waits, so that writing keeps to its rate.
    pub(super) fn pause(&self, now: Duration) -> Duration {
        self.paced_until.saturating_sub(now)
    }

    /// Bytes of the image that are in the slot, of how many.
    pub(super) fn progress_bytes(&self) -> Option<(u64, u64)> {
        let plan = self.plan.as_ref()?;
        let sizes = || plan.artifacts().map(|artifact| artifact.size_bytes);
        let (at, writer) = plan.writer.as_ref()?;
        Some((sizes().take(*at).sum::<u64>() + writer.image_bytes(), sizes().sum()))
    }

    fn start(&mut self, device: &mut Device, release: Option<&Version>) -> Answer {
        device.reading()?;
        let refresh = device.keeper.start(device.floor)?;
        let mut refresh = if self.is_bundle { refresh.of_bundle() } else { refresh };
        if let Some(version) = release {
            refresh.look_for(&release::manifest_path(version))?;
        }
        // Where the newest release failed, an older one may be the next to take.
        self.refresh = Some(if device.denied().is_empty() { refresh } else { refresh.with_every_role() });
        self.want(device)
    }

    fn metadata(&mut self, device: &mut Device, bytes: Option<&[u8]>) -> Answer {
        // It is put back only if the file is accepted.
        let mut refresh = self.refresh.take().ok_or(Error::TooEarly { what: "a refresh" })?;
        device.keeper.supply(&mut refresh, bytes)?;
        self.refresh = Some(refresh);
        self.want(device)
    }

    fn want(&mut self, device: &mut Device) -> Answer {
        let want = self.refresh.as_ref().and_then(verify::Run::want);
        let want = want.map(|want| WantedFile {
            file: want.file,
            bytes_max: want.bytes_max,
            may_be_absent: want.may_be_absent,
        });
        if want.is_none() {
            let refresh = self.refresh.take().ok_or(Error::TooEarly { what: "a refresh" })?;
            let set = refresh.finish()?;
            if !self.is_bundle {
                device.judge_clock(&set)?;
            }
            device.refreshed(&set)?;
            self.set = Some(set);
        }
        answer(Reply::Want { want })
    }

    fn set(&self) -> Result<&TrustedSet, Error> {
        self.set.as_ref().ok_or(Error::TooEarly { what: "a whole refresh" })
    }

    fn declaration(&self, device: &Device) -> Answer {
        let set = self.set()?;
        // What is held stays held, whether or not it is still listed.
        let listed = set.target(DECLARATION_PATH).ok().and_then(|target| target.hashes.sha256);
        let news = listed.filter(|digest| !device.promise.knows(*digest));
        let target = news.map(|_| wanted(set, DECLARATION_PATH)).transpose()?;
        answer(Reply::Target { target })
    }

    fn declaration_bytes(&self, device: &mut Device, text: &[u8]) -> Answer {
        let declaration = self.set()?.open::<Declaration>(DECLARATION_PATH, text).map_err(verify::Error::from)?;
        let (vouchers, roots) = (device.keeper.chain()?, device.keeper.roots()?);
        let offered = promise::Offered { declaration: &declaration, text, vouchers, roots };
        let broken = match device.promise.offer(&offered)? {
            Ok(accepted) => {
                if accepted != Accepted::Same {
                    tracing::info!(ends = %declaration.ends, "a support declaration is held");
                }
                return answer(Reply::Done);
            }
            Err(broken) => broken,
        };
        if broken.refusal.breaks_the_promise() {
            let at = device.reading()?.now;
            device.promise.keep_evidence(&broken, &offered, at)?;
        }
        if let Refusal::Shortened { held, offered, .. } = broken.refusal {
            let event = ReportEvent::ShorteningRefused {
                held_sha256: broken.held_sha256,
                held_ends: held,
                offered_sha256: broken.offered_sha256,
                offered_ends: offered,
            };
            device.add_refusal(&format!("shortening {}", broken.offered_sha256), event);
        }
        Err(Error::Promise(broken.refusal))
    }

    fn choose(&mut self, device: &mut Device, offer: Offered, metered: bool) -> Answer {
        self.chosen = None;
        let set = self.set()?;
        if lifecycle::step(device.state(), Event::Accepted).is_err() {
            return answer(Reply::Target { target: None });
        }
        let mut denied = device.denied();
        denied.extend(&self.unfit);
        denied.extend(device.resting());
        let mut candidates = candidates(set);
        let lowest_index = device.lowest_index()?;
        device.tell_left_behind(&candidates, lowest_index);
        let offer = match offer {
            Offered::Bundle(version) => {
                candidates.retain(|candidate| candidate.summary.version == version);
                Offer::NoServer
            }
            Offered::Release(version) => Offer::Release(version),
            Offered::Nothing => Offer::Nothing,
            Offered::NoServer => Offer::NoServer,
        };
        let chosen = policy::choose(
            device.version(),
            &candidates,
            &offer,
            Barred { denied: &denied, lowest_index },
            device.floor,
        );
        let Some((candidate, why)) = chosen else {
            if !self.is_bundle {
                device.nothing_new()?;
            }
            return answer(Reply::Target { target: None });
        };
        let path = release::manifest_path(&candidate.summary.version);
        let target = wanted(set, &path)?;
        // Its owner is told of it in any case: for that its manifest is read once.
        let waits = device.waits_with(&candidate.digest)?
            || !device.may_install(&candidate, metered)? && device.has_read(candidate.digest);
        if let Some(waits) = device.waits().filter(|_| waits) {
            return answer(Reply::Waits(waits));
        }
        tracing::info!(version = %candidate.summary.version, ?why, "a release is chosen");
        self.chosen = Some(Chosen { path, candidate, metered });
        answer(Reply::Target { target: Some(target) })
    }

    fn manifest(&mut self, device: &mut Device, bytes: &[u8]) -> Answer {
        let chosen = self.chosen.as_ref().ok_or(Error::TooEarly { what: "a choice" })?;
        let digest = chosen.candidate.digest;
        let opened = chosen.open(device, self.set()?, bytes);
        if opened.as_ref().is_err_and(Error::is_hopeless) {
            self.unfit.insert(digest);
        }
        let release = opened?;
        device.read(&release, digest)?;
        if !device.may_install(&chosen.candidate, chosen.metered)?
            && let Some(waits) = device.waits()
        {
            return answer(Reply::Waits(waits));
        }
        let order = order(device, &release)?;
        let plan = Plan { release, digest, order, written: Vec::new(), writer: None, broken: false };
        let artifacts = plan.artifacts().map(|artifact| planned(&plan.release.version, artifact));
        let artifacts = artifacts.collect::<Result<Vec<_>, _>>()?;
        let release = &plan.release;
        let task = device.accept(release, digest)?;
        let version = release.version.clone();
        self.plan = Some(plan);
        Ok((Reply::Plan { version, artifacts }, task))
    }

    fn index(&mut self, device: &mut Device, at: usize, bytes: &[u8]) -> Answer {
        let plan = self.plan.as_mut().ok_or(no_plan(self.cancelled))?;
        if let Some((_, writer)) = plan.writer.as_ref().filter(|(here, _)| *here == at) {
            plan.broken = false;
            return answer(Reply::Frames { from: writer.next() });
        }
        match plan.open(device, at, bytes) {
            Ok(from) => {
                self.finish_artifact(device)?;
                answer(Reply::Frames { from })
            }
            Err(_) if device.stop.is_asked() => Err(device::Error::Stopped.into()),
            Err(error) => Err(self.failed(device, error)),
        }
    }

    fn frame(&mut self, device: &mut Device, stored: &[u8]) -> Answer {
        let plan = self.plan.as_mut().ok_or(no_plan(self.cancelled))?;
        if plan.broken {
            return Err(Error::AfterRefusal);
        }
        let version = plan.release.version.clone();
        let (_, writer) = plan.writer.as_mut().ok_or(Error::TooEarly { what: "a frame index" })?;
        let (now, before) = (device.clock.monotonic(), writer.image_bytes());
        let written = writer.write(stored, now);
        let image_bytes = writer.image_bytes();
        self.paced_until = paced(self.paced_until.max(now), image_bytes - before, device.config.write.rate_bytes_per_s);
        if let Err(source) = written {
            plan.broken = true;
            if device.stop.is_asked() {
                return Err(device::Error::Stopped.into());
            }
            if matches!(source, install::Error::Slot(_)) {
                // What is there is found out anew.
                plan.writer = None;
            }
            return Err(self.failed(device, Error::Install { version, source }));
        }
        self.finish_artifact(device)?;
        answer(Reply::Written { image_bytes })
    }

    /// Reads back a slot that is complete; steps the update when all of them are.
    fn finish_artifact(&mut self, device: &mut Device) -> Result<(), Error> {
        let Some(plan) = &mut self.plan else { return Ok(()) };
        let Some((_, writer)) = plan.writer.as_mut().filter(|(_, writer)| writer.is_complete()) else { return Ok(()) };
        match writer.finish() {
            Ok(slot) => {
                let (class, content) = slot.content();
                device.read_back(class, content)?;
                plan.written.push(slot);
            }
            // Says nothing about the slot: whoever asked for it ends the update now.
            Err(_) if device.stop.is_asked() => return Err(device::Error::Stopped.into()),
            Err(source) => {
                let error = Error::Install { version: plan.release.version.clone(), source };
                let hopeless = device.misread(plan.digest)?;
                return Err(self.give_up(device, error, hopeless));
            }
        }
        if plan.is_proven() && device.state() == State::Writing {
            let done = device.post_install().and_then(|()| device.written(&plan.release).map(drop));
            if done.is_err() {
                self.plan = None;
            }
            done?;
        }
        Ok(())
    }

    /// What will fail again is given up at once.
    fn failed(&mut self, device: &mut Device, error: Error) -> Error {
        if error.is_hopeless() { self.give_up(device, error, true) } else { error }
    }

    fn give_up(&mut self, device: &mut Device, error: Error, hopeless: bool) -> Error {
        self.plan = None;
        match device.give_up(&Chain(&error).to_string(), hopeless) {
            Ok(()) => error,
            Err(worse) => worse.into(),
        }
    }

    fn restart(&self, device: &mut Device) -> Answer {
        // Told to restart twice, or the bootloader did not take it the first time.
        if device.state() == State::Armed {
            return Ok((Reply::Done, device.ask_bootloader()?));
        }
        if device.state() != State::Staged || !self.plan.as_ref().is_some_and(Plan::is_proven) {
            if self.cancelled {
                return Err(no_plan(true));
            }
            return Err(Error::TooEarly { what: "every artifact, written and read back," });
        }
        if !device.restart_holds()?.is_empty()
            && let Some(waits) = device.waits()
        {
            return answer(Reply::Waits(waits));
        }
        Ok((Reply::Done, device.arm()?))
    }
}

fn no_plan(cancelled: bool) -> Error {
    if cancelled { device::Error::Stopped.into() } else { Error::TooEarly { what: "a manifest" } }
}

impl Plan {
    /// The artifacts in the order of writing.
    fn artifacts(&self) -> impl Iterator<Item = &Artifact> {
        self.order.iter().filter_map(|at| self.release.artifacts.get(*at))
    }

    fn open(&mut self, device: &mut Device, at: usize, bytes: &[u8]) -> Result<u32, Error> {
        let missing = Error::TooEarly { what: "an artifact of the plan" };
        let artifact = self.artifacts().nth(at).ok_or(missing)?;
        let version = &self.release.version;
        let install = |source| Error::Install { version: version.clone(), source };
        let full = artifact.full().ok_or_else(|| no_way(version, artifact, "payload of a kind that is known"))?;
        let index = install::check_index(artifact, full, bytes).map_err(install)?;
        let destination = destination(device, version, artifact)?;
        if destination.rank() > 0 && !install::covers(&self.written, self.artifacts().take(at)) {
            return Err(Error::TooEarly { what: "every artifact before this one" });
        }
        let name = destination.to_string();
        let slot = destination.open(device, version, artifact)?;
        slot::set_io_priority(device.config.write.io_priority);
        let writer = Writer::open(slot, artifact, index, device.clock.monotonic(), &device.stop).map_err(install)?;
        let from = writer.next();
        tracing::info!(class = %artifact.slot_class, slot = name, from, manifest = %self.digest, "writing");
        (self.writer, self.broken) = (Some((at, writer)), false);
        Ok(from)
    }

    fn is_proven(&self) -> bool {
        install::covers(&self.written, self.artifacts())
    }
}

impl Chosen {
    fn open(&self, device: &mut Device, set: &TrustedSet, bytes: &[u8]) -> Result<Verified<Release>, Error> {
        let listed = &self.candidate.summary.version;
        let manifest = |source| Error::Manifest { version: listed.clone(), source };
        let release: Verified<Release> = set.open(&self.path, bytes).map_err(manifest)?;
        check_release(device, &release, self.candidate.digest, listed)?;
        Ok(release)
    }
}

/// Everything that can be said before a byte is written.
fn check_release(device: &mut Device, release: &Release, digest: Digest, listed: &Version) -> Result<(), Error> {
    let version = || release.version.clone();
    if release.version != *listed {
        return Err(Error::OtherVersion { listed: listed.clone(), found: version() });
    }
    let lowest_index = device.lowest_index()?;
    let barred = Barred { denied: &device.denied(), lowest_index };
    let fit = policy::check_fit(device.version(), release, digest, barred);
    fit.map_err(|source| Error::Unfit { version: version(), source })?;
    for artifact in &release.artifacts {
        let destination = destination(device, &release.version, artifact)?;
        let install = |source| Error::Install { version: version(), source };
        destination.check_size(artifact).map_err(install)?;
    }
    Ok(())
}

/// Until when `bytes` that were written from `since` on have to last.
fn paced(since: Duration, bytes: u64, rate_bytes_per_s: Option<u64>) -> Duration {
    let lasts = |rate: u64| Duration::from_micros(bytes.saturating_mul(1_000_000) / rate.max(1));
    since + rate_bytes_per_s.map_or(Duration::ZERO, lasts)
}

fn planned(version: &Version, artifact: &Artifact) -> Result<PlannedArtifact, Error> {
    let full = artifact.full().ok_or_else(|| no_way(version, artifact, "payload of a kind that is known"))?;
    let index = WantedFile {
        file: hashed_name(&full.index.path, full.index.sha256),
        bytes_max: full.index.size_bytes,
        may_be_absent: false,
    };
    let payload_file = hashed_name(&full.path, full.sha256);
    let (slot_class, image_bytes) = (artifact.slot_class.clone(), artifact.size_bytes);
    Ok(PlannedArtifact { slot_class, image_bytes, index, payload_file })
}

/// `folder/name` as a repository with consistent snapshots stores it.
fn hashed_name(path: &str, digest: Digest) -> String {
    match path.rsplit_once('/') {
        Some((folder, name)) => format!("{folder}/{digest}.{name}"),
        None => format!("{digest}.{path}"),
    }
}

fn wanted(set: &TrustedSet, path: &str) -> Result<WantedFile, Error> {
    let found = set.file_name(path).and_then(|file| Ok((file, set.target(path)?.length)));
    let (file, bytes_max) = found.map_err(verify::Error::from)?;
    Ok(WantedFile { file, bytes_max, may_be_absent: false })
}

/// Every release that is signed.
fn candidates(set: &TrustedSet) -> Vec<Candidate> {
    let candidates = set.listed().into_iter().filter_map(|(path, target)| {
        let summary = Summary::of(target)?;
        let named = path == release::manifest_path(&summary.version);
        named.then_some(Candidate { summary, digest: target.hashes.sha256? })
    });
    candidates.collect()
}
