//! The day as a small picture, for a web page: words and a mark, never colour alone.

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use tenure_proto::words::Takeaway;

use super::address::xml;
use super::facts::Facts;
use super::said::Said;
use crate::app::Handle;
use crate::error::ApiError;

/// How long before the end the badge changes its colour and mark: with the first notice to owners.
const SOON_DAYS: i64 = 365;
/// The width of a letter, about; each text is set to exactly the width that is kept for it.
const LETTER_PX: usize = 7;

/// `GET /p/{model}/badge.svg`
pub(crate) async fn badge(
    State(app): State<Handle>,
    said: Said,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let facts = Facts::of(&app, &name).await?;
    let (ends, words) = (facts.promise().ends, Takeaway::of(said.language));
    let is_over = facts.is_over(ends);
    let (colour, mark) = match ends.days_since(facts.now.day()) {
        // A tick, an exclamation mark and a cross.
        _ if is_over => ("#a1242c", "M4 5l9 9M13 5l-9 9"),
        ..=SOON_DAYS => ("#7a4b00", "M8.5 4v7M8.5 13.5v1.5"),
        _ => ("#0d6b3f", "M3.5 10l3.5 4 7-9"),
    };
    let answer = said.with_day(if is_over { words.badge_ended } else { words.badge_until }, ends);
    let headers = [(header::CONTENT_TYPE, "image/svg+xml; charset=utf-8")];
    let svg = draw(
        &said,
        &format!("{}: {} {answer}", facts.promise().designation, words.badge),
        (words.badge, &answer),
        (colour, mark),
    );
    Ok(said.mark((headers, svg).into_response()))
}

fn draw(said: &Said, title: &str, (left, right): (&str, &str), (colour, mark): (&str, &str)) -> String {
    let width = |text: &str| text.chars().count() * LETTER_PX;
    let (left_px, right_px) = (width(left) + 16, width(right) + 36);
    let text = |x: usize, text: &str| {
        format!(
            "<text x=\"{x}\" y=\"15\" textLength=\"{}\" lengthAdjust=\"spacingAndGlyphs\">{}</text>",
            width(text),
            xml(text)
        )
    };
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{all}\" height=\"22\" viewBox=\"0 0 {all} 22\" role=\"img\" \
         aria-labelledby=\"title\" lang=\"{}\">\n<title id=\"title\">{}</title>\n\
         <clipPath id=\"edge\"><rect width=\"{all}\" height=\"22\" rx=\"4\"/></clipPath>\n\
         <g clip-path=\"url(#edge)\"><rect width=\"{left_px}\" height=\"22\" fill=\"#33404d\"/>\
         <rect x=\"{left_px}\" width=\"{right_px}\" height=\"22\" fill=\"{colour}\"/></g>\n\
         <path transform=\"translate({} 1)\" d=\"{mark}\" fill=\"none\" stroke=\"#fff\" stroke-width=\"2\" stroke-linecap=\"round\"/>\n\
         <g fill=\"#fff\" font-family=\"Verdana,DejaVu Sans,sans-serif\" font-size=\"12\">{}{}</g>\n</svg>\n",
        said.language,
        xml(title),
        left_px + 6,
        text(8, left),
        text(left_px + 28, right),
        all = left_px + right_px,
    )
}
