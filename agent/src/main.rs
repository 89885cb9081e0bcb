//! The update agent of Tenure: one binary, `tenure`.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "a test's files need not survive a power cut"))]

mod channel;
mod clock;
mod config;
mod disk;

mod http;
mod identity;
mod installer;
mod poll;
mod systemd;

fn main() {}
