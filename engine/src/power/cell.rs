//! A cell of the catalog: its curve, wells and resistances, and what temperature and age do to them.
//!
//! - *Temperature.* Resistances follow Arrhenius' law, R(T) = R(T₀)·e^(Eₐ/R·(1/T − 1/T₀)). Capacity follows the
//!   datasheet's curve κ(T): what the cold locks is not lost. The charge already taken counts against κ·C, so that a cell
//!   runs down earlier in the cold and comes back when it is warmed.
//! - *Age.* Capacity fades and resistance grows with the root of the years (calendar) and with full cycles.
//! - The open-circuit voltage follows the available well (T. Kim and W. Qiao, "A hybrid battery model capable of
//!   capturing dynamic circuit characteristics and nonlinear capacity effects", IEEE Trans. Energy Conversion 26(4), 2011).
//!
//! Left out: heat of the cell's own losses, hysteresis of the curve, and that κ depends on the current.

use super::{HOUR_S, MONTH_H, along, kibam::Kibam};
use serde::Deserialize;

/// Molar gas constant, [J/(mol·K)] (CODATA).
const GAS_J_MOL_K: f64 = 8.314_462_618;
const ZERO_C_K: f64 = 273.15;
/// Days of a Julian year, in seconds.
pub(crate) const YEAR_S: f64 = 365.25 * 86_400.0;

/// A cell of the catalog.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatteryDef {
    /// Version of the file format.
    pub format: u32,
    /// Catalog name.
    pub name: String,
    /// What it is, in a sentence.
    #[serde(default)]
    pub about: String,
    /// Datasheet and page.
    pub source: String,
    /// Capacity of a new cell at `reference_c`, [mAh].
    pub capacity_mah: f64,
    /// Its standard deviation over units, relative.
    #[serde(default)]
    pub capacity_spread: f64,
    /// Open-circuit voltage against state of charge, ascending.
    pub ocv_v: Vec<(f64, f64)>,
    /// Resistance R₀ against state of charge, [Ω].
    pub r0_ohm: Vec<(f64, f64)>,
    /// Standard deviation of all resistances over units, relative.
    #[serde(default)]
    pub resistance_spread: f64,
    /// Resistance R₁ of the relaxation branch, [Ω].
    #[serde(default)]
    pub r1_ohm: f64,
    /// Its time constant R₁·C₁, [s].
    #[serde(default = "one")]
    pub tau_s: f64,
    /// Share of the charge that is available at once, 0–1; 1: all of it.
    #[serde(default = "one")]
    pub available: f64,
    /// Rate at which bound charge becomes available, [1/h].
    #[serde(default)]
    pub release_per_h: f64,
    /// Temperature that the figures hold for, [°C].
    #[serde(default = "room_c")]
    pub reference_c: f64,
    /// Activation energy Eₐ of the resistances, [kJ/mol].
    #[serde(default)]
    pub resistance_kj_mol: f64,
    /// Capacity against temperature: (°C, share of that at `reference_c`), ascending.
    #[serde(default)]
    pub capacity_at: Vec<(f64, f64)>,
    /// Below this temperature the cell counts as cold, [°C]; the record says when it gets there.
    #[serde(default)]
    pub cold_c: f64,
    /// Self-discharge a month, relative.
    #[serde(default)]
    pub self_discharge_per_month: f64,
    /// Whether it can be charged.
    #[serde(default)]
    pub rechargeable: bool,
    /// Cell temperatures between which it may be charged, [°C]. None: not stated, not judged.
    #[serde(default)]
    pub charge_c: Option<(f64, f64)>,
    /// Largest charging current for each milliampere-hour of its capacity, [1/h]. None: not stated, not judged.
    #[serde(default)]
    pub charge_per_h: Option<f64>,
    /// What the years and cycles do.
    #[serde(default)]
    pub ageing: AgeingDef,
}

fn one() -> f64 {
    1.0
}
fn room_c() -> f64 {
    25.0
}

