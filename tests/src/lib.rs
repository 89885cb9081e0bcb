//! What the end-to-end tests and the demo are made of: the real programs, and the world around them.
//!
//! [`world::World`] holds a temporary folder and a clock. In it stand a manufacturer's folder
//! ([`maker`]), a server ([`server`]), boards ([`board`]) whose power can be cut ([`power`]),
//! and those who wish them ill ([`attacker`], [`hostile`]). Nothing here is a mock: programs are
//! processes, files are files, and the board's boot step is RAUC's `uboot.sh` in Rust.

#[macro_use]
pub mod failure;

pub mod api;
pub mod attacker;
pub mod binaries;
pub mod board;
pub mod boots;
pub mod channel;
pub mod clock;
pub mod compliance;
pub mod crash;
pub mod digests;
pub mod hostile;
pub mod images;
pub mod interrupt;
pub mod lan;
pub mod local_page;
pub mod machine;
pub mod maker;
pub mod memory;
pub mod power;
pub mod process;
pub mod python;
pub mod rauc;
pub mod reading;
pub mod recorder;
pub mod rendered;
pub mod rooted;
pub mod scene;
pub mod server;
pub mod stage;
pub mod tls_front;
pub mod tpm;
pub mod uboot_env;
pub mod world;
