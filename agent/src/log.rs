//! The log: one line on standard error for each thing worth knowing.

use std::env;
use std::io;

use tracing_subscriber::filter::LevelFilter;

/// Starts the log. `TENURE_LOG` sets its level (`error`, `warn`, `info`, `debug`, `trace`).
pub(crate) fn start() {
    let level = env::var("TENURE_LOG").ok().and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    let log = tracing_subscriber::fmt().with_max_level(level).with_writer(io::stderr).with_target(false);
    // The journal knows the time itself.
    if env::var_os("JOURNAL_STREAM").is_some() { log.without_time().init() } else { log.init() }
}
