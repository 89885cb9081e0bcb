//! The connection to a smart home's broker: made anew whenever it breaks, ever more slowly.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tenure_proto::limits;
use tenure_proto::time::Timestamp;

use super::facts::{Board, Facts};
use super::home::{INSTALL, Names};
use super::mqtt::{self, Connect, KEEP_ALIVE_S, Packet, Reader};
use super::orders::Orders;
use super::{Error, spawn};
use crate::clock::Clock;
use crate::config::{Config, Mqtt};
use crate::disk;
use crate::tls::Tls;

/// How soon we look again whether there is something to say, or to hear.
const STEP: Duration = Duration::from_secs(1);
/// How long one step of a connection may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// A connection that held so long was a good one.
const HELD: Duration = Duration::from_secs(60);

/// A connection, under TLS or not.
trait Line: Read + Write {}
impl<T: Read + Write> Line for T {}

struct Broker {
    mqtt: Mqtt,
    names: Names,
    tls: Option<Tls>,
    board: Arc<Board>,
    clock: Clock,
    orders: Orders,
}

/// Connects for as long as we live.
pub(super) fn start(
    config: &Config,
    mqtt: &Mqtt,
    board: Arc<Board>,
    clock: Clock,
    orders: Orders,
) -> Result<(), Error> {
    let floor = board.now().1.overview.as_ref().map_or(Timestamp::UNIX_EPOCH, |overview| overview.device.floor);
    let tls = mqtt.tls.then(|| Tls::trusting(mqtt.ca_file.clone(), clock.clone(), floor)).transpose()?;
    let (mqtt, names) = (mqtt.clone(), Names::new(config, mqtt));
    let broker = Broker { mqtt, names, tls, board, clock, orders };
    Ok(spawn("mqtt", move || broker.run())?)
}

impl Broker {
    fn run(&self) {
        let mut failures = 0;
        loop {
            let begun = self.clock.monotonic();
            let error = self.converse().err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into());
            failures = if self.clock.monotonic().saturating_sub(begun) > HELD { 1 } else { failures + 1 };
            let wait = wait(failures);
            tracing::warn!(%error, broker = self.mqtt.host, retry_in_s = wait.as_secs(), "the smart home is not reached");
            self.clock.sleep(wait);
        }
    }

    fn converse(&self) -> io::Result<()> {
        let mut line = self.connect()?;
        let password = self.mqtt.password_file.as_deref().map(secret).transpose()?;
        let availability = self.names.availability();
        let from = Connect {
            client: &self.names.node,
            user: self.mqtt.user.as_deref(),
            password: password.as_deref(),
            will: (&availability, "offline"),
        };
        line.write_all(&mqtt::connect(&from))?;
        let mut reader = Reader::default();
        self.await_welcome(&mut line, &mut reader)?;
        tracing::info!(broker = self.mqtt.host, "the smart home is told");
        if let Some(orders) = self.names.orders() {
            line.write_all(&mqtt::subscribe(&orders))?;
        }
        let mut told = None;
        let (mut sent, mut heard) = (self.clock.monotonic(), self.clock.monotonic());
        loop {
            let (now, (number, facts)) = (self.clock.monotonic(), self.board.now());
            if told != Some(number) && facts.overview.is_some() {
                self.tell(&mut line, &facts)?;
                (told, sent) = (Some(number), now);
            }
            if now >= sent + Duration::from_secs(KEEP_ALIVE_S.into()) / 2 {
                line.write_all(&mqtt::ping())?;
                sent = now;
            }
            line.flush()?;
            match reader.read(&mut line) {
                Ok(packets) => {
                    heard = now;
                    for packet in &packets {
                        self.hear(packet);
                    }
                }
                Err(error) if is_silence(&error) && now < heard + Duration::from_secs(KEEP_ALIVE_S.into()) * 2 => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn connect(&self) -> io::Result<Box<dyn Line>> {
        let Mqtt { host, port, .. } = &self.mqtt;
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for address in (host.as_str(), *port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, PATIENCE) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(STEP))?;
                    stream.set_write_timeout(Some(PATIENCE))?;
                    return match &self.tls {
                        None => Ok(Box::new(stream)),
                        Some(tls) => Ok(Box::new(tls.open(host, stream)?)),
                    };
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn await_welcome(&self, line: &mut impl Line, reader: &mut Reader) -> io::Result<()> {
        let until = self.clock.monotonic() + PATIENCE;
        line.flush()?;
        while self.clock.monotonic() < until {
            match reader.read(line) {
                Ok(packets) => match packets.first() {
                    Some(Packet::Connected(0)) => return Ok(()),
                    Some(Packet::Connected(4 | 5)) => {
                        return Err(io::Error::other("the broker does not know us: look at user and password_file"));
                    }
                    Some(packet) => return Err(io::Error::other(format!("the broker answers {packet:?}"))),
                    None => {}
                },
                Err(error) if is_silence(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    fn tell(&self, line: &mut impl Line, facts: &Facts) -> io::Result<()> {
        let online = [(self.names.availability(), "online".into())];
        for (topic, payload) in self.names.discovery(facts).into_iter().chain(self.names.state(facts)).chain(online) {
            line.write_all(&mqtt::publish(&topic, &payload))?;
        }
        Ok(())
    }

    /// The home wants an update. What the broker had kept is nobody's wish of now.
    fn hear(&self, packet: &Packet) {
        let Packet::Message { topic, payload, retained: false } = packet else { return };
        let is_order = self.names.orders().as_ref() == Some(topic) && payload == INSTALL.as_bytes();
        if is_order {
            tracing::info!("the smart home has updates installed");
            self.orders.install();
        }
    }
}

fn is_silence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

/// A few seconds, twice as long after each further failure up to minutes, less up to half of it.
fn wait(failures: u32) -> Duration {
    let most = Duration::from_secs(limits::BROKER_WAIT_S_MIN).saturating_mul(1 << failures.saturating_sub(1).min(16));
    let most = most.min(Duration::from_secs(limits::BROKER_WAIT_S_MAX));
    most / 2 + Clock::spread(most / 2)
}

/// The first line.
fn secret(path: &Path) -> io::Result<String> {
    let bytes = disk::read_bounded(path, limits::CONFIG_BYTES_MAX).map_err(io::Error::other)?;
    let text = String::from_utf8(bytes.unwrap_or_default()).map_err(io::Error::other)?;
    let line = text.lines().next().unwrap_or_default().to_owned();
    if line.is_empty() { Err(io::Error::other(format!("no password in {}", path.display()))) } else { Ok(line) }
}
