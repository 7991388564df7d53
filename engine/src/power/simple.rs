//! The simple battery: an open-circuit curve behind a resistance.
//!
//! A battery is an open-circuit curve behind a resistance (Thevenin without the relaxation branch, FACTS "Battery"). It is
//! drained when its device wakes, by the charge that the time since the last wake and the wake itself have taken: exact
//! for piecewise constant currents, and free of cost between wakes. Actuators draw the integral of their level, to the end
//! of the wake's tick.
//!
//! ```
//! use twinfleet_engine::{catalog::PowerDef, power::Supply};
//! let battery = PowerDef::Battery {
//!     capacity_mah: 2000.0, charge: (0.5, 0.5), ocv_v: vec![(0.0, 3.0), (1.0, 4.2)], r0_ohm: 0.1,
//!     self_discharge_per_month: 0.0,
//! };
//! let supply = Supply::new(&battery, None, None, &[]).unwrap();
//! assert_eq!(supply.voltage_v(0.5, 0.0), 3.6);
//! assert_eq!(supply.voltage_v(0.5, 1000.0), 3.5);
//! ```

use super::{HOUR_S, MONTH_H, along, life::Gauge};
use crate::{
    catalog::{BoardDef, Firmware, PowerDef, SensorDef},
    rng::stream,
    time::{SimTime, Span},
};
use rand::RngExt;

/// A group's battery and what its devices take from it.
#[derive(Clone, Debug)]
pub struct Supply {
    capacity_mah: f64,
    charge: (f64, f64),
    ocv_v: Vec<(f64, f64)>,
    r0_ohm: f64,
    base_ma: f64,
    wake_mah: f64,
    transmit_ma: f64,
    load_ma: f64,
    rest_ma: f64,
    worst_ma: f64,
    brown_out_v: f64,
}

impl Supply {
    /// The supply of devices with this board, firmware and sensors; none on the mains.
    ///
    /// Between wakes a device takes the board's sleep current where it sleeps deeply, else its active one, and every
    /// sensor's idle current; a wake takes the active current for `awake`, and each sensor's own for its conversion.
    /// Self-discharge is a constant leak, relative to the capacity.
    pub fn new(
        power: &PowerDef,
        board: Option<&BoardDef>,
        firmware: Option<&Firmware>,
        sensors: &[&SensorDef],
    ) -> Option<Self> {
        let PowerDef::Battery { capacity_mah, charge, ocv_v, r0_ohm, self_discharge_per_month } = power
        else {
            return None;
        };
        let (active, transmit, sleep) = board
            .map_or((0.0, 0.0, 0.0), |b| (b.current_ma.active, b.current_ma.transmit, b.current_ma.sleep));
        let rest = if firmware.is_some_and(|f| f.deep_sleep) { sleep } else { active };
        let awake_s = firmware.map_or(0.0, |f| f.awake.as_secs_f64());
        let idle: f64 = sensors.iter().map(|s| s.idle_ma).sum();
        let measuring: f64 =
            sensors.iter().map(|s| (s.active_ma - s.idle_ma) * s.conversion.as_secs_f64()).sum();
        let sends = firmware.is_some_and(Firmware::speaks);
        Some(Self {
            capacity_mah: *capacity_mah,
            charge: *charge,
            ocv_v: ocv_v.clone(),
            r0_ohm: *r0_ohm,
            base_ma: rest + idle + self_discharge_per_month * capacity_mah / MONTH_H,
            wake_mah: ((active - rest) * awake_s + measuring) / HOUR_S,
            transmit_ma: (transmit - active).max(0.0),
            load_ma: active,
            rest_ma: rest,
            worst_ma: if sends { active.max(transmit) } else { active },
            brown_out_v: board.map_or(0.0, |b| b.brown_out_v),
        })
    }

    /// Charge taken by `dt_s` seconds between wakes, [mAh].
    pub fn rest_mah(&self, dt_s: f64) -> f64 {
        self.base_ma * dt_s / HOUR_S
    }

    /// Charge one wake takes on top, [mAh].
    pub fn wake_mah(&self) -> f64 {
        self.wake_mah
    }

    /// Charge that `air_s` seconds of sending take on top, [mAh]; `radio_ma` is the radio's current, where its link says.
    pub fn transmit_mah(&self, air_s: f64, radio_ma: Option<f64>) -> f64 {
        radio_ma.unwrap_or(self.transmit_ma) * air_s / HOUR_S
    }

    /// Charge that the running board and a radio's `more_ma` take in `dt_s` seconds beyond the firmware's time awake, [mAh].
    pub fn running_mah(&self, dt_s: f64, more_ma: f64) -> f64 {
        (self.load_ma - self.rest_ma + more_ma) * dt_s / HOUR_S
    }

    /// Open-circuit voltage at a state of charge, [V]: linear between the curve's points.
    pub fn open_circuit_v(&self, charge: f64) -> f64 {
        along(&self.ocv_v, charge)
    }

