//! The update server of Tenure, and what its two programs share.
//!
//! `tenure-server` serves what `tenurectl` signed. Both check a repository with the code that a
//! device runs.

pub mod app;
pub mod archive;
pub mod assess;
pub mod auth;
pub mod check;
pub mod clock;
pub mod config;
pub mod csaf;
pub mod delivered;
pub mod disk;
pub mod doctor;
pub mod error;
pub mod folders;
pub mod frames;
pub mod keys;
pub mod listen;
pub mod mail;
pub mod pdf;
pub mod sbom;
pub mod severity;
pub mod shelf;
pub mod sign;
pub mod statement_paper;
pub mod store;
pub mod watch;

mod admit;
mod body;
mod collect;
mod jobs;
mod labels;
mod live;
mod offers;
mod proof;
mod publish;
mod router;
mod seen;
mod serve;
mod show;
mod statements;
mod vulnerability;

#[cfg(test)]
mod trial;
