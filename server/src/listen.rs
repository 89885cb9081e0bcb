//! Takes connections, within bounds, until it is told to stop; then finishes what is under way.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::app::{self, App, Handle};
use crate::auth::Peer;
use crate::error::ApiError;
use crate::publish::{self, index};
use crate::{jobs, mail, router, watch};

/// How long a client may take for the head of a request, and be idle between two.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// How large the head of a request may be.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// How many connections are open at a time.
const CONNECTIONS_MAX: usize = 4096;
/// How long requests under way may go on after the order to stop.
const STOP_TIME: Duration = Duration::from_secs(20);

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    app: Handle,
    listener: TcpListener,
    address: SocketAddr,
}

/// Why the server does not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data folder or database cannot be used.
    #[error(transparent)]
    App(#[from] app::Error),
    /// The address cannot be used.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What an earlier run left cannot be cleaned away.
    #[error("cannot clean the staging folder")]
    Staging(#[source] io::Error),
    /// The live repositories could not be looked through.
    #[error("cannot look through the live repositories: {0}")]
    Repositories(String),
}

impl Server {
    /// Listens, after everything that an earlier run left is in order.
    pub async fn start(app: Arc<App>) -> Result<Self, Error> {
        publish::clean(&app.folders.staging()).map_err(Error::Staging)?;
        let failed = |error: ApiError| {
            error.log();
            Error::Repositories(error.detail)
        };
        jobs::renew_all(&app).await.map_err(failed)?;
        index::rebuild(&app).await.map_err(failed)?;
        let failed = |source| Error::Listen { address: app.config.listen, source };
        let listener = TcpListener::bind(app.config.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { app, listener, address })
    }

    /// Where it is reached from this machine, or under its public address.
    pub fn url(&self) -> String {
        let host = if self.address.ip().is_unspecified() { "127.0.0.1".into() } else { self.host() };
        format!("http://{host}:{}", self.address.port())
    }

    fn host(&self) -> String {
        let ip = self.address.ip();
        if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() }
    }

    /// Serves until `stop`; then finishes the requests under way, within bounds.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let tasks = [
            tokio::spawn(jobs::renew_forever(self.app.clone())),
            tokio::spawn(jobs::flush_forever(self.app.clone())),
            tokio::spawn(mail::deliver_forever(self.app.clone())),
            tokio::spawn(watch::forever(self.app.clone())),
        ];
        let (router, graceful) = (router::router(self.app.clone()), GracefulShutdown::new());
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        tokio::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = self.listener.accept() => accepted,
            };
            match (accepted, Arc::clone(&places).try_acquire_owned()) {
                (Ok((stream, peer)), Ok(place)) => {
                    let connection = graceful.watch(connection(stream, peer, router.clone()));
                    tokio::spawn(async move {
                        // A connection that ends badly is the client's affair.
                        let _ended = connection.await;
                        drop(place);
                    });
                }
                (Ok(_), Err(_)) => {
                    tracing::warn!(connections = CONNECTIONS_MAX, "too many connections; one was turned away");
                }
                (Err(error), _) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        drop(self.listener);
        tracing::info!("stopping; requests under way are finished");
        if tokio::time::timeout(STOP_TIME, graceful.shutdown()).await.is_err() {
            tracing::warn!("some requests took too long and were cut");
        }
        tasks.iter().for_each(tokio::task::JoinHandle::abort);
        self.app.close().await;
    }
}

fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
) -> impl GracefulConnection<Error = hyper::Error> + Send {
    // Small answers go out at once.
    let _unset = stream.set_nodelay(true);
    let service = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(Peer(peer.ip()));
        service.call(request)
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
}
