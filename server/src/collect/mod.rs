//! What devices tell us. Each write may be repeated.

pub(crate) mod reports;
pub(crate) mod testimonies;
