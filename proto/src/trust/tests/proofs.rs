//! Pocket proofs: what proves a promise, and what does not.

use super::receipts::{declare, vouched};
use super::*;
use crate::trust::proof::{PROOF_TYPE, Proof, ProofError};

fn proof(maker: &Maker) -> Proof {
    let root = |version| String::from_utf8(maker.files[&format!("{version}.root.json")].clone()).unwrap();
    let roots = (1..=maker.versions[ROOT]).map(root).collect();
    Proof { kind_of_file: PROOF_TYPE.into(), model: maker.model.clone(), roots, declared: vouched(maker) }
}

fn promised() -> (Maker, Proof) {
    let mut maker = Maker::new();
    declare(&mut maker, |_| {});
    let proof = proof(&maker);
    (maker, proof)
}

#[test]
fn row_43_a_proof_is_verified_by_the_makers_root_alone() {
    let (mut maker, first) = promised();
    let read = Proof::parse(&serde_json::to_vec(&first).unwrap()).unwrap();
    let (promise, digest) = read.verify(&maker.files["1.root.json"]).unwrap();
    assert_eq!((promise.ends.to_string(), digest), ("2031-12-31".into(), Digest::of(&maker.declaration)));
    assert!(serde_json::to_vec(&first).unwrap().len() < 8 * 1024, "it fits into a pocket");
    // Once the keys were replaced, a proof goes on from the first root, and from each one since.
    let old = maker.key(ROOT);
    maker.seeds = [11, 12, 13, 14, 15];
    maker.bump(&[ROOT]);
    maker.publish_root(&[old, maker.key(ROOT)]);
    declare(&mut maker, |next| next.ends = next.ends.plus_days(365));
    let second = proof(&maker);
    for root in ["1.root.json", "2.root.json"] {
        assert_eq!(second.verify(&maker.files[root]).unwrap().0.ends.to_string(), "2032-12-30", "{root}");
    }
    let error = first.verify(&maker.files["2.root.json"]).unwrap_err();
    assert_eq!(error, ProofError::Anchor { have: 2, begins: 1 });
}

type Forge<'a> = &'a dyn Fn(&mut Proof);

#[test]
fn row_43_a_proof_that_anybody_touched_proves_nothing() {
    let (maker, good) = promised();
    let root = &maker.files["1.root.json"];
    let mut liar = Maker::new();
    liar.seeds = [21, 22, 23, 24, 25];
    liar.publish_root(&[liar.key(ROOT)]);
    declare(&mut liar, |next| next.ends = next.ends.plus_days(3650));
    let forgeries: [(&str, Forge<'_>); 6] = [
        ("a later day", &|forged| {
            forged.declared.declaration = forged.declared.declaration.replace("2031-12-31", "2041-12-31");
        }),
        ("an earlier day", &|forged| {
            forged.declared.declaration = forged.declared.declaration.replace("2031-12-31", "2029-12-31");
        }),
        ("a promise that somebody else signed", &|forged| forged.declared = vouched(&liar)),
        ("the roots of somebody else too", &|forged| *forged = proof(&liar)),
        ("another model", &|forged| forged.model = "acme-gw2".parse().unwrap()),
        ("no role of the promise", &|forged| drop(forged.declared.files.remove("support.json"))),
    ];
    for (what, forge) in forgeries {
        let mut forged = good.clone();
        forge(&mut forged);
        assert!(forged.verify(root).is_err(), "{what}");
    }
    assert!(good.verify(&liar.files["1.root.json"]).is_err(), "by somebody else's root");
    for text in [&b"{}"[..], b"", b"\xff", b"[]"] {
        assert!(matches!(Proof::parse(text), Err(ProofError::Shape(_))));
    }
}
