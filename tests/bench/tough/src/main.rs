//! One refresh by `tough`: `tenure-bench-tough ROOT METADATA_URL TARGETS_URL DATASTORE_DIR`.

use std::process::ExitCode;

use tough::{Limits, RepositoryLoader};
use url::Url;

fn main() -> ExitCode {
    match refresh() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tough: error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn refresh() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let [root, metadata, targets, datastore] = words.as_slice() else { return Err("expected four words".into()) };
    let (root, metadata, targets) = (std::fs::read(root)?, Url::parse(metadata)?, Url::parse(targets)?);
    let limits = Limits { max_root_updates: 2000, ..Limits::default() };
    let loader = RepositoryLoader::new(&root, metadata, targets).limits(limits).datastore(datastore);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let repository = runtime.block_on(loader.load())?;
    println!("{}", repository.root().signed.version);
    Ok(())
}
