//! python-tuf, the reference implementation, against ours: our client reads repositories that it
//! writes, and its client reads repositories of ours.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use std::path::{Path, PathBuf};

use serde_json::Value;
use tenure_tests::ensure;
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::images::Health;
use tenure_tests::maker::Maker;
use tenure_tests::python::{self, run, script};
use tenure_tests::stage::{MODEL, Stage};

/// What is installed, and at which versions these tests hold.
const PACKAGES: [&str; 2] = ["tuf==7.0.1", "securesystemslib[crypto]==1.6.0"];

/// A Python with python-tuf; none with `TENURE_QUICK=1`.
fn python() -> Result<Option<PathBuf>> {
    python::with("python-tuf", &PACKAGES, env!("CARGO_BIN_EXE_tuf-client"))
}

/// Judges our client, and tells how many cases there were.
fn judge(python: &Path, name: &str) -> Result<usize> {
    let said = run(script(python, name).arg(env!("CARGO_BIN_EXE_tuf-client")))?;
    let cases = said.split(" of ").next().and_then(|count| count.trim().parse().ok());
    cases.context(format_args!("no cases: {said}"))
}

/// Lets python-tuf read the maker's repository from its factory root to the bytes of `image`.
fn read(python: &Path, maker: &Maker, image: &Path) -> Result<Value> {
    let mut read = script(python, "read_repository.py");
    let found = run(read.arg(maker.repository()).arg(maker.factory_root()).arg(image))?;
    serde_json::from_str(&found).context("no JSON")
}

/// A root ceremony at which every key holder is present.
fn rotate(maker: &Maker, name: &str, changes: &[&str]) -> Result<()> {
    let file = maker.folder().join(name).display().to_string();
    maker.run(&[&["root", "propose", MODEL, "--out", &file], changes].concat())?;
    maker.run(&["root", "sign", &file])?;
    maker.run(&["root", "publish", MODEL, &file])?;
    Ok(())
}

/// Makes a post-quantum key, and tells where its public half is.
fn quantum_key(maker: &Maker, role: &str) -> Result<String> {
    let made = ["--json", "key", "generate", role, "--scheme", "ml-dsa-65", "--unencrypted"];
    let made = maker.run(&made)?.json()?;
    Ok(made.get("public").and_then(Value::as_str).context("no public key")?.to_owned())
}

fn json(file: &Path) -> Result<Value> {
    serde_json::from_slice(&std::fs::read(file).context("cannot read metadata")?).context("no JSON")
}

#[test]
fn system_python_tuf_writes_what_our_client_reads_and_refuses() -> Result<()> {
    let Some(python) = &python()? else { return Ok(()) };
    ensure!(judge(python, "judge_client.py")? >= 108, "too few cases");
    Ok(())
}

#[test]
fn system_faketime_moves_the_clock_of_our_client() -> Result<()> {
    let Some(python) = &python()? else { return Ok(()) };
    ensure!(judge(python, "judge_clock.py")? >= 5, "too few cases");
    Ok(())
}

#[test]
fn system_python_tuf_reads_a_repository_of_ours() -> Result<()> {
    let Some(python) = &python()? else { return Ok(()) };
    let stage = Stage::set("python-tuf")?;
    let image = stage.publish("1.1.0", Health::Good)?;
    let found = read(python, &stage.maker, &image.file)?;
    assert_eq!(found["versions"]["support.json"], 2);
    assert!(found["found"].as_array().is_some_and(|paths| paths.len() >= 6), "{found}");
    Ok(())
}

#[test]
fn system_python_tuf_follows_our_roots_to_keys_of_two_families() -> Result<()> {
    let Some(python) = &python()? else { return Ok(()) };
    let stage = Stage::set("python-tuf-roots")?;
    let maker = &stage.maker;
    let first = json(&maker.factory_root())?;
    let lost = first["signed"]["roles"]["root"]["keyids"][0].as_str().context("no key")?;
    rotate(maker, "1", &["--remove-key", lost, "--new-online-key", "snapshot", "--new-online-key", "timestamp"])?;
    let (root, targets) = (quantum_key(maker, "root")?, quantum_key(maker, "targets")?);
    let add = ["--add-key", &root, "--role", "root", "--add-key", &targets, "--role", "targets"];
    rotate(maker, "2", &[&add[..], &["--threshold", "root=3", "--threshold", "targets=3"]].concat())?;
    rotate(maker, "3", &["--new-online-key", "snapshot"])?;
    let image = stage.publish("1.1.0", Health::Good)?;
    assert_eq!(read(python, maker, &image.file)?["versions"]["root.json"], 4);

    // Without the signature of the key that withstands quantum computers, the root does not hold.
    let (newest, is_short) = (maker.repository().join("metadata/4.root.json"), |signature: &Value| {
        signature["sig"].as_str().is_some_and(|text| text.len() <= 128)
    });
    let mut file = json(&newest)?;
    let signatures = file["signatures"].as_array_mut().context("no signatures")?;
    signatures.retain(is_short);
    assert_eq!(signatures.len(), 2);
    std::fs::write(&newest, file.to_string()).context("cannot write metadata")?;
    let refused = read(python, maker, &image.file).map_err(|failure| failure.to_string());
    assert!(refused.as_ref().is_err_and(|said| said.contains("root was signed by 2/3 keys")), "{refused:?}");
    Ok(())
}
