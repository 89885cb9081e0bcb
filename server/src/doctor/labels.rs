//! Labels of others: in the United Kingdom some stand for compliance, as long as they are valid.

use super::{Code, Facts, Finding, Grade, LabelEnd};

/// How long before its end a label is to be renewed: its giver takes weeks.
const LEFT_DAYS: i64 = 90;

/// A finding for each label.
pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    facts.labels.iter().map(|label| finding(label, facts)).collect()
}

fn finding(label: &LabelEnd, facts: &Facts) -> Finding {
    let (words, name) = (label.expires.in_words(), label.name.as_str());
    let warn = |what: String| {
        let way_out = "renew it with its giver, then: tenurectl label add; the promise stays as it is";
        Finding::new(Code::Label, Grade::Warn, name, what).way_out(way_out).by(label.expires)
    };
    if facts.now >= label.expires.over_everywhere() {
        return warn(format!("expired on {words}: it no longer stands for compliance, and the public page says so"));
    }
    match label.expires.days_since(facts.now.day()) {
        ..=LEFT_DAYS => warn(format!("valid until {words}, which is within {LEFT_DAYS} days")),
        _ => Finding::good(Code::Label, name, format!("valid until {words}")),
    }
}
