//! The way to a server: its static files as a device reads them, and its API.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tenure_proto::checkin::Problem;
use tenure_proto::model::Model;
use tenure_proto::trust::Want;
use tenure_server::check::{Files, OpenFile, SourceError};
use tenure_server::{disk, keys};
use ureq::http::{Request, Response, StatusCode, header};
use ureq::{Agent, AsSendBody, Body, SendBody};

/// The most bytes of an answer that are read.
const ANSWER_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// How long one step of a request may take.
const STEP_S: u64 = 60;
/// How long a server may read what was pushed before it answers.
const COMMIT_S: u64 = 2 * 3600;
/// The version of `server.toml` that is written.
const FILE_VERSION: u32 = 1;

/// Why a server did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Not an address of a server.
    #[error("{url:?} is no address of a server, such as https://updates.example.com")]
    Url {
        /// What was given.
        url: String,
    },
    /// No `server.toml`.
    #[error("not logged in to a server: there is no {}; run: tenurectl login URL --user NAME --password-stdin", path.display())]
    NotLoggedIn {
        /// Where the token would be.
        path: PathBuf,
    },
    /// A `server.toml` that cannot be used.
    #[error("cannot read {}", path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: SourceError,
    },
    /// Others may read the token.
    #[error("{} holds a secret and can be read by others; run: chmod 600 {}", path.display(), path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// No answer.
    #[error("cannot reach {url}")]
    Unreachable {
        /// The address.
        url: String,
        /// Why.
        #[source]
        source: Box<ureq::Error>,
    },
    /// An answer that says no.
    #[error("the server refused {what}: {} ({}, {})", problem.detail, problem.code, problem.status)]
    Refused {
        /// What was asked.
        what: String,
        /// What it says.
        problem: Problem,
    },
    /// An answer that no Tenure server gives.
    #[error("{what} was answered with status {status}, and no reason; is {url} a Tenure server?")]
    Strange {
        /// What was asked.
        what: String,
        /// The status.
        status: u16,
        /// The server.
        url: String,
    },
    /// An answer that does not read.
    #[error("cannot read the answer to {what}")]
    Answer {
        /// What was asked.
        what: String,
        /// Why.
        #[source]
        source: SourceError,
    },
    /// A file that does not read while it is sent.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Settings that cannot be composed, which is a fault of ours.
    #[error("cannot write settings")]
    Compose(#[from] toml::ser::Error),
    /// Settings that cannot be written.
    #[error(transparent)]
    Write(#[from] disk::Error),
    /// A key that cannot be read or written.
    #[error(transparent)]
    Keys(#[from] keys::Error),
}

/// `server.toml`: which server, and the token that it knows us by.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Login {
    version: u32,
    url: String,
    token: String,
}

/// A server.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    agent: Agent,
    url: String,
    token: Option<String>,
}

impl Server {
    /// Names a server, without a login.
    pub(crate) fn new(url: &str) -> Result<Self, Error> {
        let bad = || Error::Url { url: url.to_string() };
        let parsed: ureq::http::Uri = url.parse().map_err(|_| bad())?;
        if !matches!(parsed.scheme_str(), Some("http" | "https")) || parsed.host().is_none() || parsed.query().is_some()
        {
            return Err(bad());
        }
        Ok(Self { agent: agent(STEP_S), url: url.trim_end_matches('/').to_string(), token: None })
    }

