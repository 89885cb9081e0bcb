//! Passphrases of offline keys and PINs of tokens: from a file, or from the person at the terminal. Never from an
//! argument or the environment, which other programs can read.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tenure_proto::key::SigningKey;
use tenure_server::keys::{self, Encrypted, Passphrase, Stored};

/// How often a person is asked for the passphrase of one key.
const TRIES: usize = 3;
/// The fewest characters of a passphrase for a key: whoever has the file may guess for years.
const CHARS_MIN: usize = 12;

/// Why there is no passphrase.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// An encrypted key, no file and no terminal.
    #[error(
        "key {name} is encrypted, and there is no terminal to ask for its passphrase at: give --passphrase-file FILE"
    )]
    Nobody {
        /// The key.
        name: String,
    },
    /// A token, no file and no terminal.
    #[error(
        "there is no terminal to ask for the PIN of token {token} at: give --passphrase-file FILE, or pin-source in its address"
    )]
    NobodyPin {
        /// The token.
        token: String,
    },
    /// A new key, no file and no terminal.
    #[error("there is no terminal to ask for a new passphrase at: give {way_out}")]
    NobodyNew {
        /// The options that help.
        way_out: &'static str,
    },
    /// Typed twice, and not alike.
    #[error("the passphrase was not typed the same way twice; nothing was written")]
    Differ,
    /// Easily guessed.
    #[error("a passphrase has at least {CHARS_MIN} characters; a few words that do not belong together do well")]
    Short,
    /// The terminal went away.
    #[error("cannot read a passphrase from the terminal")]
    Terminal(#[source] io::Error),
    /// A key, or the file with the passphrase.
    #[error(transparent)]
    Keys(#[from] keys::Error),
}

/// Where passphrases come from. One that opened a key is tried for the next.
#[derive(Clone, Debug)]
pub(crate) struct Passphrases(Rc<State>);

#[derive(Debug)]
struct State {
    file: Option<PathBuf>,
    given: OnceCell<Passphrase>,
    known: RefCell<Vec<Passphrase>>,
    pins: RefCell<BTreeMap<String, Passphrase>>,
}

impl Passphrases {
    /// Takes them from the first line of `file`, or from the terminal.
    pub(crate) fn new(file: Option<PathBuf>) -> Self {
        let (known, pins) = (RefCell::default(), RefCell::default());
        Self(Rc::new(State { file, given: OnceCell::new(), known, pins }))
    }

    /// Reads the private key at `path`.
    pub(crate) fn open(&self, path: &Path) -> Result<SigningKey, Error> {
        match keys::open(path)? {
            Stored::Clear(key) => Ok(key),
            Stored::Encrypted(encrypted) => self.decrypt(&encrypted),
        }
    }

    /// Opens a key with a passphrase that is known, or asks for one.
    pub(crate) fn decrypt(&self, encrypted: &Encrypted) -> Result<SigningKey, Error> {
        let name = encrypted.name().to_string();
        if let Some(given) = self.given()? {
            return Ok(encrypted.decrypt(&given)?);
        }
        for known in self.0.known.borrow().iter() {
            if let Some(key) = opened(encrypted, known)? {
                return Ok(key);
            }
        }
        if !is_somebody_there() {
            return Err(Error::Nobody { name });
        }
        for attempt in 0..TRIES {
            let sorry = if attempt == 0 { "" } else { "That does not open it. " };
            let typed = ask(&format!("{sorry}Passphrase of {name}: "))?;
            if let Some(key) = opened(encrypted, &typed)? {
                self.0.known.borrow_mut().push(typed);
                return Ok(key);
            }
        }
        Err(keys::Error::Passphrase { name }.into())
    }

    /// A passphrase for new keys, as their maker has to give one; `way_out` names the options that do.
    pub(crate) fn choose(&self, way_out: &'static str) -> Result<Passphrase, Error> {
        match self.offer("New passphrase")? {
            Some(chosen) => Ok(chosen),
            None if is_somebody_there() => Err(Error::Short),
            None => Err(Error::NobodyNew { way_out }),
        }
    }

    /// A passphrase for new keys; `None` if nobody is there to choose one, or they want none.
    pub(crate) fn offer(&self, question: &str) -> Result<Option<Passphrase>, Error> {
        if let Some(given) = self.given()? {
            return long_enough(given).map(Some);
        }
        if !is_somebody_there() {
            return Ok(None);
        }
        let typed = ask(&format!("{question}: "))?;
        if typed.as_str().is_empty() {
            return Ok(None);
        }
        let typed = long_enough(typed)?;
        if ask("The same again: ")? != typed {
            return Err(Error::Differ);
        }
        self.0.known.borrow_mut().push(typed.clone());
        Ok(Some(typed))
    }

    /// The first line of the file that was named; read once, since it may be a pipe.
    pub(crate) fn given(&self) -> Result<Option<Passphrase>, Error> {
        let Some(path) = &self.0.file else { return Ok(None) };
        if let Some(given) = self.0.given.get() {
            return Ok(Some(given.clone()));
        }
        let line = first_line(path)?;
        Ok(Some(self.0.given.get_or_init(|| line).clone()))
    }

    /// The PIN of a token: from the file that its address names, or as a passphrase. Asked for once in
    /// a command: a token locks itself after a few wrong ones.
    pub(crate) fn pin(&self, token: &str, file: Option<&Path>) -> Result<Passphrase, Error> {
        if let Some(known) = self.0.pins.borrow().get(token) {
            return Ok(known.clone());
        }
        let pin = match (file, self.given()?) {
            (Some(file), _) => first_line(file)?,
            (None, Some(given)) => given,
            (None, None) if is_somebody_there() => ask(&format!("PIN of token {token}: "))?,
            (None, None) => return Err(Error::NobodyPin { token: token.to_string() }),
        };
        self.0.pins.borrow_mut().insert(token.to_string(), pin.clone());
        Ok(pin)
    }
}

/// The key, if this passphrase opens it.
fn opened(encrypted: &Encrypted, passphrase: &Passphrase) -> Result<Option<SigningKey>, Error> {
    match encrypted.decrypt(passphrase) {
        Ok(key) => Ok(Some(key)),
        Err(keys::Error::Passphrase { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn first_line(path: &Path) -> Result<Passphrase, Error> {
    let text = keys::read_secret(path)?;
    Ok(Passphrase::new(text.lines().next().unwrap_or_default().to_string()))
}

fn long_enough(passphrase: Passphrase) -> Result<Passphrase, Error> {
    if passphrase.as_str().chars().count() < CHARS_MIN { Err(Error::Short) } else { Ok(passphrase) }
}

/// Whether a person sits at the terminal: a script's standard input is none.
fn is_somebody_there() -> bool {
    io::stdin().is_terminal()
}

/// Asks at the terminal, which does not show what is typed.
fn ask(question: &str) -> Result<Passphrase, Error> {
    rpassword::prompt_password(question).map(Passphrase::new).map_err(Error::Terminal)
}
