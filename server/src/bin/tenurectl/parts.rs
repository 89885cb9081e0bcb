//! The parts of a product whose own support ends before the promise: from its list of parts (an SBOM
//! in CycloneDX's JSON) and from what is known of their ends.
//!
//! Ends come from a table of the maker's own, or from files of endoflife.date's API v1
//! (`products/NAME.json`), of which the release whose name begins the part's version counts; where these
//! know nothing of a part, from the milestones that the list itself gives it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tenure_proto::support::{Declaration, Part};
use tenure_proto::time::Day;
use tenure_proto::version::Version;
use tenure_server::sbom;

use crate::input;
use crate::release_list;
use crate::repo::{self, Repo};

/// The largest file that is read here.
pub(crate) const BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The options that name the parts and their ends.
#[derive(clap::Args, Debug)]
pub(crate) struct Files {
    /// The product's list of parts, in CycloneDX's JSON: those that end earlier are named and signed [default: that
    /// of the newest release]
    #[arg(long, value_name = "FILE", requires = "part_ends")]
    sbom: Option<PathBuf>,
    /// What is known of the ends of parts: a table of yours, or a product of endoflife.date's API; may be given more than once
    #[arg(long, value_name = "FILE")]
    part_ends: Vec<PathBuf>,
}

/// Why the parts cannot be judged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file that does not read.
    #[error(transparent)]
    Read(#[from] input::Error),
    /// Ends, and no parts that they could be of.
    #[error("--part-ends needs a list of parts: name it with --sbom, since none is signed with the newest release")]
    NoList,
    /// The repository.
    #[error(transparent)]
    Repo(#[from] repo::Error),
    /// Not JSON of this shape.
    #[error("{which} is no SBOM in CycloneDX's JSON")]
    Sbom {
        /// Which.
        which: String,
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
    #[serde(default)]
    properties: Vec<Property>,
    /// Parts of the part.
    #[serde(default)]
    components: Vec<Component>,
}

#[derive(Debug, Deserialize)]
struct Property {
    name: String,
    #[serde(default)]
    value: String,
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

impl Files {
    /// The parts that end before `last`; `None` if no option asks for them.
    pub(crate) fn ending_earlier(&self, repo: &Repo, last: Day) -> Result<Option<Vec<Part>>, Error> {
        if self.part_ends.is_empty() {
            return Ok(None);
        }
        let mut known = Ends::default();
        self.part_ends.iter().try_for_each(|path| known.add(path))?;
        let of_product = match &self.sbom {
            Some(path) => List { which: path.display().to_string(), text: input::read(path, BYTES_MAX)? },
            None => signed(repo)?.map(|(_, list)| list).ok_or(Error::NoList)?,
        };
        of_product.ending_earlier(&known, last).map(Some)
    }

    /// The parts that end before `last`, once a day was moved to it. Without the options those that are
    /// declared already, and those whose end stands in the list of the newest release.
    pub(crate) fn after_extension(&self, repo: &Repo, held: &[Part], last: Day) -> Result<Reviewed, Error> {
        if let Some(parts) = self.ending_earlier(repo, last)? {
            return Ok(Reviewed { parts, unknown: None });
        }
        let mut parts: BTreeMap<_, _> = held.iter().map(|part| (part.name.clone(), part.ends)).collect();
        let Some((version, of_release)) = signed(repo)? else {
            return Ok(Reviewed { parts: named(parts), unknown: Some(Unknown::NoList) });
        };
        let found = of_release.ending_earlier(&Ends::default(), last)?;
        parts.extend(found.into_iter().map(|part| (part.name, part.ends)));
        Ok(Reviewed { parts: named(parts), unknown: Some(Unknown::Ends { version }) })
    }
}

/// What the parts came to.
#[derive(Debug)]
pub(crate) struct Reviewed {
    /// Those that end earlier.
    pub(crate) parts: Vec<Part>,
    /// What nobody looked at.
    pub(crate) unknown: Option<Unknown>,
}

/// What was not looked at, for want of a file.
#[derive(Debug)]
pub(crate) enum Unknown {
    /// There is no list of parts.
    NoList,
    /// There is one, and nothing but itself to say when its parts end.
    Ends {
        /// The release that it is signed with.
        version: Version,
    },
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoList => f.write_str("whether a part of the product ends before the new day was not looked at"),
            Self::Ends { version } => {
                write!(f, "of the parts of release {version}, those alone were looked at whose end the list names")
            }
        }?;
        f.write_str("; name parts and ends with --sbom and --part-ends")
    }
}

/// The last day of all that a declaration promises: to everybody, to a batch, to a unit.
pub(crate) fn last_day(declaration: &Declaration) -> Day {
    declaration.batches.values().chain(declaration.units.values()).copied().fold(declaration.ends, Day::max)
}

/// The list of parts that is signed with the newest release.
fn signed(repo: &Repo) -> Result<Option<(Version, List)>, Error> {
    let Some(newest) = release_list::all(repo)?.pop() else { return Ok(None) };
    let version = newest.version.clone();
    let text = repo.target_bytes(&sbom::path(&version))?;
    Ok(text.map(|text| (version.clone(), List { which: format!("the list of parts of release {version}"), text })))
}

/// A list of parts that was not read yet.
struct List {
    which: String,
    text: Vec<u8>,
}

impl List {
    /// The parts that end before `last`, each once, by name.
    fn ending_earlier(&self, known: &Ends, last: Day) -> Result<Vec<Part>, Error> {
        let fail = |source| Error::Sbom { which: self.which.clone(), source };
        let sbom: Sbom = serde_json::from_slice(&self.text).map_err(fail)?;
        let mut found = BTreeMap::new();
        let mut left: Vec<_> = sbom.components.iter().collect();
        while let Some(component) = left.pop() {
            left.extend(&component.components);
            let ends = known.end_of(component).or_else(|| component.own_end());
            if let Some(day) = ends.filter(|day| *day < last) {
                found.insert(format!("{} {}", component.name, component.version).trim_end().to_string(), day);
            }
        }
        Ok(named(found))
    }
}

fn named(parts: BTreeMap<String, Day>) -> Vec<Part> {
    parts.into_iter().map(|(name, ends)| Part { name, ends }).collect()
}

impl Component {
    /// The earliest end of support that the list itself gives the part, in CycloneDX's taxonomy: a day, or an
    /// instant that begins with one.
    fn own_end(&self) -> Option<Day> {
        let is_end = |property: &&Property| {
            let milestone = property.name.strip_prefix(sbom::MILESTONE);
            milestone.is_some_and(|name| ["endOfSupport", "endOfLife"].contains(&name))
        };
        let day = |property: &Property| property.value.get(..10)?.parse().ok();
        self.properties.iter().filter(is_end).filter_map(day).min()
    }
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
        let mut known = Ends::default();
        for (nth, text) in ends.iter().enumerate() {
            known.add(&write(format!("{nth}"), text))?;
        }
        let list = List { which: "bom.json".into(), text: sbom.as_bytes().to_vec() };
        let parts = list.ending_earlier(&known, until.parse().unwrap())?;
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
    fn an_end_that_the_list_itself_names_counts_where_nothing_else_is_known() {
        let list = |milestones: &str| {
            let head = r#"{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"name": "linux", "version": "6.1","#;
            format!("{head} \"properties\": [{milestones}]}}]}}")
        };
        let milestone =
            |name: &str, value: &str| format!(r#"{{"name": "cdx:lifecycle:milestone:{name}", "value": "{value}"}}"#);
        let ends =
            list(&[milestone("endOfLife", "2029-12-31T00:00:00Z"), milestone("endOfSupport", "2027-12-31")].join(","));
        assert_eq!(find(&ends, &[], "2033-12-31").unwrap(), [part("linux 6.1", "2027-12-31")]);
        assert_eq!(find(&ends, &["linux = \"2032-01-01\""], "2033-12-31").unwrap(), [part("linux 6.1", "2032-01-01")]);
        assert_eq!(find(&ends, &[], "2027-12-31").unwrap(), []);
        for other in [milestone("endOfSupport", "tba"), milestone("generalAvailability", "2020-01-01"), String::new()] {
            assert_eq!(find(&list(&other), &[], "2033-12-31").unwrap(), []);
        }
    }

    #[test]
    fn what_is_neither_is_named() {
        let said = |result: Result<_, Error>| result.unwrap_err().to_string();
        assert!(said(find("{}", &[], "2033-12-31")).ends_with("bom.json is no SBOM in CycloneDX's JSON"));
        assert!(said(find(SBOM, &["zlib = \"never\""], "2033-12-31")).contains("neither a table of ends"));
        let missing = Ends::default().add(Path::new("/nonexistent/linux.json"));
        assert_eq!(missing.unwrap_err().to_string(), "cannot read /nonexistent/linux.json");
    }
}
