//! SHA-256 of files, without holding them in memory.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use tenure_proto::digest::Digest;

use crate::failure::{Context as _, Result};

/// The length and digest of a file.
pub fn of_file(path: &Path) -> Result<(u64, Digest)> {
    of_start(path, u64::MAX)
}

/// The length and digest of the first `bytes` of a file, or of all of it if it is shorter.
pub fn of_start(path: &Path, bytes: u64) -> Result<(u64, Digest)> {
    let file = File::open(path).context(format_args!("cannot open {}", path.display()))?;
    let mut file = file.take(bytes);
    let mut hasher = Sha256::new();
    let mut block = vec![0; 1 << 20];
    let mut total = 0;
    loop {
        let read = file.read(&mut block).context(format_args!("cannot read {}", path.display()))?;
        let Some(part) = block.get(..read).filter(|part| !part.is_empty()) else { break };
        hasher.update(part);
        total += part.len() as u64;
    }
    Ok((total, Digest::from_bytes(hasher.finalize().into())))
}

/// The digest of every file in a folder, by its path in there: to see that nothing changed.
pub fn of_folder(folder: &Path) -> Result<std::collections::BTreeMap<String, Digest>> {
    let mut found = std::collections::BTreeMap::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder_now) = open.pop() {
        let entries = std::fs::read_dir(&folder_now).context(format_args!("cannot list {}", folder_now.display()))?;
        for entry in entries {
            let entry = entry.context("cannot list a folder")?;
            let (path, kind) = (entry.path(), entry.file_type().context("cannot look at a file")?);
            if kind.is_dir() {
                open.push(path);
            } else if kind.is_file() {
                let name = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
                found.insert(name, of_file(&path)?.1);
            }
        }
    }
    Ok(found)
}
