//! Makes pocket proofs out of a repository's files.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use tenure_proto::model::Model;
use tenure_proto::trust::Held;
use tenure_proto::trust::proof::{PROOF_TYPE, Proof};
use tenure_proto::trust::receipt::Vouched;

/// What vouches for a declaration, beside the roots.
const FILES: [&str; 4] = ["timestamp.json", "snapshot.json", "targets.json", "support.json"];

/// A proof of `declaration` by the roots in `metadata` up to `root_version`, and by what a device
/// that is up to date holds.
pub(crate) fn make(
    model: &Model,
    metadata: &Path,
    root_version: u64,
    held: &Held,
    declaration: String,
) -> Result<Proof, io::Error> {
    let root = |version| std::fs::read_to_string(metadata.join(format!("{version}.root.json")));
    let roots = (1..=root_version).map(root).collect::<Result<_, _>>()?;
    let text = |name: &str| {
        let bytes = held.files.get(name).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let text = String::from_utf8(bytes.clone()).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        Ok::<_, io::Error>((name.to_string(), text))
    };
    let files: BTreeMap<_, _> = FILES.into_iter().map(text).collect::<Result<_, _>>()?;
    let declared = Vouched { root_version, files, declaration };
    Ok(Proof { kind_of_file: PROOF_TYPE.to_string(), model: model.clone(), roots, declared })
}
