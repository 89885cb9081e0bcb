//! The duties that touch software, what Tenure does for each, and the tests that show it.
//!
//! `docs/compliance.md` is written from this table and from the tests whose names begin with
//! `row_NN_`; `tests/tests/compliance.rs` compares.

use std::collections::BTreeMap;

/// A duty.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Where it stands: PSTI is UK SI 2023/1007, Schedule 1; 5.x-y is ETSI EN 303 645; CRA is Regulation
    /// (EU) 2024/2847; AU the Australian rules of 2025.
    pub source: &'static str,
    /// The duty in our words.
    pub duty: &'static str,
    /// What Tenure does.
    pub feature: &'static str,
    /// The page that says more, below `docs/`.
    pub page: &'static str,
}

const fn row(source: &'static str, duty: &'static str, feature: &'static str, page: &'static str) -> Row {
    Row { source, duty, feature, page }
}

const PROMISE: &str = "operate/promise.md";
const PUBLIC: &str = "operate/public.md";
const FEEDS: &str = "operate/feeds.md";
const STATEMENT: &str = "operate/statement.md";
const RECORDS: &str = "operate/records.md";
const VULNERABILITIES: &str = "operate/vulnerabilities.md";
const OWNER: &str = "operate/owner.md";
const KEYS: &str = "operate/keys.md";
const WIRE: &str = "wire.md";
const WAYS_IN: &str = "operate/ways-in.md";
const PRIVACY: &str = "operate/privacy.md";
const INTEGRITY: &str = "operate/integrity.md";

