//! A listener bound to one twin: fields of one device onto its signals, units converted, the rest kept; and the way back, by
//! which the device is asked to set one of them.

use super::{
    Asked, Dialect, Listener,
    facts::{Fact, Facts, Value},
    names, never, tree,
};
use std::collections::{BTreeSet, HashMap};
use twinfleet_engine::{
    dialect::{Aim, Ear, EarSpec, Heard, Order, Told, ToldValue, Unasked, Utterance, Wanted},
    mirror::decode::DecodeError,
    units,
};

/// Fields of one device that are remembered.
const MAX_FIELDS: usize = 4096;
/// Longest name of a field that is taken, [bytes]: what is longer is no device's, and would be remembered.
const MAX_NAME_BYTES: usize = 512;
/// Fields whose asking is remembered, so that a refusal is known to be of it.
const MAX_ASKED: usize = 64;

/// How a field was declared.
struct Declared {
    quantity: String,
    unit: String,
}

/// How a signal was last said.
struct Said {
    field: String,
    unit: String,
    value: Value,
}

pub(super) struct BoundEar {
    dialect: &'static dyn Dialect,
    address: String,
    listener: Box<dyn Listener>,
    signals: Vec<String>,
    /// The dialect's field → signal, as the scenario says.
    mapped: HashMap<String, usize>,
    /// Fields met, as the dialect declared them.
    declared: HashMap<String, Declared>,
    /// By signal, how the device said it last.
    said: Vec<Option<Said>>,
    /// Fields that it was asked to set.
    asked: BTreeSet<String>,
    /// Whether anything was heard.
    heard: bool,
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
            said: spec.signals.iter().map(|_| None).collect(),
            asked: BTreeSet::new(),
            heard: false,
            facts: Facts::default(),
        }
    }

    /// The signal that a field is: as mapped, or by its own name.
    fn signal(&self, field: &str, unit: &str) -> Option<usize> {
        if let Some(i) = self.mapped.get(field) {
            return Some(*i);
        }
        let quantity = self.declared.get(field).map_or("", |d| d.quantity.as_str());
        let name = names::signal_of(field, quantity, unit);
        let i = self.signals.iter().position(|s| *s == name)?;
        // What the scenario says of this signal is said of no other field.
        (!self.mapped.values().any(|m| *m == i)).then_some(i)
    }

    /// Remembers how a signal was said.
    fn note(&mut self, signal: usize, field: &str, unit: &str, value: &Value) {
        match &mut self.said[signal] {
            Some(said) if said.field == field && said.unit == unit => said.value.clone_from(value),
            other => {
                *other = Some(Said { field: field.to_owned(), unit: unit.to_owned(), value: value.clone() });
            }
        }
    }

    /// The first field that was declared as this signal.
    fn declared_as(&self, signal: usize) -> Option<String> {
        let is_it = |(field, d): &(&String, &Declared)| self.signal(field, &d.unit) == Some(signal);
        self.declared.iter().filter(is_it).map(|(field, _)| field).min().cloned()
    }

    /// A signal and what it shall be, as the device's field and in its own unit and words.
    fn as_said(&self, signal: usize, wanted: &Wanted) -> Result<(String, Value), Unasked> {
        let name = &self.signals[signal];
        let said = self.said[signal].as_ref();
        let mapped = || self.mapped.iter().find(|(_, i)| **i == signal).map(|(field, _)| field.clone());
        let known = said.map(|s| s.field.clone()).or_else(mapped).or_else(|| self.declared_as(signal));
        let Some(field) = known else {
            return Err(Unasked::NotYet(format!(
                "`{name}` was not heard yet, so what the device calls it is not known"
            )));
        };
        // Before its first value, and where that had none, its unit is the one that was declared.
        let unit = said.map(|s| s.unit.as_str()).filter(|u| !u.is_empty());
        let unit = unit.or_else(|| self.declared.get(&field).map(|d| d.unit.as_str())).unwrap_or_default();
        let is_state = said.is_some_and(|s| s.value.is_state());
        let number = match wanted {
            Wanted::Number(v) => Some(*v),
            Wanted::Flag(on) if said.is_none() => return Ok((field, Value::Flag(*on))),
            Wanted::Flag(on) => Some(f64::from(u8::from(*on))),
            Wanted::Text(text) => Value::Text(text.clone()).number(),
        };
        let value = match (number, said) {
            (Some(v), Some(s)) if is_state && (v == 0.0 || v == 1.0) => s.value.likewise(v == 1.0),
            (Some(_), Some(_)) if is_state => return Err(never(name, "it is on (1) or off (0)")),
            (Some(v), _) => {
                let own = units::of_quantity(names::quantity(name));
                Value::Number(own.map_or(v, |own| names::told(v, own.symbol, unit)))
            }
            (None, _) => value_of(wanted),
        };
        Ok((field, value))
    }

    /// Whether a refusal is of something that this ear asked.
    fn is_ours(&self, field: &str) -> bool {
        let last = |f: &str| tree::leaf(f).to_ascii_uppercase();
        !self.asked.is_empty() && (field.is_empty() || self.asked.iter().any(|a| last(a) == last(field)))
    }
}

