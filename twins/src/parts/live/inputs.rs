//! The inputs of a converter: the analogue parts that are wired to it, or what the scenario tells of its voltages.

use super::{Live, LiveError, LiveStimulus};
use crate::parts::stimulus::{Noise, Quantity, Stimulus};
use twinfleet_engine::{
    catalog::{AnalogDef, BusDef},
    sense::probe::Asking,
    units,
};

/// An analogue part at an input: what it finds, of which quantity, and the voltage that it makes of it.
#[derive(Debug)]
struct Analogue {
    sees: LiveStimulus,
    quantity: String,
    law: AnalogDef,
    logic_v: f64,
    /// What a divider before the input leaves of it.
    share: f64,
}

impl Analogue {
    /// Its voltage, [V]; 0 while a fault has the part.
    fn volts(&mut self, at_ns: u64) -> f64 {
        let value = self.sees.read(&self.quantity, at_ns).unwrap_or(f64::NAN);
        let (left, _) = self.sees.at_pin(at_ns);
        if value.is_nan() { 0.0 } else { left * self.share * self.law.volts(value, self.logic_v) }
    }
}

/// What a converter finds at its inputs.
///
/// A part that is wired to an input puts its voltage there, an input without a part has the voltage that the scenario tells;
/// either goes through the converter's own errors, and ends where its supply has the input end.
#[derive(Debug)]
pub(super) struct Inputs {
    own: LiveStimulus,
    /// Channels `voltage_0` and on.
    quantities: Vec<String>,
    wired: Vec<Option<Analogue>>,
}

impl Stimulus for Inputs {
    fn value(&mut self, quantity: Quantity, at_ns: u64) -> f64 {
        self.find(quantity, at_ns, None)
    }

    fn value_in(&mut self, quantity: Quantity, at_ns: u64, noise: Noise) -> f64 {
        self.find(quantity, at_ns, Some(noise))
    }
}

impl Inputs {
    fn find(&mut self, quantity: Quantity, at_ns: u64, noise: Option<Noise>) -> f64 {
        let Quantity::Volts(input) = quantity else { return 0.0 };
        let input = usize::from(input);
        let part = self.wired.get_mut(input).and_then(Option::as_mut);
        let asking = Asking { noise, input: part.map(|p| p.volts(at_ns)), within: true };
        let read = self.quantities.get(input).and_then(|q| self.own.read_as(q, at_ns, asking));
        read.filter(|v| v.is_finite()).unwrap_or(0.0)
    }
}

impl Live {
    /// The inputs of a converter of a device, which finds `own` by itself.
    pub(super) fn inputs(&self, device: &str, part: &str, own: LiveStimulus) -> Result<Inputs, LiveError> {
        let def = self.part(device, part)?;
        let converter = self.plan.catalog.sensors.get(&def.model);
        let channels = converter.map_or(&[][..], |s| &s.channels);
        let board = self.thing(device)?.board.as_ref().and_then(|b| self.plan.catalog.boards.get(b));
        let fed_v = board.filter(|_| !def.own_supply).and_then(|b| converter?.fed_v(b));
        let quantities: Vec<String> = channels
            .iter()
            .filter(|c| units::converter_input(&c.quantity).is_some())
            .map(|c| c.quantity.clone())
            .collect();
        let mut wired: Vec<Option<Analogue>> = quantities.iter().map(|_| None).collect();
        for other in self.parts(device)? {
            let Some((id, input)) = other.on.converter() else { continue };
            let Some(place) = wired.get_mut(usize::from(input)).filter(|_| id == part) else { continue };
            let Some(sensor) = self.plan.catalog.sensors.get(&other.model) else { continue };
            let channel = sensor.channels.first().filter(|_| matches!(sensor.bus, BusDef::Analog));
            let Some((channel, law)) = channel.and_then(|c| Some((c, c.analog?))) else { continue };
            let logic_v = self.logic_v(device)?;
            let reads_v = channels
                .iter()
                .find(|c| units::converter_input(&c.quantity) == Some(input))
                .map_or(f64::INFINITY, |c| c.fed(fed_v).range.1);
            *place = Some(Analogue {
                sees: self.stimulus(device, &other.id)?,
                quantity: channel.quantity.clone(),
                law,
                logic_v,
                share: if other.shifted { (reads_v / sensor.out_v.unwrap_or(logic_v)).min(1.0) } else { 1.0 },
            });
        }
        Ok(Inputs { own, quantities, wired })
    }
}
