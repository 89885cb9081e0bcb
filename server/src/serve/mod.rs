//! What devices read, and how they make themselves known.

pub(crate) mod check_in;
pub(crate) mod enrolment;
pub(crate) mod files;
pub(crate) mod range;
