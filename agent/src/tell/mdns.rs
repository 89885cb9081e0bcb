//! Packets of multicast DNS (RFC 6762) and what a service says of itself in them (RFC 6763).
//!
//! A hint for neighbours: nothing that is said so is signed. The fingerprint leads to what is.

use std::net::IpAddr;

use tenure_proto::limits;

/// The group of all who listen, and their port.
pub(crate) const PORT: u16 = 5353;

const POINTER: u16 = 12;
const TEXT: u16 = 16;
const ADDRESS_V4: u16 = 1;
const ADDRESS_V6: u16 = 28;
const SERVICE: u16 = 33;
const ANY: u16 = 255;
/// What has one owner takes the place of what was known before.
const FLUSH: u16 = 0x8001;
const SHARED: u16 = 1;
/// Seconds for which names of hosts, and all else, are good; and at most for who asks but once.
const HOST_S: u32 = 120;
const OTHER_S: u32 = 4500;
const ONCE_S: u32 = 10;

type Name = Vec<Vec<u8>>;

/// A service on this device.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Service {
    /// What people see.
    pub(crate) instance: String,
    /// The device's name, without `.local`.
    pub(crate) host: String,
    /// Where it listens.
    pub(crate) port: u16,
    /// `key=value`, each of at most 255 bytes.
    pub(crate) texts: Vec<String>,
}

/// A packet: what is asked, or what is said.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Message {
    id: u16,
    /// Whether it answers, and does not ask.
    pub(crate) is_answer: bool,
    questions: Vec<(Name, u16)>,
    /// What is said; in a question, what who asks knows already.
    pub(crate) answers: Vec<Record>,
    /// In a question: what who asks is about to say of itself.
    pub(crate) proposals: Vec<Record>,
    /// Whether the answer is for the one who asks alone.
    pub(crate) wants_unicast: bool,
}

/// Something that is said of a name.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Record {
    class: u16,
    kind: u16,
    /// As it is on the wire, names whole and in small letters.
    data: Vec<u8>,
    name: Name,
    ttl_s: u32,
}

/// Where an answer goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum To {
    /// Everybody who listens.
    All,
    /// One who asks as of an ordinary name server.
    Once,
    /// Nobody any more: it is taken back.
    None,
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes)
}

/// Reads a packet; none if it is of another kind, or nonsense.
pub(crate) fn parse(bytes: &[u8]) -> Option<Message> {
    let number = |at: usize| number(bytes, at);
    let (id, flags) = (number(0)?, number(2)?);
    if flags & 0x7800 != 0 {
        return None;
    }
    let mut message = Message { id, is_answer: flags & 0x8000 != 0, ..Message::default() };
    let mut at = 12;
    for _ in 0..usize::from(number(4)?).min(limits::MDNS_QUESTIONS_MAX) {
        let (name, end) = name(bytes, at)?;
        let class = number(end + 2)?;
        message.wants_unicast |= class & 0x8000 != 0;
        if matches!(class & 0x7fff, 1 | ANY) {
            message.questions.push((name, number(end)?));
        }
        at = end + 4;
    }
    // Who asks more than is read here is answered without regard to what they know.
    if usize::from(number(4)?) > limits::MDNS_QUESTIONS_MAX {
        return Some(message);
    }
    let [answers, proposals, more] = [number(6)?, number(8)?, number(10)?].map(usize::from);
    for nth in 0..(answers + proposals + more).min(limits::MDNS_RECORDS_MAX) {
        let Some((record, end)) = record(bytes, at) else { break };
        let is_proposed = nth >= answers && nth < answers + proposals;
        if is_proposed { &mut message.proposals } else { &mut message.answers }.push(record);
        at = end;
    }
    Some(message)
}

/// A record, and where it ends.
fn record(bytes: &[u8], at: usize) -> Option<(Record, usize)> {
    let (owner, at) = name(bytes, at)?;
    let (kind, class) = (number(bytes, at)?, number(bytes, at + 2)? & 0x7fff);
    let ttl_s = u32::from(number(bytes, at + 4)?) << 16 | u32::from(number(bytes, at + 6)?);
    let (start, length) = (at + 10, usize::from(number(bytes, at + 8)?));
    let raw = bytes.get(start..start + length)?;
    let names_at = match kind {
        POINTER => Some(0),
        SERVICE => Some(6),
        _ => None,
    };
    let data = match names_at {
        None => raw.to_vec(),
        Some(skipped) => {
            let mut whole = Records { bytes: raw.get(..skipped)?.to_vec(), count: 0 };
            whole.name(&name(bytes, start + skipped)?.0);
            whole.bytes
        }
    };
    Some((Record { class, kind, data, name: owner, ttl_s }, start + length))
}

