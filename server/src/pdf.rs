//! A4 paper as PDF: headings, lines, pairs of a name and what it is, a QR code.
//!
//! Fonts are two of the fourteen that every reader has. Nothing depends on a clock or on chance: the
//! same content always makes the same bytes, so that a paper can be made again and compared.

mod letters;

use pdf_writer::{Content, Name, Pdf, Rect, Ref, Str, TextStr};
use qrcodegen::{QrCode, QrCodeEcc};
use tenure_proto::words::{Language, Takeaway, fill};

pub use letters::Letters;

/// A4, in points.
const WIDTH: f32 = 595.0;
/// See [`WIDTH`].
const HEIGHT: f32 = 842.0;
/// White on each side, in points.
const MARGIN: f32 = 62.0;
/// Where what a pair says begins, in points.
const SECOND_COLUMN: f32 = 215.0;

/// A weight of the font.
#[derive(Clone, Copy, Debug)]
enum Weight {
    Plain,
    Bold,
}

impl Weight {
    const ALL: [Self; 2] = [Self::Plain, Self::Bold];

    /// What pages call the font, and what readers do.
    fn font(self) -> (Name<'static>, Name<'static>) {
        match self {
            Self::Plain => (Name(b"F1"), Name(b"Helvetica")),
            Self::Bold => (Name(b"F2"), Name(b"Helvetica-Bold")),
        }
    }
}

/// A line of text, laid out.
struct Line {
    x: f32,
    size: f32,
    weight: Weight,
    text: String,
}

/// Paper that is being written on, from the top down.
pub struct Paper {
    title: String,
    pages: Vec<Content>,
    y: f32,
    letters: Letters,
    language: Language,
    /// A file that lies in it: its name and its bytes.
    attached: Option<(String, Vec<u8>)>,
}

impl std::fmt::Debug for Paper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Paper").field("title", &self.title).field("pages", &self.pages.len()).finish_non_exhaustive()
    }
}

impl Paper {
    /// Takes an empty sheet. The title is shown by readers, and is not on the paper.
    pub fn new(title: &str, language: Language) -> Self {
        let (title, pages, y) = (title.to_string(), vec![Content::new()], HEIGHT - MARGIN);
        Self { title, pages, y, letters: Letters::default(), language, attached: None }
    }

    /// Puts a file into it, as it is, which readers list and save.
    pub fn attach(&mut self, name: &str, bytes: &[u8]) {
        self.attached = Some((name.to_string(), bytes.to_vec()));
    }

    /// Writes the name of the paper.
    pub fn title(&mut self, text: &str) {
        self.block(text, (20.0, Weight::Bold), 6.0);
    }

    /// Writes a heading.
    pub fn heading(&mut self, text: &str) {
        self.gap(10.0);
        self.block(text, (12.0, Weight::Bold), 3.0);
    }

    /// Writes a paragraph.
    pub fn text(&mut self, text: &str) {
        self.block(text, (10.0, Weight::Plain), 4.0);
    }

    /// Writes a name and, beside it, what it is.
    pub fn pair(&mut self, name: &str, text: &str) {
        let size = 10.0;
        let names = wrap(name, size, SECOND_COLUMN - MARGIN - 10.0);
        let texts = wrap(text, size, WIDTH - MARGIN - SECOND_COLUMN);
        for at in 0..names.len().max(texts.len()) {
            self.room(size * 1.4);
            for (column, x) in [(&names, MARGIN), (&texts, SECOND_COLUMN)] {
                if let Some(text) = column.get(at) {
                    self.put(&Line { x, size, weight: Weight::Plain, text: text.clone() });
                }
            }
            self.y -= size * 1.4;
        }
        self.gap(3.0);
    }

