//! Every state in which a power cut can leave the disk of one recorded installation.
//!
//! QEMU records each write and each flush of the machine's disk ([`record`]). A cut just before an
//! entry of that log leaves what was flushed, and of the later writes each lost, whole, or torn at
//! 512 bytes ([`states`]). [`judge`] says of each state whether the device is what it should be.

pub mod judge;
mod log;
mod medium;
pub mod record;
pub mod states;
