//! Every bound of Tenure in one table.
//!
//! A reader of bytes from outside names one of these; there is no other place to put a number.
//! Sizes are in bytes, durations in seconds, both after content decoding.

/// The largest root metadata file.
pub const ROOT_BYTES_MAX: u64 = 512 * 1024;
/// The largest timestamp metadata file; leaves room for post-quantum signatures.
pub const TIMESTAMP_BYTES_MAX: u64 = 64 * 1024;
/// The largest snapshot metadata file.
pub const SNAPSHOT_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// The largest targets or delegated targets metadata file.
pub const TARGETS_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// How many new roots one refresh follows.
pub const ROOTS_PER_REFRESH_MAX: u32 = 4096;
/// How many delegated roles one refresh visits.
pub const DELEGATIONS_MAX: usize = 32;
/// How many signatures one metadata file may carry.
pub const SIGNATURES_MAX: usize = 64;
/// How many keys one root or delegation may list.
pub const KEYS_MAX: usize = 256;
/// How deep JSON may nest. `serde_json` itself refuses 128.
pub const JSON_DEPTH_MAX: usize = 64;

/// The largest release manifest.
pub const RELEASE_BYTES_MAX: u64 = 256 * 1024;
/// The largest support declaration.
pub const DECLARATION_BYTES_MAX: u64 = 64 * 1024;
/// The largest frame index of a payload.
pub const FRAME_INDEX_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// The most bytes that one frame may decode to; it bounds the decoder's window too.
pub const FRAME_BYTES_MAX: u32 = 4 * 1024 * 1024;
/// The fewest bytes that one frame decodes to, but for the last.
pub const FRAME_BYTES_MIN: u32 = 4 * 1024;
/// The most artifacts that one release may carry.
pub const ARTIFACTS_MAX: usize = 64;
/// The most payloads that one artifact may offer.
pub const PAYLOADS_MAX: usize = 64;
/// The longest text that a person is shown out of a signed file, in characters.
pub const TEXT_CHARS_MAX: usize = 4000;
/// The longest name: of a model, a version, a slot, a component, in bytes.
pub const NAME_BYTES_MAX: usize = 128;

/// The largest check-in, enrolment or report that a server reads.
pub const MESSAGE_BYTES_MAX: u64 = 64 * 1024;
/// The largest answer to them that a device reads.
pub const ANSWER_BYTES_MAX: u64 = 64 * 1024;
/// The largest state file (journal, trusted state, spool entry) that an agent reads.
pub const STATE_BYTES_MAX: u64 = 1024 * 1024;
/// The largest configuration file.
pub const CONFIG_BYTES_MAX: u64 = 256 * 1024;
/// The most log or error text that a report carries, in characters.
pub const REASON_CHARS_MAX: usize = 2000;
/// The most reports that wait on a device for a network; the oldest routine one goes first.
pub const SPOOL_REPORTS_MAX: usize = 256;
/// The most digests that a device remembers as failed here.
pub const DENIED_MAX: usize = 256;
/// The most refused declarations that a device keeps as evidence.
pub const EVIDENCE_MAX: usize = 16;

/// How often one release is fetched anew before it counts as failed here.
pub const FETCH_ATTEMPTS_MAX: u32 = 12;
/// How often a release may fall back without a verdict before it counts as failed here: the power
/// may have failed while it was tried.
pub const FELL_BACK_UNEXPLAINED_MAX: u32 = 3;
/// The least time for which a release rests that fell back without a verdict; it doubles each time.
pub const FELL_BACK_WAIT_S_MIN: u64 = 60;
/// How often the bootloader may try a new slot before it falls back.
pub const BOOT_TRIES: u8 = 1;
/// The tries that a confirmed slot is given back: between 1 and 9, see `bootloader/uboot.rs`.
pub const BOOT_TRIES_CONFIRMED: u8 = 3;

/// How far behind the floor a synchronised clock may be: a time service sets clocks back a little.
pub const CLOCK_BEHIND_S_MAX: u64 = 300;
/// By how much the floor of the time grows before it is written again, so that polls do not wear
/// out flash.
pub const FLOOR_STEP_S: u64 = 3600;

/// The shortest and the longest time between two check-ins.
pub const POLL_INTERVAL_S_MIN: u64 = 1;
/// See [`POLL_INTERVAL_S_MIN`].
pub const POLL_INTERVAL_S_MAX: u64 = 7 * 86_400;
/// The longest back-off after failures.
pub const BACKOFF_S_MAX: u64 = 4 * 3600;
/// The time one metadata file or message may take.
pub const REQUEST_TIMEOUT_S: u64 = 30;
/// The longest silence in the middle of a payload before the connection counts as dead.
pub const STALL_TIMEOUT_S: u64 = 30;
