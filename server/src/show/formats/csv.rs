//! A table for shops (RFC 4180): one line for each number under which a model is sold.

use tenure_proto::support::identifiers::Gtin;

use super::fingerprint;
use super::proof::Proved;
use crate::store::labels::Label;
use crate::store::models::Declared;

const HEAD: [&str; 17] = [
    "gtin",
    "gmn",
    "model",
    "designation",
    "manufacturer",
    "security_updates_until",
    "security_updates_until_month",
    "covers",
    "fingerprint",
    "labels",
    "page",
    "proof",
    "proof_sha256",
    "declaration",
    "signed_file",
    "key_id",
    "signature",
];

/// The table without a product.
pub(super) fn head() -> String {
    let mut table = String::new();
    line(&mut table, &HEAD);
    table
}

/// Adds a model: a line for each GTIN, or one without.
pub(super) fn add(table: &mut String, declared: &Declared, proved: &Proved, labels: &[Label], base: &str) {
    let promise = &declared.declaration;
    let page = declared.page(base);
    let labels: Vec<_> = labels.iter().map(Label::in_words).collect();
    let repo = format!("{base}/repo/{}", declared.model);
    let gtins = promise.identifiers.gtin.iter().map(Gtin::to_14_digits);
    let none = promise.identifiers.gtin.is_empty().then(String::new);
    for gtin in gtins.chain(none) {
        let cells = [
            &gtin,
            &promise.identifiers.gmn.as_ref().map(ToString::to_string).unwrap_or_default(),
            &declared.model.to_string(),
            &promise.designation,
            &promise.manufacturer,
            &promise.ends.to_string(),
            &promise.ends.month_in_words(),
            &promise.components.join("; "),
            &fingerprint(declared.fingerprint),
            &labels.join("; "),
            &page,
            &format!("{page}/proof.json"),
            &proved.sha256.to_string(),
            &format!("{repo}/targets/support/{}.declaration.json", declared.sha256),
            &format!("{repo}/metadata/{}.support.json", proved.version),
            &proved.joined(|signature| signature.keyid.to_string()),
            &proved.joined(|signature| signature.sig.clone()),
        ];
        line(table, &cells.map(String::as_str));
    }
}

fn line(table: &mut String, cells: &[&str]) {
    let cells: Vec<_> = cells.iter().map(|text| cell(text)).collect();
    table.push_str(&cells.join(","));
    table.push_str("\r\n");
}

/// A cell in quotes. What a spreadsheet would take for a formula begins with an apostrophe.
fn cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    let quiet: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    format!("\"{}{}\"", if is_formula { "'" } else { "" }, quiet.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_or_leaves_its_quotes() {
        for (text, cell_is) in [
            ("ACME", "\"ACME\""),
            ("=HYPERLINK(\"x\")", "\"'=HYPERLINK(\"\"x\"\")\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\t=1", "\"' =1\""),
            ("a\",b\r\nc", "\"a\"\",b  c\""),
        ] {
            assert_eq!(cell(text), cell_is, "{text:?}");
        }
    }
}
