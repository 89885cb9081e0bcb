//! PKCS#11 tokens: which library speaks to them, who is logged in, what lies in them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as Pkcs11Error, RvError};
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::slot::TokenInfo;
use cryptoki::types::AuthPin;
use tenure_server::{disk, keys};

use crate::offline::KeyDirs;
use crate::passphrase;
use crate::token_uri::{self, TokenUri};

/// Why a token's key cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file that does not read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file with something else than an address.
    #[error("{} holds no token address", path.display())]
    Address {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: token_uri::Error,
    },
    /// A library, or its address, that somebody else may have put there: it would run as we do.
    #[error("{} is not loaded: {rule}", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// What it would have to be.
        rule: &'static str,
    },
    /// A library that is none.
    #[error("cannot load the PKCS#11 module {}: {reason}", path.display())]
    Load {
        /// The library.
        path: PathBuf,
        /// What it says.
        reason: String,
    },
    /// None, or more than one.
    #[error("{count} tokens are here that {uri} names; one is needed")]
    Tokens {
        /// The address.
        uri: String,
        /// How many.
        count: usize,
    },
    /// None, or more than one.
    #[error("{count} private keys are there that {uri} names; one is needed: name it by object or id")]
    Keys {
        /// The address.
        uri: String,
        /// How many.
        count: usize,
    },
    /// A token that does not take the PIN.
    #[error("token {token} does not take the PIN; after a few wrong ones it locks itself")]
    Pin {
        /// The token.
        token: String,
    },
    /// A call that failed.
    #[error("token {token} did not {what}: {reason}")]
    Call {
        /// The token.
        token: String,
        /// What it was asked for.
        what: &'static str,
        /// What it answered.
        reason: String,
    },
    /// A key of a kind that we do not sign with.
    #[error("the key is neither Ed25519 nor ECDSA over P-256, and tokens sign with these alone")]
    Kind,
    /// A private half without its public one.
    #[error("the token has no public key with the identifier of {uri}; let it make one, or bring it there")]
    NoPublic {
        /// The address.
        uri: String,
    },
    /// A token that would hand the key out.
    #[error("token {token} lets the private key be taken out of it; nothing was written")]
    Unsealed {
        /// The token.
        token: String,
    },
    /// Whose signatures do not verify.
    #[error("the key does not sign as it should: {reason}")]
    Trial {
        /// Why.
        reason: String,
    },
    /// The public half, or where it is written.
    #[error(transparent)]
    Public(#[from] keys::Error),
    /// The PIN.
    #[error(transparent)]
    Passphrase(#[from] passphrase::Error),
    /// A file that does not write.
    #[error(transparent)]
    Write(#[from] disk::Error),
}

/// The modules in use. Each is loaded once: it refuses to be initialised again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Modules(Rc<RefCell<BTreeMap<PathBuf, Pkcs11>>>);

impl Modules {
    fn load(&self, named: &Path) -> Result<Pkcs11, Error> {
        let path = named.canonicalize().map_err(|source| Error::Read { path: named.to_path_buf(), source })?;
        if let Some(module) = self.0.borrow().get(&path) {
            return Ok(module.clone());
        }
        // It runs as we do: nobody but root may have put it there, or can put another in its place.
        for part in path.ancestors() {
            check_owner(part, "a PKCS#11 module and its folders have to be root's alone", |file| file.uid() == 0)?;
        }
        let failed = |error| Error::Load { path: path.clone(), reason: reason(&error) };
        let module = Pkcs11::new(&path).map_err(failed)?;
        module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).map_err(failed)?;
        self.0.borrow_mut().insert(path, module.clone());
        Ok(module)
    }
}

/// Refuses a file that others may write, or that is not its owner's as it has to be. In a folder with
/// the sticky bit others may make files, and leave those alone that are there.
pub(crate) fn check_owner(path: &Path, rule: &'static str, is_owner: fn(&Metadata) -> bool) -> Result<(), Error> {
    let file = path.metadata().map_err(|source| Error::Read { path: path.to_path_buf(), source })?;
    let sealed = file.mode() & 0o022 == 0 || file.is_dir() && file.mode() & 0o1000 != 0;
    let safe = is_owner(&file) && sealed;
    if safe { Ok(()) } else { Err(Error::Exposed { path: path.to_path_buf(), rule }) }
}

/// What went wrong, in the field's own name: `C_Sign answered KeyFunctionNotPermitted`.
fn reason(error: &Pkcs11Error) -> String {
    if let Pkcs11Error::Pkcs11(code, function) = error {
        return format!("{function} answered {code:?}");
    }
    error.to_string()
}

/// What a session is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Access {
    /// To sign with what is there.
    Sign,
    /// To make a key.
    Change,
}

