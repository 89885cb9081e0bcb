//! Whatever is served, in whatever order: versions never fall, the support date never falls, no byte
//! that was not listed reaches a slot, and the honest repository is taken at the end.

use std::collections::BTreeMap;
use std::ops::BitXorAssign as _;

use proptest::prelude::*;
use tenure_proto::time::Day;

use super::board::{Board, Boot, Client};
use super::repository::{MODEL, Repository, image};
use crate::channel::{Offered, Reply, Request, WantedFile};

/// What is done to one of the files that a step serves.
#[derive(Clone, Debug)]
enum Fault {
    /// A bit of this byte is changed.
    Flip(prop::sample::Index),
    /// The file ends here.
    Cut(prop::sample::Index),
    /// There is none.
    Absent,
    /// Another repository's of the same name.
    Of(prop::sample::Index),
    /// Another file of the same repository.
    Other(prop::sample::Index),
}

/// One check: from which repository, and what is done to which of its files, in the order they are
/// asked for.
#[derive(Clone, Debug)]
struct Step {
    repository: usize,
    faults: BTreeMap<usize, Fault>,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let at = any::<prop::sample::Index>;
    let fault = prop_oneof![
        at().prop_map(Fault::Flip),
        at().prop_map(Fault::Cut),
        Just(Fault::Absent),
        at().prop_map(Fault::Of),
        at().prop_map(Fault::Other),
    ];
    let faults = prop::collection::btree_map(0_usize..12, fault, 0..3);
    let step = (0_usize..8, faults).prop_map(|(repository, faults)| Step { repository, faults });
    prop::collection::vec(step, 1..12)
}

/// Everything that is signed and in the attacker's hands: the honest ones as they followed each
/// other, a thief's with the keys of snapshot, timestamp and support, and another model's. The last
/// one is the honest one of today.
fn pool() -> Vec<Repository> {
    let mut first = Repository::new(MODEL);
    first.declare("2033-12-31");
    let mut second = first.clone();
    second.release("1.1.0", &image(10_000, 1));
    let mut third = second.clone();
    third.declare("2035-12-31");
    let mut fourth = third.clone();
    fourth.release("1.2.0", &image(12_000, 2));
    fourth.rotate(false);
    let mut shortens = third.clone();
    shortens.version = 10;
    shortens.declare("2030-12-31");
    let mut forgets = first.clone();
    forgets.version = 20;
    forgets.publish();
    let mut foreign = Repository::new("acme-gw2");
    foreign.declare("2040-12-31");
    let mut today = fourth.clone();
    today.version = 30;
    // Two past the number of the thief's: one past it would have to link to the thief's text.
    for _ in 0..3 {
        today.declare("2036-12-31");
    }
    vec![first, second, third, fourth, shortens, forgets, foreign, today]
}

/// The server of one step.
struct Server<'a> {
    pool: &'a [Repository],
    step: &'a Step,
    asked: usize,
}

