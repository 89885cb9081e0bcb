//! Formats, trust and decisions of Tenure.
//!
//! Everything here is pure: bytes, times and randomness are arguments, answers are values. There
//! never will be a file, a socket, a clock or a source of randomness in this crate, so that a
//! device, a server and a test decide alike.
//!
//! Reading order: values first ([`time`], [`digest`], [`key`], [`canonical`], [`model`],
//! [`version`]), then trust ([`metadata`], [`trust`]), what is signed ([`release`], [`payload`],
//! [`support`], [`statement`]) and carried ([`bundle`]), what is decided ([`lifecycle`], [`policy`], [`restart`],
//! [`window`], [`choice`], [`notice`], [`silence`]), and what is said ([`words`], [`dsse`], [`checkin`], [`report`], [`record`]). Every bound stands in [`limits`].

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod limits;

pub mod canonical;
pub mod digest;
pub mod key;
pub mod model;
pub mod time;
pub mod version;

pub mod metadata;
pub mod trust;

pub mod advisory;
pub mod bundle;
pub mod payload;
pub mod release;
pub mod statement;
pub mod support;

pub mod choice;
pub mod health;
pub mod lifecycle;
pub mod notice;
pub mod policy;
pub mod restart;
pub mod silence;
pub mod window;
pub mod words;

pub mod checkin;
pub mod dsse;
pub mod record;
pub mod report;
