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

/// A channel of analogue parts behind the converters of their boards.
#[derive(Debug)]
pub(crate) struct Converter {
    law: AnalogDef,
    logic_v: f64,
    /// What a divider leaves of the part's voltage; the firmware knows it.
    share: f64,
    codes: f64,
    reference_v: f64,
    least_v: f64,
    inl_lsb: f64,
    pub noise_lsb: f64,
    units: Vec<AdcUnit>,
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

    /// The code, before noise and rounding, of a voltage as a share of the nominal reference.
    fn code(&self, share: f64, codes: f64, inl_lsb: f64) -> f64 {
        // A reference that is higher by a share makes codes lower by it.
        let u = (share / (1.0 + f64::from(self.gain))).clamp(0.0, 1.0);
        let (bow, s) = (4.0 * u * (1.0 - u), 10.392_304_845_413_264 * u * (1.0 - u) * (1.0 - 2.0 * u));
        codes * u + inl_lsb * (f64::from(self.bow) * bow + f64::from(self.s) * s)
    }

    /// What a program reads of a voltage, [V], with a standard normal for the noise.
    pub fn read(&self, adc: &AdcDef, volts: f64, z: f64) -> u32 {
        let codes = 2f64.powi(adc.bits.min(31) as i32);
        let volts = if volts < adc.least_v { 0.0 } else { volts };
        let code = self.code(volts / adc.reference_v, codes, adc.inl_lsb) + adc.noise_lsb * z;
        code.round_ties_even().clamp(0.0, codes - 1.0) as u32
    }
}

impl Converter {
    pub fn new(law: AnalogDef, adc: &AdcDef, logic_v: f64, share: f64) -> Self {
        Self {
            law,
            logic_v,
            share,
            codes: 2f64.powi(adc.bits.min(32) as i32),
            reference_v: adc.reference_v,
            least_v: adc.least_v,
            inl_lsb: adc.inl_lsb,
            noise_lsb: adc.noise_lsb,
            units: Vec::new(),
        }
    }

    /// Adds the next lane's board, drawn from its stream `adc/unit`.
    pub fn add(&mut self, seed: u64, device: &str, reference_spread: f64) {
        self.units.push(AdcUnit::draw(seed, device, reference_spread));
    }

    /// The code of a value before rounding, with what goes wrong at the pin and a standard normal for its noise.
    pub fn code(&self, lane: u16, value: f64, pin: AtPin, z: f64) -> f64 {
        let volts = self.law.volts(value, self.logic_v) * self.share * pin.share;
        let volts = if volts < self.least_v { 0.0 } else { volts };
        let unit = &self.units[lane as usize];
        unit.code(volts / self.reference_v / pin.reference, self.codes, self.inl_lsb) + self.noise_lsb * z
    }

    /// The code that a perfect converter would give, before rounding.
    pub fn ideal(&self, value: f64) -> f64 {
        self.codes * self.law.volts(value, self.logic_v) * self.share / self.reference_v
    }

    /// What firmware makes of a code.
    pub fn value(&self, code: f64) -> f64 {
        self.law.value(code / self.codes * self.reference_v / self.share, self.logic_v)
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
