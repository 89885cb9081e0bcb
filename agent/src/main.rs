//! The update agent of Tenure: one binary, `tenure`.
//!
//! Two processes: `fetchd` touches the network and cannot write a slot; `installd` writes slots
//! and never touches the network. Below, the edges come first, then each process in the order of
//! events.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "a test's files need not survive a power cut"))]

mod chain;
mod channel;
mod cli;
mod clock;
mod conditions;
mod config;
mod crc32;
mod disk;
mod json;
mod left_out;
mod log;
mod memory;
mod os_release;

mod outside;
mod password;
mod program;
mod systemd;

mod bundle;
mod http;
mod identity;
mod install_socket;
mod installer;
mod link;
mod tls;
mod varlink;

mod ask;
mod fetch;
mod fetchd;
mod notice;
mod owner;
mod poll;
mod posture;
mod report;
mod show;
mod signs;
mod witness;

mod bootloader;
mod cage;
mod confirm;
mod doctor;
mod flash;
mod floors;
mod force_ro;
mod history;
mod hooks;
mod install;
mod installd;
mod journal;
mod promise;
mod reboot;
mod receipt;
mod risks;
mod rollback;
mod slot;
mod stop;
mod tell;
mod twin;
mod verify;
mod watchdog;

mod programs;
mod run;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    cli::run(&cli::Cli::parse()).unwrap_or_else(|error| {
        // If nobody can read it, nothing is left to be done about it.
        drop(writeln!(std::io::stderr(), "error: {}", chain::Chain(&error)));
        ExitCode::from(cli::EXIT_FAILED)
    })
}
