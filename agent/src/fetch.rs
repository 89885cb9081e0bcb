//! Carry bytes from the repository to the installer, which judges them.
//!
//! A payload is never stored aside: one request streams it, frame by frame, into the channel, and
//! the next frame is sent while the installer still writes the one before. A connection that
//! breaks is taken up again at the byte where it broke.

use std::time::Duration;

use tenure_proto::limits;
use tenure_proto::model::Model;
use tenure_proto::payload::{self, FrameIndex};
use tenure_proto::version::Version;

use crate::bundle::{self, Bundle};
use crate::chain::Chain;
use crate::channel::{Offered, PlannedArtifact, Reply, Request, Retry, Waits, WantedFile};
use crate::clock::Clock;
use crate::http::{self, Client, Part};
use crate::installer::{self, Installer};
use crate::stop::Stop;

/// One update cycle's way between the repository and the installer.
#[derive(Debug)]
pub(crate) struct Fetch<'a> {
    /// Where the repository is.
    pub(crate) source: Source<'a>,
    /// Who judges.
    pub(crate) installer: &'a mut Installer,
    /// For waits.
    pub(crate) clock: &'a Clock,
    /// How long to wait after the first broken connection; each further wait doubles.
    pub(crate) pause: Duration,
    /// Set when a person cancels.
    pub(crate) stop: Stop,
}

/// Where the files of a repository come from.
#[derive(Debug)]
pub(crate) enum Source<'a> {
    /// A server.
    Server {
        /// The way to it.
        http: &'a Client,
        /// Which of its repositories.
        model: &'a Model,
    },
    /// A bundle, which a person names.
    Bundle(&'a Bundle),
}

/// A release that the installer wants.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    /// Its version.
    pub(crate) version: Version,
    /// Its parts, in the order of writing.
    artifacts: Vec<PlannedArtifact>,
}

/// What the installer makes of the releases that there are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Choice {
    /// There is nothing to install.
    Nothing,
    /// There is, and it waits.
    Waits(Waits),
    /// This is to be installed now.
    Install(Plan),
}

/// Bytes of all images that are in their slots, of how many.
pub(crate) type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// Why bytes did not get where they belong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file did not come.
    #[error("cannot fetch {file}")]
    Http {
        /// Its name in the repository.
        file: String,
        /// What happened.
        source: http::Error,
    },
    /// The bundle.
    #[error(transparent)]
    Bundle(#[from] bundle::Error),
    /// A file that must be there is not.
    #[error("the repository has no {file}")]
    Missing {
        /// Its name in the repository.
        file: String,
    },
    /// The installer refused, or is gone.
    #[error("cannot {what}")]
    Installer {
        /// What we were doing.
        what: &'static str,
        /// What happened.
        source: installer::Error,
    },
    /// A person cancelled it.
    #[error("a person cancelled it")]
    Cancelled,
    /// The installer never had enough.
    #[error("the refresh of metadata did not end after {files} files")]
    Endless {
        /// How many there were.
        files: u32,
    },
    /// The frame index is none.
    #[error("cannot read the frame index {file}")]
    Index {
        /// Its name in the repository.
        file: String,
        /// Why.
        source: payload::Error,
    },
}

impl Error {
    /// Whether trying again can help.
    pub(crate) fn retry(&self) -> Retry {
        match self {
            Self::Http { source, .. } => source.retry(),
            Self::Installer { source, .. } => source.retry(),
            Self::Missing { .. } | Self::Cancelled => Retry::Later,
            Self::Bundle(source) => source.retry(),
            Self::Endless { .. } | Self::Index { .. } => Retry::Never,
        }
    }

