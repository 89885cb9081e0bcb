//! Keys in PKCS#11 tokens: the private half is made there, signs there, and never leaves.
//!
//! A key folder has such a key as `NAME.p11`, which holds its address, beside `NAME.pub`.

use std::io::Read as _;
use std::path::Path;

use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use pkcs8::spki::der::Encode as _;
use pkcs8::spki::der::asn1::UintRef;
use tenure_proto::digest::Digest;
use tenure_proto::key::{PublicKey, Scheme, Signer};
use tenure_server::{disk, keys};

use crate::offline::KeyDirs;
use crate::token::{self, Access, Error, Token};
use crate::token_uri::TokenUri;

/// How a file ends that holds the address of a key.
pub(crate) const ENDING: &str = "p11";
/// No address is longer.
const FILE_BYTES_MAX: u64 = 4096;
/// The curves as PKCS#11 names them: object identifiers (RFC 5480, RFC 8410), and a name that some
/// tokens have for the second.
const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];
const ED25519_BY_NAME: &[u8] = b"\x13\x0cedwards25519";
/// What a key signs to show that it can.
const TRIAL: &[u8] = b"tenurectl: does this key sign?";

/// What tokens sign with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// Ed25519.
    Ed25519,
    /// ECDSA over P-256 with SHA-256.
    EcdsaP256,
}

impl Kind {
    fn of(public: &PublicKey) -> Result<Self, Error> {
        match public.scheme() {
            Some(Scheme::Ed25519) => Ok(Self::Ed25519),
            Some(Scheme::EcdsaP256) => Ok(Self::EcdsaP256),
            _ => Err(Error::Kind),
        }
    }
}

/// A private key in a token.
#[derive(Debug)]
pub(crate) struct TokenKey {
    token: Token,
    key: ObjectHandle,
    public: PublicKey,
    kind: Kind,
}

impl Signer for TokenKey {
    fn public(&self) -> PublicKey {
        self.public.clone()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        let signature = self.raw_signature(message).map_err(|error| error.to_string())?;
        let signature = match self.kind {
            Kind::Ed25519 => signature,
            Kind::EcdsaP256 => to_der(&signature).unwrap_or_default(),
        };
        if self.public.verifies(message, &signature) {
            Ok(signature)
        } else {
            Err("the token signed with another key than the public half beside its address".to_string())
        }
    }
}

impl TokenKey {
    /// Opens the key whose address `path` holds. Its public half lies beside it.
    pub(crate) fn open(path: &Path, keys: &KeyDirs) -> Result<Self, Error> {
        let uri = read(path)?;
        let public = keys::read_public(&path.with_extension("pub"))?;
        let kind = Kind::of(&public)?;
        let token = Token::log_in(&uri, Access::Sign, keys)?;
        let key = token.private_key(&uri)?;
        Ok(Self { token, key, public, kind })
    }

    /// Takes the key that `uri` names and that is in the token already; the answer has its whole address.
    pub(crate) fn take(uri: &TokenUri, keys: &KeyDirs) -> Result<(Self, TokenUri), Error> {
        let token = Token::log_in(uri, Access::Sign, keys)?;
        let key = token.private_key(uri)?;
        let id = token.attributes(key, &[AttributeType::Id])?.into_iter().find_map(id_of).unwrap_or_default();
        let template = [Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::Id(id.clone())];
        let found = token.call("find the public half", token.session.find_objects(&template))?;
        let [public] = found.as_slice() else { return Err(Error::NoPublic { uri: uri.to_string() }) };
        let (public, kind) = public_of(&token, *public)?;
        Self { token, key, public, kind }.tried(uri, id)
    }

    /// Makes a key in the token that `uri` names; the answer has its whole address.
    pub(crate) fn make(uri: &TokenUri, kind: Kind, name: &str, keys: &KeyDirs) -> Result<(Self, TokenUri), Error> {
        let token = Token::log_in(uri, Access::Change, keys)?;
        let id = uri.id.clone().map_or_else(keys::draw_id, Ok)?;
        let uri = TokenUri { object: Some(uri.object.clone().unwrap_or_else(|| name.to_string())), ..uri.clone() };
        let label = uri.object.iter().map(|label| Attribute::Label(label.as_bytes().to_vec()));
        let both: Vec<_> = label.chain([Attribute::Id(id.clone()), Attribute::Token(true)]).collect();
        let (mechanism, curve) = match kind {
            Kind::Ed25519 => (Mechanism::EccEdwardsKeyPairGen, ED25519),
            Kind::EcdsaP256 => (Mechanism::EccKeyPairGen, P256),
        };
        let public = [Attribute::EcParams(curve.to_vec()), Attribute::Verify(true), Attribute::Private(false)];
        let private = [
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
        ];
        let templates = [both.iter().chain(&public), both.iter().chain(&private)];
        let [public, private] = templates.map(|template| template.cloned().collect::<Vec<_>>());
        let made = token.session.generate_key_pair(&mechanism, &public, &private);
        let (public, key) = token.call("make a key", made)?;
        let (public, kind) = public_of(&token, public)?;
        Self { token, key, public, kind }.tried(&uri, id)
    }

