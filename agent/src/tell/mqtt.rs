//! MQTT 3.1.1, as far as a device needs it that tells and is seldom told: packets, and no more.
//!
//! Everything is sent at most once (`QoS` 0) and kept by the broker; a connection that breaks is made
//! anew and says all of it again.

use std::io::{self, Read};

use tenure_proto::limits;

/// How long the broker waits for a sign of life.
pub(crate) const KEEP_ALIVE_S: u16 = 60;

/// What comes from a broker.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Packet {
    /// The answer to a connection: 0 is yes.
    Connected(u8),
    /// A message.
    Message {
        /// Where it was sent to.
        topic: String,
        /// What it says.
        payload: Vec<u8>,
        /// Whether the broker had kept it for us.
        retained: bool,
    },
    /// Something else, which needs no answer.
    Other,
}

/// Who connects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connect<'a> {
    /// Our name at the broker.
    pub(crate) client: &'a str,
    /// User and password.
    pub(crate) user: Option<&'a str>,
    /// See above.
    pub(crate) password: Option<&'a str>,
    /// What the broker says for us when we are gone: topic and text.
    pub(crate) will: (&'a str, &'a str),
}

/// The first packet.
pub(crate) fn connect(from: &Connect<'_>) -> Vec<u8> {
    let Connect { client, user, password, will } = *from;
    // Clean session, a will that is kept; a password needs a user.
    let password = password.filter(|_| user.is_some());
    let flags = 0x02 | 0x04 | 0x20 | if user.is_some() { 0x80 } else { 0 } | if password.is_some() { 0x40 } else { 0 };
    let mut body = text("MQTT");
    body.extend([4, flags]);
    body.extend(KEEP_ALIVE_S.to_be_bytes());
    for part in [Some(client), Some(will.0), Some(will.1), user, password].into_iter().flatten() {
        body.extend(text(part));
    }
    packet(0x10, &body)
}

/// A message that the broker keeps.
pub(crate) fn publish(topic: &str, payload: &str) -> Vec<u8> {
    packet(0x31, &[text(topic), payload.as_bytes().to_vec()].concat())
}

/// Asks for the messages of a topic.
pub(crate) fn subscribe(topic: &str) -> Vec<u8> {
    packet(0x82, &[vec![0, 1], text(topic), vec![0]].concat())
}

/// A sign of life.
pub(crate) fn ping() -> Vec<u8> {
    packet(0xC0, &[])
}

fn text(text: &str) -> Vec<u8> {
    // Ours are short; what is not is cut, and not sent as something else.
    let end = (0..=text.len().min(usize::from(u16::MAX))).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let bytes = text.get(..end).unwrap_or_default().as_bytes();
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes(), bytes].concat()
}

fn packet(head: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![head];
    let mut left = body.len();
    loop {
        let low = u8::try_from(left % 128).unwrap_or(0);
        left /= 128;
        packet.push(if left > 0 { low | 0x80 } else { low });
        if left == 0 {
            break;
        }
    }
    packet.extend(body);
    packet
}

/// What has come of a stream of packets.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    bytes: Vec<u8>,
}

impl Reader {
    /// Reads once, and gives the packets that are whole now. None is lost when a read breaks off.
    pub(crate) fn read(&mut self, stream: &mut impl Read) -> io::Result<Vec<Packet>> {
        let mut chunk = [0; 2048];
        let read = stream.read(&mut chunk)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.bytes.extend(chunk.iter().take(read));
        let mut packets = Vec::new();
        while let Some((packet, length)) = take(&self.bytes)? {
            packets.push(packet);
            self.bytes.drain(..length);
        }
        Ok(packets)
    }
}

/// The first packet, and how long it is; none if it is not whole yet.
fn take(bytes: &[u8]) -> io::Result<Option<(Packet, usize)>> {
    let Some((head, rest)) = bytes.split_first() else { return Ok(None) };
    let (mut length, mut digits) = (0, 0);
    loop {
        let Some(byte) = rest.get(digits) else { return Ok(None) };
        length |= usize::from(byte & 0x7f) << (7 * digits);
        digits += 1;
        if byte & 0x80 == 0 {
            break;
        }
        if digits == 4 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    if length > limits::MQTT_PACKET_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let Some(body) = rest.get(digits..digits + length) else { return Ok(None) };
    let packet = parse(*head, body).ok_or(io::ErrorKind::InvalidData)?;
    Ok(Some((packet, 1 + digits + length)))
}

fn parse(head: u8, body: &[u8]) -> Option<Packet> {
    match head >> 4 {
        2 => body.get(1).map(|code| Packet::Connected(*code)),
        3 => {
            let (length, rest) = body.split_first_chunk::<2>()?;
            let (topic, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            // We ask for messages without numbers, and are sent no others.
            let payload = if head & 0x06 == 0 { rest } else { return None };
            let topic = String::from_utf8(topic.into()).ok()?;
            Some(Packet::Message { topic, payload: payload.into(), retained: head & 1 == 1 })
        }
        _ => Some(Packet::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn packets_are_those_of_the_standard() {
        let from = Connect { client: "a", user: Some("u"), password: Some("p"), will: ("t", "off") };
        assert_eq!(connect(&from), b"\x10\x1b\0\x04MQTT\x04\xe6\0\x3c\0\x01a\0\x01t\0\x03off\0\x01u\0\x01p");
        let nameless = Connect { user: None, ..from };
        assert_eq!(connect(&nameless)[9], 0x26, "a password needs a user");
        assert_eq!(publish("t", "x"), b"\x31\x04\0\x01tx");
        assert_eq!(subscribe("t"), b"\x82\x06\0\x01\0\x01t\0");
        assert_eq!(ping(), [0xC0, 0]);
        assert_eq!(publish("t", &"x".repeat(200))[..3], [0x31, 0xcb, 0x01]);
    }

    #[test]
    fn what_comes_in_pieces_is_read_whole() {
        let stream = [b"\x20\x02\0\0".to_vec(), publish("cmd", "install"), b"\xd0\0".to_vec()].concat();
        for size in 1..stream.len() {
            let mut reader = Reader::default();
            let packets: Vec<_> = stream.chunks(size).flat_map(|mut piece| reader.read(&mut piece).unwrap()).collect();
            let message = Packet::Message { topic: "cmd".into(), payload: b"install".to_vec(), retained: true };
            assert_eq!(packets, [Packet::Connected(0), message, Packet::Other], "{size}");
        }
        assert!(Reader::default().read(&mut &b"\x30\xff\xff\xff\x7f"[..]).is_err(), "too long");
        assert!(Reader::default().read(&mut &b"\x30\xff\xff\xff\xff\x7f"[..]).is_err(), "no end of the length");
        assert!(Reader::default().read(&mut &b""[..]).is_err(), "the broker hung up");
    }

    proptest! {
        #[test]
        fn any_bytes_are_packets_or_refused(bytes in proptest::collection::vec(any::<u8>(), 1..64)) {
            let mut reader = Reader::default();
            if let Ok(packets) = reader.read(&mut &bytes[..]) {
                prop_assert!(packets.len() <= bytes.len() / 2);
            }
        }
    }
}
