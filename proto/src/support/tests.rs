//! The promise as a device, a server and a manufacturer's tool judge it.

use alloc::vec;

use super::*;
use proptest::prelude::*;

/// A declaration that leaves no gap.
pub(crate) fn sample() -> Declaration {
    serde_json::from_value(serde_json::json!({
        "_type": TYPE,
        "model": "acme-gw1",
        "designation": "ACME Gateway 1",
        "manufacturer": "ACME Ltd",
        "manufacturer_address": "1 High Street, London",
        "sequence": 1,
        "declared_at": "2026-11-22T00:00:00Z",
        "placed_on_market": "2026-12-01",
        "ends": "2031-12-31",
        "components": ["device"],
        "basis": "expected use",
        "reasons": ["expected_use"],
        "reviewer": "A. Smith",
        "contact": {
            "url": "https://acme.example/security",
            "acknowledge_within_days": 5,
            "status_every_days": 14,
        },
        "after_end": "Remote access may become unsafe.",
        "risks": "A stranger could switch the gateway off.",
        "advice": "Switch remote access off, or replace the device.",
    }))
    .unwrap()
}

/// What an honest maker does from one declaration to the next: gives more days, frees more, says it in other words.
#[derive(Clone, Debug)]
pub(crate) struct HonestStep {
    days: i64,
    /// For a batch, and for a unit: which, and how much later than the model.
    batch: Option<(u8, i64)>,
    unit: Option<(u8, i64)>,
    posture: Posture,
    /// The product cannot be updated, so why, and how much longer it is replaced; or it can be after all.
    fixed: Option<(u8, i64)>,
    words: u8,
}

pub(crate) fn honest_step() -> impl Strategy<Value = HonestStep> {
    let some = || proptest::option::of((0_u8..3, 0_i64..600));
    let posture = prop_oneof![Just(Posture::Isolate), Just(Posture::LocalOnly), Just(Posture::Keep)];
    (0_i64..400, some(), some(), posture, some(), any::<u8>())
        .prop_map(|(days, batch, unit, posture, fixed, words)| HonestStep { days, batch, unit, posture, fixed, words })
}

impl HonestStep {
    pub(crate) fn take(&self, next: &mut Declaration) {
        next.ends = next.ends.plus_days(self.days);
        let ends = next.ends;
        if let Some((nth, later)) = self.batch {
            let batch = next.batches.entry(alloc::format!("b{nth}").parse().unwrap()).or_insert(ends);
            *batch = (*batch).max(ends.plus_days(later));
        }
        if let Some((nth, later)) = self.unit {
            let unit = next.units.entry(unit_digest(&next.model, &alloc::format!("SN {nth}"))).or_insert(ends);
            *unit = (*unit).max(ends.plus_days(later));
        }
        // Whoever was promised no more than everybody has now need not be named.
        next.batches.retain(|_, day| *day > ends);
        next.units.retain(|_, day| *day > ends);
        next.posture = next.posture.max(self.posture);
        let until = next.fixed.as_ref().map(|fixed| fixed.replacement_ends);
        // A product that is updated stays one.
        let may_be_fixed = next.fixed.is_some() || next.sequence == 1;
        next.fixed = match self.fixed {
            Some((reason, later)) if may_be_fixed => Some(Fixed {
                reason: alloc::format!("Its chip is of kind {reason}."),
                replacement: "Send it in.".into(),
                replacement_ends: until.unwrap_or(ends).max(ends).plus_days(later),
                isolation: "Take its battery out.".into(),
            }),
            _ => next.fixed.take().filter(|_| until > Some(ends)),
        };
        next.basis = alloc::format!("basis {}", self.words);
    }
}

fn digest_of(declaration: &Declaration) -> Digest {
    Digest::of(&serde_json::to_vec(declaration).unwrap())
}

fn declaration(sequence: u64, ends: Day, previous_sha256: Option<Digest>) -> (Declaration, Digest) {
    let declaration = Declaration { sequence, previous_sha256, ends, ..sample() };
    let digest = digest_of(&declaration);
    (declaration, digest)
}

fn day(offset: i64) -> Day {
    Day::new(2030, 1, 1).unwrap().plus_days(offset)
}

