//! `tuf-client`: Tenure's update client by the command protocol of TUF's conformance suite, so
//! that anybody can judge it.
//!
//! ```text
//! tuf-client --metadata-dir D init ROOT
//! tuf-client --metadata-dir D --metadata-url U refresh
//! tuf-client --metadata-dir D --metadata-url U --target-name P [--target-name P2 …]
//!            --target-dir T --target-base-url B download
//! ```
//!
//! Exit 0, or 1 whatever went wrong. Flags may stand before or after the verb.

mod options;
mod source;
mod store;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use tenure_proto::limits;
use tenure_proto::metadata::{Root, Signed};
use tenure_proto::time::Timestamp;
use tenure_proto::trust::{Refresh, TrustedSet};
use tenure_tests::ensure;
use tenure_tests::failure::{Context as _, Failure, Result};

use crate::options::{Download, Options, Verb};
use crate::source::Source;
use crate::store::Store;

fn main() -> ExitCode {
    let said = match Options::read(std::env::args_os().skip(1)).and_then(|options| run(&options)) {
        Ok(()) => return ExitCode::SUCCESS,
        Err(failure) => format!("tuf-client: {failure}\n"),
    };
    // Nobody may be there to read it, and the code is what counts.
    std::io::stderr().write_all(said.as_bytes()).unwrap_or_default();
    ExitCode::from(1)
}

fn run(options: &Options) -> Result<()> {
    let store = Store::open(&options.metadata_dir)?;
    match &options.verb {
        Verb::Init { root } => init(&store, root),
        Verb::Refresh { metadata_url } => refresh(&store, metadata_url)?.end().map(drop),
        Verb::Download(what) => download(&store, what),
    }
}

/// Takes a first root on trust. Whether its keys have signed it, the first refresh judges.
fn init(store: &Store, root: &std::path::Path) -> Result<()> {
    let bytes = store::read(root, limits::ROOT_BYTES_MAX)?.context("there is no such root file")?;
    Signed::<Root>::parse(&bytes).context("this is no root")?;
    store.begin(&bytes)
}

/// A refresh under way, and where its files come from and go to.
struct Client<'a> {
    store: &'a Store,
    source: Source,
    refresh: Refresh,
}

impl Client<'_> {
    /// Brings the files that are wanted, until none is.
    fn go_on(&mut self) -> Result<()> {
        while let Some(want) = self.refresh.want() {
            let bytes = self.source.get(&want.file, want.bytes_max)?;
            let changes = self.refresh.supply(bytes.as_deref()).context(&want.file)?;
            self.store.apply(&changes, bytes.as_deref().unwrap_or_default())?;
        }
        Ok(())
    }

    fn end(&self) -> Result<TrustedSet> {
        self.refresh.clone().finish().context("cannot refresh")
    }
}

fn refresh<'a>(store: &'a Store, metadata_url: &str) -> Result<Client<'a>> {
    let source = Source::at(metadata_url)?;
    let held = store.load()?;
    let refresh = Refresh::start_anywhere(held, now()?).context("cannot start from the trusted files")?;
    let mut client = Client { store, source, refresh };
    client.go_on()?;
    Ok(client)
}

/// Fetches the targets in the order in which they are named, up to the first that fails.
fn download(store: &Store, what: &Download) -> Result<()> {
    let targets = Source::at(&what.target_base_url)?;
    let mut client = refresh(store, &what.metadata_url)?;
    client.end()?;
    for name in &what.target_names {
        client.refresh.look_for(name).context(name)?;
        client.go_on()?;
        let fetched = fetch(&client.end()?, &targets, what, name);
        fetched.map_err(|failure| Failure::new(format_args!("cannot fetch {name}: {failure}")))?;
    }
    Ok(())
}

fn fetch(trusted: &TrustedSet, targets: &Source, what: &Download, name: &str) -> Result<()> {
    let target = trusted.target(name)?;
    let file = what.target_dir.join(store::encoded(name));
    let present = store::read(&file, target.length).unwrap_or_default();
    if present.is_some_and(|bytes| trusted.check(name, &bytes).is_ok()) {
        return Ok(());
    }
    let place = source::in_url(&trusted.file_name(name)?);
    let bytes = targets.get(&place, target.length)?.context("the repository does not have it")?;
    trusted.check(name, &bytes)?;
    std::fs::create_dir_all(&what.target_dir).context("cannot make the target folder")?;
    store::replace(&file, &bytes)
}

/// The time of the C library, which a test may move.
fn now() -> Result<Timestamp> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock stands before 1970")?;
    let seconds = i64::try_from(since.as_secs()).map_err(Failure::new)?;
    let now = Timestamp::from_unix_s(seconds).context("the clock stands at no time")?;
    ensure!(seconds > 0, "the clock stands at no time");
    Ok(now)
}
