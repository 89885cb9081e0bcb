//! The update agent of Tenure: one binary, `tenure`.

mod channel;
mod clock;
mod config;
mod disk;

fn main() {}
