//! One line of what the doctor says.

use std::fmt::Write as _;

use serde::Serialize;

/// What a check came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// As it should be.
    Ok,
    /// It works, and will trouble somebody one day.
    Warning,
    /// It does not work, or not when it is needed.
    Fault,
    /// We may not look.
    Unseen,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Fault => "fault",
            Self::Unseen => "unseen",
        }
    }
}

/// What a check found in one place.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Finding {
    /// The check, as `docs/operate/integrate.md` lists it.
    pub(crate) check: &'static str,
    /// What was looked at.
    pub(crate) about: String,
    /// What it came to.
    pub(crate) verdict: Verdict,
    /// What was seen.
    pub(crate) seen: String,
    /// What to do about it; empty if all is well.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) remedy: String,
}

/// All that was found, in the order of the checks.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Findings {
    faults: usize,
    warnings: usize,
    unseen: usize,
    #[serde(rename = "findings")]
    list: Vec<Finding>,
    #[serde(skip)]
    check: &'static str,
}

impl Findings {
    /// What is found from now on is this check's.
    pub(super) fn begin(&mut self, check: &'static str) {
        self.check = check;
    }

    pub(super) fn ok(&mut self, about: &str, seen: &str) {
        self.add(Verdict::Ok, about, seen, "");
    }

    pub(super) fn warning(&mut self, about: &str, seen: &str, remedy: &str) {
        self.warnings += 1;
        self.add(Verdict::Warning, about, seen, remedy);
    }

    pub(super) fn fault(&mut self, about: &str, seen: &str, remedy: &str) {
        self.faults += 1;
        self.add(Verdict::Fault, about, seen, remedy);
    }

    pub(super) fn unseen(&mut self, about: &str, why: &str) {
        self.unseen += 1;
        self.add(Verdict::Unseen, about, why, "run tenure doctor as root");
    }

    /// A fault, or what only root could have seen.
    pub(super) fn fault_or_unseen(&mut self, about: &str, error: &Trouble, remedy: &str) {
        match error {
            Trouble::NotAllowed(why) => self.unseen(about, why),
            Trouble::Bad(why) => self.fault(about, why, remedy),
        }
    }

    fn add(&mut self, verdict: Verdict, about: &str, seen: &str, remedy: &str) {
        let (about, seen, remedy) = (about.into(), seen.into(), remedy.into());
        self.list.push(Finding { check: self.check, about, verdict, seen, remedy });
    }

    /// Whether the device may be shipped.
    pub(crate) fn are_good(&self) -> bool {
        self.faults == 0
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for Finding { check, about, verdict, seen, remedy } in &self.list {
            let word = verdict.word();
            let _infallible = writeln!(text, "{word:7}  {check:16}  {about}: {seen}");
            if !remedy.is_empty() {
                let _infallible = writeln!(text, "         {:16}  do: {remedy}", "");
            }
        }
        let (all, faults, warnings, unseen) = (self.list.len(), self.faults, self.warnings, self.unseen);
        let _infallible =
            writeln!(text, "looked at: {all}, faults: {faults}, warnings: {warnings}, not to be seen: {unseen}");
        text
    }
}

/// Why something is not known.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Trouble {
    /// Only root may look.
    NotAllowed(String),
    /// It is as bad as that.
    Bad(String),
}

impl Trouble {
    /// What the error and its causes say.
    pub(super) fn of(error: &(dyn std::error::Error + 'static)) -> Self {
        let said = crate::chain::Chain(error).to_string();
        let mut cause = Some(error);
        while let Some(error) = cause {
            let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
            if kind == Some(std::io::ErrorKind::PermissionDenied) {
                return Self::NotAllowed(said);
            }
            cause = error.source();
        }
        Self::Bad(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_says_what_was_looked_at_what_was_seen_and_what_to_do() {
        let mut findings = Findings::default();
        findings.begin("slot_found");
        findings.ok("slot A of rootfs", "/dev/mmcblk0p2");
        assert!(findings.are_good());
        findings.begin("server");
        findings.warning("server", "http://x", "use https://");
        findings.fault("server", "gone", "bring it back");
        findings.unseen("server", "permission denied");
        assert!(!findings.are_good());
        let wanted = "\
ok       slot_found        slot A of rootfs: /dev/mmcblk0p2
warning  server            server: http://x
                           do: use https://
fault    server            server: gone
                           do: bring it back
unseen   server            server: permission denied
                           do: run tenure doctor as root
looked at: 4, faults: 1, warnings: 1, not to be seen: 1
";
        assert_eq!(findings.text(), wanted);
        let json = serde_json::to_value(&findings).unwrap();
        let first = serde_json::json!({"check": "slot_found", "about": "slot A of rootfs", "verdict": "ok", "seen": "/dev/mmcblk0p2"});
        assert_eq!((&json["faults"], &json["findings"][0]), (&1.into(), &first));
    }

    #[test]
    fn what_only_root_may_see_is_told_apart_from_a_fault() {
        let path = std::path::Path::new("/x");
        let error = |kind: std::io::ErrorKind| crate::disk::Error::io("open", path)(kind.into());
        let denied = Trouble::of(&error(std::io::ErrorKind::PermissionDenied));
        assert_eq!(denied, Trouble::NotAllowed("cannot open /x: permission denied".into()));
        let missing = Trouble::of(&error(std::io::ErrorKind::NotFound));
        assert_eq!(missing, Trouble::Bad("cannot open /x: entity not found".into()));
    }
}
