//! `tenurectl support diff`: what changed between two declarations, in words.

use serde_json::{Value, json};
use tenure_proto::model::Model;
use tenure_proto::support::Declaration;

use crate::cli::Site;
use crate::repo::Repo;
use crate::support_history::{self, Error};
use crate::words;

/// The options of `support diff`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tenurectl support diff acme-gw1                  the last change
  tenurectl support diff acme-gw1 --from 1         from the first declaration to the last")]
pub(crate) struct Args {
    /// The model
    model: Model,
    /// The number of the earlier declaration [default: the one before]
    #[arg(long, value_name = "N")]
    from: Option<u64>,
    /// The number of the later declaration [default: the last]
    #[arg(long, value_name = "N")]
    to: Option<u64>,
}

/// Runs `support diff`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), Error> {
    let (model, now) = (site.folder()?.model(&args.model)?, site.clock.now());
    let history = support_history::read(&Repo::open(&model, now)?)?;
    let last = history.last().map_or(0, |(last, _)| last.sequence);
    let to = args.to.unwrap_or(last);
    let from = args.from.unwrap_or(to.saturating_sub(1));
    let find = |sequence| {
        let found = history.iter().find(|(declaration, _)| declaration.sequence == sequence);
        found.map(|(declaration, _)| declaration).ok_or(Error::NoSuchDeclaration { sequence, last })
    };
    let (old, new) = (find(from)?, find(to)?);
    let changed = differences(old, new);
    site.screen.say(format!("From declaration {from} ({}) to {to} ({}):", old.declared_at, new.declared_at));
    let none = ["nothing that an owner would read".to_string()];
    let lines = if changed.is_empty() { &none[..] } else { &changed };
    for line in lines {
        site.screen.say(format!("  {line}"));
    }
    site.screen.answer(&json!({"model": args.model, "from": from, "to": to, "changes": changed}));
    Ok(())
}

/// What changed, a line each.
pub(crate) fn differences(old: &Declaration, new: &Declaration) -> Vec<String> {
    let mut lines = Vec::new();
    if old.ends != new.ends {
        lines.push(words::moved(old.ends, new.ends));
    }
    for (batch, ends) in new.batches.iter().filter(|(batch, ends)| old.batches.get(*batch) != Some(*ends)) {
        lines.push(format!("batch {batch}: until {}", ends.in_words()));
    }
    for (unit, ends) in new.units.iter().filter(|(unit, ends)| old.units.get(*unit) != Some(*ends)) {
        lines.push(format!("unit {}: until {}", words::short(&unit.to_string()), ends.in_words()));
    }
    let (before, after) = (fields(old), fields(new));
    let keys: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    for key in keys.into_iter().filter(|key| !SAID_OTHERWISE.contains(&key.as_str())) {
        match (before.get(key), after.get(key)) {
            (Some(was), Some(is)) if was != is => lines.push(format!("{key}: {} → {}", said(was), said(is))),
            (None, Some(is)) => lines.push(format!("{key}: {}", said(is))),
            (Some(was), None) => lines.push(format!("{key}: no longer {}", said(was))),
            _ => {}
        }
    }
    lines
}

/// Keys with words of their own, and those that change with each declaration.
const SAID_OTHERWISE: [&str; 7] = ["ends", "batches", "units", "sequence", "previous_sha256", "declared_at", "change"];

fn fields(declaration: &Declaration) -> serde_json::Map<String, Value> {
    match serde_json::to_value(declaration) {
        Ok(Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    }
}

fn said(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        Value::Array(items) => items.iter().map(said).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            fields.iter().map(|(key, value)| format!("{key} {}", said(value))).collect::<Vec<_>>().join(", ")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}
