//! What a page shows to people without a script, and what it holds for programs.
//!
//! A tolerant scanner of HTML, linear and bounded by the bytes it is given. What a browser would
//! repair it passes over: for a page it is enough to know which text can be seen.

/// A page.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// What people see, a line for each block.
    pub(super) text: String,
    /// What is there and not to be seen.
    pub(super) hidden: String,
    /// What scripts hold.
    pub(super) scripts: String,
    /// Blocks of JSON-LD.
    pub(super) json_ld: Vec<String>,
    /// Blocks that a Tenure server gave to stand in the page.
    pub(super) blocks: Vec<Block>,
    /// Whether it asks for a password.
    pub(super) asks_password: bool,
    /// Whether it asks for personal data.
    pub(super) asks_data: bool,
}

/// `<p class="tenure-support" …>`.
#[derive(Debug, Default)]
pub(super) struct Block {
    pub(super) model: String,
    pub(super) fingerprint: String,
    /// The `datetime` of the `time` element within.
    pub(super) datetime: String,
}

/// Elements that begin a line of their own.
const BLOCKS: [&str; 31] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "br",
    "caption",
    "dd",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "li",
    "main",
    "nav",
    "option",
    "p",
    "pre",
    "section",
    "table",
    "tr",
];
/// Elements without an end.
const VOID: [&str; 14] =
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr", "param"];
/// How deep elements are followed.
const DEPTH_MAX: usize = 512;

/// An element that is open.
struct Open {
    name: String,
    /// Whether it hides what is in it.
    hides: bool,
}

/// A tag's name in lower case, and its attributes.
struct Tag {
    name: String,
    attributes: Vec<(String, String)>,
}

impl Tag {
    fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    fn hides(&self) -> bool {
        let style = self.get("style").unwrap_or_default().replace(' ', "").to_lowercase();
        self.name == "template"
            || self.get("hidden").is_some()
            || style.contains("display:none")
            || style.contains("visibility:hidden")
    }
}

struct Scanner {
    page: Page,
    open: Vec<Open>,
}

/// Reads a page.
pub(super) fn read(html: &str) -> Page {
    let mut scanner = Scanner { page: Page::default(), open: Vec::new() };
    let mut rest = html;
    while let Some((before, after)) = rest.split_once('<') {
        scanner.text(before);
        rest = if let Some(comment) = after.strip_prefix("!--") {
            comment.split_once("-->").map_or("", |(_, rest)| rest)
        } else if let Some(end) = after.strip_prefix('/') {
            let (name, rest) = end.split_once('>').unwrap_or((end, ""));
            scanner.close(&name.trim().to_ascii_lowercase());
            rest
        } else if after.starts_with(|letter: char| letter.is_ascii_alphabetic()) {
            let (tag, rest) = tag(after);
            scanner.begin(tag, rest)
        } else if after.starts_with(['!', '?']) {
            after.split_once('>').map_or("", |(_, rest)| rest)
        } else {
            scanner.text("<");
            after
        };
    }
    scanner.text(rest);
    let mut page = scanner.page;
    for text in [&mut page.text, &mut page.hidden] {
        *text = tidy(text);
    }
    page
}

impl Scanner {
    fn is_hidden(&self) -> bool {
        self.open.iter().any(|open| open.hides)
    }

    fn text(&mut self, raw: &str) {
        let text = unescape(raw);
        if self.is_hidden() { self.page.hidden.push_str(&text) } else { self.page.text.push_str(&text) }
    }