/// Every duty, in the order of its number, from 1.
pub const ROWS: [Row; 43] = [
    row(
        "PSTI 3(1), AU",
        "The period has an end date",
        "A declaration names a day of the calendar; anything else is refused with the reason",
        PROMISE,
    ),
    row(
        "AU, PSTI",
        "The period is not shortened",
        "`tenurectl`, server and device each refuse a shorter one; the device keeps both texts as a receipt",
        PROMISE,
    ),
    row(
        "PSTI 3(3), AU",
        "An extension is published as soon as is practicable",
        "It is live on page, feeds and devices within one check interval, and the lag is shown",
        PROMISE,
    ),
    row(
        "PSTI 3(4)(a), (c), (d)",
        "The period can be read without request, charge or personal data",
        "Public pages have no login, cookie, form or script",
        PUBLIC,
    ),
    row(
        "PSTI 3(4)(b), (e)",
        "In English that a layperson understands",
        "All texts are measured for their reading age, and checked against a list of jargon",
        PUBLIC,
    ),
    row(
        "PSTI 3(5)",
        "As prominent as the product's main characteristics",
        "A block for the maker's own product page",
        PUBLIC,
    ),
    row("PSTI 3(1)(d)", "Apps and services count", "A declaration lists the components that it covers", PROMISE),
    row(
        "PSTI s.9, Schedule 4",
        "A statement of compliance, with the period as of first supply",
        "Generated, signed, frozen, as PDF and for programs",
        STATEMENT,
    ),
    row(
        "PSTI, AU, CRA 13(13)",
        "Papers are kept for ten years or the period",
        "The server keeps them, whoever asks it to delete them",
        STATEMENT,
    ),
    row("PSTI s.12", "A record of each failure of compliance", "An append-only log with the four fields", RECORDS),
    row(
        "PSTI ss.15-25",
        "Importers and shops check the statement",
        "`tenurectl statement verify`, offline, with the maker's public root alone",
        STATEMENT,
    ),
    row(
        "PSTI, amendment 2025 No. 2",
        "Labels of Japan and Singapore count until they expire",
        "Labels are kept with their own expiry, apart from the period",
        FEEDS,
    ),
    row(
        "PSTI 1, 5.1-1",
        "No universal default password",
        "There is none: the first administrator comes by a one-time link, guesses are limited",
        KEYS,
    ),
    row(
        "PSTI 2, 5.2-1, CRA II(5), (6)",
        "A public contact with times to answer",
        "A declaration without it is refused; `security.txt` is kept fresh",
        PUBLIC,
    ),
    row(
        "5.2-2, 5.2-3",
        "Reports are acted on in time",
        "A clock for each report, against the declared times",
        VULNERABILITIES,
    ),
    row(
        "5.3-1, -2, -7, -9, -10",
        "Updates are authentic, whole and the only way in",
        "TUF on the device, before a byte is written; every way in is listed and tried",
        WAYS_IN,
    ),
    row("5.3-3", "Applying an update is simple", "It needs no step, or one", OWNER),
    row(
        "5.3-4A, -4B, CRA I(2)(c)",
        "Automatic, told at set-up, easy to turn off",
        "On by default; at set-up the owner is told, and asked: one word turns it off, at any later time one command",
        OWNER,
    ),
    row(
        "5.3-6A, CRA I(2)(c)",
        "Updates can be postponed for a time",
        "With caps, shorter for security updates, and never forgotten",
        OWNER,
    ),
    row("5.3-6B", "Notifications can be turned off", "All but those on the end of support", OWNER),
    row(
        "5.3-5, 5.9-3",
        "Checks after the start and then periodically, without a herd",
        "Jitter, back-off, and a spread first check",
        WIRE,
    ),
    row(
        "5.3-8, CRA II(2), (8)",
        "Security updates are timely",
        "Times of discovery, fix, issue, offer and installation are recorded and computed",
        VULNERABILITIES,
    ),
    row(
        "5.3-11, CRA II(8)",
        "Each security update says which risk it removes and what to do",
        "A security release without an advisory is refused",
        OWNER,
    ),
    row(
        "5.3-12",
        "The owner hears before a disruption",
        "The release says how it disrupts, and the notice comes first",
        OWNER,
    ),
    row(
        "5.3-13, CRA 13(19), Annex II(7)",
        "The period is published, with month and year, for all components",
        "The public page of each model",
        PUBLIC,
    ),
    row(
        "5.3-14, -15",
        "A product without updates says why, and can be isolated",
        "A declaration of the kind `fixed` with reason, replacement and help",
        PROMISE,
    ),
    row("5.3-16", "The model can be recognised", "`tenure status` shows the name that is on the label", OWNER),
    row(
        "5.4-3, -4",
        "Secrets are unique for each device, and none is in the source",
        "Each device draws its own key",
        KEYS,
    ),
    row("5.5-3", "Algorithms can be replaced", "Two schemes side by side, and back out of the first", KEYS),
    row(
        "5.7-2",
        "On an unauthorised change: alert, and connect no further",
        "An alert to owner and operator, and a firewall that lets the alert and the cure through",
        INTEGRITY,
    ),
    row(
        "5.11, CRA I(2)(m)",
        "Owners' data can be erased, and the erasure is confirmed",
        "`tenure wipe --owner-data`; addresses at the server are erased on request",
        OWNER,
    ),
    row(
        "6-4, 6-5",
        "Telemetry is minimal and documented",
        "What a device sends is listed, and compared with what it does send; one switch turns all of it off but the update",
        PRIVACY,
    ),
    row(
        "CRA 13(8)",
        "The reasons of the period, and parts that end earlier",
        "`--reason`, `--sbom`; what ends earlier is written into the declaration",
        PROMISE,
    ),
    row("CRA 13(8)", "The period counts from the unit", "The latest day of model, batch and unit", PROMISE),
    row("CRA 13(9)", "Each security update stays available for ten years or the period", "The server keeps it", PUBLIC),
    row("CRA 13(11)", "An archive warns of unsupported software", "The archive's page", PUBLIC),
    row("CRA II(2)", "Security updates come apart from features", "A mixed release needs its reason", PROMISE),
    row("CRA II(1)", "A list of parts (SBOM)", "Attached to the release, with the milestones of CycloneDX", FEEDS),
    row("CRA 14", "Reports within 24 h, 72 h, 14 days, a month", "Clocks, and the fields of the form", VULNERABILITIES),
    row(
        "CRA 14(8)",
        "Users who are affected are told, for programs, too",
        "A signed advisory that a device judges by its own version",
        VULNERABILITIES,
    ),
    row(
        "CRA 13(19)",
        "The product shows that its support has ended",
        "On the device, also without a network, by proven time alone",
        OWNER,
    ),
    row(
        "CRA 13(23)",
        "A maker that stops says so before",
        "A signed cessation; without one, silence is noticed, and a third party can collect it",
        PROMISE,
    ),
    row(
        "Announcements of 2019-20, Directive (EU) 2024/825",
        "Shops can show the period",
        "A signed feed that a third party can verify",
        FEEDS,
    ),
];

/// The page as it is to stand in `docs/compliance.md`, given the tests of each row.
pub fn page(tests: &BTreeMap<usize, Vec<String>>) -> String {
    let mut page = String::from(
        "# Duties, features, tests\n\n\
         What the law asks of software like this, what Tenure does for it, and the tests that show it: one row for each duty, each test a\n\
         promise that CI keeps. This is no legal advice. PSTI is the UK's SI 2023/1007, Schedule 1, unless it says otherwise; 5.x-y is ETSI\n\
         EN 303 645; CRA is Regulation (EU) 2024/2847, I and II the parts of its Annex I; AU are Australia's rules for smart devices of 2025.\n\n\
         This page is written by `TENURE_WRITE=1 cargo nextest run -p tenure-tests --test compliance`, and compared by the same test without it.\n\n\
         | # | source | duty | what Tenure does | tests |\n|---|---|---|---|---|\n",
    );
    for (number, row) in (1..).zip(ROWS) {
        let tests = tests.get(&number).into_iter().flatten().map(|test| format!("`{test}`")).collect::<Vec<_>>();
        let Row { source, duty, feature, page: more } = row;
        let line = format!("| {number} | {source} | {duty} | {feature}: [{more}]({more}) | {} |\n", tests.join(", "));
        page.push_str(&line);
    }
    page
}
