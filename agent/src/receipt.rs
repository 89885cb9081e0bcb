//! `tenure receipt`: the evidence of a refused shortening as one file that anybody can check; and the pocket
//! proof of the promise that is held.
//!
//! Read from the state folder, so that it can be had when nothing runs any more.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tenure_proto::limits;
use tenure_proto::metadata::{Root, Signed};
use tenure_proto::support::Declaration;
use tenure_proto::trust::TargetFile as _;
use tenure_proto::trust::proof::{PROOF_TYPE, Proof};
use tenure_proto::trust::receipt::{RECEIPT_TYPE, Receipt, Vouched};

use crate::disk;
use crate::promise;

/// Why there is no receipt.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Nothing was refused.
    #[error("this device has refused no support declaration: its maker has broken no promise that it knows of")]
    Nothing,
    /// No refusal of this number.
    #[error("there is no refusal {number}; there are {of}")]
    NoSuchNumber {
        /// What was asked for.
        number: usize,
        /// How many there are.
        of: usize,
    },
    /// A file of the evidence is missing or damaged.
    #[error("the evidence in {folder} is damaged: {what}")]
    Damaged {
        /// Where.
        folder: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// Our files.
    #[error("cannot read the evidence; run it as root")]
    Disk(#[from] disk::Error),
}

/// Puts the receipt of refusal `number` (from 1; the last one if none is named) together.
pub(crate) fn read(install_dir: &Path, number: Option<usize>) -> Result<Receipt, Error> {
    let folders = disk::list(&install_dir.join(promise::EVIDENCE))?;
    let number = number.unwrap_or(folders.len());
    let folder = number.checked_sub(1).and_then(|nth| folders.get(nth));
    let folder = match (folder, folders.len()) {
        (Some(folder), _) => folder,
        (None, 0) => return Err(Error::Nothing),
        (None, of) => return Err(Error::NoSuchNumber { number, of }),
    };
    let damaged = |what| Error::Damaged { folder: folder.clone(), what };
    let roots = disk::list(&folder.join("roots"))?;
    let roots = roots.iter().map(|path| text(path)).collect::<Result<Vec<_>, _>>()?;
    let (held, offered) = (vouched(&folder.join("held"))?, vouched(&folder.join("offered"))?);
    let (Some(held), Some(offered)) = (held, offered) else { return Err(damaged("a text is missing")) };
    let declaration =
        Declaration::parse(held.declaration.as_bytes()).map_err(|_| damaged("what was held does not read"))?;
    let refusal = promise::refusal(folder)?.ok_or_else(|| damaged("refusal.json is missing"))?;
    Ok(Receipt {
        kind_of_file: RECEIPT_TYPE.into(),
        model: declaration.model,
        refused_at: refusal.at,
        roots: roots.into_iter().flatten().collect(),
        held,
        offered,
    })
}

/// The pocket proof of the declaration that is held in `folder`, by the maker's `roots`, the oldest first.
pub(crate) fn proof(folder: &Path, roots: Vec<Vec<u8>>) -> Result<Option<Proof>, disk::Error> {
    let Some(declared) = vouched(folder)? else { return Ok(None) };
    let Ok(declaration) = Declaration::parse(declared.declaration.as_bytes()) else { return Ok(None) };
    let roots = roots.into_iter().filter_map(|root| String::from_utf8(root).ok()).collect();
    Ok(Some(Proof { kind_of_file: PROOF_TYPE.into(), model: declaration.model, roots, declared }))
}

/// A declaration and what vouches for it, as [`promise`] keeps both.
fn vouched(folder: &Path) -> Result<Option<Vouched>, disk::Error> {
    let mut files = BTreeMap::new();
    for path in disk::list(folder)? {
        let name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        files.extend(name.zip(text(&path)?));
    }
    let declaration = promise::TEXTS.into_iter().filter_map(|name| files.remove(name)).last();
    let root = files.remove("root.json").and_then(|root| Signed::<Root>::parse(root.as_bytes()).ok());
    let vouched = declaration.zip(root);
    Ok(vouched.map(|(declaration, root)| Vouched { root_version: root.signed.head.version, files, declaration }))
}

fn text(path: &Path) -> Result<Option<String>, disk::Error> {
    let bytes = disk::read_bounded(path, limits::TARGETS_BYTES_MAX)?;
    Ok(bytes.and_then(|bytes| String::from_utf8(bytes).ok()))
}
