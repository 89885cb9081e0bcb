//! The update server of Tenure, and what its two programs share.
//!
//! `tenure-server` serves what `tenurectl` signed. Both check a repository with the code that a
//! device runs.

pub mod check;
pub mod disk;
pub mod frames;
pub mod keys;
pub mod sign;