impl Server<'_> {
    fn bring(&mut self, name: &str) -> Option<Vec<u8>> {
        let own = &self.pool[self.step.repository];
        let fault = self.step.faults.get(&self.asked);
        self.asked += 1;
        let mut bytes = own.files.get(name).cloned();
        match (fault, &mut bytes) {
            (Some(Fault::Flip(at)), Some(bytes)) => at.get_mut(bytes).bitxor_assign(1),
            (Some(Fault::Cut(at)), Some(bytes)) => bytes.truncate(at.index(bytes.len())),
            (Some(Fault::Absent), _) => bytes = None,
            (Some(Fault::Of(at)), _) => bytes = at.get(self.pool).files.get(name).cloned(),
            (Some(Fault::Other(at)), _) => {
                bytes = own.files.values().nth(at.index(own.files.len())).cloned();
            }
            _ => {}
        }
        bytes
    }

    fn target(&mut self, wanted: Option<WantedFile>) -> Option<Vec<u8>> {
        self.bring(&format!("targets/{}", wanted?.file))
    }

    /// One check, as far as it goes.
    fn check(&mut self, fetchd: &mut Client) -> Option<()> {
        let mut reply = fetchd.ask(Request::Refresh { release: None, bundle: false }, &[]);
        while let Reply::Want { want: Some(want) } = &reply {
            let bytes = self.bring(&format!("metadata/{}", want.file));
            reply = fetchd.ask(Request::Metadata { present: bytes.is_some() }, &bytes.unwrap_or_default());
        }
        if let Reply::Target { target } = fetchd.ask(Request::Declaration, &[])
            && let Some(bytes) = self.target(target)
        {
            fetchd.ask(Request::DeclarationBytes, &bytes);
        }
        let Reply::Target { target } = fetchd.ask(Request::Choose { offer: Offered::NoServer, metered: false }, &[])
        else {
            return None;
        };
        let manifest = self.target(target)?;
        let Reply::Plan { version, artifacts } = fetchd.ask(Request::Manifest, &manifest) else { return None };
        let index = self.target(Some(artifacts[0].index.clone()))?;
        let Reply::Frames { from } = fetchd.ask(Request::Index { artifact: 0 }, &index) else { return None };
        for frame in &self.pool.last()?.frames(&version.to_string())[from as usize..] {
            let mut frame = frame.clone();
            if let Some(Fault::Flip(at) | Fault::Cut(at)) = self.step.faults.get(&self.asked) {
                at.get_mut(&mut frame).bitxor_assign(1);
            }
            self.asked += 1;
            if !matches!(fetchd.ask(Request::Frame, &frame), Reply::Written { .. }) {
                return None;
            }
        }
        Some(())
    }
}

/// What may only grow.
fn known(boot: &Boot) -> (BTreeMap<String, u64>, Option<Day>) {
    let status = boot.status();
    (status.metadata, status.declaration.map(|declaration| declaration.ends))
}

/// Every byte of the spare slot is what the factory left there, or what a release signs for its place.
fn holds_only_what_is_listed(board: &Board) -> bool {
    let images = [image(10_000, 1), image(12_000, 2)];
    let listed = |(at, byte): (usize, &u8)| *byte == 0xBB || images.iter().any(|image| image.get(at) == Some(byte));
    board.slot("b").iter().enumerate().all(listed)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// On a failure the steps are printed, as few as show it.
    #[test]
    fn whatever_is_served_nothing_falls_and_no_unlisted_byte_is_installed(steps in steps()) {
        let pool = pool();
        let board = Board::new(&pool[0]);
        let (running, boot) = (board.slot("a"), board.boot());
        let mut before = known(&boot);
        for step in &steps {
            Server { pool: &pool, step, asked: 0 }.check(&mut boot.connect());
            let now = known(&boot);
            for (role, version) in &before.0 {
                prop_assert!(now.0.get(role) >= Some(version), "{role} fell from {version} to {:?}", now.0.get(role));
            }
            prop_assert!(now.1 >= before.1, "the end fell from {:?} to {:?}", before.1, now.1);
            prop_assert!(now.1.is_none_or(|end| end.to_string().as_str() <= "2036-12-31"), "{:?} was never promised", now.1);
            prop_assert!(holds_only_what_is_listed(&board));
            prop_assert!(board.slot("a") == running);
            before = now;
        }
        let today = Step { repository: 7, faults: BTreeMap::new() };
        let mut server = Server { pool: &pool, step: &today, asked: 0 };
        prop_assert_eq!(server.check(&mut boot.connect()), Some(()), "the honest repository is taken");
        let found = board.slot("b");
        prop_assert!(found[..12_000] == image(12_000, 2), "and its release");
        prop_assert_eq!(known(&boot).1.map(|end| end.to_string()), Some("2036-12-31".to_owned()));
    }
}