/// How a cell ages; all figures relative to a new one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AgeingDef {
    /// Capacity lost in the first year; it goes on with the root of the years.
    pub fade_first_year: f64,
    /// Capacity lost in a full cycle.
    pub fade_per_cycle: f64,
    /// Resistance gained in the first year; it goes on with the root of the years.
    pub growth_first_year: f64,
    /// Resistance gained in a full cycle.
    pub growth_per_cycle: f64,
}

impl AgeingDef {
    /// Capacity and resistance relative to a new cell's.
    pub fn health(&self, years: f64, cycles: f64) -> (f64, f64) {
        let (root, cycles) = (years.max(0.0).sqrt(), cycles.max(0.0));
        let fade = self.fade_first_year * root + self.fade_per_cycle * cycles;
        ((1.0 - fade).max(0.05), 1.0 + self.growth_first_year * root + self.growth_per_cycle * cycles)
    }
}

/// Cells in series and parallel, as one: voltages and resistances of the string, charges of all.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Capacity of new cells at the reference temperature, [mAh].
    pub capacity_mah: f64,
    /// The wells.
    pub kibam: Kibam,
    /// Time constant of the relaxation branch, [s].
    pub tau_s: f64,
    /// Self-discharge of new cells, [mA].
    pub leak_ma: f64,
    /// Below this temperature it counts as cold, [°C].
    pub cold_c: f64,
    /// Temperature of the figures, [°C].
    pub reference_c: f64,
    /// Whether it can be charged.
    pub rechargeable: bool,
    /// Temperatures between which it is charged, [°C].
    pub charge_c: (f64, f64),
    /// Largest charging current, [mA].
    pub most_charge_ma: f64,
    /// What the years do.
    pub ageing: AgeingDef,
    ocv_v: Vec<(f64, f64)>,
    r0_ohm: Vec<(f64, f64)>,
    r1_ohm: f64,
    activation_k: f64,
    capacity_at: Vec<(f64, f64)>,
}

impl Cell {
    /// `series` cells in each of `parallel` strings.
    pub fn new(def: &BatteryDef, series: u32, parallel: u32) -> Self {
        let (s, p) = (f64::from(series.max(1)), f64::from(parallel.max(1)));
        let scaled = |curve: &[(f64, f64)], by: f64| curve.iter().map(|(z, y)| (*z, y * by)).collect();
        let capacity_mah = def.capacity_mah * p;
        Self {
            capacity_mah,
            kibam: Kibam { c: def.available, k_per_s: def.release_per_h / HOUR_S },
            tau_s: def.tau_s,
            leak_ma: def.self_discharge_per_month * capacity_mah / MONTH_H,
            cold_c: def.cold_c,
            reference_c: def.reference_c,
            rechargeable: def.rechargeable,
            charge_c: def.charge_c.unwrap_or((f64::NEG_INFINITY, f64::INFINITY)),
            most_charge_ma: def.charge_per_h.map_or(f64::INFINITY, |rate| rate * capacity_mah),
            ageing: def.ageing,
            ocv_v: scaled(&def.ocv_v, s),
            r0_ohm: scaled(&def.r0_ohm, s / p),
            r1_ohm: def.r1_ohm * s / p,
            activation_k: def.resistance_kj_mol * 1e3 / GAS_J_MOL_K,
            capacity_at: def.capacity_at.clone(),
        }
    }

    /// Resistances relative to those at the reference temperature.
    pub fn resistance_factor(&self, temperature_c: f64) -> f64 {
        let kelvin = |c: f64| (c + ZERO_C_K).max(1.0);
        (self.activation_k * (1.0 / kelvin(temperature_c) - 1.0 / kelvin(self.reference_c))).exp()
    }

    /// Usable capacity relative to that at the reference temperature, κ.
    pub fn capacity_factor(&self, temperature_c: f64) -> f64 {
        if self.capacity_at.is_empty() { 1.0 } else { along(&self.capacity_at, temperature_c).max(1e-3) }
    }

