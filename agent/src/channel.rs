//! The channel between `fetchd`, which touches the network, and `installd`, which writes slots.
//!
//! A Unix socket carries messages: two lengths (header, body; 32 bits, big endian), a JSON header
//! and raw bytes. `fetchd` asks, `installd` answers each question once and in order; `fetchd` may
//! send the next frame before it has read the answer to the one before. `installd` believes none
//! of the bytes. Wire form: `docs/wire.md`, "install channel".

mod status;

use std::fmt;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tenure_proto::limits;
use tenure_proto::model::Name;
use tenure_proto::report::ReportEvent;
use tenure_proto::time::{Proof, Timestamp};
use tenure_proto::version::Version;

use crate::json;
pub(crate) use status::{Alarm, ClockTrouble, LastUpdate, Layer, RefusedDeclaration, Rescue, Status, Step, Waits};

/// A question. The comment says what the body is and which [`Reply`] comes back.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub(crate) enum Request {
    /// What is so? [`Reply::Status`].
    Status,
    /// Start the TUF workflow. [`Reply::Want`].
    Refresh {
        /// The release that the server assigns: older ones stand in the archive only.
        #[serde(default)]
        release: Option<Version>,
        /// Whether the files come from a bundle. That is for a person at the device to say: the
        /// process with the network cannot claim to have none.
        #[serde(default)]
        bundle: bool,
    },
    /// Body: the metadata file last wanted, if `present`. [`Reply::Want`].
    Metadata {
        /// Whether the repository has the file.
        present: bool,
    },
    /// After the workflow: which declaration is signed? [`Reply::Target`]; `None` if it is held.
    Declaration,
    /// Body: the declaration. [`Reply::Done`], or [`Reply::Refused`] if it breaks the promise.
    DeclarationBytes,
    /// After the workflow: which advisories are signed? [`Reply::Target`]; `None` if they are held.
    Advisories,
    /// Body: the advisories. [`Reply::Done`].
    AdvisoriesBytes,
    /// After the workflow: which release is to be installed? [`Reply::Target`]; `None` for none.
    /// [`Reply::Waits`] if it may not be installed now and its manifest was read before, or if it is
    /// installed and waits for the restart.
    Choose {
        /// What the server said.
        offer: Offered,
        /// Whether the network is metered.
        #[serde(default)]
        metered: bool,
    },
    /// Body: the manifest last named. [`Reply::Plan`], or [`Reply::Waits`] if it may not be installed now.
    Manifest,
    /// Body: the frame index of the artifact of this number. [`Reply::Frames`].
    Index {
        /// Its place in the plan.
        artifact: usize,
    },
    /// Body: the next frame. [`Reply::Written`].
    Frame,
    /// `fetchd` gives the update up. [`Reply::Done`].
    GiveUp {
        /// Why.
        reason: String,
    },
    /// All artifacts are written: try the new slot. [`Reply::Done`], then the device restarts; or
    /// [`Reply::Waits`], and it restarts later, without being asked again.
    Restart,
    /// A person wants the restart that an update waits for. As [`Request::Restart`].
    RestartNow,
    /// A person puts the restart off. [`Reply::Deferred`].
    Defer {
        /// Up to when; none: it is not put off any more.
        until: Option<Until>,
    },
    /// The owner chooses a setting, as `tenure set` writes it. [`Reply::Done`].
    Set {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// A person has what they chose forgotten. [`Reply::Done`].
    Wipe,
    /// Which events wait to be reported? [`Reply::Events`].
    Events,
    /// The events up to this number are spooled. [`Reply::Done`].
    EventsKept {
        /// The last one's number.
        up_to: u64,
    },
    /// A person confirms the slot that is being tried. [`Reply::Done`].
    Confirm,
    /// A person goes back to the slot that ran before. [`Reply::Done`].
    RollBack,
    /// A person ends the update that is under way, before the bootloader is told. [`Reply::Done`].
    Cancel,
    /// A person wants updates: what they cancelled rests no more, and for a while what comes is installed
    /// though updates are not automatic. [`Reply::Done`].
    Resume,
    /// A person lets a release that failed here be tried again. [`Reply::Done`].
    Retry {
        /// Which.
        version: Version,
    },
    /// Whoever watches over the product says that what runs was changed, and not by an update; or, without a
    /// reason, that this is put right. [`Reply::Done`].
    Integrity {
        /// Who found it, and what.
        reason: Option<String>,
    },
    /// How far `fetchd` has come, for the health checks. [`Reply::Done`].
    Reached(Reached),
    /// What proves the promise that is held to anybody? [`Reply::Proof`].
    Proof,
    /// Somebody at the local page knows the product's password, and orders what is the owner's to order:
    /// [`Request::Set`], [`Request::Defer`], [`Request::RestartNow`] or [`Request::Resume`]. Its reply.
    WithPassword {
        /// As it was typed.
        password: Secret,
        /// The order.
        order: Box<Self>,
    },
}

/// What no log shows.
#[derive(Clone, Deserialize, PartialEq, Serialize)]
#[serde(transparent)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// How far `fetchd` has come.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Reached {
    /// A network interface is up.
    pub(crate) network: bool,
    /// The server answered the last check-in.
    pub(crate) server: bool,
}

/// Up to when a person puts a restart off.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Until {
    /// Up to an instant.
    At(Timestamp),
    /// For so many seconds from now on.
    ForS(u64),
}

/// What the server said about releases.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Offered {
    /// It assigns this release.
    Release(Version),
    /// It assigns none.
    Nothing,
    /// It is a plain file server.
    NoServer,
    /// There is no server, and a bundle brings this release and no other.
    Bundle(Version),
}

