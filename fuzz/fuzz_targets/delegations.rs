//! A search through signed delegations, whatever their graph, ends as the specification says.
//!
//! The first byte says which roles list the path; then each delegation has four bytes: from whom
//! (0 is the top level), to whom, the key (0 is the right one), and flags (1 terminating,
//! 2 another path). The judge is the recursion of TUF 1.0.34, 5.6.7, written down once more.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tenure_proto::key::{KeyId, PublicKey, RoleKeys, SigningKey};
use tenure_proto::metadata::{
    DelegatedRole, Delegations, Head, MetaFile, Role, Root, RootRoles, Snapshot, Target, Targets, Timestamp, sign,
};
use tenure_proto::trust::{Error, Held, Refresh};

const PATH: &str = "x/p";
const ROLES: u8 = 8;
const EDGES_MAX: usize = 24;
const WRONG: u8 = 99;

struct Edge {
    from: u8,
    to: u8,
    right_key: bool,
    terminating: bool,
    covers: bool,
}

impl Edge {
    fn key(&self) -> u8 {
        if self.right_key { 20 + self.to } else { WRONG }
    }
}

/// How a search ends.
#[derive(Debug, PartialEq)]
enum Found {
    At(u8),
    Nowhere,
    WrongKey,
}

/// 20 signs the top level, 20 + N the role N, WRONG nothing.
static KEYS: LazyLock<BTreeMap<u8, (SigningKey, KeyId, PublicKey)>> = LazyLock::new(|| {
    let named = |number: u8| {
        let key = SigningKey::from_seed(&[number; 32]);
        let public = key.public();
        (number, (key, public.id(), public))
    };
    (20..=20 + ROLES).chain([WRONG]).map(named).collect()
});

fn signed<T: Role>(role: &T, number: u8) -> Vec<u8> {
    sign(role, std::slice::from_ref(&KEYS[&number].0)).expect("a file")
}

fn keys(number: u8) -> RoleKeys {
    RoleKeys { keyids: [KEYS[&number].1.clone()].into(), threshold: 1, extra: BTreeMap::new() }
}

fn named(number: u8) -> (KeyId, PublicKey) {
    (KEYS[&number].1.clone(), KEYS[&number].2.clone())
}

fn name(role: u8) -> String {
    if role == 0 { "targets".into() } else { format!("r{role}") }
}

fn head<T: Role>() -> Head {
    Head::new::<T>(&"m".parse().expect("a name"), 1, "2099-01-01T00:00:00Z".parse().expect("an instant"))
}

fn read(bytes: &[u8]) -> (u8, Vec<Edge>) {
    let (lists, rest) = bytes.split_first().unwrap_or((&0, &[]));
    let (edges, _) = rest.as_chunks::<4>();
    let edge = |[from, to, key, flags]: &[u8; 4]| Edge {
        from: from % (ROLES + 1),
        to: 1 + to % ROLES,
        right_key: key % 16 == 0,
        terminating: flags & 1 != 0,
        covers: flags & 2 == 0,
    };
    (*lists, edges.iter().take(EDGES_MAX).map(edge).collect())
}

/// The files of the repository by the name under which they are asked for.
fn publish(lists: u8, edges: &[Edge]) -> BTreeMap<String, Vec<u8>> {
    let role = |number: u8| {
        let own = edges.iter().filter(|edge| edge.from == number);
        let delegated = |edge: &Edge| DelegatedRole {
            terminating: edge.terminating,
            ..DelegatedRole::terminating(&name(edge.to), keys(edge.key()), &[if edge.covers { "x/*" } else { "y/*" }])
        };
        let all = own.clone().map(|edge| named(edge.key())).collect();
        let roles: Vec<_> = own.map(delegated).collect();
        let lists = number > 0 && lists >> (number - 1) & 1 != 0;
        let targets = lists.then(|| (PATH.to_owned(), Target::of(&[number]))).into_iter().collect();
        let delegations = Some(Delegations::to(all, roles));
        let role = Targets { head: head::<Targets>(), targets, delegations, extra: BTreeMap::new() };
        (format!("{}.json", name(number)), signed(&role, 20 + number))
    };
    let mut files: BTreeMap<_, _> = (0..=ROLES).map(role).collect();
    let meta = files.iter().map(|(name, bytes)| (name.clone(), MetaFile::of(1, bytes))).collect();
    let snapshot = Snapshot { head: head::<Snapshot>(), meta, extra: BTreeMap::new() };
    let snapshot = signed(&snapshot, 20);
    let meta = [("snapshot.json".to_owned(), MetaFile::of(1, &snapshot))].into();
    let timestamp = Timestamp { head: head::<Timestamp>(), issued: None, meta, extra: BTreeMap::new() };
    files.insert("snapshot.json".into(), snapshot);
    files.insert("timestamp.json".into(), signed(&timestamp, 20));
    files
}

fn root() -> Vec<u8> {
    let role = || keys(20);
    let roles =
        RootRoles { root: role(), targets: role(), snapshot: role(), timestamp: role(), extra: BTreeMap::new() };
    let keys = [named(20)].into();
    let root = Root { head: head::<Root>(), consistent_snapshot: false, keys, roles, extra: BTreeMap::new() };
    signed(&root, 20)
}

/// 5.6.7 as a recursion; none when the search goes on with the siblings.
fn judge(from: u8, lists: u8, edges: &[Edge], seen: &mut Vec<u8>) -> Option<Found> {
    for edge in edges.iter().filter(|edge| edge.from == from && edge.covers) {
        if !seen.contains(&edge.to) {
            seen.push(edge.to);
            if !edge.right_key {
                return Some(Found::WrongKey);
            }
            if lists >> (edge.to - 1) & 1 != 0 {
                return Some(Found::At(edge.to));
            }
            if let Some(found) = judge(edge.to, lists, edges, seen) {
                return Some(found);
            }
        }
        if edge.terminating {
            return Some(Found::Nowhere);
        }
    }
    None
}

fn search(files: &BTreeMap<String, Vec<u8>>) -> Found {
    let held = Held { root: root(), files: BTreeMap::new() };
    let now = "2026-11-22T00:00:00Z".parse().expect("an instant");
    let mut refresh = Refresh::start_anywhere(held, now).expect("the root is good");
    refresh.look_for(PATH).expect("a path");
    let mut asked = 0;
    while let Some(want) = refresh.want() {
        asked += 1;
        assert!(asked <= usize::from(ROLES) + 4, "no role is asked for twice");
        match refresh.supply(files.get(&want.file).map(Vec::as_slice)) {
            Ok(_) => {}
            Err(Error::Threshold { .. }) => return Found::WrongKey,
            Err(error) => panic!("{}: {error}", want.file),
        }
    }
    let set = refresh.finish().expect("nothing is wanted");
    let Ok(target) = set.target(PATH) else { return Found::Nowhere };
    let who = (1..=ROLES).find(|number| target.hashes == Target::of(&[*number]).hashes);
    Found::At(who.expect("one of the roles"))
}

fuzz_target!(|bytes: &[u8]| {
    let (lists, edges) = read(bytes);
    let expected = judge(0, lists, &edges, &mut Vec::new()).unwrap_or(Found::Nowhere);
    assert_eq!(search(&publish(lists, &edges)), expected);
});
