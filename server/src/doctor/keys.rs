//! Keys: how many can be lost or stolen, where they lie, whether they still work, and for how long
//! their algorithms are good.

use std::collections::BTreeSet;

use tenure_proto::key::{PublicKey, Scheme};
use tenure_proto::time::{Day, Timestamp};

use super::{Code, Facts, Finding, Grade, KeyFolder, OfflineRole};
use crate::sign::{Holders, OFFLINE_DAYS};

const DAY_S: i64 = 86_400;
/// How long root keys may lie unused before it is doubted that they still work.
const UNUSED_DAYS: i64 = 366;

/// Every finding about keys.
pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let losses = facts.offline.iter().filter(|role| !is_said(role, facts)).map(|role| loss(role, facts));
    let folders = facts.at_hand.iter().map(|folder| together(folder, facts));
    let root = facts.root().into_iter();
    let root = root.flat_map(|root| [Some(theft(root, facts)), exercise(root, facts), algorithm(root, facts)]);
    losses.chain(folders).chain(root.flatten()).collect()
}

/// Whether a role has the very keys of one before it, as the archive has those of targets.
fn is_said(role: &OfflineRole, facts: &Facts) -> bool {
    let before = facts.offline.iter().take_while(|before| before.name != role.name);
    before.map(|before| &before.holders).any(|holders| holders.keys == role.holders.keys)
}

/// The keys of a role that a device can verify.
fn usable(holders: &Holders) -> impl Iterator<Item = (&PublicKey, Scheme)> {
    holders.keys.iter().filter_map(|key| Some((key, key.scheme()?)))
}

fn loss(role: &OfflineRole, facts: &Facts) -> Finding {
    let (name, needed) = (role.name.as_str(), role.holders.threshold as usize);
    let keys = usable(&role.holders).count();
    let have = format!("{needed} of {keys} keys must sign");
    if keys > needed {
        return Finding::good(Code::KeyLoss, name, format!("{have}: {} can be lost", keys - needed));
    }
    let grade = if name == "root" { Grade::Bad } else { Grade::Warn };
    let what = format!("{have}: with one lost, nobody can sign");
    let way_out = format!("add a key: tenurectl root propose {} --add-key FILE --role {name} --out FILE", facts.model);
    Finding::new(Code::KeyLoss, grade, name, what).way_out(way_out)
}

fn theft(root: &OfflineRole, facts: &Facts) -> Finding {
    let needed = root.holders.threshold;
    if needed > 1 {
        return Finding::good(Code::KeyTheft, "root", format!("{needed} keys would have to be stolen"));
    }
    let way_out =
        format!("ask for two signatures: tenurectl root propose {} --threshold root=2 --out FILE", facts.model);
    Finding::new(Code::KeyTheft, Grade::Warn, "root", "one stolen key can take over every device").way_out(way_out)
}

/// The root's keys, or those of two roles, in one folder: one fire or one thief has them all.
fn together(folder: &KeyFolder, facts: &Facts) -> Finding {
    let here = |role: &&OfflineRole| {
        let found = usable(&role.holders).filter(|(key, _)| folder.keys.contains(key)).count();
        found >= role.holders.threshold as usize
    };
    let whole: Vec<_> = facts.offline.iter().filter(here).collect();
    let names: Vec<_> = whole.iter().map(|role| role.name.as_str()).collect();
    // The same keys may speak for two roles, as those of targets do for the archive.
    let sets: BTreeSet<BTreeSet<_>> =
        whole.iter().map(|role| role.holders.keys.iter().map(PublicKey::id).collect()).collect();
    let subject = folder.path.display().to_string();
    if names.is_empty() {
        return Finding::good(Code::KeysTogether, subject, "no role can be signed for with the keys here");
    }
    let what = format!("the keys here can sign for {}", names.join(", "));
    if sets.len() == 1 && !names.contains(&"root") {
        return Finding::good(Code::KeysTogether, subject, what);
    }
    let way_out = "move the private keys to separate safe places, those of the root to separate hands";
    Finding::new(Code::KeysTogether, Grade::Warn, subject, what).way_out(way_out)
}

/// A root carries no date of signing. Ours are valid for [`OFFLINE_DAYS`] from the day on which
/// they were drafted, so that day is reckoned back; of a root that another tool made valid for
/// longer, nothing is said, and one that it made valid for less is taken for older than it is.
fn exercise(root: &OfflineRole, facts: &Facts) -> Option<Finding> {
    let life_s = i64::try_from(OFFLINE_DAYS).ok()? * DAY_S;
    let signed = Timestamp::from_unix_s(root.expires.unix_s() - life_s)?;
    let unused_s = facts.now.seconds_since(signed)?;
    let (day, code) = (signed.day(), Code::RootExercise);
    let words = day.in_words();
    if unused_s <= (UNUSED_DAYS * DAY_S).unsigned_abs() {
        return Some(Finding::good(code, "root", format!("signed on {words}: its keys worked then")));
    }
    let what = format!("last signed on {words}: nobody knows whether its keys still work");
    let way_out = format!("once a year: tenurectl root propose {} --renew --out FILE", facts.model);
    Some(Finding::new(code, Grade::Warn, "root", what).way_out(way_out).by(day.plus_days(UNUSED_DAYS)))
}

/// The last year in which a scheme is to be relied on, by NIST IR 8547 (initial public draft,
/// November 2024), table 2: ECDSA and `EdDSA` of 128 bits of strength are disallowed after 2035; RSA
/// of 2048 bits, which has 112, is deprecated after 2030. Of a longer RSA key the same is said:
/// its length is not looked at. ML-DSA (FIPS 204) has no known sunset.
fn last_year(scheme: Scheme) -> Option<i16> {
    match scheme {
        Scheme::RsaPss => Some(2030),
        Scheme::Ed25519 | Scheme::EcdsaP256 => Some(2035),
        Scheme::MlDsa44 | Scheme::MlDsa65 | Scheme::MlDsa87 => None,
    }
}

/// Whether keys whose algorithm does not outlive the promise can sign a root alone. The root is
/// what counts: it can name other keys for every other role later.
fn algorithm(root: &OfflineRole, facts: &Facts) -> Option<Finding> {
    let ends = facts.promise.as_ref()?.ends;
    let last_day = |scheme| Day::new(last_year(scheme)?, 12, 31);
    let keys = usable(&root.holders).filter_map(|(key, scheme)| Some((last_day(scheme)?, key)));
    let fading: Vec<_> = keys.filter(|(last, _)| *last < ends).collect();
    let Some((first, key)) = fading.iter().min_by_key(|(last, _)| *last) else {
        let what = "no algorithm of its keys is withdrawn before the promise ends";
        return Some(Finding::good(Code::Algorithm, "root", what));
    };
    if fading.len() < root.holders.threshold as usize {
        let what = "keys of an algorithm that outlives the promise must sign, too";
        return Some(Finding::good(Code::Algorithm, "root", what));
    }
    let what = format!("{} is withdrawn after {}, before the promise ends", key.scheme, first.in_words());
    let way_out = format!(
        "make keys that withstand quantum computers (tenurectl key generate root --scheme ml-dsa-65) and let both \
         families sign: tenurectl root propose {} --add-key FILE --role root --threshold root=N \
         --out FILE",
        facts.model
    );
    Some(Finding::new(Code::Algorithm, Grade::Warn, "root", what).way_out(way_out).by(*first))
}
