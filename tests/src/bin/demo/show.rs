//! What the demo shows while it runs, and the summary that it ends with.

use std::io::{IsTerminal as _, Write as _};
use std::time::Instant;

use serde::Serialize;
use tenure_tests::failure::Result;

/// One step and how it went.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Step {
    /// A word for machines.
    pub(crate) name: &'static str,
    /// What was to be shown.
    pub(crate) title: String,
    /// Whether it was.
    pub(crate) ok: bool,
    /// How long it took.
    pub(crate) duration_ms: u128,
    /// What was seen.
    pub(crate) seen: String,
}

/// Shows steps on standard error, so that standard output is for the summary alone.
#[derive(Debug)]
pub(crate) struct Show {
    color: bool,
    /// The steps so far.
    pub(crate) steps: Vec<Step>,
}

impl Show {
    /// Starts; with colour on a terminal only.
    pub(crate) fn new() -> Self {
        Self { color: std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none(), steps: Vec::new() }
    }

    /// Says something.
    pub(crate) fn say(text: &str) {
        // Nobody may be listening, and the demo goes on.
        writeln!(std::io::stderr(), "{text}").unwrap_or_default();
    }

    /// Says something less important.
    pub(crate) fn note(&self, text: &str) {
        Self::say(&format!("    {}", self.painted("2", text)));
    }

    /// Runs a step: its title first, then a tick with what was seen, or a cross with why not.
    pub(crate) fn step(
        &mut self,
        name: &'static str,
        title: &str,
        run: impl FnOnce(&Self) -> Result<String>,
    ) -> Result<()> {
        let number = self.steps.len() + 1;
        Self::say(&format!("\n{} {}", self.painted("1;34", &format!("{number:>2}")), self.painted("1", title)));
        let start = Instant::now();
        let result = run(self);
        let took = start.elapsed();
        let (ok, seen) = match &result {
            Ok(seen) => (true, seen.clone()),
            Err(failure) => (false, failure.to_string()),
        };
        let mark = if ok { self.painted("32", "✓") } else { self.painted("31", "✗") };
        Self::say(&format!("  {mark} {seen} {}", self.painted("2", &format!("({:.1} s)", took.as_secs_f64()))));
        self.steps.push(Step { name, title: title.into(), ok, duration_ms: took.as_millis(), seen });
        result.map(drop)
    }

    /// The table of all steps.
    pub(crate) fn table(&self) {
        let width = self.steps.iter().map(|step| step.title.chars().count()).max().unwrap_or(0);
        Self::say(&format!("\n{}", self.painted("1", "Summary")));
        for step in &self.steps {
            let mark = if step.ok { self.painted("32", "✓") } else { self.painted("31", "✗") };
            let seconds = f64::from(u32::try_from(step.duration_ms).unwrap_or(u32::MAX)) / 1000.0;
            Self::say(&format!("  {mark} {:<width$}  {seconds:>5.1} s", step.title));
        }
    }

    /// Marks a text as important.
    pub(crate) fn strong(&self, text: &str) -> String {
        self.painted("1", text)
    }

    fn painted(&self, code: &str, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.into() }
    }
}
