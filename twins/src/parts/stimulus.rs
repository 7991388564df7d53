//! What a part measures: the value of a physical quantity at an instant.

pub use twinfleet_engine::sense::probe::Noise;

/// A physical quantity as it acts on a part, in the unit that its name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Quantity {
    /// Temperature \[°C\].
    TemperatureC,
    /// Relative humidity \[%\].
    HumidityPct,
    /// Absolute pressure \[Pa\].
    PressurePa,
    /// Specific force along an axis of the part (0 x, 1 y, 2 z) \[g, 9.80665 m/s²\].
    AccelerationG(u8),
    /// Rate of turn about an axis of the part (0 x, 1 y, 2 z) \[°/s\].
    RateDps(u8),
    /// Magnetic flux density along an axis of the part (0 x, 1 y, 2 z) \[µT\].
    MagneticUt(u8),
    /// Illuminance \[lx\].
    IlluminanceLx,
    /// Distance to the nearest target \[mm\]; infinite where there is none.
    DistanceMm,
    /// Voltage at an input against ground \[V\].
    Volts(u8),
    /// Voltage across a shunt \[V\].
    ShuntV,
    /// Voltage between the two inputs of a bridge \[V\].
    BridgeV,
    /// Geographic latitude, north positive \[°\].
    LatitudeDeg,
    /// Geographic longitude, east positive \[°\].
    LongitudeDeg,
    /// Height above mean sea level \[m\].
    AltitudeM,
    /// Speed over ground \[m/s\].
    SpeedMps,
    /// Course over ground, clockwise from true north \[°\].
    CourseDeg,
    /// Carbon dioxide \[ppm\].
    Co2Ppm,
    /// Particulate matter up to a size (0: 1 µm, 1: 2.5 µm, 2: 10 µm) \[µg/m³\].
    DustUgM3(u8),
    /// Pulses a second of what turns or flows \[Hz\].
    PulseHz,
}

/// The world as one part sees it. A part asks at its sampling instants, in the order of time, and for an instant that
/// is not later than the call which makes it ask; the same instant may be asked for again.
///
/// Every `FnMut(Quantity, u64) -> f64` is one:
///
/// ```
/// use twinfleet_twins::parts::stimulus::{Quantity, Stimulus};
///
/// let mut warming = |_: Quantity, at_ns: u64| 20.0 + at_ns as f64 * 1e-9;
/// assert_eq!(warming.value(Quantity::TemperatureC, 2_000_000_000), 22.0);
/// ```
pub trait Stimulus: Send {
    /// The value at an instant of simulated time \[ns\], in the quantity's unit.
    fn value(&mut self, quantity: Quantity, at_ns: u64) -> f64;

    /// The value as a mode of the part finds it, whose noise is another than that of the mode that its catalog's file
    /// states. One without noise of its own has nothing to change.
    fn value_in(&mut self, quantity: Quantity, at_ns: u64, noise: Noise) -> f64 {
        let _ = noise;
        self.value(quantity, at_ns)
    }
}

impl<F: FnMut(Quantity, u64) -> f64 + Send> Stimulus for F {
    fn value(&mut self, quantity: Quantity, at_ns: u64) -> f64 {
        self(quantity, at_ns)
    }
}

/// The middle of a stretch of time that a part averages over \[ns\].
pub(crate) fn middle_ns(from_ns: u64, to_ns: u64) -> u64 {
    from_ns + (to_ns - from_ns) / 2
}
