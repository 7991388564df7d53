//! A listener bound to one twin: fields of one device onto its signals, units converted, the rest kept.

use super::{
    Dialect, Listener,
    facts::{Fact, Facts},
    names,
};
use std::collections::HashMap;
use twinfleet_engine::{
    dialect::{Ear, EarSpec, Heard, Told, ToldValue},
    mirror::decode::DecodeError,
    units,
};

/// Fields of one device that are remembered.
const MAX_FIELDS: usize = 4096;
/// Longest name of a field that is taken, [bytes]: what is longer is no device's, and would be remembered.
const MAX_NAME_BYTES: usize = 512;

pub(super) struct BoundEar {
    dialect: &'static dyn Dialect,
    address: String,
    listener: Box<dyn Listener>,
    signals: Vec<String>,
    /// The dialect's field → signal, as the scenario says.
    mapped: HashMap<String, usize>,
    /// Fields met, with the quantity that the dialect declared for them.
    declared: HashMap<String, String>,
    facts: Facts,
}

impl BoundEar {
    pub(super) fn new(dialect: &'static dyn Dialect, spec: &EarSpec<'_>) -> Self {
        let place = |signal: &str| spec.signals.iter().position(|s| *s == signal);
        let mapped = spec.map.iter().filter_map(|(signal, field)| Some((field.clone(), place(signal)?)));
        Self {
            dialect,
            address: spec.topic.to_owned(),
            listener: dialect.listener(Some(spec.topic)),
            signals: spec.signals.iter().map(|s| (*s).to_owned()).collect(),
            mapped: mapped.collect(),
            declared: HashMap::new(),
            facts: Facts::default(),
        }
    }

    /// The signal that a field is: as mapped, or by its own name.
    fn signal(&self, field: &str, unit: &str) -> Option<usize> {
        if let Some(i) = self.mapped.get(field) {
            return Some(*i);
        }
        let quantity = self.declared.get(field).map_or("", String::as_str);
        let name = names::signal_of(field, quantity, unit);
        let i = self.signals.iter().position(|s| *s == name)?;
        // What the scenario says of this signal is said of no other field.
        (!self.mapped.values().any(|m| *m == i)).then_some(i)
    }
}

/// A value in the engine's unit of the signal's quantity; as it is where the engine has none. None where it can be no value of
/// that: a temperature as a pressure, or a unit that nobody knows.
fn converted(value: f64, unit: &str, signal: &str) -> Option<f64> {
    match units::of_quantity(signal.rsplit('.').next().unwrap_or(signal)) {
        Some(own) => names::kept(value, unit, own),
        None => Some(value),
    }
}

impl Ear for BoundEar {
    fn filters(&self) -> Vec<String> {
        self.dialect.filters(&self.address)
    }

    fn hear(&mut self, heard: &Heard<'_>, told: &mut Told) -> Result<(), DecodeError> {
        let mut facts = std::mem::take(&mut self.facts);
        facts.0.clear();
        let mut heard = self.listener.hear(heard, &mut facts);
        for fact in facts.0.drain(..) {
            if fact.device().is_some_and(|d| d != self.address) {
                continue;
            }
            if fact.field().is_some_and(|f| f.len() > MAX_NAME_BYTES) {
                heard = heard.and(Err(DecodeError::TooMuch));
                continue;
            }
            match fact {
                Fact::Value { field, value, unit, ts_ms, .. } => {
                    let as_said = names::unit_of_value(&value, &unit);
                    let told_value = self.signal(&field, as_said).and_then(|signal| {
                        let value = converted(value.number()?, &unit, &self.signals[signal])?;
                        Some(ToldValue { signal, value, ts_ms })
                    });
                    match told_value {
                        Some(v) => told.values.push(v),
                        None => told.other.push((field, value.to_string())),
                    }
                }
                Fact::Online { online, .. } => told.presence = Some(online),
                Fact::Declared { field, quantity, .. } => {
                    if self.declared.len() < MAX_FIELDS || self.declared.contains_key(&field) {
                        self.declared.insert(field, quantity);
                    }
                }
                Fact::About { key, text, .. } => told.other.push((format!("about/{key}"), text)),
                Fact::Asked { field, value, .. } => {
                    told.other.push((format!("asked/{field}"), value.to_string()))
                }
                // That it has no value is no value; the last one stands.
                Fact::Null { .. } => {}
                Fact::Done { field, value, .. } => {
                    told.other.push((format!("done/{field}"), value.to_string()))
                }
                Fact::Unread { field, why, .. } => told.other.push((format!("unread/{field}"), why)),
                Fact::Owed(reply) => told.replies.push(reply),
            }
        }
        self.facts = facts;
        heard
    }
}
