//! `tenurectl device list`: the devices that the server knows.

use serde_json::{Value, json};

use crate::api::{self, Server};
use crate::cli::Site;

/// The options of `device list`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  tenurectl device list --json")]
pub(crate) struct Args {}

/// Runs `device list`.
pub(crate) fn run(site: &Site, _args: &Args) -> Result<(), api::Error> {
    let server = Server::open(&site.dir)?;
    let (mut devices, mut page) = (Vec::new(), Some("/api/v1/devices".to_string()));
    while let Some(path) = page {
        let (value, next) = server.get(&path)?;
        devices.extend(entries(value));
        page = next;
    }
    if devices.is_empty() {
        site.screen.say("The server knows no device yet.");
    }
    for device in &devices {
        site.screen.say(line(device));
    }
    site.screen.answer(&json!({ "devices": devices }));
    Ok(())
}

fn entries(value: Value) -> Vec<Value> {
    match value {
        Value::Array(devices) => devices,
        Value::Object(mut fields) => fields.remove("devices").map(entries).unwrap_or_default(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

fn line(device: &Value) -> String {
    let text = |name: &str| device.get(name).and_then(Value::as_str).unwrap_or("-").to_string();
    let (id, model, state, version) = (text("id"), text("model"), text("enrolment"), text("version"));
    format!("{id}  {model}  {state}  {version}  last seen {}", text("last_seen"))
}
