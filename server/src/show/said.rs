//! In which language a public page speaks: as its address says (`?lang=de`), or as the browser wishes.

use std::borrow::Borrow;
use std::convert::Infallible;
use std::fmt::Display;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use tenure_proto::time::Day;
use tenure_proto::words::{Language, fill};

use super::address;
use crate::app::App;

/// The language of an answer, and the page that gives it.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    /// The language.
    pub(crate) language: Language,
    /// Whether the address names it.
    pub(crate) is_named: bool,
    /// The page's path.
    pub(crate) path: String,
    /// The host that was asked, if it can be one.
    host: Option<String>,
}

impl<S: Sync> FromRequestParts<S> for Said {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let named = parts.uri.query().unwrap_or_default().split('&').find_map(|pair| pair.strip_prefix("lang="));
        let named = named.and_then(|code| code.parse().ok());
        let language = named.unwrap_or_else(|| wish(&parts.headers));
        let (path, host) = (parts.uri.path().to_string(), address::host(&parts.headers));
        Ok(Self { language, is_named: named.is_some(), path, host })
    }
}

fn wish(headers: &HeaderMap) -> Language {
    let wish = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    wish.map(Language::preferred).unwrap_or_default()
}

impl Said {
    /// What an address of ours needs so that the language stays.
    pub(crate) fn query(&self) -> String {
        if self.is_named { format!("?lang={}", self.language) } else { String::new() }
    }

    /// The same with one more word.
    pub(crate) fn query_with(&self, name: &str, value: impl Display) -> String {
        let and = if self.is_named { format!("&lang={}", self.language) } else { String::new() };
        format!("?{name}={value}{and}")
    }

    /// Where people reach us.
    pub(super) fn base(&self, app: &App) -> String {
        address::base(app, self.host.as_deref())
    }

    /// Every language, for the list of them.
    pub(crate) fn languages() -> [Language; 5] {
        Language::ALL
    }

    /// A day in words.
    pub(crate) fn day(&self, day: impl Borrow<Day>) -> String {
        self.language.day(*day.borrow())
    }

    /// A template with one place filled.
    #[expect(clippy::unused_self, clippy::needless_pass_by_value, reason = "the shape in which templates call it")]
    pub(crate) fn with(&self, template: &str, place: &str, value: impl ToString) -> String {
        fill(template, &[(place, &value.to_string())])
    }

    /// A template with a day.
    pub(crate) fn with_day(&self, template: &str, day: impl Borrow<Day>) -> String {
        self.with(template, "day", self.day(day))
    }

    /// Some days in words.
    pub(crate) fn days(&self, days: i64) -> String {
        let words = tenure_proto::words::Record::of(self.language);
        if days == 1 { words.day_one.into() } else { self.with(words.days, "days", days) }
    }

    /// Says to browsers and caches which language it is. Caches may keep it for five minutes: an
    /// extension is seen soon.
    pub(crate) fn mark(&self, mut response: Response) -> Response {
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
        headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(self.language.code()));
        if !self.is_named {
            headers.insert(header::VARY, HeaderValue::from_static("Accept-Language"));
        }
        response
    }
}
