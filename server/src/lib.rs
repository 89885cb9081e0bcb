//! The update server of Tenure, and what its two programs share.
//!
//! `tenure-server` serves what `tenurectl` signed. Both check a repository with the code that a
//! device runs.

pub mod app;
pub mod archive;
pub mod auth;
pub mod check;
pub mod clock;
pub mod config;
pub mod disk;
pub mod doctor;
pub mod error;
pub mod folders;
pub mod frames;
pub mod keys;
pub mod listen;
pub mod sign;
pub mod store;

mod admit;
mod body;
mod collect;
mod jobs;
mod live;
mod publish;
mod router;
mod seen;
mod serve;
mod show;

#[cfg(test)]
mod trial;
