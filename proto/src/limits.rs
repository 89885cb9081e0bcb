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
/// The most metadata files that one refresh can want: every root, and each role once.
pub const METADATA_FILES_MAX: u32 = ROOTS_PER_REFRESH_MAX + 64;
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
/// The most GTINs of one model.
pub const GTINS_MAX: usize = 64;
/// The longest package URL or CPE name, in bytes.
pub const IDENTIFIER_BYTES_MAX: usize = 512;
/// The largest list of advisories, how many it may have, and the longest of an advisory's texts.
pub const ADVISORIES_BYTES_MAX: u64 = 64 * 1024;
/// See above.
pub const ADVISORIES_MAX: usize = 64;
/// See above, in characters.
pub const ADVISORY_TEXT_CHARS_MAX: usize = 600;
/// The largest receipt of a broken promise: two declarations, what vouches for each, and the roots.
pub const RECEIPT_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// The largest statement of compliance: the statement, the declarations, and what vouches for them.
pub const STATEMENT_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// The largest pocket proof: one declaration, what vouches for it, and the roots.
pub const PROOF_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// The largest file of compliance records.
pub const RECORDS_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The largest frame index of a payload.
pub const FRAME_INDEX_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// The most bytes that one frame may decode to; it bounds the decoder's window too.
pub const FRAME_BYTES_MAX: u32 = 4 * 1024 * 1024;
/// The base-two logarithm of [`FRAME_BYTES_MAX`]: no decoder's window needs to be larger.
pub const FRAME_WINDOW_LOG_MAX: u32 = FRAME_BYTES_MAX.ilog2();
/// The fewest bytes that one frame decodes to, but for the last.
pub const FRAME_BYTES_MIN: u32 = 4 * 1024;
/// The most artifacts that one release may carry.
pub const ARTIFACTS_MAX: usize = 64;
/// The highest rollback index: it counts, and a hardware counter goes up one by one.
pub const ROLLBACK_INDEX_MAX: u32 = 1000;
/// The first index of a TPM's memory that is the owner's to give, and the last but one: two are used
/// (TCG Registry of Reserved TPM 2.0 Handles, 2.2).
pub const TPM_NV_INDEX_MIN: u64 = 0x0180_0000;
/// See above.
pub const TPM_NV_INDEX_MAX: u64 = 0x01BF_FFFE;
/// The longest answer of a TPM that is read, in bytes; what is asked of it here is shorter by far.
pub const TPM_ANSWER_BYTES_MAX: usize = 1024;
/// How often a TPM that is busy is asked again, five times a second.
pub const TPM_ATTEMPTS_MAX: u32 = 50;
/// The most payloads that one artifact may offer.
pub const PAYLOADS_MAX: usize = 64;
/// The most files in an offline bundle: all metadata, and what a release of the most artifacts has.
pub const BUNDLE_ENTRIES_MAX: usize = METADATA_FILES_MAX as usize + 4 * ARTIFACTS_MAX;
/// The largest description at the head of an offline bundle.
pub const BUNDLE_ABOUT_BYTES_MAX: u64 = 4 * 1024;
/// How far behind the floor of a device's time a bundle may have been signed, in days.
pub const BUNDLE_DAYS_MAX: u64 = 365;
/// The longest text that a person is shown out of a signed file, in characters.
pub const TEXT_CHARS_MAX: usize = 4000;
/// The longest name: of a model, a version, a slot, a component, in bytes.
pub const NAME_BYTES_MAX: usize = 128;