/// A token whose user is logged in.
#[derive(Debug)]
pub(crate) struct Token {
    /// Its name.
    pub(crate) label: String,
    /// Its serial number.
    pub(crate) serial: String,
    /// The session with it.
    pub(crate) session: Session,
}

impl Token {
    /// Finds the one token that `uri` names, and logs in.
    pub(crate) fn log_in(uri: &TokenUri, access: Access, keys: &KeyDirs) -> Result<Self, Error> {
        let module = keys.modules.load(&uri.module)?;
        let failed = |error| Error::Load { path: uri.module.clone(), reason: reason(&error) };
        let mut named = Vec::new();
        for slot in module.get_slots_with_initialized_token().map_err(failed)? {
            let info = module.get_token_info(slot).map_err(failed)?;
            if is_named(uri, &info) {
                named.push((slot, info));
            }
        }
        let [(slot, info)] = named.as_slice() else {
            return Err(Error::Tokens { uri: uri.to_string(), count: named.len() });
        };
        let session = match access {
            Access::Sign => module.open_ro_session(*slot),
            Access::Change => module.open_rw_session(*slot),
        };
        let (label, serial) = (info.label().to_string(), info.serial_number().to_string());
        let token = Self { label, serial, session: session.map_err(failed)? };
        token.let_in(info, uri, keys)?;
        Ok(token)
    }

    fn let_in(&self, info: &TokenInfo, uri: &TokenUri, keys: &KeyDirs) -> Result<(), Error> {
        let state = self.call("describe the session", self.session.get_session_info())?.session_state();
        // Whoever is logged in in one session is so in all sessions with the token.
        if !info.login_required() || matches!(state, SessionState::RoUser | SessionState::RwUser) {
            return Ok(());
        }
        let asks_itself = info.protected_authentication_path();
        let pin = (!asks_itself).then(|| keys.passphrases.pin(&self.label, uri.pin_file.as_deref())).transpose()?;
        let pin = pin.map(|pin| AuthPin::from(pin.as_str()));
        let answer = self.session.login(UserType::User, pin.as_ref());
        if let Err(Pkcs11Error::Pkcs11(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange, _)) = answer
        {
            return Err(Error::Pin { token: self.label.clone() });
        }
        self.call("let its user log in", answer)
    }

    /// Names the token where a call to it failed.
    pub(crate) fn call<T>(&self, what: &'static str, answer: Result<T, Pkcs11Error>) -> Result<T, Error> {
        answer.map_err(|error| Error::Call { token: self.label.clone(), what, reason: reason(&error) })
    }

    /// The one private key that `uri` names.
    pub(crate) fn private_key(&self, uri: &TokenUri) -> Result<ObjectHandle, Error> {
        let label = uri.object.iter().map(|label| Attribute::Label(label.as_bytes().to_vec()));
        let id = uri.id.iter().map(|id| Attribute::Id(id.clone()));
        let template: Vec<_> =
            [Attribute::Class(ObjectClass::PRIVATE_KEY)].into_iter().chain(label).chain(id).collect();
        match self.call("find the key", self.session.find_objects(&template))?.as_slice() {
            [key] => Ok(*key),
            found => Err(Error::Keys { uri: uri.to_string(), count: found.len() }),
        }
    }

    /// What the token tells of an object.
    pub(crate) fn attributes(&self, object: ObjectHandle, wanted: &[AttributeType]) -> Result<Vec<Attribute>, Error> {
        self.call("describe the key", self.session.get_attributes(object, wanted))
    }

    /// Whether the token keeps the private key to itself.
    pub(crate) fn is_sealed(&self, key: ObjectHandle) -> Result<bool, Error> {
        let said = self.attributes(key, &[AttributeType::Sensitive, AttributeType::Extractable])?;
        Ok(said.contains(&Attribute::Sensitive(true)) && said.contains(&Attribute::Extractable(false)))
    }
}

/// Whether the address means this token: what it does not say may be anything.
fn is_named(uri: &TokenUri, info: &TokenInfo) -> bool {
    let said = [
        (&uri.token, info.label()),
        (&uri.manufacturer, info.manufacturer_id()),
        (&uri.model, info.model()),
        (&uri.serial, info.serial_number()),
    ];
    said.into_iter().all(|(wanted, is)| wanted.as_ref().is_none_or(|wanted| wanted == is))
}
