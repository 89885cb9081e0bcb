//! How much a page shows: each public page is light, whatever was declared. What a page leaves out, it
//! links to.

use std::cell::Cell;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use tenure_proto::support::Declaration;

use super::{html_page, page_of};
use crate::error::ApiError;

/// Each public page is shorter than this.
const PAGE_BYTES: usize = 30 * 1024;
/// How many short lines a list has at most: as many as a declaration names components.
const LINES_MAX: usize = 64;
/// No text is cut shorter.
const CHARS_MIN: usize = 60;

/// How much one page shows.
#[derive(Clone, Debug)]
pub(super) struct Room {
    /// How many entries with texts of a maker's.
    pub(super) entries: usize,
    /// How many short lines of any other list.
    pub(super) lines: usize,
    /// How many characters of a text.
    chars: usize,
    /// Whether a text was cut, or a list that no link goes on with.
    is_cut: Cell<bool>,
}

/// Renders a page with at most so many entries: with as many, and as much of each text, as fits.
pub(super) fn fit<T: Template>(entries: usize, make: impl Fn(&Room) -> T) -> Result<Response, ApiError> {
    let mut room = Room::of(entries);
    loop {
        let html = page_of(&make(&room))?;
        match room.less() {
            Some(less) if html.len() >= PAGE_BYTES => room = less,
            _ => return html_page(StatusCode::OK, html),
        }
    }
}

impl Room {
    fn of(entries: usize) -> Self {
        let chars = tenure_proto::limits::TEXT_CHARS_MAX;
        Self { entries, lines: LINES_MAX, chars, is_cut: Cell::new(false) }
    }

    /// Less of all: entries first, which other pages go on with, and texts last.
    fn less(&self) -> Option<Self> {
        let Self { entries, lines, chars, .. } = *self;
        let (entries, lines, chars) = match () {
            () if entries > 4 => (entries / 2, lines, chars),
            () if lines > 8 => (entries, lines / 2, chars),
            () if entries > 1 => (entries / 2, lines, chars),
            () if chars > CHARS_MIN => (entries, lines, CHARS_MIN.max(chars / 2)),
            () if lines > 1 => (entries, lines / 2, chars),
            () => return None,
        };
        Some(Self { entries, lines, chars, is_cut: Cell::new(false) })
    }

    /// Whether there is room for all of a text.
    pub(super) fn has_room_for(&self, text: &str) -> bool {
        text.chars().nth(self.chars).is_none()
    }

    /// As much of a text as there is room for.
    pub(super) fn part(&self, text: &str) -> String {
        let Some((end, _)) = text.char_indices().nth(self.chars) else { return text.to_string() };
        let part = text.get(..end).unwrap_or_default();
        // Not within a word, unless it is a long one.
        let whole_words = part.rsplit_once(char::is_whitespace).map(|(before, _)| before);
        let part = whole_words.filter(|before| before.len() > end / 2).unwrap_or(part);
        format!("{}…", part.trim_end())
    }

    /// The same, and the page says that it was cut.
    pub(super) fn cut(&self, text: &str) -> String {
        if !self.has_room_for(text) {
            self.is_cut.set(true);
        }
        self.part(text)
    }

    /// The same for as many of these as there is room for.
    pub(super) fn cut_all(&self, texts: &[String]) -> Vec<String> {
        if texts.len() > self.lines {
            self.is_cut.set(true);
        }
        texts.iter().take(self.lines).map(|text| self.cut(text)).collect()
    }

    /// An address, if there is room for it: half of one leads nowhere.
    pub(super) fn address(&self, url: &str) -> Option<String> {
        self.has_room_for(url).then(|| url.to_string())
    }

    /// A declaration with as much of its texts as there is room for, for a page alone.
    pub(super) fn declaration(&self, whole: &Declaration) -> Declaration {
        let mut cut = whole.clone();
        cut.components = self.cut_all(&whole.components);
        for text in [&mut cut.designation, &mut cut.manufacturer, &mut cut.basis] {
            *text = self.cut(text);
        }
        let representative = cut.authorised_representative.iter_mut().flat_map(|one| [&mut one.name, &mut one.address]);
        let fixed = cut.fixed.iter_mut().flat_map(|it| [&mut it.reason, &mut it.replacement, &mut it.isolation]);
        let notice = cut.cessation.iter_mut().map(|cessation| &mut cessation.notice);
        for text in cut.manufacturer_address.iter_mut().chain(representative).chain(fixed).chain(notice) {
            *text = self.cut(text);
        }
        cut
    }

    /// Whether the page has to say where all of it is.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(chars: usize) -> Room {
        Room { chars, ..Room::of(1) }
    }

    #[test]
    fn a_text_is_cut_at_a_word_and_never_in_silence() {
        let whole = room(11);
        assert_eq!((whole.cut("It is over."), whole.is_cut()), ("It is over.".into(), false));
        let cut = room(9);
        assert_eq!((cut.cut("It is over."), cut.is_cut()), ("It is…".into(), true));
        assert_eq!(room(4).cut("Überraschung"), "Über…");
        let lines = Room { lines: 1, ..room(10) };
        assert_eq!((lines.cut_all(&["a".into(), "b".into()]), lines.is_cut()), (vec!["a".to_string()], true));
        assert_eq!(room(5).address("https://acme.example"), None, "half of an address leads nowhere");
    }

    #[test]
    fn there_is_ever_less_until_there_is_one_short_entry() {
        let mut room = Room::of(100);
        let mut steps = 0;
        while let Some(less) = room.less() {
            assert!(less.entries <= room.entries && less.lines <= room.lines && less.chars <= room.chars);
            (room, steps) = (less, steps + 1);
        }
        assert_eq!((room.entries, room.lines, room.chars), (1, 1, CHARS_MIN));
        assert!(steps < 30, "{steps}");
    }
}