proptest! {
    /// Whatever is offered, in whatever order: the end never moves back.
    #[test]
    fn row_02_the_end_never_moves_back(offers in proptest::collection::vec((1_u64..6, -500_i64..500, any::<bool>()), 1..40)) {
        let mut held: Option<(Declaration, Digest)> = None;
        for (sequence, offset, linked) in offers {
            let previous = held.as_ref().filter(|_| linked).map(|held| held.1);
            let offered = declaration(sequence, day(offset), previous);
            let before = held.as_ref().map(|held| held.0.ends);
            if ratchet(held.as_ref().map(|(old, digest)| (old, *digest)), (&offered.0, offered.1)).is_ok() {
                held = Some(offered);
            }
            prop_assert!(before <= held.as_ref().map(|held| held.0.ends));
        }
    }

    /// An honest maker can never be shown to have broken a promise, whatever order a device sees the declarations in.
    #[test]
    fn an_honest_maker_never_looks_like_one_who_shortens(steps in proptest::collection::vec(honest_step(), 1..10), order in proptest::collection::vec(any::<prop::sample::Index>(), 1..30)) {
        let mut made: Vec<(Declaration, Digest)> = Vec::new();
        let mut last = Declaration { posture: Posture::Isolate, ..sample() };
        for (nth, step) in (1..).zip(steps) {
            (last.sequence, last.previous_sha256) = (nth, made.last().map(|last| last.1));
            step.take(&mut last);
            last.check().unwrap();
            made.push((last.clone(), digest_of(&last)));
        }
        let mut held: Option<&(Declaration, Digest)> = None;
        for index in order {
            let offered = index.get(&made);
            match ratchet(held.map(|(old, digest)| (old, *digest)), (&offered.0, offered.1)) {
                Ok(_) => held = Some(offered),
                Err(refusal) => prop_assert!(matches!(refusal, Refusal::Stale { .. }), "{refusal}"),
            }
        }
    }
}

/// What a maker asks of its tool in one step: how far the end moves, which components, whether it
/// cannot be updated, what it does after the end.
type Step = (i64, Vec<&'static str>, bool, usize);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let names = prop::sample::subsequence(vec!["device", "Device ", "app", " APP", "cloud"], 1..5);
    proptest::collection::vec((-100_i64..400, names, any::<bool>(), 0_usize..3), 1..16)
}

/// The next declaration as the tool drafts it beside the last one.
fn drafted(held: Option<&(Declaration, Digest)>, (days, components, cannot, posture): Step) -> (Declaration, Digest) {
    let fixed = Fixed {
        reason: "Its chip can be written once.".into(),
        replacement: "Send it in.".into(),
        replacement_ends: day(0),
        isolation: "Take its battery out.".into(),
    };
    let draft = Declaration {
        sequence: held.map_or(1, |held| held.0.sequence + 1),
        previous_sha256: held.map(|held| held.1),
        ends: held.map_or(day(0), |held| held.0.ends.plus_days(days)),
        components: components.into_iter().map(Into::into).collect(),
        fixed: cannot.then_some(fixed),
        posture: [Posture::Isolate, Posture::LocalOnly, Posture::Keep][posture],
        ..sample()
    };
    let digest = digest_of(&draft);
    (draft, digest)
}

proptest! {
    /// The tool asks the ratchet before it signs. What it let pass step by step, a device that
    /// slept through any of it takes, too: nothing of what it let pass proves a broken promise.
    #[test]
    fn a_maker_whose_tool_accepted_every_step_is_never_refused(steps in steps(), order in proptest::collection::vec(any::<prop::sample::Index>(), 1..30)) {
        let mut made: Vec<(Declaration, Digest)> = Vec::new();
        for step in steps {
            let draft = drafted(made.last(), step);
            if ratchet(made.last().map(|(held, digest)| (held, *digest)), (&draft.0, draft.1)).is_ok() {
                made.push(draft);
            }
        }
        let mut held: Option<&(Declaration, Digest)> = None;
        for index in order {
            let offered = index.get(&made);
            match ratchet(held.map(|(old, digest)| (old, *digest)), (&offered.0, offered.1)) {
                Ok(_) => held = Some(offered),
                Err(refusal) => prop_assert!(matches!(refusal, Refusal::Stale { .. }), "{refusal}"),
            }
        }
    }
}

fn offered_after(old: &Declaration, change: impl FnOnce(&mut Declaration)) -> Result<Accepted, Refusal> {
    let mut new = Declaration { sequence: 2, previous_sha256: Some(digest_of(old)), ..old.clone() };
    change(&mut new);
    ratchet(Some((old, digest_of(old))), (&new, digest_of(&new)))
}

