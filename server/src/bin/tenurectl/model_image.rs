//! `tenurectl model image`: the files of trust that go into the product's image.

use std::path::PathBuf;

use serde_json::json;
use tenure_proto::model::Model;
use tenure_proto::trust;
use tenure_server::check::{self, Finding, Refreshed};
use tenure_server::disk;

use crate::api::{self, Remote, Server};
use crate::cli::Site;
use crate::folder;
use crate::repo::{self, Repo};
use crate::words;

/// The options of `model image`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example, as a step of the image's build:
  tenurectl model image acme-gw1 --out rootfs/usr/lib/tenure

Writes root.json, the newest root, from which a device follows all later ones; and backstop.json, the \
versions and the time below which a device believes nothing, even if it has lost its state. Where you \
have logged in to a server, both say what is live there. Run it for every image that you build.")]
pub(crate) struct Args {
    /// The model
    model: Model,
    /// The folder to write into
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The server was not read.
    #[error("cannot follow {url}, whose versions the image has to know: try again later")]
    Server {
        /// The server.
        url: String,
        /// Why.
        #[source]
        source: Finding,
    },
    /// The manufacturer's folder.
    #[error(transparent)]
    Folder(#[from] folder::Error),
    /// The repository.
    #[error(transparent)]
    Repo(#[from] repo::Error),
    /// The login to the server.
    #[error(transparent)]
    Login(#[from] api::Error),
    /// A file that does not write.
    #[error(transparent)]
    Write(#[from] disk::Error),
}

/// Runs `model image`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), Error> {
    let (model, now) = (site.folder()?.model(&args.model)?, site.clock.now());
    let repo = Repo::open(&model, now)?;
    let live = live(site, &args.model, model.read_factory_root()?)?;
    let (set, root) = match &live {
        Some(Refreshed { set, held }) => (set, held.root.as_slice()),
        None => (&repo.set, repo.root_bytes()),
    };
    let backstop = json!({
        "root": set.root().head.version,
        "timestamp": set.timestamp().head.version,
        "snapshot": set.snapshot().head.version,
        "built_at": now,
    });
    disk::replace(&args.out.join("root.json"), root, disk::PUBLIC)?;
    disk::replace(&args.out.join("backstop.json"), format!("{backstop}\n").as_bytes(), disk::PUBLIC)?;
    let (dir, version) = (args.out.display(), set.root().head.version);
    site.screen.say(format!("{dir}/root.json: root {version} of {}", model.designation));
    site.screen.say(format!("{dir}/backstop.json: nothing older than today, {}, is believed", words::instant(now)));
    site.screen.answer(&json!({"model": args.model, "out": args.out, "backstop": backstop, "live": live.is_some()}));
    Ok(())
}

/// What is live on the server, if there is one and it has the model.
fn live(site: &Site, model: &Model, root: Vec<u8>) -> Result<Option<Refreshed>, Error> {
    let Some(server) = Server::open_if_logged_in(&site.dir)? else { return Ok(None) };
    let remote = Remote::new(&server, model);
    match check::refresh(check::factory(root), site.clock.now(), model, |want| remote.metadata(want)) {
        Ok(live) => Ok(Some(live)),
        Err(Finding::Refused(trust::Error::Absent { name })) if name == "timestamp.json" => Ok(None),
        Err(source) => Err(Error::Server { url: server.url().to_string(), source }),
    }
}
