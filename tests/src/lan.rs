//! A network of this test's own: the device's end of a cable, and a neighbour at the other end.
//!
//! The thread that makes it, and all that is started from there, is on the device's end. The
//! neighbour has an address of the local network and one of the wide world, in both families. Needs
//! root and iproute2.

use std::fs::File;
use std::process::{Child, Command};

use nix::sched::{CloneFlags, setns, unshare};

use crate::failure::{Context as _, Failure, Result};

/// The device's addresses and the neighbour's: in the local network, then in the world.
pub const DEVICE: [&str; 4] = ["192.168.77.1", "fd77::1", "203.0.113.1", "2001:db8:77::1"];
/// See [`DEVICE`].
pub const NEIGHBOUR: [&str; 4] = ["192.168.77.2", "fd77::2", "203.0.113.2", "2001:db8:77::2"];

/// A cable with two ends.
#[derive(Debug)]
pub struct Lan {
    neighbour: Child,
    /// What lies behind the device, where it is a router.
    room: Option<Child>,
}

/// A network of somebody else's.
fn elsewhere() -> Result<Child> {
    let mut sleep = Command::new("unshare");
    let child = sleep.args(["--net", "sleep", "600"]).spawn().context("cannot start a neighbour")?;
    // It is there once its network is another one than ours.
    let (pid, ours) = (child.id(), std::fs::read_link("/proc/thread-self/ns/net").context("no network")?);
    crate::clock::wait_for("the neighbour has a network", std::time::Duration::from_secs(5), || {
        let its = std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
        Ok(its.filter(|its| *its != ours))
    })?;
    Ok(child)
}

/// Does something in the network of a process. What is opened there stays there.
fn at<T: Send>(child: &Child, act: impl FnOnce() -> T + Send) -> Result<T> {
    let network = File::open(format!("/proc/{}/ns/net", child.id())).context("the neighbour is gone")?;
    let act = move || setns(network, CloneFlags::CLONE_NEWNET).map(|()| act());
    let joined = std::thread::scope(|scope| scope.spawn(act).join());
    joined.map_err(|_| Failure::new("what was done at the neighbour's panicked"))?.context("cannot go there")
}

impl Lan {
    /// Moves this thread to the device's end of a new cable.
    pub fn lay() -> Result<Self> {
        unshare(CloneFlags::CLONE_NEWNET).context("cannot leave the network; this needs root")?;
        let lan = Self { neighbour: elsewhere()?, room: None };
        let pid = lan.neighbour.id().to_string();
        ip(&["link", "add", "lan0", "type", "veth", "peer", "name", "lan1", "netns", &pid])?;
        let ends = [("lan0", DEVICE), ("lan1", NEIGHBOUR)];
        for (name, addresses) in ends {
            let set = move || {
                ip(&["link", "set", "lo", "up"])?;
                for address in addresses {
                    let (length, more) = if address.contains(':') { (64, &["nodad"][..]) } else { (24, &[][..]) };
                    let address = format!("{address}/{length}");
                    ip(&[&["address", "add", &address, "dev", name], more].concat())?;
                }
                ip(&["link", "set", name, "up"])?;
                ip(&["route", "add", "224.0.0.0/4", "dev", name])
            };
            if name == "lan0" { set()? } else { lan.at_neighbour(set)?? }
        }
        Ok(lan)
    }

    /// Does something at the neighbour's end. What is opened there stays there.
    pub fn at_neighbour<T: Send>(&self, act: impl FnOnce() -> T + Send) -> Result<T> {
        at(&self.neighbour, act)
    }

    /// Makes a router of the device: behind it lies a room, from which the neighbour is reached through it.
    pub fn add_room(&mut self) -> Result<()> {
        let room = self.room.insert(elsewhere()?);
        ip(&["link", "add", "room0", "type", "veth", "peer", "name", "room1", "netns", &room.id().to_string()])?;
        ip(&["address", "add", "192.168.78.1/24", "dev", "room0"])?;
        ip(&["link", "set", "room0", "up"])?;
        at(room, || {
            ip(&["link", "set", "lo", "up"])?;
            ip(&["address", "add", "192.168.78.2/24", "dev", "room1"])?;
            ip(&["link", "set", "room1", "up"])?;
            ip(&["route", "add", "default", "via", "192.168.78.1"])
        })??;
        at(&self.neighbour, || ip(&["route", "add", "192.168.78.0/24", "via", DEVICE[0]]))??;
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").context("cannot make a router")
    }

    /// Does something in the room.
    pub fn in_room<T: Send>(&self, act: impl FnOnce() -> T + Send) -> Result<T> {
        at(self.room.as_ref().context("there is no room")?, act)
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        for child in [Some(&mut self.neighbour), self.room.as_mut()].into_iter().flatten() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(arguments).output().context("cannot run ip")?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(Failure::new(format_args!("ip {arguments:?}: {said}"))) }
}
