//! The release manifest: what one version of a model's software is.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::Digest;
use crate::limits;
use crate::metadata::Target;
use crate::model::{Model, Name};
use crate::payload::Payload;
use crate::time::{Day, Timestamp};
use crate::trust::TargetFile;
use crate::version::Version;

/// The value of `_type`.
pub const TYPE: &str = "release";
/// The delegated role that lists what no device needs to see before it asks for it: payloads, and
/// the manifests of releases that later ones take the place of. The holders of the role `targets`
/// sign it.
pub const ARCHIVE_ROLE: &str = "archive";
/// The paths of the files of releases.
pub const PATHS: &str = "releases/*/*";

/// A release manifest.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Release {
    /// Always `release`.
    #[serde(rename = "_type")]
    pub kind_of_file: String,
    /// The model it is for.
    pub model: Model,
    /// Its version.
    pub version: Version,
    /// When it was made.
    pub released_at: Timestamp,
    /// What it changes.
    pub kind: Kind,
    /// Why security fixes and features come in one release; required for `mixed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mixed_reason: Option<String>,
    /// What an owner should know; required unless the release has features only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advisory: Option<Advisory>,
    /// From this instant on a device takes the release on its own, whatever its server says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// What the owner notices while it is applied.
    pub disruption: Disruption,
    /// The oldest version that can be updated to this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_version: Option<Version>,
    /// Counts how often an old hole was shut for good: a device that has confirmed a release takes
    /// none with a lower index again, not even one that it holds already.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rollback_index: u32,
    /// The parts, one for each slot class.
    pub artifacts: Vec<Artifact>,
    /// Fields of later versions, kept.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

/// What a release changes (CRA, Annex I, part II, 2: security apart from features).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Security fixes only.
    Security,
    /// Features only.
    Feature,
    /// Both, with a reason.
    Mixed,
}

/// What an owner should know of the fixes (EN 303 645, 5.3-11; CRA, Annex I, part II, 8).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Advisory {
    /// What was wrong and is fixed.
    pub summary: String,
    /// The risk that installing removes.
    pub risk: String,
    /// What the owner should do; mostly nothing.
    pub action: String,
    /// Names of the vulnerabilities, such as CVE numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fixes: Vec<String>,
    /// The day on which each of them was known to others than the maker and its finder, as far as the
    /// maker says so, by its name in `fixes`. No device needs it: whoever counts how long owners waited does.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub disclosed: BTreeMap<String, Day>,
}

/// What the owner notices while a release is applied (EN 303 645, 5.3-12).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Disruption {
    /// Nothing.
    None,
    /// The product restarts.
    Restart,
    /// The product is out of use for some minutes.
    Outage,
}

/// A part of a release: the whole content of one class of slots.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Artifact {
    /// The class of slots that it is for, such as `rootfs`.
    pub slot_class: Name,
    /// The length of the image.
    pub size_bytes: u64,
    /// The digest of the image.
    pub sha256: Digest,
    /// The ways to get it.
    pub payloads: Vec<Payload>,
}

/// What the signed list of targets says of a release, so that a device need not fetch each.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Summary {
    /// Its version.
    pub version: Version,
    /// What it changes.
    pub kind: Kind,
    /// See [`Release::deadline`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// See [`Release::rollback_index`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rollback_index: u32,
}

/// What an owner should know of a release before and after it is installed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct News {
    /// Its version.
    pub version: Version,
    /// What it changes.
    pub kind: Kind,
    /// What the owner notices while it is applied.
    pub disruption: Disruption,
    /// See [`Release::deadline`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// What it fixes, and which risk it removes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advisory: Option<Advisory>,
}