    /// Takes in a tag and, for an element whose content is no markup, that as well.
    fn begin<'a>(&mut self, tag: Tag, rest: &'a str) -> &'a str {
        if matches!(tag.name.as_str(), "script" | "style" | "textarea" | "iframe") {
            return self.raw(&tag, rest);
        }
        self.line(&tag.name);
        if tag.name == "input" {
            self.input(&tag);
        }
        if tag.get("class").is_some_and(|class| class.split_whitespace().any(|class| class == "tenure-support")) {
            let own = |name: &str| tag.get(name).unwrap_or_default().to_string();
            self.page.blocks.push(Block {
                model: own("data-model"),
                fingerprint: own("data-fingerprint"),
                datetime: String::new(),
            });
        }
        if let (Some(block), Some(datetime)) = (self.page.blocks.last_mut(), tag.get("datetime"))
            && block.datetime.is_empty()
        {
            block.datetime = datetime.to_string();
        }
        if !VOID.contains(&tag.name.as_str()) && self.open.len() < DEPTH_MAX {
            self.open.push(Open { hides: tag.hides(), name: tag.name });
        }
        rest
    }

    fn raw<'a>(&mut self, tag: &Tag, rest: &'a str) -> &'a str {
        let end = format!("</{}", tag.name);
        let lower = rest.to_ascii_lowercase();
        let at = lower.find(&end).unwrap_or(rest.len());
        let (content, after) = rest.split_at(at);
        match (tag.name.as_str(), tag.get("type").map(|kind| kind.trim().to_ascii_lowercase()).as_deref()) {
            ("script", Some("application/ld+json")) => self.page.json_ld.push(content.to_string()),
            ("script", _) => {
                self.page.scripts.push_str(content);
                self.page.scripts.push('\n');
            }
            _ => {}
        }
        after.split_once('>').map_or("", |(_, rest)| rest)
    }

    fn input(&mut self, tag: &Tag) {
        let kind = tag.get("type").unwrap_or("text").to_ascii_lowercase();
        let named = [tag.get("name"), tag.get("autocomplete"), tag.get("id")]
            .into_iter()
            .flatten()
            .collect::<String>()
            .to_ascii_lowercase();
        self.page.asks_password |= kind == "password";
        let personal =
            ["email", "e-mail", "phone", "tel", "name", "address", "birth"].iter().any(|word| named.contains(word));
        self.page.asks_data |= matches!(kind.as_str(), "email" | "tel") || (kind == "text" && personal);
    }

    fn close(&mut self, name: &str) {
        self.line(name);
        if let Some(at) = self.open.iter().rposition(|open| open.name == name) {
            self.open.truncate(at);
        }
    }

    fn line(&mut self, name: &str) {
        let sign = if BLOCKS.contains(&name) {
            '\n'
        } else if matches!(name, "td" | "th" | "title" | "summary") {
            ' '
        } else {
            return;
        };
        if self.is_hidden() { self.page.hidden.push(sign) } else { self.page.text.push(sign) }
    }
}

/// The tag at the beginning of `text`, after its `<`, and what comes after it.
fn tag(text: &str) -> (Tag, &str) {
    let ends = |letter: char| letter.is_whitespace() || matches!(letter, '>' | '/');
    let (name, mut rest) = text.split_at(text.find(ends).unwrap_or(text.len()));
    let mut attributes = Vec::new();
    loop {
        rest = rest.trim_start_matches(|letter: char| letter.is_whitespace() || letter == '/');
        if rest.is_empty() {
            break;
        }
        if let Some(after) = rest.strip_prefix('>') {
            rest = after;
            break;
        }
        // A sign that begins no name is one itself, as browsers have it.
        let length = rest
            .char_indices()
            .skip(1)
            .find(|(_, letter)| ends(*letter) || *letter == '=')
            .map_or(rest.len(), |(at, _)| at);
        let (key, after) = rest.split_at(length);
        let (value, after) = match after.trim_start().strip_prefix('=') {
            Some(after) => value(after.trim_start()),
            None => ("", after),
        };
        attributes.push((key.to_ascii_lowercase(), unescape(value)));
        rest = after;
    }
    (Tag { name: name.to_ascii_lowercase(), attributes }, rest)
}

fn value(text: &str) -> (&str, &str) {
    for quote in ['"', '\''] {
        if let Some(quoted) = text.strip_prefix(quote) {
            return quoted.split_once(quote).unwrap_or((quoted, ""));
        }
    }
    text.split_at(text.find(|letter: char| letter.is_whitespace() || letter == '>').unwrap_or(text.len()))
}

