//! What the server does by itself: renews what it signed, and writes down who was seen.

use std::time::Duration;

use tenure_proto::metadata::Head;
use tenure_proto::model::Model;
use tenure_proto::time::Timestamp;

use crate::app::Handle;
use crate::error::{ApiError, chain};
use crate::folders::Folders;
use crate::live::{self, Live, OnlineKeys};
use crate::sign::{SNAPSHOT_DAYS, TIMESTAMP_DAYS};

/// How often it is looked whether something is to be renewed.
const LOOK_EVERY: Duration = Duration::from_mins(1);
/// The same where a drill moves the clock.
const LOOK_EVERY_IN_A_DRILL: Duration = Duration::from_secs(1);
/// How often it is written down who was seen.
const FLUSH_EVERY: Duration = Duration::from_secs(10);

/// Looks after the online metadata; never ends.
pub(crate) async fn renew_forever(app: Handle) {
    let every = if app.clock.is_moved() { LOOK_EVERY_IN_A_DRILL } else { LOOK_EVERY };
    loop {
        tokio::time::sleep(every).await;
        if let Err(error) = renew_all(&app).await {
            tracing::error!(?error, "renewal failed; devices go on until the timestamp expires");
        }
    }
}

/// Writes down who was seen; never ends.
pub(crate) async fn flush_forever(app: Handle) {
    loop {
        tokio::time::sleep(FLUSH_EVERY).await;
        if let Err(error) = app.seen.flush(&app.store).await {
            tracing::error!(cause = chain(&error), "last seen not written; it waits in memory");
        }
        if let Err(error) = app.offers.flush(&app.store).await {
            tracing::error!(cause = chain(&error), "first offers not written; they wait in memory");
        }
    }
}

/// Renews the timestamp and snapshot of each model where half of their life is over.
pub(crate) async fn renew_all(app: &Handle) -> Result<(), ApiError> {
    for model in app.store.models().await? {
        let _lock = app.locks.lock(&model).await;
        let (folders, name, now) = (app.folders.clone(), model.clone(), app.clock.now());
        let renewed = tokio::task::spawn_blocking(move || renew(&folders, &name, now));
        match renewed.await? {
            Ok(true) => tracing::info!(model = model.as_str(), "timestamp renewed"),
            Ok(false) => {}
            Err(error) => tracing::error!(model = model.as_str(), cause = chain(&error), "timestamp not renewed"),
        }
    }
    Ok(())
}

fn renew(folders: &Folders, model: &Model, now: Timestamp) -> Result<bool, live::Error> {
    let repo = folders.repo(model);
    let live = Live::read(&repo)?;
    let Some(current) = &live.current else { return Ok(false) };
    let keys = || OnlineKeys::read(folders, model, &live.root);
    if is_due(&current.snapshot.head, SNAPSHOT_DAYS, now) || !live.is_signed_by_its_root() {
        let pair = live.next(model, current.snapshot.meta.clone(), &keys()?, now)?;
        live::put(&repo, &pair)?;
        return Ok(true);
    }
    if is_due(&current.timestamp.head, TIMESTAMP_DAYS, now) {
        let timestamp = live.next_timestamp(model, current.snapshot.head.version, &keys()?, now)?;
        live::put_timestamp(&repo, &timestamp)?;
        return Ok(true);
    }
    Ok(false)
}

/// Half of its life is over.
fn is_due(head: &Head, days: u64, now: Timestamp) -> bool {
    head.expires.seconds_since(now).unwrap_or(0) <= days * 86_400 / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenure_proto::metadata;

    #[test]
    fn a_file_is_due_when_half_of_its_life_is_over() {
        let now: Timestamp = "2026-11-22T00:00:00Z".parse().unwrap();
        let model = "acme-gw1".parse().unwrap();
        for (left_s, due) in
            [(7 * 86_400, false), (302_401, false), (302_400, true), (1, true), (0, true), (8 * 86_400, false)]
        {
            let head = Head::new::<metadata::Timestamp>(&model, 1, now.plus_s(left_s));
            assert_eq!(is_due(&head, 7, now), due, "{left_s}");
        }
    }
}
