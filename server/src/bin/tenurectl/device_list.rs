//! `tenurectl device list`: the devices that the server knows.

use serde_json::{Value, json};
use tenure_proto::time::{Day, Timestamp};

use crate::api::{self, Server};
use crate::cli::Site;
use crate::{devices, words};

/// The options of `device list`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  tenurectl device list\n  tenurectl device list --state pending --json")]
pub(crate) struct Args {
    /// Those in this state only: pending, accepted or refused
    #[arg(long, value_parser = ["pending", "accepted", "refused"])]
    state: Option<String>,
}

/// Runs `device list`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), api::Error> {
    let mut devices = devices::all(&Server::open(&site.dir)?)?;
    devices.retain(|device| args.state.is_none() || text(device, "state") == args.state.as_deref());
    if devices.is_empty() {
        site.screen.say("No device yet.");
    }
    for device in &devices {
        site.screen.say(line(device));
    }
    site.screen.answer(&json!({ "devices": devices }));
    Ok(())
}

fn text<'a>(device: &'a Value, name: &str) -> Option<&'a str> {
    device.get(name).and_then(Value::as_str)
}

fn line(device: &Value) -> String {
    let or = |name, none: &str| text(device, name).unwrap_or(none).to_string();
    let seen = text(device, "last_seen_at").and_then(|at| at.parse::<Timestamp>().ok());
    let seen = seen.map_or("never seen".to_string(), |at| format!("last seen {}", words::instant(at)));
    let ends = text(device, "support_ends").and_then(|day| day.parse::<Day>().ok());
    let ends = ends.map_or(String::new(), |day| format!(", support until {}", day.in_words()));
    let (id, model, state, version) = (or("id", "?"), or("model", "?"), or("state", "?"), or("version", "-"));
    let is_changed = device.get("software_changed") == Some(&Value::Bool(true));
    let changed = if is_changed { ", SOFTWARE CHANGED, and not by an update" } else { "" };
    format!("{id}  {model}  {state:<8}  {version:<8}  {seen}{ends}{changed}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_one_line() {
        let device = json!({
            "id": "3f6c", "model": "acme-gw1", "state": "accepted", "version": "1.1.0",
            "last_seen_at": "2026-11-22T04:30:00Z", "support_ends": "2033-12-31",
        });
        let expected =
            "3f6c  acme-gw1  accepted  1.1.0     last seen 22 November 2026, 04:30 UTC, support until 31 December 2033";
        assert_eq!(line(&device), expected);
        assert_eq!(
            line(&json!({"id": "3f", "model": "m", "state": "pending"})),
            "3f  m  pending   -         never seen"
        );
    }
}
