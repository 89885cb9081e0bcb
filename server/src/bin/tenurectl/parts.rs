//! The parts of a product whose own support ends before the promise: from its list of parts (an SBOM
//! in CycloneDX's JSON) and from what is known of their ends.
//!
//! Ends come from a table of the maker's own, or from files of endoflife.date's API v1
//! (`products/NAME.json`), of which the release whose name begins the part's version counts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tenure_proto::support::Part;
use tenure_proto::time::Day;

use crate::input;

/// The largest file that is read here.
pub(crate) const BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Why the parts cannot be judged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file that does not read.
    #[error(transparent)]
    Read(#[from] input::Error),
    /// Not JSON of this shape.
    #[error("{} is no SBOM in CycloneDX's JSON", path.display())]
    Sbom {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Neither a table nor a file of endoflife.date's.
    #[error(
        "{} is neither a table of ends (TOML: \"NAME VERSION\" = \"YYYY-MM-DD\") nor a product of endoflife.date's API v1 (JSON)",
        path.display()
    )]
    Ends {
        /// Which.
        path: PathBuf,
    },
}

/// A list of parts, as far as it is looked at (CycloneDX 1.4 to 1.7).
#[derive(Debug, Deserialize)]
struct Sbom {
    #[serde(rename = "bomFormat")]
    _format: CycloneDx,
    #[serde(default)]
    components: Vec<Component>,
}

#[derive(Debug, Deserialize)]
enum CycloneDx {
    #[serde(rename = "CycloneDX")]
    CycloneDx,
}

#[derive(Debug, Deserialize)]
struct Component {
    name: String,
    #[serde(default)]
    version: String,
    /// Parts of the part.
    #[serde(default)]
    components: Vec<Component>,
}

/// A product of endoflife.date's.
#[derive(Debug, Deserialize)]
struct Answer {
    result: Product,
}

#[derive(Debug, Deserialize)]
struct Product {
    name: String,
    #[serde(default)]
    aliases: Vec<String>,
    releases: Vec<Release>,
}

#[derive(Debug, Deserialize)]
struct Release {
    name: String,
    #[serde(rename = "eolFrom", default)]
    eol_from: Option<Day>,
}

/// What is known of ends: by name, each version (or the beginning of one) and its last day.
#[derive(Debug, Default)]
pub(crate) struct Ends(BTreeMap<String, Vec<(String, Day)>>);

/// The parts of `sbom` that `ends` knows to end before `ends_at`, each once, by name.
pub(crate) fn ending_earlier(sbom: &Path, ends: &[PathBuf], ends_at: Day) -> Result<Vec<Part>, Error> {
    let text = input::read(sbom, BYTES_MAX)?;
    let fail = |source| Error::Sbom { path: sbom.to_path_buf(), source };
    let sbom: Sbom = serde_json::from_slice(&text).map_err(fail)?;
    let mut known = Ends::default();
    ends.iter().try_for_each(|path| known.add(path))?;
    let mut found = BTreeMap::new();
    let mut left: Vec<_> = sbom.components.iter().collect();
    while let Some(component) = left.pop() {
        left.extend(&component.components);
        if let Some(day) = known.end_of(component).filter(|day| *day < ends_at) {
            found.insert(format!("{} {}", component.name, component.version).trim_end().to_string(), day);
        }
    }
    Ok(found.into_iter().map(|(name, ends)| Part { name, ends }).collect())
}

impl Ends {
    fn add(&mut self, path: &Path) -> Result<(), Error> {
        let text = input::read(path, BYTES_MAX)?;
        if let Ok(Answer { result }) = serde_json::from_slice(&text) {
            // On that site `isEol` is true from the day after `eolFrom` on: it is the last day.
            let day = |release: Release| Some((release.name, release.eol_from?));
            let releases: Vec<_> = result.releases.into_iter().filter_map(day).collect();
            for name in result.aliases.into_iter().chain([result.name]) {
                self.0.entry(name.to_lowercase()).or_default().extend(releases.iter().cloned());
            }
            return Ok(());
        }
        let table: Option<BTreeMap<String, Day>> =
            std::str::from_utf8(&text).ok().and_then(|text| toml::from_str(text).ok());
        for (part, day) in table.ok_or_else(|| Error::Ends { path: path.to_path_buf() })? {
            let (name, version) = part.split_once(' ').unwrap_or((&part, ""));
            self.0.entry(name.to_lowercase()).or_default().push((version.to_string(), day));
        }
        Ok(())
    }

