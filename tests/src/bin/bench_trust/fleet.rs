//! What a device's refreshes bring, while the manufacturer's models and releases grow in number.
//!
//! Every model and release is made by the real `tenurectl`. The real server serves 1 and 100
//! models. 10,000 are a folder of files, which is all that a web server needs: to bring each of
//! them to a server would take hours of a disk's syncs, and a device asks for one model's files.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tenure_proto::support::DECLARATION_PATH;
use tenure_tests::ensure;
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::hostile::Hostile;
use tenure_tests::images::Image;
use tenure_tests::maker::Maker;
use tenure_tests::server::Server;
use tenure_tests::stage::MODEL;
use tenure_tests::world::{World, password};

use crate::relay::Relay;

/// A manufacturer who grows.
struct Fleet<'a> {
    world: &'a World,
    client: &'a Path,
    maker: Maker,
    models: usize,
    releases: usize,
}

/// Who serves the files.
#[derive(Clone, Copy)]
enum Source<'a> {
    ByServer(&'a Server),
    AsFiles(&'a Hostile),
}

pub(crate) fn measure(client: &Path) -> Result<Value> {
    let world = World::new("bench-trust")?;
    let maker = Maker::new(&world, "maker", MODEL)?;
    maker.declare(world.clock().today().plus_days(3650))?;
    let mut fleet = Fleet { world: &world, client, maker, models: 1, releases: 0 };
    fleet.release_until(3)?;
    let server = Server::start(&world, "server")?;
    fleet.maker.login(&server.url(), server.setup_token(), "admin", &password()?)?;
    fleet.maker.push()?;
    let mut rows = vec![fleet.row(Source::ByServer(&server))?];
    fleet.grow_to(100)?;
    for model in 2..=100 {
        fleet.maker.run(&["push", &name(model)])?;
    }
    rows.push(fleet.row(Source::ByServer(&server))?);
    fleet.grow_to(10_000)?;
    let files = Hostile::serve(&fleet.maker.repository(), MODEL)?;
    rows.push(fleet.row(Source::AsFiles(&files))?);
    fleet.release_until(100)?;
    rows.push(fleet.row(Source::AsFiles(&files))?);
    fleet.maker.push()?;
    rows.push(fleet.row(Source::ByServer(&server))?);
    Ok(rows.into())
}

fn name(model: usize) -> String {
    format!("acme-{model:05}")
}

impl Fleet<'_> {
    fn grow_to(&mut self, models: usize) -> Result<()> {
        for model in self.models + 1..=models {
            self.maker.run(&["model", "add", &name(model), "--designation", "Acme Sensor"])?;
        }
        self.models = models;
        Ok(())
    }

    fn release_until(&mut self, releases: usize) -> Result<()> {
        while self.releases < releases {
            self.releases += 1;
            let version = format!("1.{}.0", self.releases);
            let file = self.world.path("image");
            // What matters here is what is said of an image, and that takes its digest alone.
            std::fs::write(&file, version.repeat(1024)).context("cannot write an image")?;
            self.maker.publish(&Image::open(&file, &version)?)?;
        }
        Ok(())
    }

    /// A new device's first refresh, one that finds nothing new, and one that finds a release.
    fn row(&mut self, source: Source<'_>) -> Result<Value> {
        let url = match source {
            Source::ByServer(server) => server.url(),
            Source::AsFiles(files) => files.url().to_owned(),
        };
        let relay = Relay::to(url.trim_start_matches("http://"))?;
        let device = tempfile::tempdir().context("cannot make a folder")?;
        let root = self.maker.factory_root().display().to_string();
        self.run(device.path(), &["init", &root])?;
        let (models, releases) = (self.models, self.releases);
        let cold_start = self.refresh(device.path(), &relay, &url, true)?;
        let idle_poll = self.refresh(device.path(), &relay, &url, false)?;
        self.release_until(releases + 1)?;
        if matches!(source, Source::ByServer(_)) {
            self.maker.push()?;
        }
        let update = self.refresh(device.path(), &relay, &url, true)?;
        let by = if matches!(source, Source::ByServer(_)) { "tenure-server" } else { "files" };
        Ok(json!({
            "models": models, "releases": releases, "served_by": by,
            "cold_start": cold_start, "idle_poll": idle_poll, "update": update,
        }))
    }

    /// One refresh: with a new release also its manifest and the declaration, as a device does.
    fn refresh(&self, device: &Path, relay: &Relay, url: &str, is_news: bool) -> Result<Value> {
        let base = format!("{}/repo/{MODEL}", relay.url());
        let (metadata, targets) = (format!("{base}/metadata/"), format!("{base}/targets/"));
        let manifest = format!("releases/1.{}.0/release.json", self.releases);
        let folder = device.join("targets").display().to_string();
        let mut words = vec!["--metadata-url", &metadata];
        if is_news {
            words.extend(["--target-name", DECLARATION_PATH, "--target-name", &manifest]);
            words.extend(["--target-base-url", &targets, "--target-dir", &folder, "download"]);
        } else {
            words.push("refresh");
        }
        self.run(device, &words)?;
        let passed = relay.take();
        let (mut metadata_bytes, mut target_bytes) = (0, 0);
        for path in &passed.paths {
            let body = body_of(&format!("{url}{path}"))?;
            *if path.contains("/metadata/") { &mut metadata_bytes } else { &mut target_bytes } += body;
        }
        Ok(json!({
            "metadata_bytes": metadata_bytes, "target_bytes": target_bytes,
            "wire_bytes": passed.wire_bytes, "requests": passed.paths.len(),
        }))
    }

    fn run(&self, device: &Path, words: &[&str]) -> Result<()> {
        let mut command = Command::new(self.client);
        command.arg("--metadata-dir").arg(device.join("metadata")).args(words);
        let output = command.output().context("cannot run the client")?;
        ensure!(output.status.success(), "the client failed: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}

/// The length of a file; none for one that is not there.
fn body_of(url: &str) -> Result<usize> {
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    let answer = config.build().new_agent().get(url).call().context("cannot ask again")?;
    let is_there = answer.status().is_success();
    let body = answer.into_body().read_to_vec().context("cannot read again")?;
    Ok(if is_there { body.len() } else { 0 })
}
