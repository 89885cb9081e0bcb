//! A maker leaves the algorithm that it began with: through both, and out of the first.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use std::collections::BTreeMap;

use serde_json::Value;
use tenure_proto::key::{RoleKeys, SigningKey};
use tenure_proto::metadata::{Root, Signed};
use tenure_tests::attacker::{self, Forged, StolenKeys};
use tenure_tests::board::{Board, Fingerprint};
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::images::Health;
use tenure_tests::server::Server;
use tenure_tests::stage::{MODEL, Stage, UPDATE_LIMIT};

struct Drill {
    stage: Stage,
    server: Server,
    board: Board,
}

impl Drill {
    fn set() -> Result<Self> {
        let stage = Stage::set("algorithms")?;
        let server = stage.start_server()?;
        let token = stage.maker.device_token()?;
        let board = stage.settled_board(&server.url(), Some(&token))?;
        Ok(Self { stage, server, board })
    }

    /// Makes keys of the second family, and says where their public halves are.
    fn new_keys(&self, role: &str, count: u32) -> Result<Vec<String>> {
        let make = |number| {
            let file = self.stage.maker.folder().join(format!("keys/{role}-quantum-{number}.pem"));
            let scheme = ["--scheme", "ml-dsa-65", "--unencrypted", "--out"];
            let file = file.display().to_string();
            self.stage.maker.run(&[&["key", "generate", role][..], &scheme, &[&file]].concat())?;
            Ok(file.replace(".pem", ".pub"))
        };
        (1..=count).map(make).collect()
    }

    /// The names of the keys of the first family that have a say in a role of the maker's.
    fn old_keys(&self) -> Result<Vec<String>> {
        let listed = self.stage.maker.run(&["--json", "key", "list"])?.json()?;
        let keys = listed.get("keys").and_then(Value::as_array).context("no keys")?.clone();
        let is_old = |key: &&Value| key.get("scheme") == Some(&"ed25519".into());
        let offline = |key: &&Value| {
            !key.get("roles").is_some_and(|roles| roles.to_string().contains("snapshot"))
                && !key.get("roles").is_some_and(|roles| roles.to_string().contains("timestamp"))
        };
        let name = |key: &Value| Some(key.get("keyid")?.as_str()?.to_owned());
        Ok(keys.iter().filter(is_old).filter(offline).filter_map(name).collect())
    }

    /// A ceremony from the proposal to the device that follows.
    fn change_root(&mut self, version: u64, change: &[&str]) -> Result<()> {
        let ceremony = self.stage.world.path(&format!("{version}.ceremony")).display().to_string();
        let maker = &self.stage.maker;
        maker.run(&[&["root", "propose", MODEL, "--out", &ceremony], change].concat())?;
        maker.run(&["root", "sign", &ceremony])?;
        maker.run(&["root", "publish", MODEL, &ceremony])?;
        maker.push()?;
        self.board.run_until(&format!("the device follows to root {version}"), UPDATE_LIMIT, |board| {
            let root = board.status()?.and_then(|status| status.0.pointer("/metadata/root").and_then(Value::as_u64));
            Ok((root == Some(version)).then_some(()))
        })
    }

    fn updates_to(&mut self, version: &str) -> Result<()> {
        let image = self.stage.publish(version, Health::Good)?;
        self.stage.maker.push()?;
        self.board.knows(&image);
        self.board.run_until_settled(version, UPDATE_LIMIT).map(drop)
    }

    /// What the device trusts, as text.
    fn trusted(&self) -> Result<String> {
        let mut text = String::new();
        for entry in std::fs::read_dir(self.board.path("state/install/trusted"))? {
            let path = entry?.path();
            if path.is_file() {
                text += &std::fs::read_to_string(path)?;
            }
        }
        Ok(text)
    }

    /// The promise that is held, which no change of keys may touch.
    fn promise(&self) -> Result<Value> {
        let support = self.board.ask(&["support", "--json"])?;
        Ok([support.pointer("/ends"), support.pointer("/fingerprint")].into_iter().flatten().cloned().collect())
    }

    /// Lets a thief at the server's files, waits until the device refuses what it says of `role`, and tidies up.
    fn stands(&mut self, role: &str, attack: impl FnOnce(&mut Forged) -> Result<()>) -> Result<()> {
        let (live, honest) = (self.server.repository(MODEL), self.stage.world.path("honest"));
        attacker::copy_folder(&live, &honest)?;
        let before = self.board.fingerprint()?;
        attack(&mut Forged::open(&live)?)?;
        self.refuses(role, &before)?;
        std::fs::remove_dir_all(&live)?;
        Ok(std::fs::rename(honest, live)?)
    }