/// The largest check-in, enrolment or report that a server reads.
pub const MESSAGE_BYTES_MAX: u64 = 64 * 1024;
/// The largest answer to them that a device reads.
pub const ANSWER_BYTES_MAX: u64 = 64 * 1024;
/// A maker's `security.txt`.
pub const SECURITY_TXT_BYTES_MAX: u64 = 16 * 1024;
/// The largest state file (journal, trusted state, spool entry) that an agent reads.
pub const STATE_BYTES_MAX: u64 = 1024 * 1024;
/// The largest configuration file.
pub const CONFIG_BYTES_MAX: u64 = 256 * 1024;
/// The most log or error text that a report carries, in characters.
pub const REASON_CHARS_MAX: usize = 2000;
/// How much of a program's output is kept for the report, such as a health check's, in bytes.
pub const PROGRAM_TAIL_BYTES_MAX: usize = 1500;
/// The most reports that wait on a device for a network; the oldest routine one goes first.
pub const SPOOL_REPORTS_MAX: usize = 256;
/// How long a program that knows the bootloader may take.
pub const BOOT_PROGRAM_S_MAX: u64 = 30;
/// The most digests that a device remembers as failed here.
pub const DENIED_MAX: usize = 256;
/// The most roots that a device keeps for evidence; the oldest goes first.
pub const ROOTS_KEPT_MAX: usize = 64;
/// The most refused declarations that a device keeps as evidence.
pub const EVIDENCE_MAX: usize = 16;
/// How long each of the two files of the history may become.
pub const HISTORY_BYTES_MAX: u64 = 128 * 1024;
/// How many steps of updates the history remembers as written.
pub const HISTORY_RECENT_MAX: usize = 64;
/// How many causes of refusals a device remembers as reported, so that each is reported once.
pub const CAUSES_MAX: usize = 64;
/// So much must be free for journal, events and evidence before an update begins, in bytes.
pub const ROOM_BYTES_MIN: u64 = 1024 * 1024;
/// The largest copy of a boot environment.
pub const BOOT_ENV_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// The smallest copy of a boot environment: a checksum and something to check.
pub const BOOT_ENV_BYTES_MIN: u64 = 16;
/// The longest erase block of flash that holds a boot environment.
pub const FLASH_BLOCK_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// The most sections of a unified kernel image that are looked at.
pub const PE_SECTIONS_MAX: u16 = 96;
/// The largest os-release in such an image.
pub const OS_RELEASE_BYTES_MAX: u64 = 64 * 1024;
/// The largest EFI variable that is read.
pub const EFI_VARIABLE_BYTES_MAX: u64 = 64 * 1024;

/// The longest that one call of a handler may take.
pub const HANDLER_TIMEOUT_S_MAX: u64 = 3600;
/// The longest line of a handler's that is heeded, in bytes.
pub const HANDLER_LINE_BYTES_MAX: u64 = 512;
/// The most that a handler may say in one call, in bytes; what is beyond is not read.
pub const HANDLER_OUTPUT_BYTES_MAX: u64 = 1024 * 1024;
/// The longest header of a bootloader that a ROM looks for.
pub const BOOT_HEADER_BYTES_MAX: u64 = 4096;
/// The slowest that slots may be written: an image of 1 GiB in three hours.
pub const WRITE_RATE_BYTES_PER_S_MIN: u64 = 100_000;
/// The most partitions that a GPT may have room for.
pub const GPT_ENTRIES_MAX: u32 = 1024;
/// The longest entry of a GPT.
pub const GPT_ENTRY_BYTES_MAX: u32 = 4096;
/// The most that a directory's tar may have beside the content of its files: headers and padding.
pub const TAR_HEADERS_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The longest name, link or extended header in a tar.
pub const TAR_NAME_BYTES_MAX: u64 = 64 * 1024;
/// The longest path of a file in a directory.
pub const TAR_PATH_BYTES_MAX: usize = 1024;
/// The most folders within each other in a directory.
pub const TAR_DEPTH_MAX: usize = 64;
/// How long what was read back counts as what is there, until the bootloader is told of it.
pub const READ_BACK_AGE_S_MAX: u64 = 60;

