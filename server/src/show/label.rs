//! The label for a box: until when, the fingerprint, and a code to scan. It names the model and no
//! unit, so that nobody who scans it is followed.

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use qrcodegen::{QrCode, QrCodeEcc};
use tenure_proto::words::{Language, Record, Takeaway};

use super::address::xml;
use super::facts::Facts;
use super::public::home;
use super::said::Said;
use crate::app::{App, Handle};
use crate::error::ApiError;
use crate::pdf::Paper;

/// The white around a code, in squares (ISO/IEC 18004).
const QUIET: i32 = 4;

/// What stands on a label.
struct Label {
    product: String,
    before: &'static str,
    day: String,
    fingerprint: String,
    code: String,
    scan: &'static str,
    link: String,
}

impl Label {
    async fn of(app: &App, said: &Said, name: &str) -> Result<Self, ApiError> {
        let facts = Facts::of(app, name).await?;
        let (promise, words, base) = (facts.promise(), Takeaway::of(said.language), said.base(app));
        Ok(Self {
            product: promise.designation.clone(),
            before: words.label_until,
            day: said.day(promise.ends),
            fingerprint: format!("{}: {}", Record::of(said.language).fingerprint, facts.declared.fingerprint.words()),
            code: facts.declared.fingerprint.code(),
            scan: words.label_scan,
            link: promise.identifiers.digital_link(&base).unwrap_or_else(|| base + &home(facts.model())),
        })
    }

    fn svg(&self, said: &Said) -> Result<String, ApiError> {
        let code = QrCode::encode_text(&self.link, QrCodeEcc::Medium).map_err(ApiError::internal)?;
        let side = code.size() + 2 * QUIET;
        let dark = (0..code.size()).flat_map(|y| (0..code.size()).map(move |x| (x, y)));
        let path = dark
            .filter(|(x, y)| code.get_module(*x, *y))
            .fold(String::new(), |path, (x, y)| path + &format!("M{} {}h1v1h-1z", x + QUIET, y + QUIET));
        let line = |y: u32, size: usize, weight: u32, text: &str| {
            let (size_px, width) = (size, 400);
            // A long line is pressed into its place; a short one stays as it is.
            let fits = text.chars().count() * size_px * 6 / 10 <= width;
            let pressed =
                if fits { String::new() } else { format!(" textLength=\"{width}\" lengthAdjust=\"spacingAndGlyphs\"") };
            format!(
                "<text x=\"216\" y=\"{y}\" font-size=\"{size}\" font-weight=\"{weight}\"{pressed}>{}</text>\n",
                xml(text)
            )
        };
        Ok(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"96mm\" height=\"32mm\" viewBox=\"0 0 640 213\" role=\"img\" \
             aria-labelledby=\"title\" lang=\"{}\">\n<title id=\"title\">{}</title>\n\
             <rect width=\"640\" height=\"213\" fill=\"#fff\"/>\n\
             <svg x=\"4\" y=\"4\" width=\"205\" height=\"205\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\"><path d=\"{path}\"/></svg>\n\
             <g font-family=\"Helvetica,Arial,DejaVu Sans,sans-serif\">\n{}{}{}{}{}{}</g>\n</svg>\n",
            said.language,
            xml(&format!("{}: {} {}. {} {}", self.product, self.before, self.day, self.fingerprint, self.code)),
            line(32, 22, 700, &self.product),
            line(66, 17, 400, self.before),
            line(104, 32, 700, &self.day),
            line(142, 16, 400, &self.fingerprint),
            line(166, 16, 400, &self.code),
            line(194, 15, 400, self.scan),
        ))
    }

    fn pdf(&self, language: Language) -> Vec<u8> {
        let mut paper = Paper::new(&self.product, language);
        paper.title(&self.product);
        paper.text(self.before);
        paper.title(&self.day);
        let beside = [&self.fingerprint, &self.code].into_iter().cloned().chain([
            String::new(),
            self.scan.into(),
            self.link.clone(),
        ]);
        paper.qr(&self.link, &beside.collect::<Vec<_>>());
        paper.finish()
    }
}

/// `GET /p/{model}/label.svg`
pub(crate) async fn svg(State(app): State<Handle>, said: Said, Path(name): Path<String>) -> Result<Response, ApiError> {
    let svg = Label::of(&app, &said, &name).await?.svg(&said)?;
    Ok(said.mark(([(header::CONTENT_TYPE, "image/svg+xml; charset=utf-8")], svg).into_response()))
}

/// `GET /p/{model}/label.pdf`
pub(crate) async fn pdf(State(app): State<Handle>, said: Said, Path(name): Path<String>) -> Result<Response, ApiError> {
    let pdf = Label::of(&app, &said, &name).await?.pdf(said.language);
    Ok(said.mark(([(header::CONTENT_TYPE, "application/pdf")], pdf).into_response()))
}