#[test]
fn what_is_covered_stays_covered() {
    let old = Declaration { components: vec!["device".into(), "ACME app".into()], ..sample() };
    let offer =
        |names: &[&str]| offered_after(&old, |new| new.components = names.iter().copied().map(Into::into).collect());
    for (names, left_out) in
        [(&["device"][..], "ACME app"), (&["ACME app 2", "device"], "ACME app"), (&["cloud"], "device")]
    {
        let refusal = offer(names).unwrap_err();
        assert_eq!(refusal, Refusal::Uncovered { component: left_out.into() });
        assert!(refusal.breaks_the_promise());
        let said = alloc::format!("{left_out:?} is covered by the promise and may not be left out; keep it, and");
        assert!(refusal.to_string().starts_with(&said), "{refusal}");
    }
    // In another order, written better, beside something new.
    assert_eq!(offer(&[" acme APP", "Device", "ACME app 2"]), Ok(Accepted::Reworded));
    // Longer for less is less.
    let swap = |new: &mut Declaration| (new.ends, new.components) = (day(3650), vec!["device".into()]);
    assert_eq!(offered_after(&old, swap), Err(Refusal::Uncovered { component: "ACME app".into() }));
}

#[test]
fn a_product_that_is_updated_never_becomes_one_that_cannot_be() {
    let fixed = drafted(None, (0, vec!["device"], true, 2)).0;
    let updatable = Declaration { fixed: None, ..fixed.clone() };
    let refusal = offered_after(&updatable, |new| new.fixed.clone_from(&fixed.fixed)).unwrap_err();
    assert_eq!(refusal, Refusal::MadeFixed);
    assert!(refusal.breaks_the_promise());
    // The other way round, owners get more.
    assert_eq!(
        offered_after(&fixed, |new| (new.fixed, new.ends) = (None, day(1000))),
        Ok(Accepted::Extended { from: fixed.ends })
    );
    assert_eq!(offered_after(&fixed, |_| {}), Ok(Accepted::Reworded));
}

#[test]
fn a_shortening_is_named_with_both_days() {
    let (old, old_digest) = declaration(1, day(0), None);
    let (new, new_digest) = declaration(2, day(-1), Some(old_digest));
    let refusal = ratchet(Some((&old, old_digest)), (&new, new_digest)).unwrap_err();
    assert_eq!(refusal.to_string(), "the declared end 2030-01-01 may not be shortened to 2029-12-31");
}

#[test]
fn a_day_is_in_support_until_it_is_over_everywhere() {
    let (declaration, _) = declaration(1, day(0), None);
    assert!(!declaration.is_over("2030-01-02T11:59:59Z".parse().unwrap()));
    assert!(declaration.is_over("2030-01-02T12:00:00Z".parse().unwrap()));
}

#[test]
fn a_declaration_without_an_end_contact_or_components_is_refused() {
    let (good, _) = declaration(1, day(0), None);
    let good = serde_json::to_value(good).unwrap();
    assert!(Declaration::parse(good.to_string().as_bytes()).is_ok());
    for (field, value) in [
        ("ends", "lifetime".into()),
        ("ends", "2 years".into()),
        ("ends", "2020-01-01".into()),
        ("contact", Value::Null),
        ("components", Value::Array(vec![])),
        ("after_end", " ".into()),
        ("sequence", 0.into()),
        ("_type", "release".into()),
    ] {
        let mut bad = good.clone();
        bad[field] = value;
        assert!(Declaration::parse(bad.to_string().as_bytes()).is_err(), "{field}");
    }
}

#[test]
fn what_was_promised_to_a_batch_or_a_unit_never_moves_back_either() {
    let batch: Name = "2027-03".parse().unwrap();
    let unit = unit_digest(&"acme-gw1".parse().unwrap(), "SN 1");
    let mut old = sample();
    old.batches.insert(batch.clone(), "2033-03-31".parse().unwrap());
    old.units.insert(unit, "2034-03-31".parse().unwrap());
    let next = |change: &dyn Fn(&mut Declaration)| {
        let mut new = Declaration { sequence: 2, previous_sha256: Some(digest_of(&old)), ..old.clone() };
        change(&mut new);
        new.check().unwrap();
        ratchet(Some((&old, digest_of(&old))), (&new, digest_of(&new)))
    };
    let refused = |whose, offered: &str, held: &str| {
        Err(Refusal::Shortened { whose, held: held.parse().unwrap(), offered: offered.parse().unwrap() })
    };
    let earlier = |new: &mut Declaration| {
        new.batches.insert(batch.clone(), "2033-03-30".parse().unwrap());
    };
    assert_eq!(next(&earlier), refused(Whose::Batch(batch.clone()), "2033-03-30", "2033-03-31"));
    assert_eq!(next(&|new| new.batches.clear()), refused(Whose::Batch(batch.clone()), "2031-12-31", "2033-03-31"));
    assert_eq!(next(&|new| new.units.clear()), refused(Whose::Unit(unit), "2031-12-31", "2034-03-31"));
    // A later day for every unit takes the place of all of them.
    let all_later = |new: &mut Declaration| {
        new.ends = "2035-01-01".parse().unwrap();
        new.batches.clear();
        new.units.clear();
    };
    assert_eq!(next(&all_later), Ok(Accepted::Extended { from: old.ends }));
}

