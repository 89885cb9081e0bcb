//! Whatever files come in whatever order, an unsigned one is never trusted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tenure_proto::key::{RoleKeys, SigningKey};
use tenure_proto::metadata::{Head, Root, RootRoles, sign};
use tenure_proto::trust::{Held, Refresh};

fn root() -> Vec<u8> {
    let model = "m".parse().expect("a name");
    let key = SigningKey::from_seed(&[1; 32]);
    let role = || RoleKeys { keyids: [key.public().id()].into(), threshold: 1, extra: Default::default() };
    let roles =
        RootRoles { root: role(), targets: role(), snapshot: role(), timestamp: role(), extra: Default::default() };
    let head = Head::new::<Root>(&model, 1, "2099-01-01T00:00:00Z".parse().expect("an instant"));
    let keys = [(key.public().id(), key.public())].into();
    let root = Root { head, consistent_snapshot: true, keys, roles, extra: Default::default() };
    sign(&root, &[key]).expect("a root")
}

fuzz_target!(|files: Vec<Option<Vec<u8>>>| {
    let held = Held { root: root(), files: Default::default() };
    let now = "2026-11-22T00:00:00Z".parse().expect("an instant");
    let mut refresh = Refresh::start(held, now, &"m".parse().expect("a name")).expect("the root is good");
    for file in files {
        let before = refresh.want();
        match refresh.supply(file.as_deref()) {
            // Only the end of the root chain needs no signature.
            Ok(changes) => assert!(changes.is_empty() && file.is_none()),
            Err(_) => assert_eq!(refresh.want(), before),
        }
    }
    assert!(refresh.finish().is_err());
});
