//! Receipts of broken promises: what proves one, and what does not.

use proptest::prelude::*;

use super::*;
use crate::support::tests::{honest_step, sample};
use crate::support::{Declaration, Fixed, Posture};
use crate::time::Day;
use crate::trust::receipt::{RECEIPT_TYPE, Receipt, ReceiptError, Vouched};

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Publishes the next declaration as the maker's keys sign it, whatever it says.
pub(super) fn declare(maker: &mut Maker, change: impl FnOnce(&mut Declaration)) {
    let before: Option<Declaration> = serde_json::from_slice(&maker.declaration).ok();
    let mut next = before.clone().unwrap_or_else(sample);
    if before.is_some() {
        next.sequence += 1;
        next.previous_sha256 = Some(Digest::of(&maker.declaration));
    }
    change(&mut next);
    maker.declaration = serde_json::to_vec(&next).unwrap();
    maker.bump(&[TIMESTAMP, SNAPSHOT, TARGETS, SUPPORT]);
    maker.publish();
}

/// What a device keeps of what is published now.
pub(super) fn vouched(maker: &Maker) -> Vouched {
    let file = |role: usize, name: &str| text(&maker.files[&format!("{}.{name}.json", maker.versions[role])]);
    let files = [
        ("timestamp.json", text(&maker.files["timestamp.json"])),
        ("snapshot.json", file(SNAPSHOT, "snapshot")),
        ("targets.json", file(TARGETS, "targets")),
        ("support.json", file(SUPPORT, "support")),
    ];
    Vouched {
        root_version: maker.versions[ROOT],
        files: files.map(|(name, text)| (name.to_owned(), text)).into(),
        declaration: text(&maker.declaration),
    }
}

fn receipt(maker: &Maker, held: Vouched, offered: Vouched) -> Receipt {
    let roots = (1..=maker.versions[ROOT]).map(|version| text(&maker.files[&format!("{version}.root.json")])).collect();
    let model = maker.model.clone();
    Receipt { kind_of_file: RECEIPT_TYPE.into(), model, refused_at: at(NOW), roots, held, offered }
}

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

/// A maker who promised until 2031, replaced its root and every key, and then signed 2029.
fn broken() -> (Maker, Receipt) {
    let mut maker = Maker::new();
    declare(&mut maker, |_| {});
    let held = vouched(&maker);
    let old = maker.key(ROOT);
    maker.seeds = [11, 12, 13, 14, 15];
    maker.bump(&[ROOT]);
    maker.publish_root(&[old, maker.key(ROOT)]);
    declare(&mut maker, |next| next.ends = day("2029-12-31"));
    let offered = vouched(&maker);
    let receipt = receipt(&maker, held, offered);
    (maker, receipt)
}

#[test]
fn two_signed_texts_with_a_falling_day_prove_a_broken_promise_by_the_first_root_alone() {
    let (maker, receipt) = broken();
    let read = Receipt::parse(&serde_json::to_vec(&receipt).unwrap()).unwrap();
    assert_eq!(read, receipt);
    let broken = read.verify(&maker.files["1.root.json"]).unwrap();
    assert_eq!((broken.held.ends, broken.offered.ends), (day("2031-12-31"), day("2029-12-31")));
    assert_eq!(broken.refusal.to_string(), "the declared end 2031-12-31 may not be shortened to 2029-12-31");
    // A later root vouches for nothing that was signed before it.
    let error = read.verify(&maker.files["2.root.json"]).unwrap_err();
    assert_eq!(error, ReceiptError::Anchor { have: 2, begins: 1 });
}

#[test]
fn a_stricter_end_proves_one_too() {
    let mut maker = Maker::new();
    declare(&mut maker, |_| {});
    let held = vouched(&maker);
    declare(&mut maker, |next| next.posture = Posture::Isolate);
    let offered = vouched(&maker);
    assert!(receipt(&maker, held, offered).verify(&maker.files["1.root.json"]).is_ok());
}

#[test]
fn a_component_left_out_and_updates_taken_away_prove_one_too() {
    let breaks: [&dyn Fn(&mut Declaration); 2] = [&|next| next.components = vec!["device".into()], &|next| {
        next.fixed = Some(Fixed {
            reason: "Its chip can be written once.".into(),
            replacement: "Send it in.".into(),
            replacement_ends: next.ends,
            isolation: "Take its battery out.".into(),
        });
    }];
    for change in breaks {
        let mut maker = Maker::new();
        declare(&mut maker, |first| first.components = vec!["device".into(), "app".into()]);
        let held = vouched(&maker);
        declare(&mut maker, change);
        let offered = vouched(&maker);
        let root = &maker.files["1.root.json"];
        assert!(receipt(&maker, held.clone(), offered.clone()).verify(root).is_ok());
        let other_way = receipt(&maker, offered, held).verify(root);
        assert!(matches!(other_way, Err(ReceiptError::Kept(_))), "{other_way:?}");
    }
}

type Forge<'a> = &'a dyn Fn(&mut Receipt);

#[test]
fn a_receipt_that_anybody_touched_proves_nothing() {
    let (maker, good) = broken();
    let root = &maker.files["1.root.json"];
    let mut liar = Maker::new();
    liar.seeds = [21, 22, 23, 24, 25];
    liar.publish_root(&[liar.key(ROOT)]);
    declare(&mut liar, |next| next.ends = day("2020-12-31"));
    let forgeries: [(&str, Forge<'_>); 7] = [
        ("the promise of another day", &|forged| {
            forged.held.declaration = forged.held.declaration.replace("2031-12-31", "2035-12-31");
        }),
        ("an offer of another day", &|forged| {
            forged.offered.declaration = forged.offered.declaration.replace("2029-12-31", "2020-12-31");
        }),
        ("an offer that somebody else signed", &|forged| forged.offered = vouched(&liar)),
        ("the roots of somebody else", &|forged| forged.roots = vec![text(&liar.files["1.root.json"])]),
        ("no role of the promise", &|forged| drop(forged.offered.files.remove("support.json"))),
        ("the metadata of the other half", &|forged| forged.offered.files = forged.held.files.clone()),
        ("the texts the other way round", &|forged| core::mem::swap(&mut forged.held, &mut forged.offered)),
    ];
    for (what, forge) in forgeries {
        let mut forged = good.clone();
        forge(&mut forged);
        assert!(forged.verify(root).is_err(), "{what}");
    }
    assert!(good.verify(&liar.files["1.root.json"]).is_err(), "by somebody else's root");
    assert!(good.verify(b"{}").is_err(), "by no root");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// However an honest maker extends, frees and rewords, for the model, a batch, a unit or replacements, whichever two of its texts somebody puts
    /// together, in whichever order: they prove nothing.
    #[test]
    fn an_honest_maker_never_causes_one(steps in proptest::collection::vec(honest_step(), 2..6)) {
        let mut maker = Maker::new();
        let mut seen = Vec::new();
        for (nth, step) in steps.iter().enumerate() {
            declare(&mut maker, |next| {
                if nth == 0 {
                    next.posture = Posture::Isolate;
                }
                step.take(next);
            });
            seen.push(vouched(&maker));
        }
        for held in &seen {
            for offered in &seen {
                let verdict = receipt(&maker, held.clone(), offered.clone()).verify(&maker.files["1.root.json"]);
                prop_assert!(matches!(verdict, Err(ReceiptError::Kept(_))), "{verdict:?}");
            }
        }
    }
}
