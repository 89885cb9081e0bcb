//! A version, a name, an instant, a day or a digest has one written form, and an order.
#![no_main]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tenure_proto::digest::Digest;
use tenure_proto::model::Name;
use tenure_proto::time::{Day, Timestamp};
use tenure_proto::version::Version;

fn has_one_form<T>(text: &str) -> Option<T>
where
    T: FromStr + Display + PartialEq + Debug + Serialize + DeserializeOwned,
{
    let value: T = text.parse().ok()?;
    assert_eq!(value.to_string(), text);
    let json = serde_json::to_string(&value).expect("a value can be written");
    assert_eq!(serde_json::from_str::<T>(&json).expect("what was written can be read"), value);
    Some(value)
}

fuzz_target!(|text: &str| {
    let (one, other) = text.split_once('\n').unwrap_or((text, ""));
    if let (Some(a), Some(b)) = (has_one_form::<Version>(one), has_one_form::<Version>(other)) {
        assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        assert_eq!(a == b, a.cmp(&b).is_eq());
    }
    if let Some(name) = has_one_form::<Name>(one) {
        assert!(!name.as_str().contains('/') && !name.as_str().contains(".."));
    }
    has_one_form::<Digest>(one);
    if let Some(at) = has_one_form::<Timestamp>(one) {
        assert!(at.plus_s(u64::MAX) >= at && at.day().midnight_utc() <= at);
        assert_eq!(Timestamp::from_unix_s(at.unix_s()), Some(at));
    }
    if let Some(day) = has_one_form::<Day>(one) {
        assert!(day.over_everywhere() >= day.midnight_utc());
        assert!(day.in_words().ends_with(&day.month_in_words()));
        if let Some(other) = has_one_form::<Day>(other) {
            assert_eq!(other.plus_days(day.days_since(other)), day);
        }
    }
});
