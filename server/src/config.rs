//! The server's settings: flags over a file with drop-ins over defaults. None is needed.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tenure_proto::limits;

use crate::mail;
use crate::watch::Watched;

/// The settings, checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Config {
    /// The address and port to listen on.
    pub listen: SocketAddr,
    /// The data folder.
    pub data: PathBuf,
    /// A file that moves the clock, for drills.
    pub clock_file: Option<PathBuf>,
    /// The address under which people reach the server, if it stands behind a proxy.
    pub public_url: Option<String>,
    /// How long devices are told to wait between two check-ins.
    pub check_in_interval_s: u64,
    /// Letters to owners who ask for them.
    pub mail: mail::Settings,
    /// Where problems with the security of this server and of every product can be reported.
    pub security_contacts: Vec<String>,
    /// The languages that reports can be written in.
    pub security_languages: Vec<String>,
    /// The makers elsewhere that this server watches as a witness.
    pub watch: Vec<Watched>,
}

/// The settings as one file states them; what it leaves out, another source may state.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Stated {
    /// See [`Config::listen`].
    pub listen: Option<SocketAddr>,
    /// See [`Config::data`].
    pub data: Option<PathBuf>,
    /// See [`Config::clock_file`].
    pub clock_file: Option<PathBuf>,
    /// See [`Config::public_url`].
    pub public_url: Option<String>,
    /// See [`Config::check_in_interval_s`].
    pub check_in_interval_s: Option<u64>,
    /// See [`Config::mail`].
    pub mail: Option<mail::Settings>,
    /// See [`Config::security_contacts`].
    pub security_contacts: Option<Vec<String>>,
    /// See [`Config::security_languages`].
    pub security_languages: Option<Vec<String>>,
    /// See [`Config::watch`].
    pub watch: Option<Vec<Watched>>,
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that does not read.
    #[error("cannot read configuration {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file that is not TOML of this shape.
    #[error("configuration {} is not valid", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: toml::de::Error,
    },
    /// A value that is not allowed.
    #[error("{key} is not valid: {reason}")]
    Value {
        /// The setting.
        key: &'static str,
        /// Why.
        reason: String,
    },
}

impl Config {
    /// Reads `file` and its drop-ins (`server.toml` and `server.d/*.toml`, later wins) below `flags`.
    pub fn load(file: Option<&Path>, flags: Stated) -> Result<Self, Error> {
        let mut stated = Stated::default();
        if let Some(file) = file {
            stated = read(file)?;
            for drop_in in drop_ins(file)? {
                stated = read(&drop_in)?.over(stated);
            }
        }
        flags.over(stated).checked()
    }
}

impl Stated {
    fn over(self, below: Self) -> Self {
        Self {
            listen: self.listen.or(below.listen),
            data: self.data.or(below.data),
            clock_file: self.clock_file.or(below.clock_file),
            public_url: self.public_url.or(below.public_url),
            check_in_interval_s: self.check_in_interval_s.or(below.check_in_interval_s),
            mail: self.mail.or(below.mail),
            security_contacts: self.security_contacts.or(below.security_contacts),
            security_languages: self.security_languages.or(below.security_languages),
            watch: self.watch.or(below.watch),
        }
    }

    fn checked(self) -> Result<Config, Error> {
        let check_in_interval_s = self.check_in_interval_s.unwrap_or(3600);
        if !(limits::POLL_INTERVAL_S_MIN..=limits::POLL_INTERVAL_S_MAX).contains(&check_in_interval_s) {
            let reason = format!("{} to {} seconds", limits::POLL_INTERVAL_S_MIN, limits::POLL_INTERVAL_S_MAX);
            return Err(Error::Value { key: "check_in_interval_s", reason });
        }
        let public_url = self.public_url.map(|url| url.trim_end_matches('/').to_string());
        if public_url.as_ref().is_some_and(|url| !url.starts_with("https://") && !url.starts_with("http://")) {
            return Err(Error::Value { key: "public_url", reason: "it starts with https:// or http://".into() });
        }
        let security_contacts = self.security_contacts.unwrap_or_default();
        if !security_contacts.iter().all(|contact| is_contact(contact)) {
            let reason = "each is an https:, mailto: or tel: address without spaces".into();
            return Err(Error::Value { key: "security_contacts", reason });
        }
        let security_languages = self.security_languages.unwrap_or_else(|| vec!["en".into()]);
        let is_tag =
            |text: &String| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if security_languages.is_empty() || !security_languages.iter().all(is_tag) {
            let reason = "codes such as en and de".into();
            return Err(Error::Value { key: "security_languages", reason });
        }
        Ok(Config {
            listen: self.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080))),
            data: self.data.unwrap_or_else(|| PathBuf::from("tenure-data")),
            clock_file: self.clock_file,
            public_url,
            check_in_interval_s,
            mail: self.mail.unwrap_or_default(),
            security_contacts,
            security_languages,
            watch: checked_watch(self.watch.unwrap_or_default())?,
        })
    }
}