    /// Whether the server is out of reach as a whole.
    pub(crate) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Http { source, .. } if source.is_unreachable())
    }

    /// Whether it is not the release's fault, nor the line's: a person or a hook of the maker's held
    /// it up.
    pub(crate) fn is_held_up(&self) -> bool {
        match self {
            Self::Cancelled => true,
            Self::Installer { source: installer::Error::Refused { code, .. }, .. } => {
                ["cancelled", "postponed", "hook_failed"].contains(&code.as_str())
            }
            Self::Installer { .. }
            | Self::Http { .. }
            | Self::Bundle(_)
            | Self::Missing { .. }
            | Self::Endless { .. }
            | Self::Index { .. } => false,
        }
    }

    /// Whether the installer had all that it needed, and says no.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Installer { source: installer::Error::Refused { .. }, .. })
    }

    /// For how long the server asks to be left alone.
    pub(crate) fn retry_after_s(&self) -> Option<u64> {
        if let Self::Http { source, .. } = self { source.retry_after_s() } else { None }
    }
}

impl Fetch<'_> {
    /// Brings the metadata files that the installer wants, until it wants no more.
    pub(crate) fn refresh(&mut self, offered: &Offered) -> Result<(), Error> {
        const WHAT: &str = "refresh the metadata";
        let release = match offered {
            Offered::Release(version) | Offered::Bundle(version) => Some(version.clone()),
            Offered::Nothing | Offered::NoServer => None,
        };
        let bundle = matches!(self.source, Source::Bundle(_));
        let mut reply = self.ask(WHAT, &Request::Refresh { release, bundle }, &[])?;
        for _ in 0..limits::METADATA_FILES_MAX {
            let Reply::Want { want } = reply else { return Err(unexpected(WHAT)) };
            let Some(want) = want else { return Ok(()) };
            let bytes = self.get("metadata", &want)?;
            let present = bytes.is_some();
            reply = self.ask(WHAT, &Request::Metadata { present }, &bytes.unwrap_or_default())?;
        }
        Err(Error::Endless { files: limits::METADATA_FILES_MAX })
    }

    /// Brings the support declaration if the signed one is not held yet; says whether there was one.
    pub(crate) fn declaration(&mut self) -> Result<bool, Error> {
        const WHAT: &str = "renew the support declaration";
        let reply = self.ask(WHAT, &Request::Declaration, &[])?;
        let Some(bytes) = self.target(WHAT, reply)? else { return Ok(false) };
        let done = self.installer.done(&Request::DeclarationBytes, &bytes);
        done.map_err(|source| Error::Installer { what: WHAT, source })?;
        Ok(true)
    }

    /// Brings the maker's advisories if those that are signed are not held yet; says whether there were any.
    pub(crate) fn advisories(&mut self) -> Result<bool, Error> {
        const WHAT: &str = "renew the advisories";
        let reply = self.ask(WHAT, &Request::Advisories, &[])?;
        let Some(bytes) = self.target(WHAT, reply)? else { return Ok(false) };
        let done = self.installer.done(&Request::AdvisoriesBytes, &bytes);
        done.map_err(|source| Error::Installer { what: WHAT, source })?;
        Ok(true)
    }

    /// Asks which release is to be installed, and brings its manifest.
    pub(crate) fn choose(&mut self, offer: Offered, metered: bool) -> Result<Choice, Error> {
        const WHAT: &str = "choose a release";
        let reply = self.ask(WHAT, &Request::Choose { offer, metered }, &[])?;
        if let Reply::Waits(waits) = reply {
            return Ok(Choice::Waits(waits));
        }
        let Some(bytes) = self.target(WHAT, reply)? else { return Ok(Choice::Nothing) };
        let Reply::Plan { version, artifacts } = self.ask(WHAT, &Request::Manifest, &bytes)? else {
            return Err(unexpected(WHAT));
        };
        Ok(Choice::Install(Plan { version, artifacts }))
    }

    /// Writes every part of the release into its slot.
    pub(crate) fn write(&mut self, plan: &Plan, progress: Progress<'_>) -> Result<(), Error> {
        let total: u64 = plan.artifacts.iter().map(|artifact| artifact.image_bytes).sum();
        let mut before = 0;
        for (number, artifact) in plan.artifacts.iter().enumerate() {
            self.write_artifact(number, artifact, &mut |bytes| progress(before + bytes, total))?;
            before += artifact.image_bytes;
        }
        Ok(())
    }

    /// Asks for the restart into the new slot; says for what it waits, if it does.
    pub(crate) fn restart(&mut self) -> Result<Option<Waits>, Error> {
        const WHAT: &str = "restart into the new slot";
        let reply = self.ask(WHAT, &Request::Restart, &[])?;
        if let Reply::Waits(waits) = reply {
            return Ok(Some(waits));
        }
        if reply == Reply::Done { Ok(None) } else { Err(unexpected(WHAT)) }
    }

    /// A frame that came damaged is asked for again, from where the installer says.
    fn write_artifact(
        &mut self,
        number: usize,
        artifact: &PlannedArtifact,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), Error> {
        let index = self
            .get("targets", &artifact.index)?
            .ok_or_else(|| Error::Missing { file: artifact.index.file.clone() })?;
        let mut refusals = 0;
        loop {
            let (from, frames) = self.begin(number, artifact, &index)?;
            let mut payload = Payload { file: &artifact.payload_file, offset: from, part: None, breaks: 0 };
            match self.pump(&frames, &mut payload, progress) {
                Err(error) if error.retry() == Retry::Now && refusals < limits::BREAKS_MAX => {
                    refusals += 1;
                    tracing::warn!(error = %Chain(&error), "taking the payload up again");
                    self.pause_after(refusals);
                }
                Err(error) => return Err(error),
                Ok(()) => {
                    payload.finish();
                    return Ok(());
                }
            }
        }
    }

    /// Gives the index to the installer; says where the bytes that it wants begin, and the lengths
    /// of the frames from there on.
    fn begin(&mut self, number: usize, artifact: &PlannedArtifact, bytes: &[u8]) -> Result<(u64, Vec<u32>), Error> {
        const WHAT: &str = "begin to write a slot";
        let Reply::Frames { from } = self.ask(WHAT, &Request::Index { artifact: number }, bytes)? else {
            return Err(unexpected(WHAT));
        };
        let index =
            FrameIndex::parse(bytes).map_err(|source| Error::Index { file: artifact.index.file.clone(), source })?;
        let frames = index.frames().get(from as usize..).unwrap_or_default();
        let offset = frames.first().map_or(index.payload_bytes(), |frame| frame.stored_offset);
        Ok((offset, frames.iter().map(|frame| frame.stored_bytes).collect()))
    }

    /// Streams frames; one is on its way while the installer writes the one before.
    fn pump(&mut self, frames: &[u32], payload: &mut Payload<'_>, progress: &mut dyn FnMut(u64)) -> Result<(), Error> {
        let mut frame = Vec::new();
        let mut unanswered = 0_u32;
        for bytes in frames {
            frame.resize(*bytes as usize, 0);
            self.read_frame(payload, &mut frame)?;
            self.installer.send(&Request::Frame, &frame).map_err(writing)?;
            unanswered += 1;
            if unanswered > 1 {
                self.written(&mut unanswered, progress)?;
            }
        }
        while unanswered > 0 {
            self.written(&mut unanswered, progress)?;
        }
        Ok(())
    }

    /// Takes one answer to a frame. After a refusal the answers that are still under way are taken
    /// too, so that the channel stays in step.
    fn written(&mut self, unanswered: &mut u32, progress: &mut dyn FnMut(u64)) -> Result<(), Error> {
        *unanswered -= 1;
        match self.installer.receive() {
            Ok(Reply::Written { image_bytes }) => progress(image_bytes),
            Ok(_) => return Err(writing(installer::Error::Unexpected)),
            Err(source) => {
                let refused = matches!(source, installer::Error::Refused { .. });
                while refused && *unanswered > 0 {
                    *unanswered -= 1;
                    drop(self.installer.receive());
                }
                return Err(writing(source));
            }
        }
        Ok(())
    }

    /// Reads one frame, over as many connections as it takes.
    fn read_frame(&self, payload: &mut Payload<'_>, frame: &mut [u8]) -> Result<(), Error> {
        let mut done = 0;
        while let Some(rest) = frame.get_mut(done..).filter(|rest| !rest.is_empty()) {
            if self.stop.is_asked() {
                return Err(Error::Cancelled);
            }
            match payload.read(&self.source, rest) {
                Ok(read) => done += read,
                Err(error)
                    if error.retry() != Retry::Never
                        && error.retry_after_s().is_none()
                        && payload.breaks < limits::BREAKS_MAX =>
                {
                    payload.breaks += 1;
                    let (file, at_byte) = (payload.file, payload.offset);
                    tracing::warn!(file, at_byte, error = %Chain(&error), "the connection broke");
                    self.pause_after(payload.breaks);
                }
                Err(error) => return Err(error),
            }
        }
        payload.breaks = 0;
        crate::systemd::alive();
        Ok(())
    }

    fn pause_after(&self, breaks: u32) {
        crate::systemd::alive();
        self.clock.sleep(self.pause * 2_u32.saturating_pow(breaks.saturating_sub(1)));
    }

    /// Brings the file that the installer wants, if it wants one.
    fn target(&mut self, what: &'static str, reply: Reply) -> Result<Option<Vec<u8>>, Error> {
        let Reply::Target { target } = reply else { return Err(unexpected(what)) };
        let Some(want) = target else { return Ok(None) };
        self.get("targets", &want)?.ok_or(Error::Missing { file: want.file }).map(Some)
    }

    fn get(&mut self, folder: &str, want: &WantedFile) -> Result<Option<Vec<u8>>, Error> {
        crate::systemd::alive();
        let got = match &self.source {
            Source::Server { http, model } => {
                let got = http.get(&format!("/repo/{model}/{folder}/{}", want.file), want.bytes_max);
                got.map_err(|source| Error::Http { file: want.file.clone(), source })?
            }
            Source::Bundle(bundle) => bundle.get(&format!("{folder}/{}", want.file), want.bytes_max)?,
        };
        match got {
            None if !want.may_be_absent => Err(Error::Missing { file: want.file.clone() }),
            got => Ok(got),
        }
    }

    fn ask(&mut self, what: &'static str, request: &Request, body: &[u8]) -> Result<Reply, Error> {
        self.installer.ask(request, body).map_err(|source| Error::Installer { what, source })
    }
}

