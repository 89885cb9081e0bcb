//! Letters to owners who ask for them: double opt-in, one step to stop, no other use.
//!
//! What is told and when is what a device tells its owner ([`tenure_proto::notice`]). Addresses are
//! never logged, and are erased on request, when nobody confirms, and after the last letter. Without
//! `[mail]` in the settings nothing of this is there.

pub(crate) mod carrier;
mod letters;
mod post;
mod settings;
mod sign_ups;

pub(crate) use carrier::{ADDRESS_BYTES_MAX, is_address};
pub use carrier::{Carrier, Error};
pub(crate) use post::ago;
pub(crate) use post::deliver_forever;
pub use settings::Settings;