/// An answer.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub(crate) enum Reply {
    /// What is so.
    Status(#[serde(deserialize_with = "json::inside")] Box<Status>),
    /// The metadata file to bring next; none when the workflow is done.
    Want {
        /// Which.
        want: Option<WantedFile>,
    },
    /// The target file to bring; none if there is nothing to bring.
    Target {
        /// Which.
        target: Option<WantedFile>,
    },
    /// What is to be written.
    Plan {
        /// The version of the release.
        version: Version,
        /// In the order of writing.
        artifacts: Vec<PlannedArtifact>,
    },
    /// From which frame on bytes are wanted.
    Frames {
        /// The first frame that is not in the slot yet; the number of frames if all are.
        from: u32,
    },
    /// The frame is in the slot.
    Written {
        /// Bytes of the image that are in the slot.
        image_bytes: u64,
    },
    /// Events that wait to be reported.
    Events {
        /// In the order they happened.
        events: Vec<NumberedEvent>,
    },
    /// An update waits.
    Waits(#[serde(deserialize_with = "json::inside")] Waits),
    /// The restart is put off.
    Deferred {
        /// Up to when; none: it is not.
        until: Option<Timestamp>,
        /// Whether that is the most that is allowed for this update, and less than was asked for.
        #[serde(default)]
        capped: bool,
    },
    /// The proof: what `tenurectl proof verify` reads.
    Proof {
        /// Its text; none before there is a promise.
        text: Option<String>,
    },
    /// It is done.
    Done,
    /// It is refused, and nothing changed.
    Refused {
        /// The whole chain of causes.
        reason: String,
        /// Whether the same may be tried again.
        retry: Retry,
        /// What kind of refusal it is, in one word.
        #[serde(default)]
        code: String,
    },
}

/// Whether trying again can help.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Retry {
    /// At once.
    Now,
    /// After a while.
    Later,
    /// Not with the same input.
    Never,
}

/// A file to bring: its name below `metadata/` or `targets/`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct WantedFile {
    /// The name in the repository.
    pub(crate) file: String,
    /// More bytes than this need not be read.
    pub(crate) bytes_max: u64,
    /// Whether it is no error if it does not exist.
    pub(crate) may_be_absent: bool,
}

/// An artifact that is to be written.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct PlannedArtifact {
    /// The class of slots that it is for.
    pub(crate) slot_class: Name,
    /// The length of the image.
    pub(crate) image_bytes: u64,
    /// The frame index below `targets/`.
    pub(crate) index: WantedFile,
    /// The payload below `targets/`.
    pub(crate) payload_file: String,
}

/// An event that waits to be reported.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct NumberedEvent {
    /// Grows by one with each event.
    pub(crate) number: u64,
    /// When it happened.
    pub(crate) at: Timestamp,
    /// What `at` is worth.
    pub(crate) clock: Proof,
    /// What happened.
    pub(crate) event: ReportEvent,
}

/// Why a message could not be passed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The other side is gone, or too slow.
    #[error("cannot talk over the install socket")]
    Io(#[from] std::io::Error),
    /// The header is not what was expected.
    #[error("the install socket carries a message that is not understood")]
    Header(#[from] serde_json::Error),
    /// A message above its bound.
    #[error("a message of {bytes} bytes on the install socket is above its bound")]
    TooLong {
        /// Its length.
        bytes: u64,
    },
}

/// Sends one message.
pub(crate) fn send<T: Serialize>(mut stream: &UnixStream, header: &T, body: &[u8]) -> Result<(), Error> {
    let header = serde_json::to_vec(header)?;
    let mut head = Vec::with_capacity(8 + header.len());
    for part in [header.len(), body.len()] {
        let length = u32::try_from(part).map_err(|_| Error::TooLong { bytes: part as u64 })?;
        head.extend_from_slice(&length.to_be_bytes());
    }
    head.extend_from_slice(&header);
    stream.write_all(&head)?;
    stream.write_all(body)?;
    Ok(())
}

/// Receives one message, its body into `body`; `None` when the other side has hung up.
pub(crate) fn receive<T: DeserializeOwned>(stream: &UnixStream, body: &mut Vec<u8>) -> Result<Option<T>, Error> {
    let Some((header, body_bytes)) = receive_header(stream, limits::INSTALL_ANSWER_BYTES_MAX)? else { return Ok(None) };
    body.clear();
    read_exactly(stream, body_bytes, body)?;
    Ok(Some(header))
}

/// Receives a header of at most `max` bytes, and how long the body is that follows; `None` when the
/// other side has hung up.
pub(crate) fn receive_header<T: DeserializeOwned>(
    mut stream: &UnixStream,
    max: u64,
) -> Result<Option<(T, u64)>, Error> {
    let mut lengths = [0; 8];
    match stream.read_exact(&mut lengths) {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let both = u64::from_be_bytes(lengths);
    let (header_bytes, body_bytes) = (both >> 32, both & u64::from(u32::MAX));
    if header_bytes > max || body_bytes > limits::INSTALL_BODY_BYTES_MAX {
        return Err(Error::TooLong { bytes: header_bytes.max(body_bytes) });
    }
    let mut header = Vec::new();
    read_exactly(stream, header_bytes, &mut header)?;
    Ok(Some((json::read(&header)?, body_bytes)))
}

fn read_exactly(stream: &UnixStream, bytes: u64, into: &mut Vec<u8>) -> Result<(), Error> {
    let read = stream.take(bytes).read_to_end(into)?;
    if read as u64 == bytes { Ok(()) } else { Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into()) }
}