    /// Draws a QR code of `text`, and `beside` next to it.
    pub fn qr(&mut self, text: &str, beside: &[String]) {
        const SIDE: f32 = 96.0;
        self.gap(8.0);
        self.room(SIDE);
        let top = self.y;
        if let (Ok(code), Some(page)) = (QrCode::encode_text(text, QrCodeEcc::Medium), self.pages.last_mut()) {
            draw(page, &code, (MARGIN, top - SIDE), SIDE);
        }
        for line in beside {
            self.y -= 13.0;
            self.put(&Line { x: MARGIN + SIDE + 16.0, size: 9.0, weight: Weight::Plain, text: line.clone() });
        }
        self.y = top - SIDE - 8.0;
    }

    /// Leaves some white.
    pub fn gap(&mut self, points: f32) {
        self.y -= points;
    }

    fn block(&mut self, text: &str, (size, weight): (f32, Weight), after: f32) {
        for text in text.lines().flat_map(|line| wrap(line, size, WIDTH - 2.0 * MARGIN)) {
            self.room(size * 1.4);
            self.put(&Line { x: MARGIN, size, weight, text });
            self.y -= size * 1.4;
        }
        self.gap(after);
    }

    /// Takes the next sheet if `points` do not fit on this one.
    fn room(&mut self, points: f32) {
        if self.y - points < MARGIN {
            self.pages.push(Content::new());
            self.y = HEIGHT - MARGIN;
        }
    }

    fn put(&mut self, line: &Line) {
        let codes = self.letters.encode(&line.text);
        let Some(page) = self.pages.last_mut() else { return };
        write(page, line, self.y - line.size, &codes);
    }

    /// The finished file.
    pub fn finish(mut self) -> Vec<u8> {
        let of = self.pages.len();
        for (nth, page) in self.pages.iter_mut().enumerate() {
            let (page_of, number) = (Takeaway::of(self.language).page_of, (nth + 1).to_string());
            let sheet = fill(page_of, &[("page", &number), ("of", &of.to_string())]);
            let text = format!("{}, {sheet}", self.title);
            let codes = self.letters.encode(&text);
            write(page, &Line { x: MARGIN, size: 8.0, weight: Weight::Plain, text }, MARGIN / 2.0, &codes);
        }
        let mut ids = (1..).map(Ref::new);
        let mut id = || ids.next().unwrap_or(Ref::new(1));
        let (catalog, tree, info, fonts) = (id(), id(), id(), [id(), id()]);
        let pages: Vec<_> = self.pages.into_iter().map(|content| (id(), id(), content)).collect();
        let mut pdf = Pdf::new();
        let mut root = pdf.catalog(catalog);
        root.pages(tree).lang(TextStr(self.language.code()));
        root.viewer_preferences().display_doc_title(true);
        let place = self.attached.as_ref().map(|(name, _)| {
            let specification = id();
            root.names().embedded_files().names().insert(Str(name.as_bytes()), specification);
            (specification, id())
        });
        drop(root);
        if let (Some((name, bytes)), Some((specification, stream))) = (&self.attached, place) {
            pdf.file_spec(specification).path(Str(name.as_bytes())).embedded_file(stream);
            pdf.embedded_file(stream, bytes).subtype(Name(b"application/json"));
        }
        pdf.document_info(info).title(TextStr(&self.title));
        pdf.pages(tree).kids(pages.iter().map(|page| page.0)).count(i32::try_from(of).unwrap_or(i32::MAX));
        for (font, weight) in fonts.iter().zip(Weight::ALL) {
            let mut font = pdf.type1_font(*font);
            font.base_font(weight.font().1);
            self.letters.describe(&mut font.encoding_custom());
        }
        for (page, stream, content) in pages {
            let mut sheet = pdf.page(page);
            sheet.media_box(Rect::new(0.0, 0.0, WIDTH, HEIGHT)).parent(tree).contents(stream);
            let mut resources = sheet.resources();
            let mut named = resources.fonts();
            for (font, weight) in fonts.iter().zip(Weight::ALL) {
                named.pair(weight.font().0, font);
            }
            drop(named);
            drop(resources);
            drop(sheet);
            drop(pdf.stream(stream, &content.finish()));
        }
        pdf.finish()
    }
}

