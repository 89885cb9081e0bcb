//! The round: who is asked back, who is told, who is forgotten.

use std::time::Duration;

use tenure_proto::notice::{Notice, Stage, Subject};
use tenure_proto::policy;
use tenure_proto::support::{Declaration, Unit};
use tenure_proto::time::{Proof, Reading, Timestamp};

use super::carrier::{Carrier, NotSent};
use super::letters;
use crate::app::{App, Handle};
use crate::error::chain;
use crate::store::subscribers::Subscriber;
use crate::store::{self, models::Declared};

/// How often it is looked whether a letter is due.
const LOOK_EVERY_S: u64 = 60;
/// The same where a drill moves the clock.
const LOOK_EVERY_S_IN_A_DRILL: u64 = 1;
/// How many owners are read at a time.
const BATCH: u32 = 100;
/// For how long an address is kept that nobody confirms.
const UNCONFIRMED_S: u64 = 7 * 86_400;
/// On how many days in a row an address may be refused.
const REFUSALS_MAX: i64 = 5;

/// Why a round was broken off.
#[derive(Debug, thiserror::Error)]
enum Error {
    /// The database.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The mail server.
    #[error(transparent)]
    NotSent(#[from] NotSent),
}

/// Sends what is due; never ends, unless letters are not configured.
pub(crate) async fn deliver_forever(app: Handle) {
    let Some(carrier) = &app.carrier else { return };
    let every_s = if app.clock.is_moved() { LOOK_EVERY_S_IN_A_DRILL } else { LOOK_EVERY_S };
    let mut failures = 0;
    loop {
        match round(&app, carrier).await {
            Ok(()) => {
                failures = 0;
                let rest = tokio::time::sleep(Duration::from_secs(every_s));
                tokio::select! { () = rest => {}, () = carrier.woken.notified() => {} }
            }
            Err(error) => {
                failures += 1;
                tracing::error!(cause = chain(&error), failures, "letters wait");
                let mut jitter = [0; 2];
                // Without randomness the wait is the longest one.
                let jitter = getrandom::fill(&mut jitter).map_or(u16::MAX, |()| u16::from_ne_bytes(jitter));
                tokio::time::sleep(Duration::from_secs(policy::next_poll_s(every_s, failures, jitter))).await;
            }
        }
    }
}

async fn round(app: &App, carrier: &Carrier) -> Result<(), Error> {
    let now = app.clock.now();
    app.store.forget_unconfirmed(ago(now, UNCONFIRMED_S)).await?;
    let declared = app.store.declared().await?;
    for owner in app.store.to_ask_back(BATCH).await? {
        let Some(declared) = declared.iter().find(|declared| declared.model == owner.model) else { continue };
        let (product, link) = (&declared.declaration.designation, carrier.link(&owner.id));
        match carrier.send(&owner.address, letters::asking_back(&owner.id, owner.language, product, &link)).await {
            Ok(()) => app.store.asked_back(&owner.id, now).await?,
            Err(NotSent::Refused) => app.store.forget_subscriber(&owner.id).await?,
            Err(error) => return Err(error.into()),
        }
    }
    for declared in &declared {
        let occasion = format!("{} {}", declared.fingerprint.code(), now.day());
        loop {
            let owners = app.store.to_look_after(&declared.model, &occasion, BATCH).await?;
            if owners.is_empty() {
                break;
            }
            for owner in owners {
                look_after(app, carrier, owner, declared, &occasion).await?;
            }
        }
    }
    Ok(())
}

/// So many seconds before; 1970 at the earliest.
pub(crate) fn ago(now: Timestamp, seconds: u64) -> Timestamp {
    let then = now.unix_s().saturating_sub(i64::try_from(seconds).unwrap_or(i64::MAX));
    Timestamp::from_unix_s(then).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Tells one owner what is new on this occasion, and forgets who needs no more letters.
async fn look_after(
    app: &App,
    carrier: &Carrier,
    mut owner: Subscriber,
    declared: &Declared,
    occasion: &str,
) -> Result<(), Error> {
    let before = owner.ledger.clone();
    let notices = due(&mut owner, &declared.declaration, app.clock.now());
    let is_last = notices.iter().any(is_last);
    for notice in &notices {
        let letter = letters::telling(&owner.id, owner.language, notice, &carrier.link(&owner.id), is_last);
        match carrier.send(&owner.address, letter).await {
            Ok(()) => owner.refusals = 0,
            Err(NotSent::Refused) if owner.refusals + 1 >= REFUSALS_MAX => {
                return Ok(app.store.forget_subscriber(&owner.id).await?);
            }
            Err(NotSent::Refused) => {
                // It is tried again on the next day.
                (owner.refusals, owner.ledger) = (owner.refusals + 1, before);
                return Ok(app.store.looked_after(&owner, occasion).await?);
            }
            Err(error) => return Err(error.into()),
        }
    }
    if is_last {
        return Ok(app.store.forget_subscriber(&owner.id).await?);
    }
    Ok(app.store.looked_after(&owner, occasion).await?)
}

/// What an owner is to be told now: what a device of that batch would tell. A letter sets nothing up, so that the
/// first one is the fact of the day: near the end the warning, and not that updates come by themselves.
fn due(owner: &mut Subscriber, declaration: &Declaration, now: Timestamp) -> Vec<Notice> {
    let ends = declaration.ends_for(&Unit { batch: owner.batch.clone(), digest: None });
    let reading = Reading { now, floor: now, proof: Proof::Synchronised };
    owner.ledger.ends.get_or_insert(ends);
    owner.ledger.update(declaration, ends, owner.language, reading)
}

/// After this one there is nothing more to tell.
fn is_last(notice: &Notice) -> bool {
    matches!(notice.subject, Subject::Stage(Stage::After30 | Stage::Reminder(_)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tenure_proto::notice::Ledger;
    use tenure_proto::words::Language;

    use super::*;

    #[test]
    fn who_asks_near_the_end_is_warned_in_the_first_letter_and_told_nothing_of_a_set_up() {
        let declaration = json!({
            "_type": "support_declaration", "model": "acme-gw1", "designation": "ACME Gateway 1", "manufacturer": "ACME Ltd",
            "sequence": 1, "declared_at": "2026-11-22T00:00:00Z", "ends": "2031-12-31", "components": ["device"],
            "basis": "expected use", "after_end": "New holes stay open.", "advice": "Replace it.",
            "contact": {"url": "https://acme.example/security", "acknowledge_within_days": 5, "status_every_days": 14},
        });
        let declaration: Declaration = serde_json::from_value(declaration).unwrap();
        for (day, first) in [("2026-11-23", "set-up"), ("2031-06-14", "365-days"), ("2031-12-20", "30-days")] {
            let mut owner = Subscriber {
                id: "x".into(),
                model: "acme-gw1".parse().unwrap(),
                batch: None,
                language: Language::English,
                address: "owner@example.org".into(),
                is_confirmed: true,
                ledger: Ledger::default(),
                refusals: 0,
            };
            let now = format!("{day}T12:00:00Z").parse().unwrap();
            let mut told =
                || -> Vec<_> { due(&mut owner, &declaration, now).into_iter().map(|told| told.id).collect() };
            assert_eq!(told(), [format!("{first}-2031-12-31")]);
            assert!(told().is_empty(), "once");
        }
    }
}