    /// The key and its whole address, once it has shown that it signs and that it stays where it is.
    fn tried(self, uri: &TokenUri, id: Vec<u8>) -> Result<(Self, TokenUri), Error> {
        if !self.token.is_sealed(self.key)? {
            return Err(Error::Unsealed { token: self.token.label });
        }
        drop(self.sign(TRIAL).map_err(|reason| Error::Trial { reason })?);
        let (token, serial) = (Some(self.token.label.clone()), Some(self.token.serial.clone()));
        Ok((self, TokenUri { token, serial, id: Some(id), ..uri.clone() }))
    }

    fn raw_signature(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let (session, digest) = (&self.token.session, Digest::of(message));
        let ed25519 = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519));
        self.token.call(
            "sign",
            match self.kind {
                Kind::Ed25519 => session.sign(&ed25519, self.key, message),
                Kind::EcdsaP256 => session.sign(&Mechanism::Ecdsa, self.key, digest.as_bytes()),
            },
        )
    }
}

/// Writes the address of a key to `path`.
pub(crate) fn write(path: &Path, uri: &TokenUri) -> Result<(), Error> {
    Ok(disk::replace(path, format!("{uri}\n").as_bytes(), disk::PUBLIC)?)
}

fn read(path: &Path) -> Result<TokenUri, Error> {
    token::check_owner(path, "nobody else may write a file with the address of a token", |_| true)?;
    let failed = |source| Error::Read { path: path.to_path_buf(), source };
    let mut text = String::new();
    std::fs::File::open(path).map_err(failed)?.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    text.trim().parse().map_err(|source| Error::Address { path: path.to_path_buf(), source })
}

fn id_of(attribute: Attribute) -> Option<Vec<u8>> {
    if let Attribute::Id(id) = attribute { Some(id) } else { None }
}

/// What the token tells of a public key, as TUF writes it.
fn public_of(token: &Token, public: ObjectHandle) -> Result<(PublicKey, Kind), Error> {
    let (mut curve, mut point) = (Vec::new(), Vec::new());
    for attribute in token.attributes(public, &[AttributeType::EcParams, AttributeType::EcPoint])? {
        if let Attribute::EcParams(bytes) = attribute {
            curve = bytes;
        } else if let Attribute::EcPoint(bytes) = attribute {
            point = bytes;
        }
    }
    let made = match curve.as_slice() {
        P256 => keys::public_from_point(&bare(&point, 65)).map(|key| (key, Kind::EcdsaP256)),
        ED25519 | ED25519_BY_NAME => {
            bare(&point, 32).try_into().ok().map(|point| (PublicKey::ed25519(&point), Kind::Ed25519))
        }
        _ => None,
    };
    made.ok_or(Error::Kind)
}

/// A point of so many bytes, out of the OCTET STRING in which most tokens wrap it.
fn bare(point: &[u8], bytes: u8) -> Vec<u8> {
    let wrapped = point.len() == usize::from(bytes) + 2;
    let inner = if wrapped { point.strip_prefix(&[0x04, bytes]) } else { Some(point) };
    inner.unwrap_or_default().to_vec()
}

/// PKCS#11 gives r and s one after the other; TUF wants them as X9.62 has them: a SEQUENCE of two INTEGERs.
fn to_der(signature: &[u8]) -> Option<Vec<u8>> {
    let (r, s) = signature.split_at_checked(signature.len() / 2)?;
    [UintRef::new(r).ok()?, UintRef::new(s).ok()?].to_der().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ecdsa_signature_becomes_two_integers() {
        let mut raw = [0; 64];
        (raw[0], raw[31], raw[63]) = (0x80, 1, 2);
        let der = to_der(&raw).unwrap();
        // The first is 33 bytes long, for it would be negative otherwise; the second is one byte.
        assert_eq!((&der[..5], der.len()), ([0x30, 38, 0x02, 33, 0].as_slice(), 40));
        assert_eq!(der[37..], [0x02, 1, 2]);
    }

    #[test]
    fn a_point_is_read_wrapped_and_bare() {
        let point = [7; 32];
        assert_eq!(bare(&[&[4, 32][..], &point].concat(), 32), point);
        assert_eq!(bare(&point, 32), point);
        assert!(bare(&[&[5, 32][..], &point].concat(), 32).is_empty());
    }
}
