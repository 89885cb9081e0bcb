//! `tenurectl release show`: what one signed release says, in words.

use serde_json::json;
use tenure_proto::model::Model;
use tenure_proto::release::{Advisory, Disruption, Release};
use tenure_proto::version::Version;

use crate::cli::Site;
use crate::folder;
use crate::release_list;
use crate::repo::{self, Repo};
use crate::words;

/// The options of `release show`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  tenurectl release show acme-gw1 1.2.0")]
pub(crate) struct Args {
    /// The model
    model: Model,
    /// The version
    version: Version,
}

/// Why nothing can be shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The manufacturer's folder.
    #[error(transparent)]
    Folder(#[from] folder::Error),
    /// The repository.
    #[error(transparent)]
    Repo(#[from] repo::Error),
    /// It was never signed, or is no longer offered.
    #[error("{model} has no release {version}; `tenurectl release list {model}` names those it has")]
    None {
        /// The model.
        model: Model,
        /// The version.
        version: Version,
    },
}

/// Runs `release show`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), Error> {
    let model = site.folder()?.model(&args.model)?;
    let releases = release_list::all(&Repo::open(&model, site.clock.now())?)?;
    let release = releases.iter().find(|release| release.version == args.version);
    let none = || Error::None { model: args.model.clone(), version: args.version.clone() };
    let release = release.ok_or_else(none)?;
    for line in lines(release) {
        site.screen.say(line);
    }
    let release: &Release = release;
    site.screen.answer(&json!({ "model": args.model, "release": release }));
    Ok(())
}

fn lines(release: &Release) -> Vec<String> {
    let (version, kind) = (&release.version, release_list::kind(release.kind));
    let mut lines = vec![format!("Release {version} ({kind}), signed {}.", words::instant(release.released_at))];
    if let Some(reason) = &release.mixed_reason {
        lines.push(format!("Security and features together: {reason}"));
    }
    if let Some(advisory) = &release.advisory {
        lines.extend(advice(advisory));
    }
    lines.push(taken_from(release));
    lines.push(left_behind(release.rollback_index));
    lines.push(match release.deadline {
        Some(deadline) => format!("From {} on devices take it on their own.", words::instant(deadline)),
        None => "Devices take it when their server offers it.".into(),
    });
    let notices = match release.disruption {
        Disruption::None => "nothing",
        Disruption::Restart => "a restart",
        Disruption::Outage => "that the product is out of use for some minutes",
    };
    lines.push(format!("Its owner notices {notices}."));
    lines.extend(release.artifacts.iter().map(|artifact| {
        format!(
            "{:<12} {:<12} sha256 {}",
            artifact.slot_class.as_str(),
            words::bytes(artifact.size_bytes),
            artifact.sha256
        )
    }));
    lines
}

fn advice(advisory: &Advisory) -> Vec<String> {
    let Advisory { summary, risk, action, fixes, disclosed } = advisory;
    let mut lines = vec![format!("Fixes: {summary}"), format!("Risk: {risk}"), format!("What to do: {action}")];
    if !fixes.is_empty() {
        let known = |name: &String| match disclosed.get(name) {
            Some(day) => format!("{name} (known since {})", day.in_words()),
            None => name.clone(),
        };
        lines.push(format!("Closes: {}", fixes.iter().map(known).collect::<Vec<_>>().join(", ")));
    }
    lines
}

fn taken_from(release: &Release) -> String {
    match &release.minimum_version {
        Some(minimum) => format!("Taken by devices from version {minimum} on; older ones need another release before."),
        None => "Taken by devices of any older version.".into(),
    }
}

fn left_behind(index: u32) -> String {
    match index {
        0 => "Rollback index 0: it shuts no way back.".into(),
        index => format!(
            "Rollback index {index}: a device that has kept it takes nothing below {index} again, and does not go back to it."
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_release_demands_and_shuts_is_said_in_words() {
        let sha256 = "ab".repeat(32);
        let manifest = json!({
            "_type": "release", "model": "acme-gw1", "version": "1.3.0", "released_at": "2026-11-22T04:30:00Z",
            "kind": "security", "disruption": "restart", "rollback_index": 2, "minimum_version": "1.1.0",
            "deadline": "2026-12-01T00:00:00Z",
            "advisory": {"summary": "A hole.", "risk": "Others get in.", "action": "Nothing.", "fixes": ["CVE-2026-0001"]},
            "artifacts": [{"slot_class": "rootfs", "size_bytes": 1_048_576, "sha256": sha256, "payloads": []}],
        });
        let release: Release = serde_json::from_value(manifest.clone()).unwrap();
        let wanted = [
            "Release 1.3.0 (security), signed 22 November 2026, 04:30 UTC.",
            "Fixes: A hole.",
            "Risk: Others get in.",
            "What to do: Nothing.",
            "Closes: CVE-2026-0001",
            "Taken by devices from version 1.1.0 on; older ones need another release before.",
            "Rollback index 2: a device that has kept it takes nothing below 2 again, and does not go back to it.",
            "From 1 December 2026, 00:00 UTC on devices take it on their own.",
            "Its owner notices a restart.",
            &format!("rootfs       1.00 MiB     sha256 {sha256}"),
        ];
        assert_eq!(lines(&release), wanted);
        let mut plain = manifest;
        for key in ["rollback_index", "minimum_version", "deadline", "advisory"] {
            plain.as_object_mut().unwrap().remove(key);
        }
        let text = lines(&serde_json::from_value(plain).unwrap()).join("\n");
        assert!(text.contains("Rollback index 0: it shuts no way back.\nDevices take it when"), "{text}");
        assert!(text.contains("Taken by devices of any older version."), "{text}");
    }
}
