//! A bootloader that is moved by variables: where they are, and what they mean.
//!
//! What they mean ([`Scheme`]) is decided on values alone; where they are ([`Store`]) is read anew
//! each time, because the bootloader and people change it too. **Invariant:** a change is one
//! write of the store, and none if everything is as wanted already.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::PathBuf;

use super::running::Running;
use super::{Bootloader, Error, Spare};

/// Variables by name. Names and values are bytes: those of others need not be UTF-8.
pub(super) type Variables = BTreeMap<Vec<u8>, Vec<u8>>;

/// Where variables are.
pub(super) trait Store: Debug + Send {
    /// Every variable, others' too.
    fn read(&self) -> Result<Variables, Error>;
    /// Makes them durable so that at every instant the old ones or the new ones count.
    fn write(&self, variables: &Variables) -> Result<(), Error>;
    /// See [`Bootloader::writes`].
    fn writes(&self) -> Vec<PathBuf>;
}

/// What variables mean. Pure.
pub(super) trait Scheme: Debug + Send {
    /// Whether it can be trusted that the bootloader reads and writes what we do.
    fn check(&self, _variables: &Variables) -> Result<(), Error> {
        Ok(())
    }
    /// See [`Bootloader::spare`].
    fn spare(&self, variables: &Variables, running: &str, spare: &str) -> Spare;
    /// See [`Bootloader::is_kept`].
    fn is_kept(&self, variables: &Variables, slot: &str) -> bool;
    /// See [`Bootloader::mark_bad`]; `back` is the slot that is left.
    fn mark_bad(&self, variables: &mut Variables, slot: &str, back: &str);
    /// See [`Bootloader::try_once`].
    fn try_once(&self, variables: &mut Variables, slot: &str, back: &str);
    /// See [`Bootloader::confirm`].
    fn confirm(&self, variables: &mut Variables, slot: &str);
    /// See [`Bootloader::fall_back`].
    fn fall_back(&self, variables: &mut Variables, slot: &str, back: &str);
}

/// See above.
#[derive(Debug)]
pub(super) struct Environment {
    pub(super) store: Box<dyn Store>,
    pub(super) scheme: Box<dyn Scheme>,
    pub(super) running: Running,
    pub(super) names: Vec<String>,
}

impl Environment {
    fn change(&self, change: impl FnOnce(&dyn Scheme, &mut Variables)) -> Result<(), Error> {
        let before = self.store.read()?;
        let mut after = before.clone();
        change(&*self.scheme, &mut after);
        if after == before {
            return Ok(());
        }
        self.scheme.check(&before)?;
        self.store.write(&after)
    }
}

impl Bootloader for Environment {
    fn running(&self) -> Result<String, Error> {
        self.running.name()
    }

    fn spare(&self, running: &str, spare: &str) -> Result<Spare, Error> {
        Ok(self.scheme.spare(&self.store.read()?, running, spare))
    }

    fn is_kept(&self, slot: &str) -> Result<bool, Error> {
        Ok(self.scheme.is_kept(&self.store.read()?, slot))
    }

    fn mark_bad(&self, slot: &str) -> Result<(), Error> {
        let back = self.names.iter().find(|name| *name != slot).map(String::as_str).unwrap_or_default();
        self.change(|scheme, variables| scheme.mark_bad(variables, slot, back))
    }

    fn try_once(&self, slot: &str, back: &str) -> Result<(), Error> {
        self.change(|scheme, variables| scheme.try_once(variables, slot, back))
    }

    fn confirm(&self, slot: &str) -> Result<(), Error> {
        self.change(|scheme, variables| scheme.confirm(variables, slot))
    }

    fn fall_back(&self, slot: &str, back: &str) -> Result<(), Error> {
        self.change(|scheme, variables| scheme.fall_back(variables, slot, back))
    }

    fn writes(&self) -> Vec<PathBuf> {
        self.store.writes()
    }
}

/// A variable's value as text; what is not UTF-8 becomes what no slot is called.
pub(super) fn text(variables: &Variables, name: &str) -> Option<String> {
    variables.get(name.as_bytes()).map(|value| String::from_utf8_lossy(value).into_owned())
}

/// Sets a variable.
pub(super) fn set(variables: &mut Variables, name: &str, value: &str) {
    variables.insert(name.into(), value.into());
}

/// The names in a list of slots, in their order; `default` if there is no such variable.
pub(super) fn order(variables: &Variables, name: &str, default: &[String]) -> Vec<String> {
    match text(variables, name) {
        Some(value) => value.split_ascii_whitespace().map(String::from).collect(),
        // The boards' scripts put in a default.
        None => default.to_vec(),
    }
}

/// `order` with `slot` before all others, once.
pub(super) fn put_first(mut order: Vec<String>, slot: &str) -> Vec<String> {
    order.retain(|name| name != slot);
    order.insert(0, slot.into());
    order
}

/// Whether `slot` is in `order`, and before `other` (or `other` is not there).
pub(super) fn is_before(order: &[String], slot: &str, other: &str) -> bool {
    let place = |slot| order.iter().position(|name| name == slot);
    place(slot).is_some_and(|slot| place(other).is_none_or(|other| slot < other))
}
