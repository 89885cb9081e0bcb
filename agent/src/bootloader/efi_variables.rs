//! EFI variables, as the kernel shows them: one file `NAME-VENDOR` each, with four bytes of
//! attributes before the value.

use std::path::PathBuf;

use tenure_proto::limits;

use crate::disk;

/// Variables of the Boot Loader Interface.
pub(super) const LOADER: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

/// The folder with the variables.
#[derive(Clone, Debug)]
pub(super) struct Variables {
    pub(super) folder: PathBuf,
}

impl Variables {
    /// Where a variable is.
    fn path(&self, name: &str, vendor: &str) -> PathBuf {
        self.folder.join(format!("{name}-{vendor}"))
    }

    /// The value of a variable, if there is one.
    fn read(&self, name: &str, vendor: &str) -> Result<Option<Vec<u8>>, disk::Error> {
        let bytes = disk::read_bounded(&self.path(name, vendor), limits::EFI_VARIABLE_BYTES_MAX)?;
        // A variable without a value does not exist.
        Ok(bytes.and_then(|bytes| Some(bytes.get(4..)?.to_vec())).filter(|value| !value.is_empty()))
    }

    /// The text of a variable, if there is one.
    pub(super) fn text(&self, name: &str, vendor: &str) -> Result<Option<String>, disk::Error> {
        Ok(self.read(name, vendor)?.map(|value| text(&value)))
    }
}

/// UTF-16, little endian, up to the first zero.
fn text(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2).map(|pair| pair.iter().rev().fold(0, |unit, byte| unit << 8 | u16::from(*byte)));
    char::decode_utf16(units.take_while(|unit| *unit != 0))
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}