/// How often one release is fetched anew before it counts as failed here.
pub const FETCH_ATTEMPTS_MAX: u32 = 12;
/// How often a release may fall back without a verdict before it counts as failed here: the power
/// may have failed while it was tried.
pub const FELL_BACK_UNEXPLAINED_MAX: u32 = 3;
/// The least time for which a release rests that fell back without a verdict; it doubles each time.
pub const FELL_BACK_WAIT_S_MIN: u64 = 60;
/// For how long a release rests that a person cancelled, unless they want it sooner.
pub const CANCEL_REST_S: u64 = 86_400;
/// How often one release may not read back from its slot before it counts as failed here.
pub const MISREADS_MAX: u32 = 3;
/// How often the bootloader may try a new slot before it falls back.
pub const BOOT_TRIES: u8 = 1;
/// The tries that a confirmed slot is given back: between 1 and 9, see `bootloader/uboot.rs`.
pub const BOOT_TRIES_CONFIRMED: u8 = 3;

/// The longest that a window of the week stays open.
pub const WINDOW_S_MAX: u32 = 86_400;
/// The most windows that a configuration names.
pub const WINDOWS_MAX: usize = 32;
/// The largest file of the time zone database.
pub const ZONE_BYTES_MAX: u64 = 256 * 1024;
/// How long an update waits for a window while nothing proves the clock right; then any time will do.
pub const UNKNOWN_WINDOW_S_MAX: u64 = 86_400;
/// The lowest limit that a configuration can put on the rate of downloads, in bytes a second: well
/// above [`BYTES_PER_S_MIN`], below which a server counts as dead.
pub const RATE_BYTES_PER_S_MIN: u64 = 4096;
/// The longest that a configuration lets an owner defer an update.
pub const DEFER_S_MAX: u64 = 90 * 86_400;
/// For how long after a person asked for updates one that is found is installed for them.
pub const ASKED_S_MAX: u64 = 900;
/// The longest quiet hours of a day: updates need some time, too.
pub const QUIET_S_MAX: u32 = 16 * 3600;
/// The longest that a configuration lets a security update wait past its deadline.
pub const OVERDUE_S_MAX: u64 = 7 * 86_400;
/// How old a lock file may get at most, by any configuration, before it no longer counts.
pub const INHIBITOR_S_MAX: u64 = 30 * 86_400;
/// How many lock files are read, and how much of each.
pub const INHIBITORS_MAX: usize = 64;
/// See [`INHIBITORS_MAX`].
pub const INHIBITOR_BYTES_MAX: u64 = 4 * 1024;
/// How long after a restart that did not happen it is ordered again, at first and at most.
pub const RESTART_AGAIN_S_MIN: u64 = 60;
/// See [`RESTART_AGAIN_S_MIN`].
pub const RESTART_AGAIN_S_MAX: u64 = 3600;
/// The most that a program may say whose answer is read.
pub const PROGRAM_ANSWER_BYTES_MAX: u64 = 256 * 1024;

/// How far behind the floor a synchronised clock may be: a time service sets clocks back a little.
pub const CLOCK_BEHIND_S_MAX: u64 = 300;
/// By how much the floor of the time grows before it is written again, so that polls do not wear
/// out flash.
pub const FLOOR_STEP_S: u64 = 3600;

/// The shortest and the longest time between two check-ins.
pub const POLL_INTERVAL_S_MIN: u64 = 1;
/// See [`POLL_INTERVAL_S_MIN`].
pub const POLL_INTERVAL_S_MAX: u64 = 7 * 86_400;
/// The longest wait for the first check-in after a restart: a product may be switched on for an hour a day.
pub const FIRST_POLL_S_MAX: u64 = 3600;
/// The longest back-off after failures, and the longest that a server's `Retry-After` is heeded: a
/// server may ask for rest, and may not send a device to sleep.
pub const BACKOFF_S_MAX: u64 = 4 * 3600;
/// The time that a connection, the head of an answer, or a whole small answer may take.
pub const REQUEST_TIMEOUT_S: u64 = 30;
/// The longest silence in the middle of an answer before the connection counts as dead.
pub const STALL_TIMEOUT_S: u64 = 30;
/// The slowest that a file may come, in bytes a second: a server that drips cannot hold a device,
/// and a narrow-band radio is still fast enough. A file of so many bytes thus has a longest time.
pub const BYTES_PER_S_MIN: u64 = 1024;
/// Over how long [`BYTES_PER_S_MIN`] is judged, so that a short gap does no harm.
pub const RATE_WINDOW_S: u64 = 30;
/// How often a payload's connection may break, or a frame be refused, with no whole frame between.
pub const BREAKS_MAX: u32 = 6;
/// How many certificates of one chain may be judged at a time later than the floor: the server's own
/// and as many above it as TLS takes.
pub const CERTIFICATES_MAX: u32 = 7;
/// How many redirects one request follows.
pub const REDIRECTS_MAX: u32 = 3;
/// The largest head of an answer.
pub const ANSWER_HEAD_BYTES_MAX: usize = 16 * 1024;
/// The largest answer that is read only for its reason, or so that its connection can be used again.
pub const FAILURE_BYTES_MAX: u64 = 16 * 1024;

