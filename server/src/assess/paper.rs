//! An assessment as Markdown and as CSV.

use super::{Assessment, Field, Support};

impl Support {
    /// As the tables have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Yes => "Y",
            Self::No => "N",
            Self::NotApplicable => "N/A",
            Self::Person => "to fill in",
        }
    }
}

impl Field {
    /// What is there, and what a person adds.
    fn words(&self) -> String {
        let asked = self.to_fill_in.map(|what| format!("[to fill in: {what}]"));
        self.fact.iter().cloned().chain(asked).collect::<Vec<_>>().join(" ")
    }
}

impl Assessment {
    /// As Markdown.
    pub fn markdown(&self) -> String {
        let mut lines = vec![
            format!("# EN 303 645, clause 5.3: {}, {}", self.model, self.assessed_on),
            String::new(),
            "Filled in from signed facts. What they do not show is marked *to fill in* and is for a person to say."
                .to_string(),
            String::new(),
            "| provision | status | support | detail |".to_string(),
            "|---|---|---|---|".to_string(),
        ];
        for row in &self.ics {
            let (support, detail) = (row.support.word(), cell(&row.detail));
            lines.push(format!("| {} | {} | {support} | {detail} |", row.provision, row.status));
        }
        for table in &self.ixit {
            lines.extend([String::new(), format!("## IXIT {}", table.name)]);
            if table.entries.is_empty() {
                lines.extend([String::new(), "No entry: the facts show none.".to_string()]);
            }
            for entry in &table.entries {
                lines.extend([String::new(), "| field | content |".to_string(), "|---|---|".to_string()]);
                lines.extend(entry.iter().map(|field| format!("| {} | {} |", field.name, cell(&field.words()))));
            }
        }
        lines.join("\n") + "\n"
    }

    /// As CSV (RFC 4180): the table, what it is of, status, support, and content.
    pub fn csv(&self) -> String {
        let mut lines = vec!["table,item,field,status,support,content".to_string()];
        for row in &self.ics {
            let detail = quoted(&row.detail);
            lines.push(format!("ICS,{},,{},{},{detail}", row.provision, row.status, row.support.word()));
        }
        for table in &self.ixit {
            for entry in &table.entries {
                let id = entry.first().and_then(|field| field.fact.clone()).unwrap_or_default();
                lines.extend(entry.iter().skip(1).map(|field| {
                    let support = if field.to_fill_in.is_some() { "to fill in" } else { "" };
                    format!(
                        "{},{},{},,{support},{}",
                        table.name,
                        quoted(&id),
                        quoted(field.name),
                        quoted(&field.words())
                    )
                }));
            }
        }
        lines.join("\r\n") + "\r\n"
    }
}

/// A text within a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}

fn quoted(text: &str) -> String {
    // A spreadsheet takes a text that begins so for a formula.
    let guard = if text.starts_with(['=', '+', '-', '@']) { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}