#[test]
fn the_latest_day_that_applies_to_a_unit_is_its_end() {
    let mut declaration = sample();
    let (batch, model) = ("b7".parse::<Name>().unwrap(), declaration.model.clone());
    let unit = Unit { batch: Some(batch.clone()), digest: Some(unit_digest(&model, "SN 1")) };
    assert_eq!(declaration.ends_for(&unit).to_string(), "2031-12-31");
    declaration.batches.insert(batch.clone(), "2032-06-30".parse().unwrap());
    assert_eq!(declaration.ends_for(&unit).to_string(), "2032-06-30");
    assert_eq!(declaration.ends_for(&Unit::default()).to_string(), "2031-12-31", "a unit that knows nothing of itself");
    declaration.units.insert(unit_digest(&model, "SN 1"), "2033-01-31".parse().unwrap());
    assert_eq!(declaration.ends_for(&unit).to_string(), "2033-01-31");
    let other = Unit { batch: Some(batch), digest: Some(unit_digest(&model, "SN 2")) };
    assert_eq!(declaration.ends_for(&other).to_string(), "2032-06-30");
    declaration.batches.insert("b8".parse().unwrap(), "2031-01-01".parse().unwrap());
    assert!(declaration.check().is_err(), "no batch ends before the model");
}

#[test]
fn what_a_product_does_after_the_end_moves_towards_freedom_only() {
    for (held, offered, allowed) in [
        (Posture::Isolate, Posture::LocalOnly, true),
        (Posture::Isolate, Posture::Keep, true),
        (Posture::LocalOnly, Posture::Keep, true),
        (Posture::LocalOnly, Posture::Isolate, false),
        (Posture::Keep, Posture::LocalOnly, false),
        (Posture::Keep, Posture::Isolate, false),
    ] {
        let old = Declaration { posture: held, ..sample() };
        let new = Declaration { sequence: 2, previous_sha256: Some(digest_of(&old)), posture: offered, ..sample() };
        let judged = ratchet(Some((&old, digest_of(&old))), (&new, digest_of(&new)));
        assert_eq!(judged, if allowed { Ok(Accepted::Reworded) } else { Err(Refusal::Stricter { held, offered }) });
    }
}

#[test]
fn each_thing_that_the_law_wants_said_is_missed() {
    let whole = sample();
    assert_eq!(gaps(&whole), []);
    for (gap, with_a_gap) in [
        (Gap::PlacedOnMarket, Declaration { placed_on_market: None, ..whole.clone() }),
        (Gap::ManufacturerAddress, Declaration { manufacturer_address: None, ..whole.clone() }),
        (Gap::Reasons, Declaration { reasons: vec![], ..whole.clone() }),
        (Gap::Reviewer, Declaration { reviewer: None, ..whole.clone() }),
        (Gap::ShortBecause, Declaration { ends: "2031-11-30".parse().unwrap(), ..whole.clone() }),
        (Gap::Risks, Declaration { risks: None, ..whole.clone() }),
    ] {
        assert_eq!(gaps(&with_a_gap), [gap]);
        assert!(Declaration::parse(&serde_json::to_vec(&with_a_gap).unwrap()).is_ok(), "a device holds it to its word");
    }
    let short = Declaration { ends: "2028-11-30".parse().unwrap(), ..whole };
    assert_eq!(gaps(&Declaration { short_because: Some("it is worn out by then".into()), ..short }), []);
}

#[test]
fn a_declaration_of_the_first_form_is_read_and_written_as_it_was() {
    let text = include_bytes!("../../tests/data/declaration_1.json");
    let declaration = Declaration::parse(text).unwrap();
    assert_eq!(declaration.posture, Posture::Keep);
    let (was, now): (Value, Value) =
        (serde_json::from_slice(text).unwrap(), serde_json::to_value(&declaration).unwrap());
    assert_eq!(was, now);
}
