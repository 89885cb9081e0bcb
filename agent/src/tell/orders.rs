//! What the neighbourhood orders, passed on to the agent.
//!
//! This process has no say of its own. With the product's password it speaks for the owner: the installer
//! looks at the word itself. Without it, it can acknowledge notices and have a check made.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::spawn;
use crate::chain::Chain;
use crate::channel::{Reply, Request, Secret};
use crate::config::Config;
use crate::installer::{self, Installer};
use crate::varlink::{self, Client};

/// The ways to the agent.
#[derive(Clone, Debug)]
pub(super) struct Orders {
    agent: PathBuf,
    installer: PathBuf,
    /// Whether an update that was ordered is under way.
    installs: Arc<AtomicBool>,
}

impl Orders {
    pub(super) fn new(config: &Config) -> Self {
        Self { agent: config.run_dir.join("agent.sock"), installer: config.install_socket(), installs: Arc::default() }
    }

    /// In the name of an owner who knows the password.
    pub(super) fn of_owner(&self, password: &str, order: Request) -> Result<Reply, installer::Error> {
        let order = Request::WithPassword { password: Secret(password.into()), order: Box::new(order) };
        Installer::connect(&self.installer)?.ask(&order, &[])
    }

    /// Has the agent show what has changed.
    pub(super) fn shown(&self) {
        if let Err(error) = Client::connect(&self.agent).and_then(|agent| agent.ask("Settings", json!({}))) {
            tracing::warn!(error = %Chain(&error), "what was chosen is not shown yet");
        }
    }

    /// What proves the promise that this device holds.
    pub(super) fn proof(&self) -> Result<Option<String>, installer::Error> {
        let reply = Installer::connect(&self.installer)?.ask(&Request::Proof, &[])?;
        if let Reply::Proof { text } = reply { Ok(text) } else { Err(installer::Error::Unexpected) }
    }

    pub(super) fn acknowledge(&self, id: &str, support_has_ended: bool) -> Result<(), varlink::Error> {
        let notice = json!({"id": id, "support_has_ended": support_has_ended});
        Client::connect(&self.agent)?.ask("Acknowledge", notice).map(drop)
    }

    /// Has updates installed, one order at a time. That it is under way is all that is waited for.
    pub(super) fn install(&self) {
        if self.installs.swap(true, Ordering::SeqCst) {
            return;
        }
        let orders = self.clone();
        let install = move || {
            if let Err(error) = Client::connect(&orders.agent).and_then(|agent| agent.call("Update", json!({}))) {
                tracing::warn!(error = %Chain(&error), "the update that was asked for did not come about");
            }
            orders.installs.store(false, Ordering::SeqCst);
        };
        if spawn("install", install).is_err() {
            self.installs.store(false, Ordering::SeqCst);
        }
    }
}