fn unexpected(what: &'static str) -> Error {
    Error::Installer { what, source: installer::Error::Unexpected }
}

fn writing(source: installer::Error) -> Error {
    Error::Installer { what: "write a frame", source }
}

/// A payload that is being read, over one connection or several.
struct Payload<'a> {
    file: &'a str,
    offset: u64,
    part: Option<Part>,
    breaks: u32,
}

impl Payload<'_> {
    fn read(&mut self, source: &Source<'_>, into: &mut [u8]) -> Result<usize, Error> {
        let read = match source {
            Source::Server { http, model } => {
                self.fetch(http, model, into).map_err(|source| Error::Http { file: self.file.into(), source })?
            }
            Source::Bundle(bundle) => bundle.read(&format!("targets/{}", self.file), self.offset, into)?,
        };
        self.offset += read as u64;
        Ok(read)
    }

    fn fetch(&mut self, http: &Client, model: &Model, into: &mut [u8]) -> Result<usize, http::Error> {
        let mut part = match self.part.take() {
            Some(part) => part,
            None => http.open(&format!("/repo/{model}/targets/{}", self.file), self.offset)?,
        };
        let read = part.read(into)?;
        self.part = Some(part);
        Ok(read)
    }

    fn finish(self) {
        if let Some(part) = self.part {
            part.finish();
        }
    }
}

#[cfg(test)]
#[expect(clippy::wildcard_enum_match_arm, reason = "a scripted installer is surprised by every other question")]
#[expect(clippy::redundant_closure_for_method_calls, reason = "the method is not general enough in its lifetime")]
mod tests;