    /// State of charge as it shows at this temperature, 0–1, from the one at the reference temperature.
    pub fn showing(&self, z: f64, temperature_c: f64) -> f64 {
        (1.0 - (1.0 - z) / self.capacity_factor(temperature_c)).clamp(0.0, 1.0)
    }

    /// Open-circuit voltage at a state of charge, [V].
    pub fn open_circuit_v(&self, z: f64) -> f64 {
        along(&self.ocv_v, z)
    }

    /// R₀ at a state of charge and the reference temperature, [Ω].
    pub fn r0_ohm(&self, z: f64) -> f64 {
        along(&self.r0_ohm, z)
    }

    /// R₁ at the reference temperature, [Ω].
    pub fn r1_ohm(&self) -> f64 {
        self.r1_ohm
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Round figures of no real cell.
    pub fn cell() -> BatteryDef {
        ron::from_str(
            r#"(format: 1, name: "test", source: "a test", capacity_mah: 1000.0,
                ocv_v: [(0.0, 3.0), (1.0, 4.0)], r0_ohm: [(0.0, 0.2), (1.0, 0.1)], r1_ohm: 0.05, tau_s: 20.0,
                available: 0.4, release_per_h: 0.5, resistance_kj_mol: 20.0, rechargeable: true,
                capacity_at: [(-20.0, 0.5), (0.0, 0.8), (25.0, 1.0)],
                ageing: (fade_first_year: 0.04, fade_per_cycle: 0.0004, growth_first_year: 0.05, growth_per_cycle: 0.001))"#,
        )
        .expect("a cell")
    }

    #[test]
    fn strings_and_rows_of_cells_add_as_circuits_do() {
        let one = Cell::new(&cell(), 1, 1);
        let block = Cell::new(&cell(), 3, 2);
        assert_eq!(block.capacity_mah, 2.0 * one.capacity_mah);
        assert_eq!(block.open_circuit_v(0.5), 3.0 * one.open_circuit_v(0.5));
        assert!((block.r0_ohm(0.5) - 1.5 * one.r0_ohm(0.5)).abs() < 1e-12);
    }

    #[test]
    fn the_cold_takes_capacity_and_adds_resistance() {
        let cell = Cell::new(&cell(), 1, 1);
        let mut last = (f64::INFINITY, 0.0);
        for t in [-20.0, -10.0, 0.0, 10.0, 25.0] {
            let (r, k) = (cell.resistance_factor(t), cell.capacity_factor(t));
            assert!(r < last.0 && k > last.1, "{t}");
            last = (r, k);
        }
        assert_eq!(last, (1.0, 1.0));
        // What has been taken counts against less: 40 % taken leave 20 % of half a cell's.
        assert!((cell.showing(0.6, -20.0) - 0.2).abs() < 1e-12);
        assert_eq!(cell.showing(1.0, -20.0), 1.0, "full is full");
        // Arrhenius: a plot of ln R over 1/T is straight, its slope Ea/R.
        let at = |t: f64| cell.resistance_factor(t).ln() / (1.0 / (t + 273.15) - 1.0 / 298.15);
        assert!((at(-20.0) - 20e3 / 8.314_462_618).abs() < 1e-6 && (at(10.0) - at(-20.0)).abs() < 1e-6);
    }

    #[test]
    fn years_and_cycles_wear_it_out() {
        let ageing = cell().ageing;
        assert_eq!(ageing.health(0.0, 0.0), (1.0, 1.0));
        let (fade, growth) = ageing.health(4.0, 250.0);
        assert!((fade - (1.0 - 0.08 - 0.1)).abs() < 1e-12 && (growth - (1.0 + 0.1 + 0.25)).abs() < 1e-12);
        assert!(ageing.health(1e4, 1e9).0 > 0.0, "something is left, so that nothing is divided by zero");
    }
}