fn write(page: &mut Content, line: &Line, y: f32, codes: &[u8]) {
    page.begin_text().set_font(line.weight.font().0, line.size).next_line(line.x, y).show(Str(codes)).end_text();
}

/// Draws the dark squares of a code; the white of the sheet around it is its quiet zone.
fn draw(page: &mut Content, code: &QrCode, (left, bottom): (f32, f32), side: f32) {
    let modules = code.size();
    #[expect(clippy::cast_precision_loss, reason = "a code has at most 177 squares a side")]
    let (unit, at) = (side / modules as f32, |n: i32| n as f32);
    for (x, y) in (0..modules).flat_map(|y| (0..modules).map(move |x| (x, y))) {
        if code.get_module(x, y) {
            page.rect(left + at(x) * unit, bottom + side - at(y + 1) * unit, unit, unit);
        }
    }
    page.fill_nonzero();
}

/// The file that lies in a paper which [`Paper`] made.
pub fn attached(paper: &[u8]) -> Option<&[u8]> {
    let after = |bytes: &[u8], words: &[u8]| {
        bytes.windows(words.len()).position(|window| window == words).map(|at| at + words.len())
    };
    let rest = paper.get(after(paper, b"/Type /EmbeddedFile")?..)?;
    let rest = rest.get(after(rest, b"\nstream\n")?..)?;
    rest.get(..after(rest, b"\nendstream")? - b"\nendstream".len())
}

/// Breaks a text into lines of at most `width` points; a word that is longer is broken, too.
fn wrap(text: &str, size: f32, width: f32) -> Vec<String> {
    let length = |text: &str| letters::width(text) * size / 1000.0;
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        for piece in pieces(word, |part| length(part) <= width) {
            let Some(line) = lines.last_mut() else { continue };
            if line.is_empty() {
                line.push_str(&piece);
            } else if length(line) + length(" ") + length(&piece) <= width {
                line.push(' ');
                line.push_str(&piece);
            } else {
                lines.push(piece);
            }
        }
    }
    lines
}

/// A word, cut where it no longer fits.
fn pieces(word: &str, fits: impl Fn(&str) -> bool) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for letter in word.chars() {
        let Some(piece) = pieces.last_mut() else { continue };
        piece.push(letter);
        if piece.chars().count() > 1 && !fits(piece) {
            piece.pop();
            pieces.push(letter.to_string());
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paper() -> Vec<u8> {
        let mut paper = Paper::new("A paper", Language::English);
        paper.attach("a.json", br#"{"a": 1}"#);
        paper.title("A paper");
        paper.pair("Who", "Łódź Řízení GmbH & Co. KG, Große Straße 1");
        for at in 0..80 {
            paper.text(&format!("Line {at}"));
        }
        paper.qr("https://acme.example", &["beside".to_string()]);
        paper.finish()
    }

    #[test]
    fn the_same_content_makes_the_same_bytes() {
        assert_eq!(paper(), paper());
        assert!(paper().starts_with(b"%PDF-1."));
        assert_eq!(attached(&paper()), Some(&br#"{"a": 1}"#[..]));
        assert_eq!(attached(b"%PDF-1.7 /EmbeddedFile stream\n"), None);
    }

    #[test]
    fn a_text_is_broken_between_words_and_a_long_word_within() {
        assert_eq!(wrap("one two three", 10.0, 45.0), ["one two", "three"]);
        let lines = wrap(&"a".repeat(30), 10.0, 60.0);
        assert_eq!(lines.concat(), "a".repeat(30));
        assert!(lines.len() == 3 && lines[0].len() == 10, "{lines:?}");
        assert_eq!(wrap("", 10.0, 60.0), [""]);
    }
}
