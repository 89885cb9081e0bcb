//! What a smart home is told: Home Assistant's discovery, and the state of three entities.
//!
//! Keys are those that Home Assistant documents for MQTT: an update entity, a sensor of a date, a
//! binary sensor of a problem.

use std::path::Path;

use serde_json::{Value, json};
use tenure_proto::digest::Digest;
use tenure_proto::limits;
use tenure_proto::words::{Language, LocalPage, fill};

use super::facts::Facts;
use crate::config::{Config, Mqtt};
use crate::disk;

/// The names under which this device is told.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// What tells it from all others: its model and some letters.
    pub(super) node: String,
    prefix: String,
    may_install: bool,
    language: Language,
}

/// A message: where to, and what.
pub(super) type Message = (String, String);

impl Names {
    pub(super) fn new(config: &Config, mqtt: &Mqtt) -> Self {
        let language = config.defaults.language;
        Self { node: node(config), prefix: mqtt.discovery_prefix.clone(), may_install: mqtt.may_install, language }
    }

    fn topic(&self, of: &str) -> String {
        format!("tenure/{}/{of}", self.node)
    }

    /// Where it is said whether we are there.
    pub(super) fn availability(&self) -> String {
        self.topic("availability")
    }

    /// Where the home orders an update, if it may.
    pub(super) fn orders(&self) -> Option<String> {
        self.may_install.then(|| self.topic("update/set"))
    }

    /// How the home learns of the three.
    pub(super) fn discovery(&self, facts: &Facts) -> Vec<Message> {
        let words = LocalPage::of(self.language);
        let attributes = json!({
            "json_attributes_topic": self.topic("support"),
            "json_attributes_template": "{{ value_json.attributes | tojson }}",
        });
        let mut update = json!({
            "name": null,
            "state_topic": self.topic("update"),
            "device_class": "firmware",
            "entity_category": "config",
        });
        if let (Some(update), Some(orders)) = (update.as_object_mut(), self.orders()) {
            update.insert("command_topic".into(), orders.into());
            update.insert("payload_install".into(), INSTALL.into());
        }
        let ends = json!({
            "name": words.home_ends,
            "state_topic": self.topic("support"),
            "value_template": "{{ value_json.ends }}",
            "device_class": "date",
            "entity_category": "diagnostic",
        });
        let problem = json!({
            "name": words.home_problem,
            "state_topic": self.topic("support"),
            "value_template": "{{ value_json.problem }}",
            "payload_on": "ON",
            "payload_off": "OFF",
            "device_class": "problem",
            "entity_category": "diagnostic",
        });
        let entities = [
            ("update", "update", update),
            ("sensor", "ends", merged(ends, &attributes)),
            ("binary_sensor", "problem", merged(problem, &attributes)),
        ];
        let common = self.common(facts);
        let message = |(component, name, entity): (&str, &str, Value)| {
            let id = json!({"unique_id": format!("{}_{name}", self.node)});
            let payload = merged(merged(entity, &common), &id).to_string();
            (format!("{}/{component}/{}/{name}/config", self.prefix, self.node), payload)
        };
        entities.into_iter().map(message).collect()
    }

    /// What all of them say of the device, and of us.
    fn common(&self, facts: &Facts) -> Value {
        let device = facts.overview.as_ref().map(|overview| &overview.device);
        let declaration = device.and_then(|device| device.declaration.as_ref());
        json!({
            "availability_topic": self.availability(),
            "payload_available": "online",
            "payload_not_available": "offline",
            "device": {
                "identifiers": [self.node],
                "name": declaration.map(|declaration| &declaration.designation),
                "manufacturer": declaration.map(|declaration| &declaration.manufacturer),
                "model": declaration.map(|declaration| &declaration.designation),
                "model_id": device.map(|device| &device.model),
                "sw_version": device.map(|device| &device.version),
            },
            "origin": {"name": "Tenure", "sw_version": env!("CARGO_PKG_VERSION")},
        })
    }

    /// The state of the three.
    pub(super) fn state(&self, facts: &Facts) -> Vec<Message> {
        let Some(overview) = &facts.overview else { return Vec::new() };
        let device = &overview.device;
        let title = device.declaration.as_ref().map_or("", |declaration| &declaration.designation);
        let percent = device.progress_bytes.filter(|_| facts.is_installing());
        let percent = percent.and_then(|(done, of)| done.saturating_mul(100).checked_div(of));
        let update = json!({
            "installed_version": device.version,
            "latest_version": facts.next_version().unwrap_or(&device.version),
            // Texts are never null here: Home Assistant would take none of the rest.
            "title": title,
            "release_summary": self.summary(facts).unwrap_or_default(),
            "in_progress": facts.is_installing(),
            "update_percentage": percent,
        });
        let problems = facts.problems();
        let support = json!({
            "ends": device.support_ends,
            "problem": if problems.is_empty() { "OFF" } else { "ON" },
            "attributes": {
                "ended": facts.has_ended(),
                "posture": facts.posture(),
                "fingerprint": device.fingerprint,
                "problems": problems.iter().map(|problem| problem.word()).collect::<Vec<_>>(),
                "notices_open": facts.notices.iter().filter(|notice| notice.acknowledged_at.is_none()).count(),
            },
        });
        vec![(self.topic("update"), update.to_string()), (self.topic("support"), support.to_string())]
    }

    fn summary(&self, facts: &Facts) -> Option<String> {
        let words = LocalPage::of(self.language);
        let template = if facts.is_installing() { words.update_comes } else { words.update_waits };
        let text = fill(template, &[("version", facts.next_version()?.as_str())]);
        Some(text.chars().take(limits::HOME_SUMMARY_CHARS_MAX).collect())
    }
}

/// What the home sends to have an update installed.
pub(super) const INSTALL: &str = "install";

fn merged(mut base: Value, more: &Value) -> Value {
    if let (Some(base), Some(more)) = (base.as_object_mut(), more.as_object()) {
        base.extend(more.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    base
}

/// Some letters that are this device's, and lead back to nothing else: a digest of the machine's own
/// name for itself, as machine-id(5) asks for.
pub(super) fn letters() -> String {
    let read = |path| disk::read_bounded(Path::new(path), limits::CONFIG_BYTES_MAX).ok().flatten();
    let id = read("/etc/machine-id").filter(|id| !id.is_empty());
    let id = id.or_else(|| read("/proc/sys/kernel/hostname")).unwrap_or_default();
    Digest::of(&[b"tenure tell\n".as_slice(), &id].concat()).to_string().chars().take(12).collect()
}

/// In the letters that a topic and an identifier may have.
fn node(config: &Config) -> String {
    let model = config.model.to_string();
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' };
    format!("{}_{}", model.chars().map(plain).collect::<String>(), letters())
}
