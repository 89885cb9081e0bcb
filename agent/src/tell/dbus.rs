//! Messages of D-Bus, as far as a service needs them that sends signals and shows a few properties.

use tenure_proto::limits;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// `b`
    Bool(bool),
    /// `u`
    Number(u32),
    /// `s`
    Text(String),
    /// `as`
    Texts(Vec<String>),
}

/// Values by their names: `a{sv}`.
pub(crate) type Properties = Vec<(&'static str, Value)>;

/// What a message is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// Somebody is asked.
    Call,
    /// An answer.
    Return,
    /// An answer that is none.
    Error,
    /// Everybody is told.
    Signal,
}

/// The head of a message.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Head {
    /// Which of its sender's messages it is.
    pub(crate) serial: u32,
    /// The object.
    pub(crate) path: String,
    /// The interface.
    pub(crate) interface: String,
    /// The method or the signal.
    pub(crate) member: String,
    /// The name of an error.
    pub(crate) error: String,
    /// To which message it is the answer.
    pub(crate) reply_to: u32,
    /// Who is to get it.
    pub(crate) destination: String,
    /// Who sent it, as the bus says.
    pub(crate) sender: String,
}

/// What is written: bytes with gaps, so that every value lies where its kind asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Body {
    bytes: Vec<u8>,
    signature: String,
}

impl Body {
    fn align(&mut self, to: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(to), 0);
    }

    fn raw_number(&mut self, number: u32) {
        self.align(4);
        self.bytes.extend(number.to_le_bytes());
    }

    fn raw_text(&mut self, text: &str) {
        // A zero byte would end it for some readers and not for others.
        let text = text.replace('\0', "");
        self.raw_number(length(text.len()));
        self.bytes.extend(text.as_bytes());
        self.bytes.push(0);
    }

    fn raw_signature(&mut self, signature: &str) {
        self.bytes.push(u8::try_from(signature.len()).unwrap_or(u8::MAX));
        self.bytes.extend(signature.as_bytes());
        self.bytes.push(0);
    }

    /// The elements of an array, whose length does not count the gap before the first of them.
    fn array(&mut self, align: usize, fill: impl FnOnce(&mut Self)) {
        self.raw_number(0);
        let at = self.bytes.len() - 4;
        self.align(align);
        let start = self.bytes.len();
        fill(self);
        let written = length(self.bytes.len() - start).to_le_bytes();
        if let Some(place) = self.bytes.get_mut(at..at + 4) {
            place.copy_from_slice(&written);
        }
    }

    fn variant(&mut self, value: &Value) {
        match value {
            Value::Bool(yes) => {
                self.raw_signature("b");
                self.raw_number((*yes).into());
            }
            Value::Number(number) => {
                self.raw_signature("u");
                self.raw_number(*number);
            }
            Value::Text(text) => {
                self.raw_signature("s");
                self.raw_text(text);
            }
            Value::Texts(texts) => {
                self.raw_signature("as");
                self.array(4, |body| texts.iter().for_each(|text| body.raw_text(text)));
            }
        }
    }

    /// Adds a text.
    pub(crate) fn text(mut self, text: &str) -> Self {
        self.signature.push('s');
        self.raw_text(text);
        self
    }

    /// Adds a number.
    pub(crate) fn number(mut self, number: u32) -> Self {
        self.signature.push('u');
        self.raw_number(number);
        self
    }

    /// Adds texts.
    pub(crate) fn texts(mut self, texts: &[&str]) -> Self {
        self.signature.push_str("as");
        self.array(4, |body| texts.iter().for_each(|text| body.raw_text(text)));
        self
    }

    /// Adds one value of whichever kind.
    pub(crate) fn any(mut self, value: &Value) -> Self {
        self.signature.push('v');
        self.variant(value);
        self
    }

    /// Adds values by their names.
    pub(crate) fn properties(mut self, properties: &Properties) -> Self {
        self.signature.push_str("a{sv}");
        self.array(8, |body| {
            for (name, value) in properties {
                body.align(8);
                body.raw_text(name);
                body.variant(value);
            }
        });
        self
    }
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// The bytes of a message.
pub(crate) fn message(kind: Kind, head: &Head, body: &Body) -> Vec<u8> {
    let number = match kind {
        Kind::Call => 1,
        Kind::Return => 2,
        Kind::Error => 3,
        Kind::Signal => 4,
    };
    let mut all = Body { bytes: vec![b'l', number, 0, 1], ..Body::default() };
    all.raw_number(length(body.bytes.len()));
    all.raw_number(head.serial);
    let fields = [
        (1, "o", &head.path),
        (2, "s", &head.interface),
        (3, "s", &head.member),
        (4, "s", &head.error),
        (6, "s", &head.destination),
    ];
    all.array(8, |all| {
        for (code, signature, text) in fields.into_iter().filter(|(_, _, text)| !text.is_empty()) {
            all.align(8);
            all.bytes.push(code);
            all.raw_signature(signature);
            all.raw_text(text);
        }
        if head.reply_to != 0 {
            all.align(8);
            all.bytes.push(5);
            all.raw_signature("u");
            all.raw_number(head.reply_to);
        }
        if !body.signature.is_empty() {
            all.align(8);
            all.bytes.push(8);
            all.raw_signature("g");
            all.raw_signature(&body.signature);
        }
    });
    all.align(8);
    all.bytes.extend(&body.bytes);
    all.bytes
}

