//! The command line, read by hand: flags stand before and after the verb, and repeat.

use std::ffi::OsString;
use std::path::PathBuf;

use tenure_tests::ensure;
use tenure_tests::failure::{Context as _, Failure, Result};

/// What is to be done, and with which metadata folder.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) metadata_dir: PathBuf,
    pub(crate) verb: Verb,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Verb {
    /// Take a first root, without a network.
    Init { root: PathBuf },
    /// Follow the repository to its newest metadata.
    Refresh { metadata_url: String },
    /// Refresh, then fetch targets.
    Download(Download),
}

/// Which targets, from where, to where.
#[derive(Debug)]
pub(crate) struct Download {
    pub(crate) metadata_url: String,
    pub(crate) target_names: Vec<String>,
    pub(crate) target_dir: PathBuf,
    pub(crate) target_base_url: String,
}

/// The words as they came.
#[derive(Default)]
struct Words {
    metadata_dir: Option<String>,
    metadata_url: Option<String>,
    target_dir: Option<String>,
    target_base_url: Option<String>,
    target_names: Vec<String>,
    plain: Vec<String>,
}

impl Words {
    fn sort(arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut words = Self::default();
        let mut arguments = arguments;
        let mut flags_end = false;
        while let Some(word) = arguments.next() {
            if flags_end || !word.starts_with('-') {
                words.plain.push(word);
                continue;
            }
            if word == "--" {
                flags_end = true;
                continue;
            }
            let (flag, value) = match word.split_once('=') {
                Some((flag, value)) => (flag.to_owned(), Some(value.to_owned())),
                None => (word, arguments.next()),
            };
            let value = value.context(format_args!("{flag} needs a value"))?;
            match flag.as_str() {
                "--metadata-dir" => words.metadata_dir = Some(value),
                "--metadata-url" => words.metadata_url = Some(value),
                "--target-dir" => words.target_dir = Some(value),
                "--target-base-url" => words.target_base_url = Some(value),
                "--target-name" => words.target_names.push(value),
                _ => return Err(Failure::new(format_args!("there is no flag {flag}"))),
            }
        }
        Ok(words)
    }
}

impl Options {
    /// Reads the words after the program's name.
    pub(crate) fn read(arguments: impl Iterator<Item = OsString>) -> Result<Self> {
        let text = |word: OsString| word.into_string().ok().context("a word of the command is no text");
        let words = Words::sort(arguments.map(text).collect::<Result<Vec<_>>>()?.into_iter())?;
        let metadata_dir = words.metadata_dir.context("--metadata-dir is missing")?.into();
        let url = words.metadata_url.context("--metadata-url is missing");
        let plain: Vec<_> = words.plain.iter().map(String::as_str).collect();
        let verb = match plain.as_slice() {
            ["init", root] => Verb::Init { root: root.into() },
            ["refresh"] => Verb::Refresh { metadata_url: url? },
            ["download"] => {
                ensure!(!words.target_names.is_empty(), "--target-name is missing");
                Verb::Download(Download {
                    metadata_url: url?,
                    target_names: words.target_names,
                    target_dir: words.target_dir.context("--target-dir is missing")?.into(),
                    target_base_url: words.target_base_url.context("--target-base-url is missing")?,
                })
            }
            _ => return Err(Failure::new("expected one of: init ROOT, refresh, download")),
        };
        Ok(Self { metadata_dir, verb })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options> {
        Options::read(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn flags_may_stand_before_and_after_the_verb() {
        let all = "--metadata-dir d --metadata-url=u/ --target-name a download --target-name b --target-dir t \
                   --target-base-url b/";
        let Verb::Download(what) = read(all).unwrap().verb else { panic!("no download") };
        assert_eq!((what.metadata_url.as_str(), what.target_names), ("u/", vec!["a".to_owned(), "b".to_owned()]));
        assert!(read("init r --metadata-dir d").is_ok());
    }

    #[test]
    fn a_line_that_lacks_something_is_refused() {
        for line in [
            "",
            "init r",
            "--metadata-dir d init",
            "--metadata-dir d refresh",
            "--metadata-dir d download",
            "--x y init r",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