const NAMED: [(&str, char); 34] = [
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("nbsp", ' '),
    ("rsquo", '’'),
    ("lsquo", '‘'),
    ("ndash", '–'),
    ("mdash", '—'),
    ("auml", 'ä'),
    ("ouml", 'ö'),
    ("uuml", 'ü'),
    ("Auml", 'Ä'),
    ("Ouml", 'Ö'),
    ("Uuml", 'Ü'),
    ("szlig", 'ß'),
    ("eacute", 'é'),
    ("Eacute", 'É'),
    ("egrave", 'è'),
    ("agrave", 'à'),
    ("ecirc", 'ê'),
    ("ucirc", 'û'),
    ("acirc", 'â'),
    ("ocirc", 'ô'),
    ("icirc", 'î'),
    ("ccedil", 'ç'),
    ("ntilde", 'ñ'),
    ("aacute", 'á'),
    ("iacute", 'í'),
    ("oacute", 'ó'),
    ("uacute", 'ú'),
    ("wcirc", 'ŵ'),
    ("ycirc", 'ŷ'),
];

/// Text with its character references read; white space of any kind is a blank.
pub(super) fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let reference = after.split_once(';').filter(|(name, _)| name.len() <= 8);
        let letter = reference.and_then(|(name, _)| {
            let number = name.strip_prefix('#').map(|number| match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok(),
                None => number.parse().ok(),
            });
            match number {
                Some(number) => number.and_then(char::from_u32),
                None => NAMED.iter().find(|(known, _)| *known == name).map(|(_, letter)| *letter),
            }
        });
        rest = if let (Some(letter), Some((_, beyond))) = (letter, reference) {
            out.push(letter);
            beyond
        } else {
            out.push('&');
            after
        };
    }
    out.push_str(rest);
    out.replace('\u{a0}', " ")
}

/// One blank for each run of white space, one line end for each that has one.
fn tidy(text: &str) -> String {
    let lines = text.split('\n').map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_see_is_told_from_what_they_do_not() {
        let page = read(concat!(
            "<!doctype html><title>A &amp; B</title><!-- until 2031 --><p>Until <b>31&nbsp;D&eacute;c</b> 2033</p>",
            "<div hidden>secret <p>more</div><p style='display: none'>gone</p><template>later</template>",
            "<script>var a = '</p>until 2032'</script><script type=\"application/ld+json\">{\"a\": 1}</script>",
            "<noscript><p>plain</p></noscript><p>1 < 2 &#x41;&#66; &unknown;</p>",
            "<p class=\"x tenure-support\" data-model=gw1 data-fingerprint='w c'><time datetime=2033-12-31>x</time></p>",
        ));
        assert_eq!(page.text, "A & B\nUntil 31 Déc 2033\nplain\n1 < 2 AB &unknown;\nx");
        assert_eq!(page.hidden, "secret\nmore\ngone\nlater");
        assert!(page.scripts.contains("until 2032") && !page.asks_password);
        assert_eq!(page.json_ld, ["{\"a\": 1}"]);
        let block = &page.blocks[0];
        assert_eq!((&*block.model, &*block.fingerprint, &*block.datetime), ("gw1", "w c", "2033-12-31"));
    }

    #[test]
    fn forms_that_ask_for_a_password_or_for_who_one_is_are_seen() {
        assert!(read("<form><INPUT TYPE=password></form>").asks_password);
        for html in [
            "<input type=email>",
            "<input name='full_name'>",
            "<input type=\"tel\" />",
            "<input autocomplete=street-address>",
        ] {
            assert!(read(html).asks_data, "{html}");
        }
        assert!(!read("<input type=search name=q><input type=checkbox name=email>").asks_data);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(html in "([<>/!=\"'& a-z-]|\\PC|<script|<!--|</p>|&#x){0,80}") {
            drop(read(&html));
        }
    }
}
