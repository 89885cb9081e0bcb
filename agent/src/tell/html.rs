//! HTML while it is written: every text that is put in is escaped.

/// A page, or a part of one.
#[derive(Debug, Default)]
pub(super) struct Html(String);

impl Html {
    /// Markup of ours.
    pub(super) fn raw(&mut self, markup: &str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// A text, in an element or in the quotes of an attribute.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        for letter in text.chars() {
            match letter {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                other => self.0.push(other),
            }
        }
        self
    }

    /// A text between markup of ours.
    pub(super) fn within(&mut self, before: &str, text: &str, after: &str) -> &mut Self {
        self.raw(before).text(text).raw(after)
    }

    pub(super) fn paragraph(&mut self, text: &str) -> &mut Self {
        self.within("<p>", text, "</p>\n")
    }

    pub(super) fn strong(&mut self, text: &str) -> &mut Self {
        self.within("<p><strong>", text, "</strong></p>\n")
    }

    /// An address that a reader can follow; `https:` and `mailto:` only, whatever was signed.
    pub(super) fn link(&mut self, url: &str) -> &mut Self {
        let shown = url.trim_start_matches("mailto:");
        if !["https://", "mailto:"].iter().any(|scheme| url.starts_with(scheme)) {
            return self.text(shown);
        }
        self.within("<a href=\"", url, "\" rel=\"noreferrer\">").text(shown).raw("</a>")
    }

    pub(super) fn done(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_never_markup_and_an_address_leads_to_the_web_or_to_a_letter() {
        let of = |url: &str| {
            let mut html = Html::default();
            html.link(url);
            html.done()
        };
        for other in ["javascript:alert(1)", "data:text/html,x", "http://acme.example"] {
            assert_eq!(of(other), other);
        }
        assert_eq!(of("mailto:a@b"), "<a href=\"mailto:a@b\" rel=\"noreferrer\">a@b</a>");
        assert!(!of("https://a/\"><script>").contains("<script"));
    }
}