/// A name, and where it ends. A pointer leads back only, so that it comes to an end.
fn name(bytes: &[u8], mut at: usize) -> Option<(Name, usize)> {
    let (mut labels, mut end, mut length) = (Vec::new(), None, 0);
    loop {
        let byte = *bytes.get(at)?;
        match byte {
            0 => return Some((labels, end.unwrap_or(at + 1))),
            1..=63 => {
                let label = bytes.get(at + 1..at + 1 + usize::from(byte))?;
                length += label.len() + 1;
                if length > 255 {
                    return None;
                }
                labels.push(label.to_ascii_lowercase());
                at += 1 + label.len();
            }
            0xc0.. => {
                let low = *bytes.get(at + 1)?;
                end.get_or_insert(at + 2);
                let to = usize::from(byte & 0x3f) << 8 | usize::from(low);
                if to >= at {
                    return None;
                }
                at = to;
            }
            _ => return None,
        }
    }
}

/// A packet while it is written.
#[derive(Default)]
struct Records {
    bytes: Vec<u8>,
    count: u16,
}

impl Records {
    fn name(&mut self, name: &Name) {
        for label in name {
            self.bytes.push(u8::try_from(label.len()).unwrap_or(63));
            self.bytes.extend(label);
        }
        self.bytes.push(0);
    }

    fn number(&mut self, number: u16) {
        self.bytes.extend(number.to_be_bytes());
    }

    fn record(&mut self, name: &Name, (kind, class, seconds): (u16, u16, u32), data: impl FnOnce(&mut Self)) {
        self.count += 1;
        self.name(name);
        self.number(kind);
        self.number(class);
        self.bytes.extend(seconds.to_be_bytes());
        self.number(0);
        let start = self.bytes.len();
        data(self);
        let length = u16::try_from(self.bytes.len() - start).unwrap_or(u16::MAX);
        if let Some(place) = self.bytes.get_mut(start - 2..start) {
            place.copy_from_slice(&length.to_be_bytes());
        }
    }
}

fn packet(head: [u16; 6], body: &[u8]) -> Vec<u8> {
    let mut packet: Vec<u8> = head.into_iter().flat_map(u16::to_be_bytes).collect();
    packet.extend(body);
    packet
}

fn lower(name: &Name) -> Name {
    name.iter().map(|label| label.to_ascii_lowercase()).collect()
}

fn named(labels: &[&str]) -> Name {
    labels.iter().map(|label| label.as_bytes().to_vec()).collect()
}