    /// Opens the server that this folder logged in to.
    pub(crate) fn open(dir: &Path) -> Result<Self, Error> {
        use std::os::unix::fs::PermissionsExt as _;
        let path = login_path(dir);
        let failed = |source: SourceError| Error::Settings { path: path.clone(), source };
        let metadata = match path.metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Error::NotLoggedIn { path }),
            Err(error) => return Err(failed(error.into())),
        };
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(Error::Exposed { path });
        }
        let text = std::fs::read_to_string(&path).map_err(|error| failed(error.into()))?;
        let login: Login = toml::from_str(&text).map_err(|error| failed(error.into()))?;
        Ok(Self { token: Some(login.token), ..Self::new(&login.url)? })
    }

    /// Takes up the login of the folder, if there is one.
    pub(crate) fn open_if_logged_in(dir: &Path) -> Result<Option<Self>, Error> {
        match Self::open(dir) {
            Err(Error::NotLoggedIn { .. }) => Ok(None),
            server => server.map(Some),
        }
    }

    /// Keeps the login in this folder, for its owner's eyes only.
    pub(crate) fn keep(&self, dir: &Path, token: &str) -> Result<PathBuf, Error> {
        let login = Login { version: FILE_VERSION, url: self.url.clone(), token: token.to_string() };
        let path = login_path(dir);
        disk::replace(&path, toml::to_string_pretty(&login)?.as_bytes(), disk::SECRET)?;
        Ok(path)
    }

    /// Its address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Whether what is sent can be read on the way: not encrypted, and to another machine.
    pub(crate) fn is_overheard(&self) -> bool {
        let near = ["http://127.", "http://localhost", "http://[::1]"];
        self.url.starts_with("http://") && !near.iter().any(|start| self.url.starts_with(start))
    }

    /// Asks for JSON at `path`, which may carry a query.
    pub(crate) fn get(&self, path: &str) -> Result<(Value, Option<String>), Error> {
        let response = self.send("GET", path, (), None)?;
        let next = response.headers().get(header::LINK).and_then(|link| next_page(link.to_str().ok()?));
        Ok((json(path, response)?, next))
    }

    /// Sends JSON to `path` and takes the JSON that answers it.
    pub(crate) fn post(&self, path: &str, value: &Value) -> Result<Value, Error> {
        let response = self.send("POST", path, value.to_string(), Some("application/json"))?;
        json(path, response)
    }

    /// Changes what is at `path` by a JSON merge patch and takes the JSON that answers it.
    pub(crate) fn patch(&self, path: &str, value: &Value) -> Result<Value, Error> {
        let response = self.send("PATCH", path, value.to_string(), Some("application/merge-patch+json"))?;
        json(path, response)
    }

    /// Puts JSON to `path`.
    pub(crate) fn put(&self, path: &str, value: &Value) -> Result<(), Error> {
        self.send("PUT", path, value.to_string(), Some("application/json")).map(drop)
    }

    /// Has what is at `path` removed.
    pub(crate) fn delete(&self, path: &str) -> Result<(), Error> {
        self.send("DELETE", path, (), None).map(drop)
    }

    /// Asks for something that takes the server long.
    pub(crate) fn post_patiently(&self, path: &str, body: &Value) -> Result<Value, Error> {
        let patient = Self { agent: agent(COMMIT_S), ..self.clone() };
        let response = patient.send("POST", path, body.to_string(), None)?;
        json(path, response)
    }

    /// Uploads bytes.
    pub(crate) fn upload(&self, path: &str, bytes: &[u8]) -> Result<(), Error> {
        self.send("PUT", path, bytes, None).map(drop)
    }

    /// Uploads a file of any size; `progress` hears of the bytes.
    pub(crate) fn upload_file(
        &self,
        path: &str,
        file: &Path,
        progress: impl FnMut(u64) + 'static,
    ) -> Result<(), Error> {
        let failed = |source| Error::Read { path: file.to_path_buf(), source };
        let open = File::open(file).map_err(failed)?;
        let length = open.metadata().map_err(failed)?.len();
        let body = SendBody::from_owned_reader(Counted { inner: open.take(length), progress });
        // The server reads to the end before it answers; the file has a place in the page cache.
        let patient = Self { agent: agent(COMMIT_S), ..self.clone() };
        let request = patient.request("PUT", path, None).header(header::CONTENT_LENGTH, length);
        patient.run("PUT", path, request, body).map(drop)
    }

    /// Whether the server has the file at `path`.
    pub(crate) fn has(&self, path: &str) -> Result<bool, Error> {
        let response = self.raw("HEAD", path)?;
        match response.status() {
            StatusCode::NOT_FOUND => Ok(false),
            status if status.is_success() => Ok(true),
            _ => Err(self.refusal("HEAD", path, response)),
        }
    }

    /// The bytes of a file, `None` if there is none.
    pub(crate) fn file(&self, path: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, Error> {
        let response = self.raw("GET", path)?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !response.status().is_success() {
            return Err(self.refusal("GET", path, response));
        }
        // One byte more than allowed, so that a file that is too long is seen to be.
        read(path, response, bytes_max + 1).map(Some)
    }

    /// Asks, whatever the status of the answer.
    fn raw(&self, method: &'static str, path: &str) -> Result<Response<Body>, Error> {
        let request = self.request(method, path, None).body(());
        self.agent
            .run(request.map_err(|error| self.unreachable(error.into()))?)
            .map_err(|error| self.unreachable(error))
    }

    fn request(&self, method: &'static str, path: &str, kind: Option<&'static str>) -> ureq::http::request::Builder {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        match kind {
            Some(kind) => request.header(header::CONTENT_TYPE, kind),
            None => request,
        }
    }

    fn send(
        &self,
        method: &'static str,
        path: &str,
        body: impl AsSendBody,
        kind: Option<&'static str>,
    ) -> Result<Response<Body>, Error> {
        let request = self.request(method, path, kind);
        self.run(method, path, request, body)
    }

    fn run(
        &self,
        method: &'static str,
        path: &str,
        request: ureq::http::request::Builder,
        body: impl AsSendBody,
    ) -> Result<Response<Body>, Error> {
        let request = request.body(body).map_err(|error| self.unreachable(error.into()))?;
        let response = self.agent.run(request).map_err(|error| self.unreachable(error))?;
        if response.status().is_success() { Ok(response) } else { Err(self.refusal(method, path, response)) }
    }

    fn unreachable(&self, source: ureq::Error) -> Error {
        Error::Unreachable { url: self.url.clone(), source: Box::new(source) }
    }

    fn refusal(&self, method: &str, path: &str, response: Response<Body>) -> Error {
        let (what, status) = (format!("{method} {path}"), response.status().as_u16());
        let problem = read(&what, response, ANSWER_BYTES_MAX).ok();
        match problem.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
            Some(problem) => Error::Refused { what, problem },
            None => Error::Strange { what, status, url: self.url.clone() },
        }
    }
}

