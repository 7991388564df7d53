//! A board's analogue converter: what stands between a part's voltage and the value that firmware makes of the code.
//!
//! Firmware knows the nominal figures only: the reference's own error, the non-linearity and the noise stay in the reading.

use super::fault::AtPin;
use crate::{
    catalog::{AdcDef, AnalogDef},
    rng::stream,
};
use rand::RngExt;
use rand_distr::StandardNormal;
use std::collections::BTreeMap;

/// A channel of analogue parts behind the converters of their boards.
#[derive(Debug)]
pub(crate) struct Converter {
    law: AnalogDef,
    logic_v: f64,
    /// What a divider leaves of the part's voltage; the firmware knows it.
    share: f64,
    /// Whether what feeds the part is the converter's reference, too.
    with_rail: bool,
    codes: f64,
    adc: AdcDef,
    units: Vec<AdcUnit>,
}

/// What an analogue part puts on an input of a converter that is another part of its device, and what firmware makes of what
/// that reads. The converter's own errors are its channel's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outlet {
    pub law: AnalogDef,
    /// The board's, [V].
    pub logic_v: f64,
    /// What a divider leaves of the part's voltage; the firmware knows it.
    pub share: f64,
}

impl Outlet {
    /// The voltage at the input, [V].
    pub fn volts(&self, value: f64) -> f64 {
        self.law.volts(value, self.logic_v) * self.share
    }

    /// What firmware makes of a voltage that was read, [V].
    pub fn value(&self, volts: f64) -> f64 {
        self.law.value(volts / self.share, self.logic_v)
    }
}

/// What one board's converter drew at its making; the same for all of the board's pins.
#[derive(Clone, Copy, Debug)]
pub struct AdcUnit {
    gain: f32,
    bow: f32,
    s: f32,
}

impl AdcUnit {
    /// A device's converter, drawn from its stream `adc/unit`.
    pub fn draw(seed: u64, device: &str, reference_spread: f64) -> Self {
        let mut unit = stream(seed, device, "adc/unit");
        let mut normal = |std: f64| (std * unit.sample::<f64, _>(StandardNormal)) as f32;
        Self { gain: normal(reference_spread), bow: normal(1.0), s: normal(1.0) }
    }

    /// The code of a voltage, [V], before noise and rounding. `with_rail`: the voltage is made of the converter's own
    /// reference, so that what this is off by does not show.
    fn code(&self, adc: &AdcDef, codes: f64, volts: f64, with_rail: bool) -> f64 {
        // A reference that is higher by a share makes codes lower by it.
        let gain = if with_rail { 0.0 } else { f64::from(self.gain) };
        let share = adc.share_of(volts / (1.0 + gain));
        let u = share.clamp(0.0, 1.0);
        let (bow, s) = (4.0 * u * (1.0 - u), 10.392_304_845_413_264 * u * (1.0 - u) * (1.0 - 2.0 * u));
        codes * share + adc.inl_lsb * (f64::from(self.bow) * bow + f64::from(self.s) * s)
    }

    /// What a program reads of a voltage, [V], with a standard normal for the noise; `with_rail` says whether the voltage is
    /// made of the converter's own reference.
    pub fn read(&self, adc: &AdcDef, volts: f64, with_rail: bool, z: f64) -> u32 {
        let codes = adc.codes();
        let code = self.code(adc, codes, volts, with_rail) + adc.noise_lsb * z;
        code.round_ties_even().clamp(0.0, codes - 1.0) as u32
    }
}

/// Whether a part's voltage is a share of the rail that is the converter's reference, too: a divider on it.
pub fn with_rail(law: &AnalogDef, adc: &AdcDef, logic_v: f64, own_supply: bool) -> bool {
    let AnalogDef::Divider { supply_v, .. } = law else { return false };
    adc.ratiometric && !own_supply && supply_v.is_none_or(|v| (v - logic_v).abs() < 1e-9)
}

impl Converter {
    /// The converter `adc` of a board at `logic_v`, [V], with a part of this law behind a divider that leaves `share`;
    /// `own_supply` says whether the part is fed by something else than the board.
    pub fn new(law: AnalogDef, adc: &AdcDef, logic_v: f64, share: f64, own_supply: bool) -> Self {
        Self {
            law,
            logic_v,
            share,
            with_rail: with_rail(&law, adc, logic_v, own_supply),
            codes: adc.codes(),
            // A cohort has one of each channel: the board's list of pins is nothing to it.
            adc: AdcDef { not_with_radio: Vec::new(), ranges: BTreeMap::new(), ..adc.clone() },
            units: Vec::new(),
        }
    }

    /// Adds the next lane's board, drawn from its stream `adc/unit`.
    pub fn add(&mut self, seed: u64, device: &str) {
        self.units.push(AdcUnit::draw(seed, device, self.adc.reference_spread));
    }

    /// The code of a value before rounding, with what goes wrong at the pin and a standard normal for its noise.
    pub fn code(&self, lane: u16, value: f64, pin: AtPin, z: f64) -> f64 {
        let volts = self.law.volts(value, self.logic_v) * self.share * pin.share / pin.reference;
        let unit = &self.units[lane as usize];
        // Noise does not bring back what is far beyond an end.
        let code = unit.code(&self.adc, self.codes, volts, self.with_rail) + self.adc.noise_lsb * z;
        code.clamp(0.0, self.codes - 1.0)
    }

    /// The code that a perfect converter would give, before rounding.
    pub fn ideal(&self, value: f64) -> f64 {
        self.codes * self.adc.share_of(self.law.volts(value, self.logic_v) * self.share)
    }

    /// What firmware makes of a code.
    pub fn value(&self, code: f64) -> f64 {
        self.law.value(self.adc.volts_of(code / self.codes) / self.share, self.logic_v)
    }

    /// The code that is read.
    pub fn rounded(&self, code: f64) -> f64 {
        code.round_ties_even().clamp(0.0, self.codes - 1.0)
    }

    /// Bytes held, [B].
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.units.capacity() * size_of::<AdcUnit>()
    }
}
