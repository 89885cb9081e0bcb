//! The server's API, spoken to without our own client.

use std::time::Duration;

use serde_json::{Value, json};

use crate::failure::{Context as _, Result};

/// A client of the server's API.
#[derive(Debug)]
pub struct Api {
    agent: ureq::Agent,
    url: String,
    token: Option<String>,
}

/// An answer: its status and its body, as JSON if it is JSON and as text if not.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Value,
}

/// An operator who is signed in with a browser.
#[derive(Debug)]
pub struct Operator {
    api: Api,
    cookie: String,
}

impl Operator {
    /// Signs in.
    pub fn sign_in(url: &str, user: &str, password: &str) -> Result<Self> {
        let config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0);
        let api = Api { agent: config.build().into(), ..Api::anonymous(url) };
        let form = [("user", user), ("password", password)];
        let answer = api.agent.post(format!("{}/login", api.url)).header("origin", &api.url).send_form(form);
        let answer = answer.context("cannot sign in")?;
        let cookie = answer.headers().get("set-cookie").and_then(|cookie| cookie.to_str().ok());
        let cookie = cookie.and_then(|cookie| cookie.split(';').next()).context("no session")?.to_owned();
        Ok(Self { api, cookie })
    }

    /// What stands on the page at `path`.
    pub fn page(&self, path: &str) -> Result<String> {
        let page = self.api.agent.get(format!("{}{path}", self.api.url)).header("cookie", &self.cookie).call();
        page.context("cannot get a page")?.body_mut().read_to_string().context("cannot read a page")
    }
}

impl Api {
    /// A client without a token: what anyone can ask.
    pub fn anonymous(url: &str) -> Self {
        let config =
            ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(30)));
        Self { agent: config.build().into(), url: url.trim_end_matches('/').into(), token: None }
    }

    /// A client with a token of this user's.
    pub fn login(url: &str, user: &str, password: &str) -> Result<Self> {
        let mut api = Self::anonymous(url);
        let answer = api.post("/api/v1/tokens", &json!({"user": user, "password": password}))?;
        let token = answer.body.get("api_token").and_then(Value::as_str);
        api.token = Some(token.context(format_args!("no token: {answer:?}"))?.to_owned());
        Ok(api)
    }

    /// GET.
    pub fn get(&self, path: &str) -> Result<Response> {
        let mut request = self.agent.get(format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        read(request.call().context(format_args!("cannot GET {path}"))?)
    }

    /// POST of JSON.
    pub fn post(&self, path: &str, body: &Value) -> Result<Response> {
        let mut request = self.agent.post(format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        read(request.send_json(body).context(format_args!("cannot POST {path}"))?)
    }

    /// PUT of bytes.
    pub fn put(&self, path: &str, body: &[u8]) -> Result<Response> {
        let mut request = self.agent.put(format!("{}{path}", self.url)).content_type("application/octet-stream");
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        read(request.send(body).context(format_args!("cannot PUT {path}"))?)
    }

    /// The reports of the devices, the newest first or last as the server gives them.
    pub fn reports(&self) -> Result<Vec<Value>> {
        self.list("/api/v1/reports", "reports")
    }

    /// The devices.
    pub fn devices(&self) -> Result<Vec<Value>> {
        self.list("/api/v1/devices", "devices")
    }

    fn list(&self, path: &str, name: &str) -> Result<Vec<Value>> {
        let answer = self.get(path)?;
        ensure!(answer.status == 200, "GET {path}: {answer:?}");
        let items = answer.body.get(name).or_else(|| answer.body.get("items")).unwrap_or(&answer.body);
        Ok(items.as_array().context(format_args!("GET {path} gives no list: {}", answer.body))?.clone())
    }
}

fn read(mut response: ureq::http::Response<ureq::Body>) -> Result<Response> {
    let status = response.status().as_u16();
    let text = response.body_mut().read_to_string().context("cannot read an answer")?;
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Ok(Response { status, body })
}