/// Why bytes are no release manifest.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// Too long, or not JSON of this shape.
    #[error("this is no release manifest: {0}")]
    Shape(String),
    /// A field with a value that is not allowed.
    #[error("the release manifest is not valid: {0}")]
    Value(&'static str),
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(index: &u32) -> bool {
    *index == 0
}

/// The target path of the manifest of `version`.
pub fn manifest_path(version: &Version) -> String {
    format!("releases/{version}/release.json")
}

/// The target path of the payload or index `name` of `version`.
pub fn payload_path(version: &Version, name: &str) -> String {
    format!("releases/{version}/{name}")
}

impl Release {
    /// Checks what the shape alone does not say.
    pub fn check(&self) -> Result<(), Error> {
        let fail = |what| Err(Error::Value(what));
        if self.kind_of_file != TYPE {
            return fail("_type is not release");
        }
        if self.kind == Kind::Mixed && self.mixed_reason.as_deref().is_none_or(str::is_empty) {
            return fail("kind mixed needs a mixed_reason");
        }
        if self.kind != Kind::Feature && self.advisory.is_none() {
            return fail("a release with security fixes needs an advisory");
        }
        if self.advisory.as_ref().is_some_and(|advisory| !advisory.is_complete()) {
            return fail("the advisory needs summary, risk and action, of bounded length");
        }
        if self.rollback_index > limits::ROLLBACK_INDEX_MAX {
            return fail("the rollback index is above its bound");
        }
        if self.artifacts.is_empty() || self.artifacts.len() > limits::ARTIFACTS_MAX {
            return fail("the number of artifacts is out of bounds");
        }
        let mut classes: Vec<_> = self.artifacts.iter().map(|artifact| &artifact.slot_class).collect();
        classes.sort_unstable();
        classes.dedup();
        if classes.len() < self.artifacts.len() {
            return fail("two artifacts are for one slot class");
        }
        self.artifacts.iter().try_for_each(|artifact| self.check_artifact(artifact))
    }

    fn check_artifact(&self, artifact: &Artifact) -> Result<(), Error> {
        if artifact.size_bytes == 0 {
            return Err(Error::Value("an artifact is empty"));
        }
        if artifact.payloads.is_empty() || artifact.payloads.len() > limits::PAYLOADS_MAX {
            return Err(Error::Value("the number of payloads is out of bounds"));
        }
        let folder = payload_path(&self.version, "");
        let inside = |path: &str| path.strip_prefix(folder.as_str()).is_some_and(|name| name.parse::<Name>().is_ok());
        let stray = artifact.full().is_some_and(|full| !inside(&full.path) || !inside(&full.index.path));
        if stray { Err(Error::Value("a payload lies outside the release's folder")) } else { Ok(()) }
    }

    /// What its owner should know.
    pub fn news(&self) -> News {
        let Self { kind, disruption, deadline, .. } = *self;
        News { version: self.version.clone(), kind, disruption, deadline, advisory: self.advisory.clone() }
    }

    /// The summary for the signed list of targets.
    pub fn summary(&self) -> Summary {
        let Self { kind, deadline, rollback_index, .. } = *self;
        Summary { version: self.version.clone(), kind, deadline, rollback_index }
    }
}

impl Advisory {
    fn is_complete(&self) -> bool {
        let bounded = |text: &String| !text.trim().is_empty() && text.chars().count() <= limits::TEXT_CHARS_MAX;
        [&self.summary, &self.risk, &self.action].into_iter().all(bounded)
    }
}

impl Artifact {
    /// The `full` payload, if there is one.
    pub fn full(&self) -> Option<&crate::payload::Full> {
        self.payloads.iter().find_map(|payload| match payload {
            Payload::Full(full) => Some(full),
            Payload::Other(_) => None,
        })
    }
}

impl Summary {
    /// Reads the summary that a list of targets gives of a manifest.
    pub fn of(target: &Target) -> Option<Self> {
        serde_json::from_value(target.custom.as_ref()?.get("tenure")?.clone()).ok()
    }

    /// Writes it as the `custom` field of a target.
    pub fn to_custom(&self) -> Value {
        serde_json::json!({ "tenure": self })
    }
}

impl TargetFile for Release {
    type Error = Error;

    fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() as u64 > limits::RELEASE_BYTES_MAX {
            return Err(Error::Value("it is too long"));
        }
        let release: Self = serde_json::from_slice(bytes).map_err(|error| Error::Shape(error.to_string()))?;
        release.check()?;
        Ok(release)
    }

    fn model(&self) -> &Model {
        &self.model
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn manifest() -> Value {
        let digest = Digest::of(b"x").to_string();
        let index = json!({"path": "releases/1.1.0/rootfs.frames", "size_bytes": 96, "sha256": digest});
        let full = json!({"kind": "full", "path": "releases/1.1.0/rootfs.full", "size_bytes": 9, "sha256": digest, "index": index});
        json!({
            "_type": "release", "model": "acme-gw1", "version": "1.1.0", "released_at": "2026-11-22T09:00:00Z",
            "kind": "security", "advisory": {"summary": "s", "risk": "r", "action": "a"}, "disruption": "restart",
            "artifacts": [{"slot_class": "rootfs", "size_bytes": 4096, "sha256": digest, "payloads": [{"kind": "delta"}, full]}],
        })
    }

    fn refusal(change: impl FnOnce(&mut Value)) -> String {
        let mut manifest = manifest();
        change(&mut manifest);
        Release::parse(manifest.to_string().as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_manifest_with_a_payload_of_a_kind_to_come_is_read() {
        let release = Release::parse(manifest().to_string().as_bytes()).unwrap();
        assert_eq!(release.artifacts[0].full().unwrap().size_bytes, 9);
        assert_eq!(manifest_path(&release.version), "releases/1.1.0/release.json");
    }

    #[test]
    fn a_security_release_without_an_advisory_is_refused() {
        assert!(
            refusal(|manifest| drop(manifest.as_object_mut().unwrap().remove("advisory")))
                .contains("needs an advisory")
        );
        assert!(refusal(|manifest| manifest["advisory"]["risk"] = " ".into()).contains("summary, risk and action"));
    }

    #[test]
    fn row_37_fixes_and_features_in_one_release_need_a_reason() {
        for reason in [Value::Null, "".into()] {
            let said = refusal(|manifest| {
                manifest["kind"] = "mixed".into();
                manifest["mixed_reason"] = reason;
            });
            assert!(said.contains("mixed_reason"), "{said}");
        }
        let mut manifest = manifest();
        manifest["kind"] = "mixed".into();
        manifest["mixed_reason"] = "The fix needs the new protocol.".into();
        assert!(Release::parse(manifest.to_string().as_bytes()).is_ok());
    }

    #[test]
    fn a_rollback_index_is_0_unless_it_is_said_and_has_a_bound() {
        let parse = |manifest: &Value| Release::parse(manifest.to_string().as_bytes()).unwrap();
        let mut manifest = manifest();
        assert_eq!(parse(&manifest).rollback_index, 0);
        manifest["rollback_index"] = 1000.into();
        assert_eq!(parse(&manifest).rollback_index, 1000);
        for bad in [json!(1001), json!(-1), json!("1")] {
            assert!(refusal(|manifest| manifest["rollback_index"] = bad).contains("release manifest"));
        }
    }

    #[test]
    fn a_payload_cannot_lie_outside_its_release() {
        for path in
            ["releases/1.0.0/rootfs.full", "support/declaration.json", "releases/1.1.0/../../etc", "releases/1.1.0/a/b"]
        {
            assert!(
                refusal(|manifest| manifest["artifacts"][0]["payloads"][1]["path"] = path.into()).contains("outside")
            );
        }
    }

    #[test]
    fn two_artifacts_for_one_class_of_slots_are_refused() {
        let twice = |manifest: &mut Value| {
            let artifact = manifest["artifacts"][0].clone();
            manifest["artifacts"].as_array_mut().unwrap().push(artifact);
        };
        assert!(refusal(twice).contains("one slot class"));
        assert!(refusal(|manifest| manifest["artifacts"] = json!([])).contains("out of bounds"));
        assert!(refusal(|manifest| manifest["artifacts"][0]["size_bytes"] = 0.into()).contains("empty"));
    }
}
