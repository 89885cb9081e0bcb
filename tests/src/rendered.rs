//! What a page says to who reads or hears it: its texts with the language that each is marked as.

/// A text of a page.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// The language that it is marked as.
    pub language: String,
    /// The words.
    pub words: String,
}

/// Elements that have no end.
const VOID: [&str; 7] = ["meta", "link", "input", "br", "img", "hr", "wbr"];
/// Elements whose content nobody reads, or that is no language.
const SILENT: [&str; 4] = ["style", "script", "code", "time"];
/// Attributes that are read aloud or shown.
const SAID: [&str; 4] = ["aria-label", "alt", "placeholder", "title"];

/// The texts of a page of ours, which is well-formed.
pub fn texts(html: &str) -> Vec<Text> {
    let mut texts = Vec::new();
    // Of each open element its name and the language within it.
    let mut open: Vec<(String, String)> = Vec::new();
    for piece in html.split('<').skip(1) {
        let Some((tag, after)) = piece.split_once('>') else { continue };
        let name = tag.trim_start_matches('/').split([' ', '\n']).next().unwrap_or_default().to_lowercase();
        if tag.starts_with('/') {
            while open.pop().is_some_and(|(of, _)| of != name) {}
        } else if !name.starts_with('!') {
            let outer = open.last().map(|(_, language)| language.clone()).unwrap_or_default();
            let language = attribute(tag, "lang").unwrap_or(outer);
            let said = SAID.iter().filter_map(|said| attribute(tag, said));
            texts.extend(said.map(|words| Text { language: language.clone(), words }));
            if !VOID.contains(&name.as_str()) {
                open.push((name, language));
            }
        }
        let is_silent = open.iter().any(|(name, _)| SILENT.contains(&name.as_str()));
        let words = plain(after.trim());
        if let Some((_, language)) = open.last().filter(|_| !is_silent && words.chars().any(char::is_alphabetic)) {
            texts.push(Text { language: language.clone(), words });
        }
    }
    texts
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let rest = tag.split_once(&format!(" {name}=\""))?.1;
    Some(plain(rest.split('"').next().unwrap_or_default()))
}

/// Text without references.
fn plain(text: &str) -> String {
    let named = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&#x27;", "'"), ("&amp;", "&")];
    named.iter().fold(text.to_owned(), |text, (name, letter)| text.replace(name, letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_has_the_language_that_it_is_marked_as() {
        let page = "<!doctype html><html lang=\"de\"><head><title>Titel</title><style>a { b }</style></head>\
                    <body><p>Hallo <span lang=\"en\">hello</span> Welt &amp; mehr<br>weiter</p>\
                    <img alt=\"Bild\" src=\"x\"><code>x = y</code></body></html>";
        let found: Vec<_> = texts(page).into_iter().map(|text| (text.language, text.words)).collect();
        let expected = [("de", "Titel"), ("de", "Hallo"), ("en", "hello"), ("de", "Welt & mehr"), ("de", "weiter")];
        let expected = expected.into_iter().chain([("de", "Bild")]);
        assert_eq!(
            found,
            expected.map(|(language, words)| (language.to_owned(), words.to_owned())).collect::<Vec<_>>()
        );
    }
}
