//! The settings of letters.

use std::path::PathBuf;

use serde::Deserialize;

/// `[mail]` in the settings. Without `smtp` no letters are sent, and nobody is asked for an address.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The server that takes letters: `smtps://host`, `smtp://host:587?tls=required`, or one on this
    /// machine without TLS, `smtp://127.0.0.1:25`.
    pub smtp: Option<String>,
    /// The name to sign in there.
    pub user: Option<String>,
    /// The file with the password, and nothing else.
    pub password_file: Option<PathBuf>,
    /// Who writes: `ACME updates <updates@acme.example>`.
    pub from: Option<String>,
}
