//! `tenurectl login`: a token for this folder; with the one-time link, the first administrator.

use std::io::{Read as _, stdin};

use serde_json::{Value, json};

use crate::api::{self, Server};
use crate::cli::Site;

/// The options of `login`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tenurectl login --setup-link http://127.0.0.1:8080/setup/TOKEN --user ada
  tenurectl login https://updates.example.com --user ada --password-stdin < password.txt

The server prints the one-time link when it starts and has no administrator. With the link and without \
--password-stdin, a password is made and shown once. The token goes to DIR/server.toml.")]
pub(crate) struct Args {
    /// The server; not needed beside a whole setup link
    #[arg(value_name = "URL", required_unless_present = "setup_link")]
    url: Option<String>,
    /// The one-time link, or the token at its end: makes the first administrator
    #[arg(long, value_name = "LINK", alias = "setup-link-token")]
    setup_link: Option<String>,
    /// Who you are
    #[arg(long, value_name = "NAME")]
    user: String,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
}

/// Why there is no login.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A link without a server and without a URL beside it.
    #[error("{link:?} is no setup link; give the whole link, or the server's URL beside its token")]
    Link {
        /// What was given.
        link: String,
    },
    /// No password.
    #[error("give the password on standard input: --password-stdin")]
    NoPassword,
    /// Standard input does not read.
    #[error("cannot read the password from standard input")]
    Stdin(#[source] std::io::Error),
    /// The server's answer has no token.
    #[error("the server's answer has no api_token")]
    NoToken,
    /// The server.
    #[error(transparent)]
    Server(#[from] api::Error),
    /// The system gave no randomness.
    #[error("cannot draw a password")]
    Random(#[source] getrandom::Error),
}

/// Runs `login`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), Error> {
    let (url, setup) = whither(args)?;
    let server = Server::new(&url)?;
    let (password, made) = match (args.password_stdin, &setup) {
        (true, _) => (typed()?, false),
        (false, Some(_)) => (drawn()?, true),
        (false, None) => return Err(Error::NoPassword),
    };
    if server.is_overheard() {
        site.screen.say(format!("note: {} sends the password in the clear; https:// does not", server.url()));
    }
    let answer = match &setup {
        Some(token) => {
            server.post("/api/v1/setup", &json!({"token": token, "user": args.user, "password": password}))?
        }
        None => server.post("/api/v1/tokens", &json!({"user": args.user, "password": password}))?,
    };
    let token = answer.get("api_token").and_then(Value::as_str).ok_or(Error::NoToken)?;
    let file = server.keep(&site.dir, token)?.display().to_string();
    let verb = if setup.is_some() { "is the first administrator of" } else { "is logged in to" };
    site.screen.say(format!("{} {verb} {}; the token is in {file}.", args.user, server.url()));
    if made {
        site.screen.say(format!("Password, shown this once: {password}"));
    }
    let (first, password) = (setup.is_some(), made.then_some(password));
    let (url, user) = (server.url(), &args.user);
    let said =
        json!({"url": url, "user": user, "token_file": file, "first_administrator": first, "password": password});
    site.screen.answer(&said);
    Ok(())
}

/// The server, and the token of the one-time link if there is one.
fn whither(args: &Args) -> Result<(String, Option<String>), Error> {
    let Some(link) = &args.setup_link else {
        return args.url.clone().map(|url| (url, None)).ok_or(Error::Link { link: String::new() });
    };
    match (link.rsplit_once("/setup/"), &args.url) {
        (Some((url, token)), None) if !token.is_empty() => Ok((url.to_string(), Some(token.to_string()))),
        (Some((_, token)), Some(url)) if !token.is_empty() => Ok((url.clone(), Some(token.to_string()))),
        (None, Some(url)) if !link.is_empty() => Ok((url.clone(), Some(link.clone()))),
        _ => Err(Error::Link { link: link.clone() }),
    }
}

fn typed() -> Result<String, Error> {
    let mut text = String::new();
    stdin().lock().take(4096).read_to_string(&mut text).map_err(Error::Stdin)?;
    let password = text.lines().next().unwrap_or_default();
    if password.is_empty() { Err(Error::NoPassword) } else { Ok(password.to_string()) }
}

/// Draws a password of 120 bits, without letters that look alike.
fn drawn() -> Result<String, Error> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes).map_err(Error::Random)?;
    let letter = |byte: &u8| char::from(LETTERS.get(usize::from(byte % 32)).copied().unwrap_or(b'a'));
    let groups: Vec<String> = bytes.chunks(4).map(|group| group.iter().map(letter).collect()).collect();
    Ok(groups.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(url: Option<&str>, link: Option<&str>) -> Args {
        let text = |text: &str| text.to_string();
        Args { url: url.map(text), setup_link: link.map(text), user: text("ada"), password_stdin: false }
    }

    #[test]
    fn a_setup_link_says_where_and_with_what() {
        let found = |url, link| whither(&args(url, link)).ok();
        let expected = Some(("http://h:1".to_string(), Some("T".to_string())));
        assert_eq!(found(None, Some("http://h:1/setup/T")), expected);
        assert_eq!(found(Some("http://h:1"), Some("T")), expected);
        assert_eq!(found(Some("http://h:1"), Some("http://other/setup/T")), expected);
        assert_eq!(found(Some("http://h:1"), None), Some(("http://h:1".to_string(), None)));
        for bad in ["T", "", "http://h:1/setup/"] {
            assert_eq!(found(None, Some(bad)), None, "{bad}");
        }
    }

    #[test]
    fn a_password_is_long_readable_and_never_the_same() {
        let (one, other) = (drawn().unwrap(), drawn().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), 29);
        assert!(
            one.chars().all(|letter| letter == '-' || (letter.is_ascii_alphanumeric() && !"lo01".contains(letter)))
        );
    }
}
