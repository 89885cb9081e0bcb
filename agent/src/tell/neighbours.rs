//! The local network: answers to who looks for `_tenure._tcp`, on each interface that leads somewhere.

use std::io;
use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::SignalFd;
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, setsockopt, sockopt};
use tenure_proto::limits;

use super::facts::{Board, Facts};
use super::mdns::{self, PORT, Service, To};
use super::presence::Presence;
use super::{home, spawn};
use crate::clock::Clock;
use crate::config::Config;
use crate::disk;

const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
const INTERFACES: &str = "/sys/class/net";
/// How often we look for interfaces that have come or gone.
const LOOK_EVERY: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_secs(1);
/// Devices that are switched on together do not speak together.
const SPREAD: Duration = Duration::from_millis(250);

/// The end of an interface: where we listen, and where everybody there is reached.
struct End {
    socket: UdpSocket,
    group: SocketAddr,
}

struct Neighbours {
    board: Arc<Board>,
    clock: Clock,
    host: String,
    /// Where the page is, if there is one.
    port: Option<u16>,
    ends: Vec<End>,
    interfaces: Vec<u32>,
    presence: Presence,
    /// Where we hear that we are to end.
    signals: SignalFd,
}

/// Tells the local network for as long as we live.
pub(super) fn start(config: &Config, board: Arc<Board>, clock: Clock) -> io::Result<()> {
    let host = format!("tenure-{}", home::letters());
    let port = config.tell.page.as_ref().map(|page| page.listen.port());
    let (ends, interfaces, presence) = (Vec::new(), Vec::new(), Presence::new(clock.monotonic()));
    // The end of this process waits for the last word; threads that begin after this wait with it.
    let mut end = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        end.add(signal);
    }
    end.thread_block()?;
    let signals = SignalFd::new(&end)?;
    let mut neighbours = Neighbours { board, clock, host, port, ends, interfaces, presence, signals };
    spawn("mdns", move || neighbours.run())
}

impl Neighbours {
    fn run(&mut self) {
        let (mut told, mut look_at) = (None, Duration::ZERO);
        loop {
            let now = self.clock.monotonic();
            if now >= look_at {
                look_at = now + LOOK_EVERY;
                if self.look() {
                    self.presence.begin(now + Clock::spread(SPREAD));
                }
            }
            let (number, facts) = self.board.now();
            if told != Some(number) {
                told = Some(number);
                let service = self.service(&facts);
                self.presence.follow(service, now);
            }
            if let Some(packet) = self.presence.say(now) {
                self.say(&packet);
            }
            if self.hear(now) {
                return self.leave();
            }
        }
    }

    /// Takes back what was said, and ends the process as it was asked to.
    fn leave(&self) {
        if let Some(packet) = self.presence.goodbye() {
            self.say(&packet);
        }
        // What has waited for this happens now.
        let _asked = SigSet::all().thread_unblock();
    }

    /// Opens what has come, and closes what has gone; says whether anything has.
    fn look(&mut self) -> bool {
        let interfaces = interfaces();
        if interfaces == self.interfaces && !self.ends.is_empty() {
            return false;
        }
        let opened = interfaces.iter().flat_map(|index| [open_v4(*index), open_v6(*index)]);
        self.ends = opened
            .filter_map(|end| end.inspect_err(|error| tracing::debug!(%error, "an interface is not told")).ok())
            .collect();
        self.interfaces = interfaces;
        true
    }

    fn say(&self, packet: &[u8]) {
        for end in &self.ends {
            // An interface without an address, or that is down, hears it when it is up.
            let _unheard = end.socket.send_to(packet, end.group);
        }
    }

    /// Waits for what others say, and answers what they ask; says whether we are asked to end.
    fn hear(&mut self, now: Duration) -> bool {
        let patience = self.presence.rests(now).clamp(Duration::from_millis(10), STEP);
        let sockets = self.ends.iter().map(|end| end.socket.as_fd());
        let mut fds: Vec<_> =
            [self.signals.as_fd()].into_iter().chain(sockets).map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        if poll(&mut fds, PollTimeout::try_from(patience).unwrap_or(PollTimeout::ZERO)).is_err() {
            return false;
        }
        let ready: Vec<_> = fds.iter().map(|fd| fd.any().unwrap_or(false)).collect();
        let Some((ends, ready)) = ready.split_first() else { return false };
        for (nth, _) in ready.iter().enumerate().filter(|(_, ready)| **ready) {
            self.answer(nth, now);
        }
        *ends
    }

    /// Reads what came to the end of this number.
    fn answer(&mut self, nth: usize, now: Duration) {
        let Some(end) = self.ends.get(nth) else { return };
        let mut bytes = [0; limits::MDNS_PACKET_BYTES_MAX];
        let Ok((length, from)) = end.socket.recv_from(&mut bytes) else { return };
        let Some(message) = bytes.get(..length).and_then(mdns::parse) else { return };
        // Anybody may ask; what is said of a name comes from the port of all who say such things.
        if from.port() == PORT {
            self.presence.hear(&message, now);
        }
        let Some(service) = self.presence.service().filter(|_| self.presence.answers()) else { return };
        let to = if from.port() == PORT { To::All } else { To::Once };
        let Some(answer) = service.answer(&message, to, seen_by(from)) else { return };
        let alone = to == To::Once || message.wants_unicast;
        let _unheard = end.socket.send_to(&answer, if alone { from } else { end.group });
    }