/// Reads bytes as they were written.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn number(&mut self) -> Option<u32> {
        self.align(4);
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.number()?).ok()?;
        let text = std::str::from_utf8(self.take(length)?).ok()?.to_owned();
        (self.byte()? == 0).then_some(text)
    }

    fn signature(&mut self) -> Option<&'a [u8]> {
        let length = self.byte()?;
        let signature = self.take(length.into())?;
        (self.byte()? == 0).then_some(signature)
    }
}

/// How long the message is that begins so; none before that is known.
pub(crate) fn whole(bytes: &[u8]) -> Option<Result<usize, Broken>> {
    let mut cursor = Cursor { bytes, at: 0 };
    let head = cursor.take(4)?;
    cursor.at = 4;
    let body = cursor.number()?;
    cursor.at = 12;
    let fields = cursor.number()?;
    // The other order of bytes is that of machines which are none of ours.
    if head.first() != Some(&b'l') {
        return Some(Err(Broken));
    }
    let sizes = usize::try_from(fields).ok().zip(usize::try_from(body).ok());
    let length = sizes.and_then(|(fields, body)| 16_usize.checked_add(fields)?.next_multiple_of(8).checked_add(body));
    Some(length.filter(|length| *length <= limits::BUS_MESSAGE_BYTES_MAX).ok_or(Broken))
}

/// Bytes that are no message of a size that we read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Broken;

/// Reads a whole message: what it is, its head, and the texts that its body begins with.
pub(crate) fn parse(bytes: &[u8]) -> Option<(Kind, Head, Vec<String>)> {
    let kind = match bytes.get(1)? {
        1 => Kind::Call,
        2 => Kind::Return,
        3 => Kind::Error,
        4 => Kind::Signal,
        _ => return None,
    };
    let mut cursor = Cursor { bytes, at: 8 };
    let mut head = Head { serial: cursor.number()?, ..Head::default() };
    let end = 16_usize.checked_add(usize::try_from(cursor.number()?).ok()?)?;
    let mut signature = &[][..];
    while cursor.at < end {
        cursor.align(8);
        let code = cursor.byte()?;
        match (cursor.signature()?, code) {
            (b"o", 1) => head.path = cursor.text()?,
            (b"s", 2) => head.interface = cursor.text()?,
            (b"s", 3) => head.member = cursor.text()?,
            (b"s", 4) => head.error = cursor.text()?,
            (b"u", 5) => head.reply_to = cursor.number()?,
            (b"s", 6) => head.destination = cursor.text()?,
            (b"s", 7) => head.sender = cursor.text()?,
            (b"g", 8) => signature = cursor.signature()?,
            (b"s" | b"o", _) => drop(cursor.text()?),
            (b"u", _) => drop(cursor.number()?),
            _ => return None,
        }
    }
    cursor.align(8);
    // Inside the body, gaps are counted from its own start, which lies at a multiple of eight.
    let texts = signature.iter().take_while(|kind| **kind == b's').map(|_| cursor.text()).collect::<Option<_>>()?;
    Some((kind, head, texts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head() -> Head {
        let text = |text: &str| text.to_owned();
        Head { serial: 7, path: text("/a"), interface: text("b.c"), member: text("D"), ..Head::default() }
    }

    #[test]
    fn a_signal_is_laid_out_as_the_specification_says() {
        let bytes = message(Kind::Signal, &head(), &Body::default().text("hi").number(1));
        let wanted: &[&[u8]] = &[
            b"l\x04\0\x01\x0c\0\0\0\x07\0\0\0\x34\0\0\0",
            b"\x01\x01o\0\x02\0\0\0/a\0\0\0\0\0\0",
            b"\x02\x01s\0\x03\0\0\0b.c\0\0\0\0\0",
            b"\x03\x01s\0\x01\0\0\0D\0\0\0\0\0\0\0",
            b"\x08\x01g\0\x02su\0",
            b"\x02\0\0\0hi\0\0\x01\0\0\0",
        ];
        let wanted = wanted.concat();
        assert_eq!(bytes[..12], wanted[..12]);
        assert_eq!(bytes[16..], wanted[16..]);
        assert_eq!(whole(&bytes), Some(Ok(bytes.len())));
        assert_eq!(parse(&bytes).unwrap(), (Kind::Signal, head(), vec!["hi".to_owned()]));
    }

    #[test]
    fn half_a_message_is_waited_for_and_a_giant_is_refused() {
        let bytes = message(Kind::Call, &head(), &Body::default());
        assert_eq!((whole(&bytes[..10]), whole(&bytes[..16])), (None, Some(Ok(bytes.len()))));
        let giant = [b"l\x01\0\x01\xff\xff\xff\xff", &bytes[8..]].concat();
        assert_eq!(whole(&giant), Some(Err(Broken)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = whole(&bytes);
            if let Some((_, _, texts)) = parse(&bytes) {
                prop_assert!(texts.len() <= bytes.len());
            }
        }
    }
}
