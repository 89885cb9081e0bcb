//! A device under attack: what it was before, what it says of the attack, what it is afterwards.

use std::time::{Duration, Instant};

use tenure_proto::key::SigningKey;

use crate::attacker::{self, Forged, StolenKeys};
use crate::board::{Board, Fingerprint};
use crate::failure::Result;
use crate::hostile::Hostile;
use crate::images::Health;
use crate::stage::{Stage, UPDATE_LIMIT};

/// A device that has seen the honest repository, and what of it no attack may change.
#[derive(Debug)]
pub struct Scene {
    /// The manufacturer and the world.
    pub stage: Stage,
    /// Who serves the repository, and misbehaves as told.
    pub files: Hostile,
    /// The device.
    pub board: Board,
    /// What no attack may change.
    pub before: Fingerprint,
}

impl Scene {
    /// A device on 1.0.0 that holds the promise.
    pub fn set(name: &str) -> Result<Self> {
        let stage = Stage::set(name)?;
        let files = stage.serve_files()?;
        let board = stage.settled_board(files.url(), None)?;
        let before = board.fingerprint()?;
        Ok(Self { stage, files, board, before })
    }

    /// The repository, to be forged.
    pub fn forge(&self) -> Result<Forged> {
        Forged::open(&self.stage.maker.repository())
    }

    /// The keys that a server holds.
    pub fn online_keys(&self) -> Result<StolenKeys> {
        StolenKeys::from(&self.stage.maker.online_keys())
    }

    /// One of the offline keys.
    pub fn key(&self, name: &str) -> Result<SigningKey> {
        attacker::key(&self.stage.maker.folder().join("keys").join(name))
    }

    /// Waits until a check failed for a reason with these words; says with which code.
    ///
    /// The device is asked to check now and then, for after some refusals it would not by itself.
    pub fn is_refused(&mut self, words: &[&str]) -> Result<String> {
        let mut asked = Instant::now();
        self.board.run_until(&format!("a check fails with {words:?}"), UPDATE_LIMIT, |board| {
            if asked.elapsed() > Duration::from_secs(2) {
                asked = Instant::now();
                board.wake()?;
            }
            let status = board.status()?.map(|status| status.0).unwrap_or_default();
            let word = |name| status.pointer(name).and_then(serde_json::Value::as_str).unwrap_or_default();
            let reason = word("/last_check/reason");
            Ok(words.iter().all(|word| reason.contains(word)).then(|| word("/last_check/code").to_owned()))
        })
    }

    /// Waits until a check failed for a reason with these words, and under this code.
    pub fn is_refused_as(&mut self, code: &str, words: &[&str]) -> Result<()> {
        let found = self.is_refused(words)?;
        ensure!(found == code, "expected the code {code}, saw {found}");
        Ok(())
    }

    /// Lets a few checks pass.
    pub fn a_while_passes(&mut self) -> Result<()> {
        let start = Instant::now();
        self.board
            .run_until("some checks", UPDATE_LIMIT, |_| Ok((start.elapsed() > Duration::from_secs(4)).then_some(())))
    }

    /// Nothing at all changed.
    pub fn nothing_changed(&self) -> Result<()> {
        let after = self.board.fingerprint()?;
        ensure!(after == self.before, "expected {:?}, saw {after:?}", self.before);
        self.not_restarted()
    }

    /// The newer metadata may be believed, for it was signed; nothing else changed, nor the promise.
    pub fn nothing_runs_otherwise(&self) -> Result<()> {
        let after = self.board.fingerprint()?;
        let mut expected = Fingerprint { trusted: after.trusted.clone(), ..self.before.clone() };
        expected.trusted.retain(|name, _| !name.starts_with("promise"));
        let promise = self.before.trusted.iter().filter(|(name, _)| name.starts_with("promise"));
        expected.trusted.extend(promise.map(|(name, digest)| (name.clone(), *digest)));
        ensure!(after == expected, "expected {expected:?}, saw {after:?}");
        self.not_restarted()
    }

    fn not_restarted(&self) -> Result<()> {
        let boots = self.board.boots();
        ensure!(boots == 1, "expected no restart, saw {boots} boots");
        Ok(())
    }

    /// When the attack is over, the next honest release is taken.
    pub fn recovers(&mut self) -> Result<()> {
        let image = self.stage.publish("1.9.0", Health::Good)?;
        self.board.knows(&image);
        // After many refusals it would rest for a while.
        self.board.wake()?;
        self.board.run_until_settled("1.9.0", UPDATE_LIMIT)?;
        Ok(())
    }
}