fn value_of(wanted: &Wanted) -> Value {
    match wanted {
        Wanted::Number(v) => Value::Number(*v),
        Wanted::Flag(v) => Value::Flag(*v),
        Wanted::Text(v) => Value::Text(v.clone()),
    }
}

/// Whether a field can stand in a topic without becoming another one.
fn is_a_name(field: &str) -> bool {
    let good =
        |level: &str| !level.is_empty() && !level.contains(['+', '#']) && !level.contains(char::is_control);
    field.len() <= MAX_NAME_BYTES && field.split('/').all(good)
}

/// A value in the engine's unit of the signal's quantity; as it is where the engine has none. None where it can be no value of
/// that: a temperature as a pressure, or a unit that nobody knows.
fn converted(value: f64, unit: &str, signal: &str) -> Option<f64> {
    match units::of_quantity(names::quantity(signal)) {
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
        if !std::mem::replace(&mut self.heard, true) {
            told.allowed_silence_s = self.dialect.usual_silence_s();
        }
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
                        Some(v) => {
                            self.note(v.signal, &field, &unit, &value);
                            told.values.push(v);
                        }
                        None => told.other.push((field, value.to_string())),
                    }
                }
                Fact::Online { online, .. } => told.presence = Some(online),
                Fact::Declared { field, quantity, unit, .. } => {
                    if self.declared.len() < MAX_FIELDS || self.declared.contains_key(&field) {
                        self.declared.insert(field, Declared { quantity, unit });
                    }
                }
                Fact::About { key, text, .. } => told.other.push((format!("about/{key}"), text)),
                Fact::Asked { field, value, .. } => {
                    told.other.push((format!("asked/{field}"), value.to_string()))
                }
                Fact::Silence { allowed_s, .. } => told.allowed_silence_s = Some(allowed_s),
                Fact::Refused { field, why, .. } => {
                    if self.is_ours(&field) {
                        told.refusals.push(if field.is_empty() { why } else { format!("{field}: {why}") });
                    }
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

    fn command(&mut self, order: &Order<'_>) -> Result<Utterance, Unasked> {
        let (field, value) = match order.aim {
            Aim::Field(field) => (field.to_owned(), value_of(order.value)),
            Aim::Signal(signal) => self.as_said(signal, order.value)?,
        };
        if !is_a_name(&field) {
            return Err(never(&field.chars().take(80).collect::<String>(), "this is no name of a field"));
        }
        let asked = Asked { field: &field, value: &value, ts_unix_ms: order.ts_unix_ms };
        let said = self.listener.command(&self.address, &asked)?;
        if self.asked.len() < MAX_ASKED {
            self.asked.insert(field);
        }
        Ok(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::find;
    use std::collections::BTreeMap;

    const CONFIG: &str = r#"{"stat_t":"home/oven/t","cmd_t":"home/oven/t/set","dev_cla":"temperature","unit_of_meas":"°F","uniq_id":"set"}"#;

    /// What an ear sends to set a signal to 25 °C, once it heard these messages.
    fn asks(map: &[(&str, &str)], signal: &str, messages: &[(&str, &str)]) -> Result<String, Unasked> {
        let map: BTreeMap<String, String> =
            map.iter().map(|(signal, field)| ((*signal).to_owned(), (*field).to_owned())).collect();
        let spec = EarSpec { dialect: "homeassistant", topic: "home/oven", signals: &[signal], map: &map };
        let mut ear = BoundEar::new(find("homeassistant").unwrap(), &spec);
        for (topic, payload) in messages {
            let heard = Heard { topic, payload: payload.as_bytes(), retain: true };
            ear.hear(&heard, &mut Told::default()).unwrap();
        }
        let order = Order { aim: Aim::Signal(0), value: &Wanted::Number(25.0), ts_unix_ms: 0 };
        ear.command(&order).map(|u| String::from_utf8(u.payload).unwrap())
    }

    #[test]
    fn a_temperature_is_asked_for_in_the_units_of_its_device_before_its_first_report() {
        let config = ("homeassistant/number/oven/t/config", CONFIG);
        let fahrenheit = Ok("77".to_owned());
        let mapped = [("heater.temperature", "set")];
        assert!(matches!(asks(&mapped, "heater.temperature", &[]), Err(Unasked::NotYet(_))));
        assert_eq!(asks(&mapped, "heater.temperature", &[config]), fahrenheit);
        // By its own name, and once it has reported.
        assert_eq!(asks(&[], "set.temperature", &[config]), fahrenheit);
        let late = [config, ("home/oven/t", "70")];
        assert_eq!(asks(&mapped, "heater.temperature", &late), fahrenheit);
    }
}