    /// Terminal voltage at a state of charge under a current [mA], [V].
    pub fn voltage_v(&self, charge: f64, current_ma: f64) -> f64 {
        self.open_circuit_v(charge) - self.r0_ohm * current_ma * 1e-3
    }
}

/// The batteries of a cohort.
#[derive(Debug, Default)]
pub(crate) struct Batteries {
    charge_mah: Vec<f64>,
    /// Charge at the start, and what has gone out since.
    gauges: Vec<(f64, Gauge)>,
    /// Stretches of the run whose mean currents are compared.
    batch: Span,
    /// What actuators have taken so far and are taking now, [mAh, mA]; empty where there are none.
    actuators: Vec<(f64, f64)>,
}

impl Batteries {
    /// Adds the next lane's battery; its charge comes from the stream `power/charge`.
    pub fn add(&mut self, supply: &Supply, seed: u64, device: &str) {
        let u: f64 = stream(seed, device, "power/charge").random();
        let (low, high) = supply.charge;
        let charge_mah = supply.capacity_mah * (low + (high - low) * u);
        self.charge_mah.push(charge_mah);
        self.gauges.push((charge_mah, Gauge::default()));
    }

    /// Batteries of a run whose stretches are this long.
    pub fn new(batch: Span) -> Self {
        Self { batch, ..Self::default() }
    }

    /// Tells the gauge what has gone out until now.
    pub fn gauge(&mut self, lane: u16, t: SimTime) {
        let (start_mah, gauge) = &mut self.gauges[lane as usize];
        gauge.note(t, *start_mah - self.charge_mah[lane as usize], self.batch);
    }

    /// What the forecast of life goes by: the charge left to where the device browns out, [mAh], and the gauge.
    pub fn left(&self, lane: u16, supply: &Supply) -> (f64, &Gauge) {
        let worst_ma = supply.worst_ma + self.actuators_ma(lane);
        let holds = |z: f64| supply.voltage_v(z, worst_ma) >= supply.brown_out_v;
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..40 {
            let middle = 0.5 * (low + high);
            if holds(middle) { high = middle } else { low = middle }
        }
        let left_mah = self.charge_mah[lane as usize] - high * supply.capacity_mah;
        (left_mah.max(0.0), &self.gauges[lane as usize].1)
    }

    /// Takes what a device's actuators have taken since the last time; `drawn` is their total and their current.
    pub fn take_actuators(&mut self, lane: u16, drawn: (f64, f64)) {
        if self.actuators.is_empty() {
            self.actuators = vec![(0.0, 0.0); self.charge_mah.len()];
        }
        let before = std::mem::replace(&mut self.actuators[lane as usize], drawn);
        self.take(lane, drawn.0 - before.0);
    }

    /// Current of a device's actuators when it last looked, [mA].
    fn actuators_ma(&self, lane: u16) -> f64 {
        self.actuators.get(lane as usize).map_or(0.0, |a| a.1)
    }

    /// Takes charge, [mAh]; an empty battery stays empty.
    #[inline]
    pub fn take(&mut self, lane: u16, mah: f64) {
        let charge = &mut self.charge_mah[lane as usize];
        *charge = (*charge - mah).max(0.0);
    }

    /// State of charge, 0–1.
    pub fn charge(&self, lane: u16, supply: &Supply) -> f64 {
        self.charge_mah[lane as usize] / supply.capacity_mah
    }

    /// Voltage while the board runs, [V].
    pub fn voltage_v(&self, lane: u16, supply: &Supply) -> f64 {
        supply.voltage_v(self.charge(lane, supply), supply.load_ma + self.actuators_ma(lane))
    }

    /// Voltage at the battery's terminals and current out of it while the board takes `load_ma` beside its actuators, [V, mA].
    pub fn terminals(&self, lane: u16, supply: &Supply, load_ma: f64) -> (f64, f64) {
        let ma = load_ma + self.actuators_ma(lane);
        (supply.voltage_v(self.charge(lane, supply), ma), ma)
    }

    /// Whether the greatest current the device draws takes it below its board's brown-out voltage.
    pub fn browns_out(&self, lane: u16, supply: &Supply) -> bool {
        let charge = self.charge(lane, supply);
        let worst_ma = supply.worst_ma + self.actuators_ma(lane);
        charge <= 0.0 || supply.voltage_v(charge, worst_ma) < supply.brown_out_v
    }

    pub fn hash_into(&self, lane: u16, bytes: &mut Vec<u8>) {
        bytes.extend(self.charge_mah[lane as usize].to_bits().to_le_bytes());
    }

    /// Bytes held, [B].
    pub fn bytes(&self) -> usize {
        self.charge_mah.capacity() * (8 + size_of::<(f64, Gauge)>()) + self.actuators.capacity() * 16
    }
}