/// As much of a text as fits, whole letters.
pub(crate) fn cut(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

impl Service {
    fn kind() -> Name {
        named(&["_tenure", "_tcp", "local"])
    }

    fn own(&self) -> Name {
        [named(&[cut(&self.instance, 63)]), Self::kind()].concat()
    }

    fn host(&self) -> Name {
        named(&[cut(&self.host, 63), "local"])
    }

    /// The answer to a query, if it asks for anything of ours that it does not know already.
    pub(crate) fn answer(&self, query: &Message, to: To, address: Option<IpAddr>) -> Option<Vec<u8>> {
        if query.is_answer {
            return None;
        }
        let asks = |name: Name, kinds: &[u16]| {
            let name = lower(&name);
            query.questions.iter().any(|(asked, kind)| *asked == name && (kinds.contains(kind) || *kind == ANY))
        };
        // RFC 6762, 7.1: known, and good for half of its time still.
        let knows = |name: Name, to: &Name| {
            let (name, mut data) = (lower(&name), Records::default());
            data.name(&lower(to));
            let is = |known: &Record| known.kind == POINTER && known.name == name && known.data == data.bytes;
            query.answers.iter().any(|known| is(known) && known.ttl_s >= OTHER_S / 2)
        };
        let all = || named(&["_services", "_dns-sd", "_udp", "local"]);
        let lists = asks(all(), &[POINTER]) && !knows(all(), &Self::kind());
        let kind = asks(Self::kind(), &[POINTER]) && !knows(Self::kind(), &self.own());
        let own = asks(self.own(), &[SERVICE, TEXT]);
        let host = asks(self.host(), &[ADDRESS_V4, ADDRESS_V6]);
        if !(lists || kind || own || host) {
            return None;
        }
        let mut records = Records::default();
        self.write(&mut records, to, [lists, kind, kind || own], address);
        // Who asks but once is answered as by a name server: with the same number, and the question.
        let echoed: &[_] = if to == To::Once { &query.questions } else { &[] };
        let mut questions = Records::default();
        for (name, kind) in echoed {
            questions.name(name);
            questions.number(*kind);
            questions.number(1);
        }
        let (id, count) = (if to == To::Once { query.id } else { 0 }, u16::try_from(echoed.len()).unwrap_or(0));
        Some(packet([id, 0x8400, count, records.count, 0, 0], &[questions.bytes, records.bytes].concat()))
    }

    /// What everybody is told unasked.
    pub(crate) fn announcement(&self) -> Vec<u8> {
        let query = Message { questions: vec![(Self::kind(), POINTER)], ..Message::default() };
        self.answer(&query, To::All, None).unwrap_or_default()
    }

    /// What everybody is told at the end (RFC 6762, 10.1): the announcement, good for no time at all.
    pub(crate) fn goodbye(&self) -> Vec<u8> {
        let mut records = Records::default();
        self.write(&mut records, To::None, [false, true, true], None);
        packet([0, 0x8400, 0, records.count, 0, 0], &records.bytes)
    }

    /// The question whether anybody has our names (RFC 6762, 8.1), with what we are about to say.
    pub(crate) fn probe(&self) -> Vec<u8> {
        let (mut questions, mut records) = (Records::default(), Records::default());
        for name in [self.own(), self.host()] {
            questions.name(&name);
            questions.number(ANY);
            questions.number(FLUSH);
        }
        self.write(&mut records, To::Once, [false, false, true], None);
        packet([0, 0, 2, 0, records.count, 0], &[questions.bytes, records.bytes].concat())
    }

    /// What is said of our names alone.
    fn claims(&self) -> Vec<Record> {
        let packet = self.goodbye();
        let own = lower(&self.own());
        let mut claims = parse(&packet).map(|message| message.answers).unwrap_or_default();
        claims.retain(|record| record.name == own);
        claims.sort();
        claims
    }

    /// Whether somebody else has one of our names: says something of it that is not what we say.
    pub(crate) fn is_contested(&self, message: &Message) -> bool {
        let (claims, own, host) = (self.claims(), lower(&self.own()), lower(&self.host()));
        let same =
            |record: &&Record| claims.iter().any(|claim| (claim.kind, &claim.data) == (record.kind, &record.data));
        // What is taken back claims nothing. Texts change; who is at which port of which host does not.
        let others =
            message.answers.iter().filter(|record| record.ttl_s > 0 && record.kind == SERVICE && record.name == own);
        let hosts = message.answers.iter().filter(|record| record.name == host && record.ttl_s > 0);
        message.is_answer && (others.into_iter().any(|record| !same(&record)) || hosts.count() > 0)
    }

    /// Whether somebody asks for the same name at the same time, and is the one to have it: whoever's
    /// records are greater (RFC 6762, 8.2).
    pub(crate) fn loses_to(&self, message: &Message) -> bool {
        let own = lower(&self.own());
        let comparable = |record: &Record| (record.class & 0x7fff, record.kind, record.data.clone());
        let mut theirs: Vec<_> = message.proposals.iter().filter(|record| record.name == own).map(comparable).collect();
        theirs.sort();
        !message.is_answer && !theirs.is_empty() && theirs > self.claims().iter().map(comparable).collect()
    }

    fn write(&self, records: &mut Records, to: To, [lists, kind, own]: [bool; 3], address: Option<IpAddr>) {
        let alone = if to == To::All { FLUSH } else { SHARED };
        let good = |seconds: u32| match to {
            To::All => seconds,
            To::Once => seconds.min(ONCE_S),
            To::None => 0,
        };
        if lists {
            let all = named(&["_services", "_dns-sd", "_udp", "local"]);
            records.record(&all, (POINTER, SHARED, good(OTHER_S)), |data| data.name(&Self::kind()));
        }
        if kind {
            records.record(&Self::kind(), (POINTER, SHARED, good(OTHER_S)), |data| data.name(&self.own()));
        }
        if own {
            records.record(&self.own(), (SERVICE, alone, good(HOST_S)), |data| {
                // Neither weight nor priority.
                data.bytes.extend([0; 4]);
                data.number(self.port);
                data.name(&self.host());
            });
            records.record(&self.own(), (TEXT, alone, good(OTHER_S)), |data| {
                for text in &self.texts {
                    let text = cut(text, 255);
                    data.bytes.push(u8::try_from(text.len()).unwrap_or(0));
                    data.bytes.extend(text.as_bytes());
                }
            });
        }
        match address {
            Some(IpAddr::V4(address)) => {
                let kind = (ADDRESS_V4, alone, good(HOST_S));
                records.record(&self.host(), kind, |data| data.bytes.extend(address.octets()));
            }
            Some(IpAddr::V6(address)) => {
                let kind = (ADDRESS_V6, alone, good(HOST_S));
                records.record(&self.host(), kind, |data| data.bytes.extend(address.octets()));
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn service() -> Service {
        let texts = vec!["ends=2033-12-31".into()];
        Service { instance: "ACME Gateway 1".into(), host: "tenure-a1".into(), port: 8480, texts }
    }

    fn asked(name: &[&str], kind: u16, class: u16) -> Vec<u8> {
        let mut packet = Records { bytes: vec![0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0], count: 0 };
        packet.name(&named(name));
        packet.number(kind);
        packet.number(class);
        packet.bytes
    }

    #[test]
    fn who_browses_is_told_the_name_the_place_and_the_facts() {
        let query = parse(&asked(&["_TENURE", "_tcp", "local"], POINTER, 1)).unwrap();
        let answer = service().answer(&query, To::All, "192.168.77.1".parse().ok()).unwrap();
        assert_eq!(answer[..12], [0, 0, 0x84, 0, 0, 0, 0, 4, 0, 0, 0, 0]);
        let has = |bytes: &[u8]| answer.windows(bytes.len()).any(|window| window == bytes);
        assert!(has(b"\x0eACME Gateway 1\x07_tenure\x04_tcp\x05local\0"));
        assert!(has(b"\x0fends=2033-12-31") && has(&[0x21, 0x20]) && has(&[192, 168, 77, 1]), "{answer:?}");
        let once = service().answer(&query, To::Once, None).unwrap();
        assert_eq!(once[..12], [0, 7, 0x84, 0, 0, 1, 0, 3, 0, 0, 0, 0]);
    }

    #[test]
    fn what_is_no_question_for_us_has_no_answer() {
        let answer = |bytes: &[u8]| parse(bytes).and_then(|query| service().answer(&query, To::All, None));
        assert!(answer(&asked(&["_http", "_tcp", "local"], POINTER, 1)).is_none());
        assert!(answer(&asked(&["_tenure", "_tcp", "local"], ADDRESS_V4, 1)).is_none());
        assert!(answer(&service().announcement()).is_none(), "an answer is no question");
        // Who knows it already is not told again, unless its time is half over.
        let mut knowing = parse(&asked(&["_tenure", "_tcp", "local"], POINTER, 1)).unwrap();
        knowing.answers = parse(&service().announcement()).unwrap().answers;
        assert!(service().answer(&knowing, To::All, None).is_none());
        knowing.answers.iter_mut().for_each(|known| known.ttl_s = OTHER_S / 2 - 1);
        assert!(service().answer(&knowing, To::All, None).is_some());
        assert!(parse(&asked(&["_tenure", "_tcp", "local"], POINTER, 0x8001)).unwrap().wants_unicast);
        // A name that leads to itself.
        assert!(parse(b"\0\0\0\0\0\x01\0\0\0\0\0\0\xc0\x0c\0\x0c\0\x01").is_none());
    }

    #[test]
    fn of_two_who_want_a_name_one_has_it_and_what_is_taken_back_is_nobodys() {
        let (mine, theirs) = (service(), Service { host: "tenure-b2".into(), ..service() });
        let said = |bytes: Vec<u8>| parse(&bytes).unwrap();
        assert!(mine.is_contested(&said(theirs.announcement())) && !mine.is_contested(&said(mine.announcement())));
        assert!(!mine.is_contested(&said(theirs.goodbye())) && !mine.is_contested(&said(theirs.probe())));
        let other = Service { instance: "ACME Gateway 2".into(), ..theirs.clone() };
        assert!(!mine.is_contested(&said(other.announcement())));
        // Both ask at the same time: the greater records win, on both sides.
        assert!(mine.loses_to(&said(theirs.probe())) && !theirs.loses_to(&said(mine.probe())));
        assert!(!mine.loses_to(&said(mine.probe())) && !mine.loses_to(&said(other.probe())));
        assert!(said(mine.goodbye()).answers.iter().all(|record| record.ttl_s == 0));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_query_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Some(query) = parse(&bytes) {
                let answer = service().answer(&query, To::Once, None);
                prop_assert!(answer.is_none_or(|answer| answer.len() < 10_000));
                let _ = (service().is_contested(&query), service().loses_to(&query));
            }
        }
    }
}