    /// Waits until a check is refused since too few known keys have signed; nothing else may have changed.
    fn refuses(&mut self, role: &str, before: &Fingerprint) -> Result<()> {
        self.board.run_until(&format!("{role} is refused"), UPDATE_LIMIT, |board| {
            board.wake()?;
            std::thread::sleep(std::time::Duration::from_millis(200));
            let check = board.status()?.and_then(|status| status.0.get("last_check").cloned()).unwrap_or_default();
            let word = |name: &str| check.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            Ok((word("code") == "too_few_signatures" && word("reason").contains(role)).then_some(()))
        })?;
        assert_eq!(
            &self.board.fingerprint()?,
            before,
            "what was signed by the first algorithm alone changed something"
        );
        Ok(())
    }
}

/// What is left in the hands of whoever has broken the first algorithm: every key of it.
struct Broken {
    root: Vec<SigningKey>,
    targets: SigningKey,
    online: StolenKeys,
}

impl Broken {
    fn take(stage: &Stage) -> Result<Self> {
        let key = |name: &str| attacker::key(&stage.maker.folder().join("keys").join(name));
        let root = ["root-1.pem", "root-2.pem", "root-3.pem"].into_iter().map(key).collect::<Result<_>>()?;
        Ok(Self { root, targets: key("targets-1.pem")?, online: StolenKeys::from(&stage.maker.online_keys())? })
    }

    /// Places a root after the one that is in force, with all roles in the thief's hands.
    fn place_root(&self, forged: &Forged, version: u64) -> Result<()> {
        let before = forged.metadata(&format!("{}.root.json", version - 1));
        let mut root = Signed::<Root>::parse(&std::fs::read(before)?)?.signed;
        let Self { root: own, targets, online } = self;
        root.head.version = version;
        root.roles.root = role(own, 2);
        root.roles.targets = role(std::slice::from_ref(targets), 1);
        root.roles.snapshot = role(std::slice::from_ref(&online.snapshot), 1);
        root.roles.timestamp = role(std::slice::from_ref(&online.timestamp), 1);
        let all = own.iter().chain([targets, &online.snapshot, &online.timestamp]).map(SigningKey::public);
        root.keys = all.map(|key| (key.id(), key)).collect();
        let file = forged.metadata(&format!("{version}.root.json"));
        Ok(std::fs::write(file, attacker::sign(&root, own)?)?)
    }

    /// Signs a list of releases that the maker never signed, and all that has to be around it.
    fn place_list(&self, forged: &mut Forged) -> Result<()> {
        let mut list = forged.targets("targets")?;
        list.head.version += 1;
        forged.replace_role("targets", &list, std::slice::from_ref(&self.targets))?;
        forged.publish(&self.online)
    }
}

fn role(keys: &[SigningKey], threshold: u32) -> RoleKeys {
    let keyids = keys.iter().map(|key| key.public().id()).collect();
    RoleKeys { keyids, threshold, extra: BTreeMap::new() }
}

#[test]
fn row_29_a_model_changes_to_a_second_algorithm_and_backs_out_of_the_first() -> Result<()> {
    let mut drill = Drill::set()?;
    let promise = drill.promise()?;
    let broken = Broken::take(&drill.stage)?;
    assert!(!drill.trusted()?.contains("ml-dsa"));

    // Both side by side: neither makes a root alone, and updates go on.
    let new = drill.new_keys("root", 3)?;
    let add: Vec<_> = new.iter().flat_map(|key| ["--add-key", key.as_str()]).collect();
    drill.change_root(2, &[&add[..], &["--role", "root", "--threshold", "root=4"]].concat())?;
    drill.updates_to("1.1.0")?;
    drill.stands("root", |forged| broken.place_root(forged, 3))?;

    // Out of the first: no role keeps a key of it.
    let removed = drill.old_keys()?;
    assert_eq!(removed.len(), 7, "three of the root, two of targets, two of support: {removed:?}");
    let mut change: Vec<_> = removed.iter().flat_map(|key| ["--remove-key", key.as_str()]).collect();
    let (targets, support) = (drill.new_keys("targets", 1)?, drill.new_keys("support", 1)?);
    change.extend(["--add-key", &targets[0], "--role", "targets", "--add-key", &support[0], "--role", "support"]);
    change.extend(["--threshold", "root=2", "--new-online-key", "snapshot", "--new-online-key", "timestamp"]);
    drill.change_root(3, &change)?;
    assert!(!drill.trusted()?.contains("ed25519"), "a key of the first algorithm still has a say");
    drill.updates_to("1.2.0")?;
    assert_eq!(drill.promise()?, promise);

    // All keys of the first family together are worth nothing now.
    drill.stands("root", |forged| broken.place_root(forged, 4))?;
    drill.stands("timestamp", |forged| broken.place_list(forged))?;

    // The promise itself can still grow, by the second family alone.
    let later = drill.stage.ends.plus_days(365);
    drill.stage.maker.extend(later)?;
    drill.stage.maker.push()?;
    let later = later.to_string();
    drill.board.run_until("the later end is held", UPDATE_LIMIT, |board| {
        board.wake()?;
        Ok(board.status()?.filter(|status| status.support_ends() == Some(later.as_str())))
    })?;
    Ok(())
}
