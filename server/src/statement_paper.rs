//! A statement of compliance on paper: what Schedule 4 asks for, for people to read, with the digest
//! of the file that programs check.

use tenure_proto::digest::Digest;
use tenure_proto::statement::{Compliance, EuDeclaration, Party, Prepared, Statement};
use tenure_proto::support::Fingerprint;
use tenure_proto::words::{Language, Takeaway};

use crate::pdf::Paper;

/// The paper of `statement`, in which `file`, its machine-readable form, lies. What the law asks for is in
/// English; who reads another language finds the name of the paper in it, too.
pub fn paper(statement: &Statement, file: &[u8], language: Language) -> Vec<u8> {
    let name = Takeaway::of(language).statement;
    let title = format!("{name} {}, {}", statement.number, statement.product.kind);
    let mut paper = Paper::new(&title, language);
    paper.attach(&format!("statement-{}-{}.json", statement.model, statement.number), file);
    paper.title(name);
    if language != Language::English {
        paper.heading(Takeaway::of(Language::English).statement);
    }
    paper.text(
        "Product Security and Telecommunications Infrastructure Act 2022, section 9, and the Product Security and \
         Telecommunications Infrastructure (Security Requirements for Relevant Connectable Products) Regulations \
         2023, Schedule 4",
    );
    if statement.eu.is_some() {
        paper.text("With the data of an EU declaration of conformity");
    }
    product(&mut paper, statement);
    declarations(&mut paper, statement);
    period(&mut paper, statement);
    statement.eu.iter().for_each(|eu| declaration_of_conformity(&mut paper, eu));
    signed(&mut paper, statement);
    check(&mut paper, statement, Digest::of(file));
    paper.finish()
}

fn product(paper: &mut Paper, statement: &Statement) {
    paper.heading("Product");
    paper.pair("Type", &format!("{} (model {})", statement.product.kind, statement.model));
    let batch = statement.product.batch.as_ref();
    paper.pair("Batch", batch.map_or("Every batch without a statement of its own", |batch| batch.as_str()));
    parties(paper, "Manufacturer", &statement.manufacturers);
    parties(paper, "Authorised representative", &statement.authorised_representatives);
}

fn parties(paper: &mut Paper, role: &str, parties: &[Party]) {
    for Party { name, address } in parties {
        paper.pair(role, &format!("{name}, {address}"));
    }
}

fn declarations(paper: &mut Paper, statement: &Statement) {
    paper.heading("Declarations");
    paper.text(match statement.prepared {
        Prepared::ByManufacturer => "This statement of compliance is prepared by the manufacturer of the product.",
        Prepared::OnBehalfOfManufacturer => {
            "This statement of compliance is prepared on behalf of the manufacturer of the product."
        }
    });
    paper.text(match statement.compliance {
        Compliance::Schedule1 => {
            "In the opinion of the manufacturer, it has complied with the applicable security requirements in \
             Schedule 1 to the Regulations."
        }
        Compliance::Schedule2 => {
            "In the opinion of the manufacturer, it has complied with the conditions in Schedule 2 to the Regulations, \
             which count as compliance with the security requirements."
        }
    });
    for standard in &statement.standards {
        paper.pair("Standard", standard);
    }
}

fn period(paper: &mut Paper, statement: &Statement) {
    let period = &statement.support_period;
    paper.heading("Defined support period");
    paper.pair("Security updates until", &format!("{} ({})", period.ends.in_words(), period.ends));
    paper.pair("First supplied on", &period.first_supplied.in_words());
    let fingerprint = Fingerprint::of(period.declaration_sha256);
    paper.pair("Declared as", &format!("declaration {}, fingerprint {fingerprint}", period.declaration));
    paper.text(
        "This is the period that was declared when the manufacturer first supplied the product. It may be longer by \
         now, and is never made shorter.",
    );
}

fn declaration_of_conformity(paper: &mut Paper, eu: &EuDeclaration) {
    paper.heading("EU declaration of conformity");
    paper.text("It is issued under the sole responsibility of the manufacturer. The product conforms to:");
    for law in &eu.legislation {
        paper.pair("Union law", law);
    }
    if let Some(body) = &eu.notified_body {
        paper.pair("Notified body", body);
    }
}

fn signed(paper: &mut Paper, statement: &Statement) {
    paper.heading("Signed");
    paper.pair("Signature", "Electronic, in the machine-readable form");
    paper.pair("Name", &statement.signatory.name);
    paper.pair("Function", &statement.signatory.function);
    paper.pair("Place and date of issue", &format!("{}, {}", statement.place, statement.issued.in_words()));
}

fn check(paper: &mut Paper, statement: &Statement, file: Digest) {
    let (file, code) =
        (file.to_string(), format!("tenure:statement:{}:{}:sha256:{file}", statement.model, statement.number));
    let (start, end) = file.split_at_checked(32).unwrap_or((&file, ""));
    let beside = [
        format!("Statement {} of model {}", statement.number, statement.model),
        "SHA-256 of the machine-readable form, which alone is signed:".to_string(),
        start.to_string(),
        end.to_string(),
        "To check it, without a network, by a root of the manufacturer's:".to_string(),
        "tenurectl statement verify FILE --root root.json (this PDF, or the JSON in it)".to_string(),
    ];
    paper.qr(&code, &beside);
}