/// The most connections to the installer that the user of `fetchd` may hold, and its owner likewise.
pub const INSTALL_CONNECTIONS_MAX: usize = 16;
/// The longest question to the installer, without its body.
pub const INSTALL_QUESTION_BYTES_MAX: u64 = 64 * 1024;
/// The longest answer of the installer.
pub const INSTALL_ANSWER_BYTES_MAX: u64 = STATE_BYTES_MAX;
/// The longest body of a question to the installer: a frame index is the largest.
pub const INSTALL_BODY_BYTES_MAX: u64 = FRAME_INDEX_BYTES_MAX;
/// Of bodies above this the installer takes in one at a time, so that many connections fill no memory.
pub const INSTALL_SMALL_BODY_BYTES_MAX: u64 = 64 * 1024;
/// How long a body may take to come, which the other side has at hand.
pub const INSTALL_BODY_S_MAX: u64 = 10;
/// How long one answer of the installer may take: the last frame's includes reading back a whole
/// slot. A person's program that waits for an update waits as long for its next word.
pub const INSTALL_ANSWER_S_MAX: u64 = 3600;
/// The most programs of one user that talk to the agent at a time.
pub const CLIENTS_OF_USER_MAX: usize = 8;
/// The most programs that talk to the agent at a time, root's aside.
pub const CLIENTS_MAX: usize = 32;
/// How long such a program may be silent between two calls, and may leave an answer unread.
pub const CLIENT_SILENCE_S_MAX: u64 = 30;
/// The most programs of one phase of an update's hooks.
pub const HOOKS_MAX: usize = 32;
/// The longest time that a configuration may give to one hook of an update: a phase of one or two is
/// within [`INSTALL_ANSWER_S_MAX`].
pub const UPDATE_HOOK_TIMEOUT_S_MAX: u64 = 1800;
/// How long the hooks of one phase may take together.
pub const HOOK_PHASE_S_MAX: u64 = INSTALL_ANSWER_S_MAX - 600;
/// The largest way back of a hook: it is copied.
pub const WAY_BACK_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How often the way back of a hook is tried before it is told that it does not work.
pub const WAY_BACK_TRIES_MAX: u32 = 3;
/// How long one program of the notices' hook folder may take.
pub const HOOK_TIMEOUT_S: u64 = 30;
/// The longest time that a configuration may give to a health check.
pub const HEALTH_TIMEOUT_S_MAX: u64 = 86_400;
/// How long a check that is only wanted may keep a healthy slot waiting.
pub const HEALTH_WANTED_S_MAX: u64 = 90;
/// How often the checks of one trial may begin: past it the installer itself is what fails.
pub const HEALTH_STARTS_MAX: u32 = 5;
/// The most checks that got worse that one report names.
pub const FINDINGS_MAX: usize = 8;
/// How long asking systemd's journal for the last lines of a unit may take.
pub const UNIT_LOG_S_MAX: u64 = 5;
/// The shortest and the longest time after which a configuration may let the watchdog reset a
/// device that gives no sign of life. Many cannot count further.
pub const WATCHDOG_TIMEOUT_S_MIN: u64 = 10;
/// See [`WATCHDOG_TIMEOUT_S_MIN`].
pub const WATCHDOG_TIMEOUT_S_MAX: u64 = 3600;
/// What is taken for the time of a watchdog that does not say it.
pub const WATCHDOG_OWN_TIMEOUT_S: u32 = 8;
/// How long a slot that was judged may take to be left or kept, before the watchdog resets it.
pub const WATCHDOG_VERDICT_S_MAX: u64 = 60;
/// How long the restart out of a slot that is left may take, before the watchdog resets it.
pub const WATCHDOG_RESTART_S_MAX: u64 = 600;
/// The longest wait before a process that ended is started again by `tenure run`.
pub const RESPAWN_WAIT_S_MAX: u64 = 60;
/// The longest order to the process that runs programs.
pub const ORDER_BYTES_MAX: usize = 32 * 1024;
/// How long the installer stays when it has nothing to do; the next question starts it again.
pub const INSTALL_IDLE_S_MAX: u64 = 30;
/// How long putting a posture in force may take.
pub const POSTURE_S_MAX: u64 = 60;
/// How often what runs is compared with what was installed: every hour, to every month.
pub const INTEGRITY_CHECK_S_MIN: u64 = 3600;
/// See [`INTEGRITY_CHECK_S_MIN`].
pub const INTEGRITY_CHECK_S_MAX: u64 = 31 * 86_400;
/// How often the process that tells the neighbourhood looks for what has changed.
pub const TELL_LOOK_S: u64 = 2;
/// The most readers of the local page at a time, and how long each may take.
pub const PAGE_READERS_MAX: usize = 8;
/// See [`PAGE_READERS_MAX`].
pub const PAGE_READER_S_MAX: u64 = 10;
/// The most of a request to the local page that is read: its head, and its form.
pub const PAGE_HEAD_BYTES_MAX: usize = 8 * 1024;
/// See [`PAGE_HEAD_BYTES_MAX`].
pub const PAGE_BODY_BYTES_MAX: usize = 2 * 1024;
/// How often the local page's password may be tried at once, and after how long there is one more try.
pub const PAGE_TRIES_MAX: u32 = 5;
/// See [`PAGE_TRIES_MAX`].
pub const PAGE_TRY_S: u64 = 30;
/// How long after a broken connection a broker is called again, at first and at most.
pub const BROKER_WAIT_S_MIN: u64 = 2;
/// See [`BROKER_WAIT_S_MIN`].
pub const BROKER_WAIT_S_MAX: u64 = 300;
/// The longest packet of a broker that is read: nobody has reason to send more than a word.
pub const MQTT_PACKET_BYTES_MAX: usize = 8 * 1024;
/// The longest message of a bus that is read.
pub const BUS_MESSAGE_BYTES_MAX: usize = 16 * 1024;
/// The longest packet of multicast DNS, and the most of its questions and records that are looked at.
pub const MDNS_PACKET_BYTES_MAX: usize = 9000;
/// See [`MDNS_PACKET_BYTES_MAX`].
pub const MDNS_QUESTIONS_MAX: usize = 16;
/// See [`MDNS_PACKET_BYTES_MAX`].
pub const MDNS_RECORDS_MAX: usize = 64;
/// How many names may be another's before the next one is asked for more slowly.
pub const MDNS_LOSSES_MAX: u32 = 15;
/// How long the summary of a release may be in Home Assistant.
pub const HOME_SUMMARY_CHARS_MAX: usize = 255;
/// The most refusals that the installer writes down in an hour, each of which is a write to the medium.
pub const REFUSALS_PER_HOUR_MAX: usize = 16;
/// The most files that a process of the agent holds open.
pub const FILES_MAX: u32 = 256;
/// The most memory that a process of the agent can have: several times what it needs, and less than
/// would bring a device down.
pub const MEMORY_BYTES_MAX: u32 = 256 << 20;
/// How long the processes may take to end before `tenure run` kills them.
pub const END_S_MAX: u64 = 10;