    /// The last day of a part: that of the longest version that begins its own.
    fn end_of(&self, component: &Component) -> Option<Day> {
        let versions = self.0.get(&component.name.to_lowercase())?;
        let fits = |(version, _): &&(String, Day)| {
            let rest = component.version.trim_start_matches('v').strip_prefix(version.as_str());
            version.is_empty() || rest.is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_digit()))
        };
        versions.iter().filter(fits).max_by_key(|(version, _)| version.len()).map(|(_, day)| *day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(sbom: &str, ends: &[&str], until: &str) -> Result<Vec<(String, String)>, Error> {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: String, text: &str| {
            let path = dir.path().join(name);
            tenure_server::disk::replace(&path, text.as_bytes(), tenure_server::disk::PUBLIC).unwrap();
            path
        };
        let sbom = write("bom.json".into(), sbom);
        let ends: Vec<_> = ends.iter().enumerate().map(|(nth, text)| write(format!("{nth}"), text)).collect();
        let parts = ending_earlier(&sbom, &ends, until.parse().unwrap())?;
        Ok(parts.into_iter().map(|part| (part.name, part.ends.to_string())).collect())
    }

    const SBOM: &str = r#"{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [
        {"type": "operating-system", "name": "Linux", "version": "6.1.90"},
        {"type": "library", "name": "openssl", "version": "3.0.14", "components": [
            {"type": "library", "name": "zlib", "version": "v1.3"}
        ]},
        {"type": "library", "name": "libacme", "version": "2.10"},
        {"type": "library", "name": "unknown", "version": "1"}
    ]}"#;
    const KERNELS: &str = r#"{"schema_version": "1.2.0", "result": {"name": "linux", "aliases": ["linux-kernel"], "releases": [
        {"name": "6", "isEol": false, "eolFrom": "2020-01-01"},
        {"name": "6.12", "isEol": false, "eolFrom": "2028-12-31"},
        {"name": "6.1", "isEol": false, "eolFrom": "2027-12-31"},
        {"name": "5.99", "isEol": false, "eolFrom": null}
    ]}}"#;
    const OWN: &str = "\"openssl 3.0\" = \"2026-09-07\"\n\"libacme 2.1\" = \"2020-01-01\"\n\"libacme 2\" = \"2031-01-01\"\nzlib = \"2030-06-30\"\n";

    fn part(name: &str, day: &str) -> (String, String) {
        (name.to_string(), day.to_string())
    }

    #[test]
    fn parts_that_end_before_the_promise_are_found_by_name_and_version() {
        let all = [
            part("Linux 6.1.90", "2027-12-31"),
            part("libacme 2.10", "2031-01-01"),
            part("openssl 3.0.14", "2026-09-07"),
            part("zlib v1.3", "2030-06-30"),
        ];
        assert_eq!(find(SBOM, &[KERNELS, OWN], "2033-12-31").unwrap(), all);
        assert_eq!(find(SBOM, &[KERNELS, OWN], "2028-01-01").unwrap(), [all[0].clone(), all[2].clone()]);
        assert_eq!(find(SBOM, &[KERNELS], "2033-12-31").unwrap(), [all[0].clone()]);
        assert_eq!(find(SBOM, &[], "2033-12-31").unwrap(), []);
    }

    #[test]
    fn what_is_neither_is_named() {
        let said = |result: Result<_, Error>| result.unwrap_err().to_string();
        assert!(said(find("{}", &[], "2033-12-31")).ends_with("bom.json is no SBOM in CycloneDX's JSON"));
        assert!(said(find(SBOM, &["zlib = \"never\""], "2033-12-31")).contains("neither a table of ends"));
        let missing = ending_earlier(Path::new("/nonexistent/bom.json"), &[], "2033-12-31".parse().unwrap());
        assert_eq!(missing.unwrap_err().to_string(), "cannot read /nonexistent/bom.json");
    }
}