    fn service(&self, facts: &Facts) -> Option<Service> {
        let device = &facts.overview.as_ref()?.device;
        let declaration = device.declaration.as_ref()?;
        let mut texts = vec![
            "txtvers=1".to_owned(),
            format!("model={}", device.model),
            format!("ended={}", u8::from(facts.has_ended())),
            format!("posture={}", facts.posture()),
        ];
        texts.extend(device.support_ends.map(|ends| format!("ends={ends}")));
        texts.extend(device.fingerprint.as_ref().map(|fingerprint| format!("fingerprint={fingerprint}")));
        if self.port.is_some() {
            texts.extend(["path=/".to_owned(), "proof=/promise.json".into()]);
        }
        // Without a page there is nothing to call: the port that throws away what comes.
        let port = self.port.unwrap_or(9);
        Some(Service { instance: declaration.designation.clone(), host: self.host.clone(), port, texts })
    }
}

/// The address under which somebody sees us.
fn seen_by(from: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = if from.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(from).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

/// The numbers of all interfaces but the loopback.
fn interfaces() -> Vec<u32> {
    let all = disk::list(Path::new(INTERFACES)).unwrap_or_default();
    let number = |path: &Path| {
        let text = disk::read_bounded(&path.join("ifindex"), limits::CONFIG_BYTES_MAX).ok().flatten()?;
        String::from_utf8(text).ok()?.trim().parse().ok()
    };
    all.iter().filter(|path| !path.ends_with("lo")).filter_map(|path| number(path)).collect()
}

fn open(family: AddressFamily) -> io::Result<UdpSocket> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket::socket(family, SockType::Datagram, flags, None)?;
    // Others on this device may be asked, too.
    setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    setsockopt(&fd, sockopt::ReusePort, &true)?;
    let socket = UdpSocket::from(fd);
    if family == AddressFamily::Inet6 {
        set(&socket, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, &1_i32)?;
    }
    Ok(socket)
}

/// Only what comes by this interface is heard, and only there it is answered.
fn open_v4(index: u32) -> io::Result<End> {
    let socket = open(AddressFamily::Inet)?;
    let imr_ifindex = i32::try_from(index).map_err(io::Error::other)?;
    let nobody = libc::in_addr { s_addr: 0 };
    let sin_family = libc::sa_family_t::try_from(libc::AF_INET).unwrap_or(0);
    bind(&socket, &libc::sockaddr_in { sin_family, sin_port: PORT.to_be(), sin_addr: nobody, sin_zero: [0; 8] })?;
    let group = libc::in_addr { s_addr: u32::from(GROUP_V4).to_be() };
    let here = libc::ip_mreqn { imr_multiaddr: group, imr_address: nobody, imr_ifindex };
    set(&socket, libc::IPPROTO_IP, libc::IP_MULTICAST_ALL, &0_i32)?;
    set(&socket, libc::IPPROTO_IP, libc::IP_ADD_MEMBERSHIP, &here)?;
    set(&socket, libc::IPPROTO_IP, libc::IP_MULTICAST_IF, &here)?;
    set(&socket, libc::IPPROTO_IP, libc::IP_MULTICAST_TTL, &255_i32)?;
    Ok(End { socket, group: (GROUP_V4, PORT).into() })
}

fn open_v6(index: u32) -> io::Result<End> {
    let socket = open(AddressFamily::Inet6)?;
    let nobody = libc::in6_addr { s6_addr: [0; 16] };
    let sin6_family = libc::sa_family_t::try_from(libc::AF_INET6).unwrap_or(0);
    let (sin6_port, sin6_addr, sin6_flowinfo, sin6_scope_id) = (PORT.to_be(), nobody, 0, 0);
    bind(&socket, &libc::sockaddr_in6 { sin6_family, sin6_port, sin6_flowinfo, sin6_addr, sin6_scope_id })?;
    set(&socket, libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_ALL, &0_i32)?;
    socket.join_multicast_v6(&GROUP_V6, index)?;
    set(&socket, libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_IF, &index)?;
    set(&socket, libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_HOPS, &255_i32)?;
    Ok(End { socket, group: std::net::SocketAddrV6::new(GROUP_V6, PORT, 0, index).into() })
}

#[expect(unsafe_code, reason = "these options have no other way to the kernel")]
fn set<T>(socket: &UdpSocket, level: i32, option: i32, value: &T) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<T>()).map_err(io::Error::other)?;
    // SAFETY: the kernel reads so many bytes of a value that lives until this call is over.
    let done = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, std::ptr::from_ref(value).cast(), length) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[expect(unsafe_code, reason = "the port is shared, which has to be said before this")]
fn bind<T>(socket: &UdpSocket, address: &T) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<T>()).map_err(io::Error::other)?;
    // SAFETY: the kernel reads so many bytes of an address that lives until this call is over.
    let done = unsafe { libc::bind(socket.as_raw_fd(), std::ptr::from_ref(address).cast(), length) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
