//! The two Debian images of `tests/images/build`, from the first to the second.
//!
//! `TENURE_IMAGES` names the folder with them; `tests/run` builds it. Loop devices need root.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tenure_tests::board::{Board, Parts};
use tenure_tests::digests;
use tenure_tests::ensure;
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::hostile::Hostile;
use tenure_tests::images::Image;
use tenure_tests::maker::Maker;
use tenure_tests::stage::MODEL;
use tenure_tests::world::World;

/// How long a real image may take on a busy machine, in a debug build.
const LIMIT: Duration = Duration::from_mins(5);

fn image(name: &str, version: &str) -> Result<Image> {
    let folder = std::env::var_os("TENURE_IMAGES").context("TENURE_IMAGES names no folder; tests/run sets it")?;
    Image::open(&PathBuf::from(folder).join(name), version)
}

/// A manufacturer with both images, the second not yet published.
fn publish_first(world: &World, first: &Image) -> Result<(Maker, Hostile)> {
    let maker = Maker::new(world, "maker", MODEL)?;
    maker.declare(world.clock().today().plus_days(3650))?;
    maker.publish(first)?;
    let files = Hostile::serve(&maker.repository(), MODEL)?;
    Ok((maker, files))
}

fn board(world: &World, maker: &Maker, server: &str, image: &Image, slot_bytes: u64) -> Result<Board> {
    let factory_root = maker.factory_root();
    let parts = Parts {
        model: MODEL,
        server,
        factory_root: &factory_root,
        image,
        slot_bytes,
        enrolment_token: None,
        more_config: "",
    };
    Board::make(world, "board", &parts)
}

/// Every byte of the slot is the image's, and what the image does not reach is untouched.
fn check_every_byte(board: &Board, slot: &str, image: &Image) -> Result<()> {
    let (bytes, digest) = digests::of_start(board.slot(slot)?, image.bytes)?;
    ensure!(bytes == image.bytes && digest == image.sha256, "slot {slot} does not hold the image");
    let status = Command::new("cmp")
        .args(["--bytes", &image.bytes.to_string()])
        .arg(board.slot(slot)?)
        .arg(&image.file)
        .status()?;
    ensure!(status.success(), "cmp sees a difference between slot {slot} and {}", image.file.display());
    Ok(())
}

fn updates_debian(name: &str, kind: &str) -> Result<()> {
    let (first, second) = (image(&format!("release.{kind}"), "1.0.0")?, image(&format!("updated.{kind}"), "1.1.0")?);
    let world = World::new(name)?;
    let (maker, files) = publish_first(&world, &first)?;
    let slot_bytes = first.bytes.max(second.bytes).next_multiple_of(1 << 20);
    let mut board = board(&world, &maker, files.url(), &first, slot_bytes)?;
    board.knows(&second);
    board.power_on()?;
    board.run_until("the first image runs", LIMIT, |board| {
        Ok(board.status()?.filter(|status| status.version() == Some("1.0.0") && status.support_ends().is_some()))
    })?;
    let running = board.slot_digest("A")?;
    maker.publish(&second)?;
    board.run_until_settled("1.1.0", LIMIT)?;
    check_every_byte(&board, "B", &second)?;
    ensure!(board.slot_digest("A")? == running, "the slot that ran was written");
    let os_release = std::fs::read_to_string(board.path("root/os-release"))?;
    ensure!(os_release.contains("tenure-debian"), "the board runs what the slot holds, saw {os_release}");
    board.check_bootable()
}

#[test]
fn system_debian_squashfs_from_release_to_updated() -> Result<()> {
    updates_debian("squashfs", "squashfs")
}

#[test]
fn system_debian_ext4_from_release_to_updated() -> Result<()> {
    updates_debian("ext4", "ext4")
}

/// Needs root: the slots are block devices, as on a product.
#[test]
fn system_debian_squashfs_into_loop_devices() -> Result<()> {
    let (first, second) = (image("release.squashfs", "1.0.0")?, image("updated.squashfs", "1.1.0")?);
    let world = World::new("loop")?;
    let (maker, files) = publish_first(&world, &first)?;
    let slot_bytes = first.bytes.max(second.bytes).next_multiple_of(1 << 20);
    let mut board = board(&world, &maker, files.url(), &first, slot_bytes)?;
    let devices = [Loop::attach(board.slot("A")?)?, Loop::attach(board.slot("B")?)?];
    board.use_devices(devices.each_ref().map(|device| device.0.clone()))?;
    board.knows(&second);
    board.power_on()?;
    maker.publish(&second)?;
    board.run_until_settled("1.1.0", LIMIT)?;
    check_every_byte(&board, "B", &second)?;
    board.check_bootable()?;
    board.shut_down()
}

/// A loop device, detached at the end.
struct Loop(PathBuf);

impl Loop {
    fn attach(file: &Path) -> Result<Self> {
        let output =
            Command::new("losetup").args(["--find", "--show"]).arg(file).output().context("cannot run losetup")?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "losetup gives no device (it needs root): {said}");
        Ok(Self(String::from_utf8_lossy(&output.stdout).trim().into()))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        Command::new("losetup").arg("--detach").arg(&self.0).status().map(drop).unwrap_or_default();
    }
}
