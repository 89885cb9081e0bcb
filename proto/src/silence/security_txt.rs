//! How long a maker's `security.txt` (RFC 9116) says that it counts.

use core::str;

use crate::time::Timestamp;

/// Until when the file counts, if it names `contact`, the one that the maker declared; `None` for any
/// other file, and for one that does not say it exactly once (RFC 9116, 2.5.5).
pub fn expires(file: &[u8], contact: &str) -> Option<Timestamp> {
    let text = str::from_utf8(file).ok()?;
    let fields =
        || text.lines().filter_map(|line| line.split_once(':')).map(|(name, value)| (name.trim(), value.trim()));
    let named = |wanted: &'static str| {
        fields().filter(move |(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value)
    };
    named("contact").find(|address| *address == contact)?;
    let mut expires = named("expires");
    let only = expires.next()?;
    if expires.next().is_some() { None } else { Timestamp::from_rfc3339(only) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTACT: &str = "https://acme.example/security";

    #[test]
    fn a_file_counts_if_it_names_the_declared_contact_and_says_once_until_when() {
        let until = |text: &str| expires(text.as_bytes(), CONTACT).map(|at| alloc::string::ToString::to_string(&at));
        let day = Some("2027-03-01T09:00:00Z".into());
        for text in [
            "Contact: https://acme.example/security\nExpires: 2027-03-01T09:00:00Z\n",
            "# ours\r\ncontact:https://acme.example/security\r\nEXPIRES:  2027-03-01T10:00:00.5+01:00 \r\n",
            "Contact: mailto:x@acme.example\nExpires: 2027-03-01t09:00:00z\nContact: https://acme.example/security",
        ] {
            assert_eq!(until(text), day, "{text}");
        }
        for text in [
            "",
            "Expires: 2027-03-01T09:00:00Z",
            "Contact: https://acme.example/security",
            "Contact: https://acme.example/security/else\nExpires: 2027-03-01T09:00:00Z",
            "#Contact: https://acme.example/security\nExpires: 2027-03-01T09:00:00Z",
            "Contact: https://acme.example/security\nExpires: 2027-03-01T09:00:00Z\nExpires: 2028-03-01T09:00:00Z",
            "Contact: https://acme.example/security\nExpires: next year",
            "<!doctype html><p>Contact: https://acme.example/security</p><p>Expires: 2027-03-01T09:00:00Z</p>",
        ] {
            assert_eq!(until(text), None, "{text}");
        }
        assert_eq!(expires(b"Contact: \xff", CONTACT), None);
    }
}
