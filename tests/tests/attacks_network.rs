//! Attacks of whoever holds the line or the server, and no key at all.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use std::fs;
use std::time::{Duration, Instant};

use tenure_tests::failure::Result;
use tenure_tests::hostile::Fault;
use tenure_tests::scene::Scene;

#[test]
fn a_server_that_drips_is_given_up_and_tried_again_later() -> Result<()> {
    let mut scene = Scene::set("drip")?;
    scene.files.fail("timestamp.json", Fault::Drip);
    let start = Instant::now();
    scene.is_refused_as("too_slow", &["timestamp.json", "1024 a second is the least"])?;
    assert!(start.elapsed() < Duration::from_mins(1), "it took {} s", start.elapsed().as_secs());
    scene.nothing_changed()?;
    scene.files.behave();
    scene.recovers()
}

#[test]
fn a_redirect_in_circles_is_refused() -> Result<()> {
    let mut scene = Scene::set("circle")?;
    scene.files.fail("timestamp.json", Fault::Circle);
    scene.is_refused_as("unreachable", &["timestamp.json", "redirect"])?;
    scene.nothing_changed()?;
    scene.files.behave();
    scene.recovers()
}

#[test]
fn bytes_made_to_break_a_parser_are_refused() -> Result<()> {
    let mut scene = Scene::set("poison")?;
    let file = scene.forge()?.metadata("timestamp.json");
    let honest = fs::read(&file)?;
    let text = String::from_utf8_lossy(&honest).into_owned();
    let poison = [
        ("[".repeat(60_000), "timestamp"),
        ("{\"signed\":".repeat(6_000), "recursion limit"),
        (text.replacen("\"version\":", "\"version\":99999999999999999999999999,\"x\":", 1), "whole numbers only"),
        (text.replacen("\"version\":", "\"version\":-1,\"x\":", 1), "integer `-1`"),
        (text.replacen("\"signed\":", "\"signed\":{},\"signed\":", 1), "duplicate"),
        (String::from("\0"), "expected value"),
        (String::new(), "EOF"),
    ];
    for (bytes, word) in poison {
        fs::write(&file, &bytes)?;
        scene.is_refused_as("unreadable", &["timestamp", word])?;
        scene.nothing_changed()?;
    }
    fs::write(&file, honest)?;
    scene.recovers()
}
