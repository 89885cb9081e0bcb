//! `tenure tell`: the process that tells the neighbourhood what an owner should know.
//!
//! A web page, a smart home, a bus, the local network: whichever the configuration opens. It reads
//! the files that are there for everybody, and asks like any other program of the device's. What
//! others send is read here, apart from the process that fetches updates: whoever takes this one over
//! can say wrong things, acknowledge notices, and order what an owner types the password for.

mod broker;
mod bus;
mod dbus;
mod facts;
mod forms;
mod home;
mod html;
mod mdns;
mod mqtt;
mod neighbours;
mod orders;
mod page;
mod presence;
mod request;
mod web;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tenure_proto::limits;

use crate::clock::Clock;
use crate::config::Config;
use crate::{cage, memory, run as supervisor, systemd, tls};
use facts::Board;
use orders::Orders;

/// Why nobody is told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The page.
    #[error("cannot listen for the local page at {listen}")]
    Page {
        /// Where.
        listen: std::net::SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The smart home.
    #[error("cannot talk to the smart home")]
    Tls(#[from] tls::Error),
    /// The cage.
    #[error("cannot start tell")]
    Cage(#[from] cage::Error),
    /// Threads.
    #[error("cannot start tell")]
    System(#[from] io::Error),
}

/// How often we look whether anything has changed.
const LOOK_EVERY: Duration = Duration::from_secs(limits::TELL_LOOK_S);

/// Runs until it is ended; at once to its end where nothing is configured.
pub(crate) fn run(config: &Config) -> Result<(), Error> {
    systemd::connect();
    if !config.tell.is_open() {
        tracing::info!("no way out is configured, so nobody is told anything");
        systemd::ready();
        return Ok(());
    }
    // Opened before the cage closes, in which nothing can listen.
    let page = config.tell.page.as_ref().map(web::Door::open).transpose()?;
    let layers = cage::enter_tell(config)?;
    supervisor::follow_parent();
    let (board, clock) = (Arc::new(Board::new(config)), Clock::new(config));
    let orders = Orders::new(config);
    board.look();
    // First: what it does with the signals holds for all threads that begin after it.
    if config.tell.mdns {
        neighbours::start(config, Arc::clone(&board), clock.clone())?;
    }
    if let Some(page) = page {
        page.serve(config, Arc::clone(&board), clock.clone(), orders.clone())?;
    }
    if let Some(mqtt) = &config.tell.mqtt {
        broker::start(config, mqtt, Arc::clone(&board), clock.clone(), orders.clone())?;
    }
    if let Some(path) = &config.tell.bus {
        bus::start(path, Arc::clone(&board), clock.clone())?;
    }
    tracing::info!(cage = ?layers, "tell runs");
    systemd::ready();
    loop {
        clock.sleep(LOOK_EVERY);
        board.look();
        systemd::alive();
        memory::give_back();
    }
}

/// A thread of its own.
fn spawn(name: &str, act: impl FnOnce() + Send + 'static) -> io::Result<()> {
    const STACK_BYTES: usize = 256 * 1024;
    std::thread::Builder::new().name(name.into()).stack_size(STACK_BYTES).spawn(act).map(drop)
}