/// Each model once, at an address.
fn checked_watch(mut watch: Vec<Watched>) -> Result<Vec<Watched>, Error> {
    let no = |reason: String| Error::Value { key: "watch", reason };
    for (nth, watched) in watch.iter().enumerate() {
        if !watched.url.starts_with("https://") && !watched.url.starts_with("http://") {
            return Err(no(format!("the url of {} starts with https:// or http://", watched.model)));
        }
        if watch.iter().skip(nth + 1).any(|other| other.model == watched.model) {
            return Err(no(format!("it names model {} twice", watched.model)));
        }
    }
    for watched in &mut watch {
        watched.url.truncate(watched.url.trim_end_matches('/').len());
    }
    Ok(watch)
}

/// Whether a text can stand as a contact in `security.txt` (RFC 9116, 2.5.3).
fn is_contact(text: &str) -> bool {
    let known = ["https://", "mailto:", "tel:"].iter().any(|scheme| text.starts_with(scheme));
    known && !text.chars().any(|letter| letter.is_whitespace() || letter.is_control())
}

fn read(path: &Path) -> Result<Stated, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.into(), source })?;
    toml::from_str(&text).map_err(|source| Error::Shape { path: path.into(), source })
}

fn drop_ins(file: &Path) -> Result<Vec<PathBuf>, Error> {
    let folder = file.with_extension("d");
    let failed = |source| Error::Read { path: folder.clone(), source };
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let mut paths: Vec<_> =
        paths.into_iter().filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    paths.sort_unstable();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_needs_to_be_configured() {
        let config = Config::load(None, Stated::default()).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
        assert_eq!((config.data, config.check_in_interval_s), (PathBuf::from("tenure-data"), 3600));
    }

    #[test]
    fn flags_win_over_drop_ins_and_those_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("server.toml");
        std::fs::create_dir(folder.path().join("server.d")).unwrap();
        for (name, text) in [
            ("server.toml", "listen = \"127.0.0.1:1\"\ndata = \"a\"\npublic_url = \"https://u.example/\"\n"),
            ("server.d/10.toml", "listen = \"127.0.0.1:2\"\ndata = \"b\"\n"),
            ("server.d/20.toml", "listen = \"127.0.0.1:3\"\n"),
        ] {
            crate::disk::replace(&folder.path().join(name), text.as_bytes(), crate::disk::PUBLIC).unwrap();
        }
        let flags = Stated { data: Some("c".into()), ..Stated::default() };
        let config = Config::load(Some(&file), flags).unwrap();
        assert_eq!((config.listen.port(), config.data), (3, PathBuf::from("c")));
        assert_eq!(config.public_url.as_deref(), Some("https://u.example"));
    }

    fn watched(url: &str) -> Watched {
        Watched { model: "acme-gw1".parse().unwrap(), url: url.into(), root: "acme.root.json".into() }
    }

    #[test]
    fn an_unknown_key_or_a_bad_value_is_refused() {
        assert!(toml::from_str::<Stated>("listn = \"127.0.0.1:1\"").is_err());
        for stated in [
            Stated { check_in_interval_s: Some(0), ..Stated::default() },
            Stated { public_url: Some("updates.example".into()), ..Stated::default() },
            Stated { security_contacts: Some(vec!["ada@example".into()]), ..Stated::default() },
            Stated { security_contacts: Some(vec!["mailto:a@b\nExpires: x".into()]), ..Stated::default() },
            Stated { security_languages: Some(vec!["en, de".into()]), ..Stated::default() },
            Stated { watch: Some(vec![watched("acme.example")]), ..Stated::default() },
            Stated {
                watch: Some(vec![watched("https://a.example"), watched("https://b.example")]),
                ..Stated::default()
            },
        ] {
            assert!(matches!(Config::load(None, stated), Err(Error::Value { .. })));
        }
    }

    #[test]
    fn the_shipped_example_loads_and_its_comments_are_the_defaults() {
        let example = include_str!("../../systemd/server.toml");
        let key =
            |line: &str| line.starts_with('#') && line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
        let uncommented =
            |line: &str| if key(line) { line.trim_start_matches('#').to_owned() } else { line.to_owned() };
        let all = example.lines().map(uncommented).collect::<Vec<_>>().join("\n");
        let stated: Stated = toml::from_str(&all).unwrap();
        assert!(stated.listen.is_some() && stated.data.is_some() && stated.check_in_interval_s.is_some());
        assert!(stated.public_url.is_some() && stated.clock_file.is_some());
        assert!(stated.watch.as_ref().is_some_and(|watch| watch.len() == 1));
        let long = stated.checked().unwrap();
        let short = toml::from_str::<Stated>(example).unwrap().checked().unwrap();
        let mail = mail::Settings::default();
        let expected = Config {
            public_url: None,
            clock_file: None,
            mail,
            security_contacts: Vec::new(),
            watch: Vec::new(),
            ..long
        };
        assert_eq!(short, expected);
    }
}
