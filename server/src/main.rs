//! `tenure-server`: parses the command line, runs, prints what went wrong.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tenure_server::app::{self, App};
use tenure_server::config::{self, Config, Stated};
use tenure_server::listen::{self, Server};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// The update server of Tenure.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves devices, owners and operators. Needs no configuration.
    Serve(Serve),
}

#[derive(Debug, clap::Args)]
struct Serve {
    /// The address and port to listen on [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// The data folder [default: ./tenure-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// A configuration file; drop-ins lie beside it (server.toml, server.d/*.toml)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Why the server ended.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot load the settings")]
    Config(#[from] config::Error),
    #[error("cannot start")]
    App(#[from] app::Error),
    #[error("cannot start")]
    Listen(#[from] listen::Error),
    #[error("cannot wait for signals")]
    Signals(#[source] std::io::Error),
    #[error("cannot write to standard output")]
    Output(#[source] std::io::Error),
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let Command::Serve(serve) = Cli::parse().command;
    match run(serve).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _unheard = writeln!(std::io::stderr(), "error: {}", tenure_server::error::chain(&error));
            ExitCode::FAILURE
        }
    }
}

async fn run(serve: Serve) -> Result<(), Error> {
    let flags = Stated { listen: serve.listen, data: serve.data, ..Stated::default() };
    let app = App::open(Config::load(serve.config.as_deref(), flags)?).await?;
    let server = Server::start(app.clone()).await?;
    let stop = stop_signal().map_err(Error::Signals)?;
    say(&format!("listening on {}", server.url()))?;
    if let Some(token) = app.setup_token().await? {
        say(&format!("first administrator: {}/setup/{token}", server.url()))?;
    }
    server.run(stop).await;
    Ok(())
}

fn say(line: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(Error::Output)
}

/// Ends at the first SIGTERM or SIGINT.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