fn json(what: &str, response: Response<Body>) -> Result<Value, Error> {
    let bytes = read(what, response, ANSWER_BYTES_MAX)?;
    serde_json::from_slice(&bytes).map_err(|source| Error::Answer { what: what.to_string(), source: source.into() })
}

fn agent(step_s: u64) -> Agent {
    let step = Some(Duration::from_secs(step_s));
    let config = Agent::config_builder().http_status_as_error(false).max_redirects(3);
    let config = config.user_agent(concat!("tenurectl/", env!("CARGO_PKG_VERSION")));
    let config = config.timeout_connect(Some(Duration::from_secs(10)));
    config.timeout_recv_response(step).timeout_per_read(step).timeout_per_write(step).build().new_agent()
}

fn login_path(dir: &Path) -> PathBuf {
    dir.join("server.toml")
}

fn read(what: &str, response: Response<Body>, bytes_max: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let failed = |source: io::Error| Error::Answer { what: what.to_string(), source: source.into() };
    response.into_body().into_reader().take(bytes_max).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// The address of the next page in a `Link` header, below the server's address.
fn next_page(link: &str) -> Option<String> {
    let next = link.split(',').find(|part| part.contains("rel=\"next\""))?;
    let address = next.split_once('<')?.1.split_once('>')?.0;
    // Our own server only: an address elsewhere would get the token.
    address.starts_with('/').then(|| address.to_string())
}

/// A reader that says how far it is.
struct Counted<R, P> {
    inner: R,
    progress: P,
}

impl<R: Read, P: FnMut(u64)> Read for Counted<R, P> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.inner.read(buffer)?;
        (self.progress)(bytes as u64);
        Ok(bytes)
    }
}

/// A model's repository on a server, read as a device reads it.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    server: Server,
    base: String,
}

impl Remote {
    /// Names the repository of `model`.
    pub(crate) fn new(server: &Server, model: &Model) -> Self {
        // Without the login: a device has none.
        Self { server: Server { token: None, ..server.clone() }, base: format!("/repo/{model}") }
    }

    /// Brings a metadata file.
    pub(crate) fn metadata(&self, want: &Want) -> Result<Option<Vec<u8>>, Error> {
        self.server.file(&format!("{}/metadata/{}", self.base, want.file), want.bytes_max)
    }

    /// Whether the target file `name` is there.
    pub(crate) fn has(&self, name: &str) -> Result<bool, Error> {
        self.server.has(&format!("{}/targets/{name}", self.base))
    }
}

impl Files for Remote {
    type Reader = Lazy;

    fn open(&mut self, name: &str) -> Result<Option<OpenFile<Lazy>>, SourceError> {
        let path = format!("{}/targets/{name}", self.base);
        let response = self.server.raw("HEAD", &path)?;
        match response.status() {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => {
                let length = response.headers().get(header::CONTENT_LENGTH);
                let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
                Ok(Some(OpenFile { reader: Lazy { server: self.server.clone(), path, body: None }, length }))
            }
            _ => Err(self.server.refusal("HEAD", &path, response).into()),
        }
    }
}

/// A file that is asked for when its first byte is.
pub(crate) struct Lazy {
    server: Server,
    path: String,
    body: Option<Box<dyn Read>>,
}

impl Read for Lazy {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.body.is_none() {
            let response = self.server.raw("GET", &self.path).map_err(io::Error::other)?;
            if !response.status().is_success() {
                return Err(io::Error::other(self.server.refusal("GET", &self.path, response)));
            }
            self.body = Some(Box::new(response.into_body().into_reader()));
        }
        self.body.as_mut().map_or(Ok(0), |body| body.read(buffer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_of_a_server_is_taken() {
        for url in ["", "updates.example.com", "ftp://a", "http://", "/x", "http://a/?q"] {
            assert!(matches!(Server::new(url), Err(Error::Url { .. })), "{url}");
        }
        assert_eq!(Server::new("http://127.0.0.1:8080/").unwrap().url(), "http://127.0.0.1:8080");
        for (url, overheard) in
            [("http://127.0.0.1:8080", false), ("http://updates.example", true), ("https://updates.example", false)]
        {
            assert_eq!(Server::new(url).unwrap().is_overheard(), overheard, "{url}");
        }
    }

    #[test]
    fn the_next_page_is_on_the_same_server() {
        assert_eq!(next_page("</api/v1/devices?after=x>; rel=\"next\"").as_deref(), Some("/api/v1/devices?after=x"));
        assert_eq!(next_page("<https://elsewhere.example/>; rel=\"next\""), None);
        assert_eq!(next_page("</a>; rel=\"prev\""), None);
    }

    #[test]
    fn a_login_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(Server::open(dir.path()), Err(Error::NotLoggedIn { .. })));
        let path = Server::new("https://u.example").unwrap().keep(dir.path(), "t0ken").unwrap();
        assert_eq!(Server::open(dir.path()).unwrap().token.as_deref(), Some("t0ken"));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Server::open(dir.path()), Err(Error::Exposed { .. })));
    }
}
