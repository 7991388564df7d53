//! A pack of catalog cells with its regulator: what its state is and how it moves.
//!
//! ```
//! use twinfleet_engine::power::{cell::{BatteryDef, Cell}, pack::{Pack, PackState}, regulator::Regulator};
//! let def: BatteryDef = ron::from_str(r#"(format: 1, name: "x", source: "an example", capacity_mah: 1000.0,
//!     ocv_v: [(0.0, 1.0), (1.0, 1.5)], r0_ohm: [(0.0, 0.2)], resistance_kj_mol: 17.0,
//!     capacity_at: [(-20.0, 0.4), (25.0, 1.0)])"#).unwrap();
//! let pack = Pack { cell: Cell::new(&def, 2, 1), regulator: Regulator::Direct, most_ma: f64::INFINITY, stated_v: None };
//! let mut state = PackState::new(&pack, 0.7, 1.0, 1.0, 0.0, 0.0);
//! let warm = pack.rail_v(&state, 200.0, 0.0);
//! state.temperature_c = -15.0;
//! assert!(pack.rail_v(&state, 200.0, 0.0) < warm - 0.3);
//! ```

use super::{
    HOUR_S,
    cell::{Cell, YEAR_S},
    kibam::Wells,
    regulator::Regulator,
    thevenin::{reaches_s, relax_v},
};

/// Cells and their regulator, as all devices of a group have them.
#[derive(Clone, Debug)]
pub struct Pack {
    /// The cells.
    pub cell: Cell,
    /// What is between them and the board.
    pub regulator: Regulator,
    /// What the regulator gives at most, [mA]: beyond, its limit lets the output collapse. Infinite without one.
    pub most_ma: f64,
    /// Of a board with a switching regulator of its own, which takes a power: the voltage that its currents are stated at, [V].
    pub stated_v: Option<f64>,
}

/// State of charge from which on a cell counts as empty: nothing but rounding is left.
const EMPTY: f64 = 1e-9;
/// Parts that a mean over what is left is taken in.
const PARTS: u32 = 64;

/// A device's own pack.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PackState {
    /// Charge, [mAh].
    pub wells: Wells,
    /// Voltage of the relaxation branch, [V].
    pub relax_v: f64,
    /// Temperature of the cells, [°C].
    pub temperature_c: f64,
    /// What parts take from the cells themselves, past the regulator, [mA].
    pub direct_ma: f64,
    /// Charge that has gone through the cells, in and out, [mAh].
    pub throughput_mah: f64,
    /// Charge drawn less charge put in since the start, [mAh].
    pub drawn_mah: f64,
    /// Charge at the start, [mAh].
    pub start_mah: f64,
    /// This unit's capacity and resistance, relative to the definition's.
    unit: (f64, f64),
    /// Age and full cycles at the start.
    age: (f64, f64),
    /// Capacity and resistance now, relative to the definition's: unit and age.
    health: (f64, f64),
}

impl PackState {
    /// A pack at rest at the reference temperature: charged to `charge` (0–1) of its own capacity, of a unit with these
    /// factors, so many years and full cycles old.
    pub fn new(pack: &Pack, charge: f64, capacity: f64, resistance: f64, years: f64, cycles: f64) -> Self {
        let mut state = Self {
            wells: Wells::default(),
            relax_v: 0.0,
            temperature_c: pack.cell.reference_c,
            direct_ma: 0.0,
            throughput_mah: 0.0,
            drawn_mah: 0.0,
            start_mah: 0.0,
            unit: (capacity, resistance),
            age: (years, cycles),
            health: (1.0, 1.0),
        };
        pack.age(&mut state, 0.0);
        state.start_mah = charge * pack.capacity_mah(&state);
        state.wells.total = state.start_mah;
        state
    }
}

/// A segment of constant load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Segment {
    /// What the board takes, [mA].
    pub load_ma: f64,
    /// What a panel gives, [W].
    pub solar_w: f64,
    /// How long, [s].
    pub dt_s: f64,
}

impl Pack {
    /// Capacity of this unit at its age and the reference temperature, [mAh].
    pub fn capacity_mah(&self, state: &PackState) -> f64 {
        self.cell.capacity_mah * state.health.0
    }

    /// State of charge, 0–1, of the available well at the reference temperature.
    pub fn charge(&self, state: &PackState) -> f64 {
        (self.cell.kibam.head(&state.wells) / self.capacity_mah(state)).clamp(0.0, 1.0)
    }

    /// Brings age up to `since_start_s` seconds into the run.
    pub fn age(&self, state: &mut PackState, since_start_s: f64) {
        let cycles = state.age.1 + state.throughput_mah / (2.0 * self.cell.capacity_mah);
        let (capacity, resistance) = self.cell.ageing.health(state.age.0 + since_start_s / YEAR_S, cycles);
        state.health = (capacity * state.unit.0, resistance * state.unit.1);
    }

    /// Head of the available well below which the cells give nothing at this temperature, [mAh]: what the cold locks.
    fn locked_mah(&self, state: &PackState, temperature_c: f64) -> f64 {
        (1.0 - self.cell.capacity_factor(temperature_c).min(1.0)) * self.capacity_mah(state)
    }

    /// Whether the cells have given what they can at their temperature. The curve's end is their cut-off: past it the voltage
    /// breaks down (of lithium cells a protection opens), until they have recovered, are warmed or charged.
    pub fn is_empty(&self, state: &PackState) -> bool {
        self.is_empty_at(state, state.temperature_c)
    }

    fn is_empty_at(&self, state: &PackState, temperature_c: f64) -> bool {
        let left = self.cell.kibam.head(&state.wells) - self.locked_mah(state, temperature_c);
        left <= EMPTY * self.capacity_mah(state)
    }

    /// Electromotive force behind R₀, [V], and R₀ now, [Ω], of cells that are not empty.
    fn source(&self, state: &PackState, temperature_c: f64) -> (f64, f64) {
        let z = self.cell.showing(self.charge(state), temperature_c);
        let r0 = self.cell.r0_ohm(z) * self.cell.resistance_factor(temperature_c) * state.health.1;
        (self.cell.open_circuit_v(z), r0)
    }

    fn r1_ohm(&self, state: &PackState) -> f64 {
        self.cell.r1_ohm() * self.cell.resistance_factor(state.temperature_c) * state.health.1
    }

    /// What the board, at `load_ma`, and the parts on the cells take from these, [mA]. None: their voltage collapses.
    fn taken_ma(&self, state: &PackState, load_ma: f64) -> Option<f64> {
        let (ocv, r0) = self.source(state, state.temperature_c);
        let emf = ocv - state.relax_v - state.direct_ma * 1e-3 * r0;
        let ma = match (self.stated_v, self.regulator) {
            (Some(out_v), Regulator::Direct) => Regulator::power(out_v).battery_ma(load_ma, emf, r0),
            (_, regulator) => regulator.battery_ma(self.output_ma(load_ma), emf, r0),
        };
        Some(ma? + state.direct_ma)
    }

    /// What a board with this stated current takes from the pack's regulator, [mA].
    fn output_ma(&self, load_ma: f64) -> f64 {
        match (self.stated_v, self.regulator) {
            (Some(at_v), Regulator::Ldo { out_v, .. } | Regulator::Switching { out_v, .. }) => {
                load_ma * at_v / out_v
            }
            _ => load_ma,
        }
    }

    /// Current out of the battery, [mA]; negative: into it. A battery that collapses gives what it can.
    fn battery_ma(&self, state: &PackState, load_ma: f64, solar_w: f64) -> f64 {
        let (ocv, r0) = self.source(state, state.temperature_c);
        let emf = ocv - state.relax_v;
        let collapsed = || emf / (2.0 * r0.max(1e-6)) * 1e3;
        let load =
            if self.is_empty(state) { 0.0 } else { self.taken_ma(state, load_ma).unwrap_or_else(collapsed) };
        load + self.cell.leak_ma - self.charging_ma(state, emf, solar_w)
    }

    /// What the charge controller makes of a panel's power at this voltage, [mA]: no more than the cells may be charged with,
    /// and nothing while they are too cold or too hot for it.
    fn charging_ma(&self, state: &PackState, emf_v: f64, solar_w: f64) -> f64 {
        let (low, high) = self.cell.charge_c;
        if !self.cell.rechargeable || emf_v <= 0.0 || !(low..=high).contains(&state.temperature_c) {
            return 0.0;
        }
        (solar_w / emf_v * 1e3).min(self.cell.most_charge_ma)
    }

    /// Takes a segment from the battery; exact under its constant current. Charge that flowed out, [mAh].
    pub fn take(&self, state: &mut PackState, segment: Segment) -> f64 {
        let Segment { load_ma, solar_w, dt_s } = segment;
        if dt_s <= 0.0 {
            return 0.0;
        }
        let ma = self.battery_ma(state, load_ma, solar_w);
        let capacity = self.capacity_mah(state);
        let within = (self.locked_mah(state, state.temperature_c), capacity);
        let flows = self.cell.kibam.step_within(&mut state.wells, ma / HOUR_S, dt_s, within);
        state.relax_v =
            relax_v(state.relax_v, flows * HOUR_S * 1e-3, self.r1_ohm(state), self.cell.tau_s, dt_s);
        let mah = flows * dt_s;
        state.throughput_mah += mah.abs();
        state.drawn_mah += mah;
        mah
    }

    /// Voltage at the battery's terminals while the board takes `load_ma`, `after_s` into a pulse of it, [V].
    pub fn terminal_v(&self, state: &PackState, load_ma: f64, after_s: f64) -> f64 {
        if self.is_empty(state) {
            return 0.0;
        }
        let (ocv, r0) = self.source(state, state.temperature_c);
        let Some(ma) = self.taken_ma(state, load_ma) else { return 0.0 };
        let amps = ma * 1e-3;
        ocv - amps * r0 - relax_v(state.relax_v, amps, self.r1_ohm(state), self.cell.tau_s, after_s)
    }

    /// Voltage at the battery's terminals and current out of them while the board takes `load_ma`, [V, mA].
    pub fn terminals(&self, state: &PackState, load_ma: f64) -> (f64, f64) {
        let volts = self.terminal_v(state, load_ma, 0.0);
        let ma = self.taken_ma(state, load_ma).filter(|_| volts > 0.0);
        (volts, ma.unwrap_or(0.0))
    }

    /// The board's supply while it takes `load_ma`, `after_s` into a pulse of it, [V].
    pub fn rail_v(&self, state: &PackState, load_ma: f64, after_s: f64) -> f64 {
        let output_ma = self.output_ma(load_ma);
        if output_ma > self.most_ma {
            return 0.0;
        }
        self.regulator.rail_v(self.terminal_v(state, load_ma, after_s), output_ma)
    }

    /// The same with the cells at their reference temperature.
    pub fn rail_at_reference_v(&self, state: &PackState, load_ma: f64, after_s: f64) -> f64 {
        let warm = PackState { temperature_c: self.cell.reference_c, ..*state };
        self.rail_v(&warm, load_ma, after_s)
    }

    /// When within a pulse of `dt_s` seconds the board's supply falls below `least_v`, or the cells are empty, [s]. None: it
    /// holds.
    pub fn gives_way_s(&self, state: &PackState, load_ma: f64, dt_s: f64, least_v: f64) -> Option<f64> {
        let sags_s = self.sags_s(state, load_ma, dt_s, least_v);
        let ma = self.battery_ma(state, load_ma, 0.0);
        let locked_mah = self.locked_mah(state, state.temperature_c);
        let empty_s = self.cell.kibam.reaches_s(&state.wells, ma / HOUR_S, dt_s, locked_mah);
        match (sags_s, empty_s) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    fn sags_s(&self, state: &PackState, load_ma: f64, dt_s: f64, least_v: f64) -> Option<f64> {
        if self.rail_v(state, load_ma, dt_s) >= least_v {
            return None;
        }
        if self.rail_v(state, load_ma, 0.0) < least_v {
            return Some(0.0);
        }
        // The relaxation branch takes it there: the level of v₁ at which the supply is `least_v`.
        let (ocv, r0) = self.source(state, state.temperature_c);
        let amps = self.taken_ma(state, load_ma)? * 1e-3;
        let drop_v = match self.regulator {
            Regulator::Direct => least_v,
            Regulator::Ldo { dropout_ohm, .. } => least_v + dropout_ohm * self.output_ma(load_ma) * 1e-3,
            Regulator::Switching { min_in_v, boost, .. } => {
                if boost {
                    min_in_v
                } else {
                    least_v.max(min_in_v)
                }
            }
        };
        let level = ocv - amps * r0 - drop_v;
        reaches_s(state.relax_v, amps, self.r1_ohm(state), self.cell.tau_s, level).map(|t| t.min(dt_s))
    }

    /// What the charge above `least_mah` lasts for at the mean current of the run so far, [mAh]: as it is where a load takes a
    /// current. Behind a switching regulator it takes a power, and the current grows as the voltage falls: more flows of each
    /// milliampere-hour that is left than of those that went before.
    pub fn lasting_mah(&self, state: &PackState, least_mah: f64, mean_ma: f64, temperature_c: f64) -> f64 {
        let head = self.cell.kibam.head(&state.wells);
        let left_mah = (head - least_mah).max(0.0);
        let takes = match (self.stated_v, self.regulator) {
            (Some(out_v), Regulator::Direct) => Regulator::power(out_v),
            (_, regulator) => regulator,
        };
        let Regulator::Switching { out_v, boost, .. } = takes else { return left_mah };
        let capacity = self.capacity_mah(state);
        let r1_ohm = self.cell.r1_ohm() * self.cell.resistance_factor(temperature_c) * state.health.1;
        let volts = |mah: f64| {
            let z = self.cell.showing((mah / capacity).clamp(0.0, 1.0), temperature_c);
            let r0_ohm = self.cell.r0_ohm(z) * self.cell.resistance_factor(temperature_c) * state.health.1;
            let v = self.cell.open_circuit_v(z) - mean_ma.max(0.0) * 1e-3 * (r0_ohm + r1_ohm);
            // One that only steps down passes a lower voltage through, and the current with it.
            v.max(if boost { 0.1 } else { out_v })
        };
        let mean = |from: f64, to: f64, of: &dyn Fn(f64) -> f64| {
            let at = |k: u32| of(from + (to - from) * (f64::from(k) + 0.5) / f64::from(PARTS));
            (0..PARTS).map(at).sum::<f64>() / f64::from(PARTS)
        };
        let before = mean(state.start_mah.max(head), head, &|mah| 1.0 / volts(mah));
        left_mah * mean(head, least_mah.min(head), &volts) * before
    }

    /// Charge of a rested pack below which the board's supply under `load_ma` falls below `least_v` at this temperature,
    /// [mAh].
    pub fn unusable_mah(&self, state: &PackState, load_ma: f64, least_v: f64, temperature_c: f64) -> f64 {
        let capacity = self.capacity_mah(state);
        let holds = |z: f64| {
            let rested = PackState {
                wells: Wells { total: z * capacity, gap: 0.0 },
                relax_v: 0.0,
                temperature_c,
                ..*state
            };
            self.rail_v(&rested, load_ma, 0.0) >= least_v
        };
        if !holds(1.0) {
            return capacity;
        }
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..40 {
            let middle = 0.5 * (low + high);
            if holds(middle) { high = middle } else { low = middle }
        }
        high * capacity
    }
}

#[cfg(test)]
mod tests {
    use super::{super::cell::tests::cell, *};
    use proptest::prelude::*;

    fn pack(regulator: Regulator) -> Pack {
        Pack { cell: Cell::new(&cell(), 1, 1), regulator, most_ma: f64::INFINITY, stated_v: None }
    }

    fn full(pack: &Pack) -> PackState {
        PackState::new(pack, 1.0, 1.0, 1.0, 0.0, 0.0)
    }

    /// Discharges at `ma` until the supply is below 3.2 V; charge that came out.
    fn discharge(pack: &Pack, ma: f64, temperature_c: f64) -> f64 {
        let mut state = full(pack);
        state.temperature_c = temperature_c;
        while pack.rail_v(&state, ma, 0.0) >= 3.2 {
            pack.take(&mut state, Segment { load_ma: ma, solar_w: 0.0, dt_s: 10.0 });
        }
        state.drawn_mah
    }

    #[test]
    fn a_cold_cell_gives_less_and_a_fast_one_too() {
        let pack = pack(Regulator::Direct);
        let given: Vec<f64> = [-20.0, -10.0, 0.0, 25.0].iter().map(|t| discharge(&pack, 100.0, *t)).collect();
        assert!(given.windows(2).all(|w| w[0] < w[1]), "{given:?}");
        assert!(given[0] < 0.55 * given[3], "{given:?}");
        let (slow, fast) = (discharge(&pack, 50.0, 25.0), discharge(&pack, 800.0, 25.0));
        assert!(fast < 0.8 * slow, "the bound well stays behind: {fast} {slow}");
    }

    #[test]
    fn an_old_cell_gives_less_and_sags_more() {
        let pack = pack(Regulator::Direct);
        let new = full(&pack);
        let old = PackState::new(&pack, 1.0, 1.0, 1.0, 4.0, 300.0);
        assert!(pack.capacity_mah(&old) < 0.85 * pack.capacity_mah(&new));
        assert!(pack.rail_v(&old, 500.0, 0.0) < pack.rail_v(&new, 500.0, 0.0));
    }

    #[test]
    fn the_unusable_charge_is_where_the_supply_gives_way() {
        let pack = pack(Regulator::Ldo { out_v: 3.3, dropout_ohm: 1.0, quiescent_ma: 0.1 });
        let mut state = full(&pack);
        let unusable = pack.unusable_mah(&state, 200.0, 3.1, 10.0);
        state.temperature_c = 10.0;
        for (more, holds) in [(1.0, true), (-1.0, false)] {
            state.wells = Wells { total: unusable + more, gap: 0.0 };
            assert_eq!(pack.rail_v(&state, 200.0, 0.0) >= 3.1, holds);
        }
    }

    /// A load of constant power takes more current as the cells empty: what is left lasts for less than it says.
    #[test]
    fn what_is_left_lasts_as_long_as_the_simulation_says() {
        let boost = Regulator::Switching {
            out_v: 3.3,
            efficiency: 0.9,
            quiescent_ma: 0.0,
            min_in_v: 0.9,
            boost: true,
        };
        for (regulator, t) in [(boost, 25.0), (boost, -10.0), (Regulator::Direct, 25.0)] {
            let pack = pack(regulator);
            let mut state = full(&pack);
            state.temperature_c = t;
            let hour = |state: &mut PackState| {
                pack.take(state, Segment { load_ma: 20.0, solar_w: 0.0, dt_s: 3600.0 });
            };
            (0..6).for_each(|_| hour(&mut state));
            let mean_ma = state.drawn_mah / 6.0;
            let least = pack.unusable_mah(&state, 20.0, 3.05, t);
            let forecast_h = pack.lasting_mah(&state, least, mean_ma, t) / mean_ma;
            let mut simulated_h = 0.0;
            while pack.gives_way_s(&state, 20.0, 3600.0, 3.05).is_none() {
                hour(&mut state);
                simulated_h += 1.0;
            }
            assert!(
                (forecast_h / simulated_h - 1.0).abs() < 0.1,
                "{regulator:?} {t}: {forecast_h} {simulated_h}"
            );
        }
    }

    proptest! {
        #[test]
        fn coulombs_are_conserved_and_energy_balances(
            segments in prop::collection::vec((0.0..300.0f64, 0.0..2.0f64, 0.0..3600.0f64), 1..40),
        ) {
            let pack = pack(Regulator::Direct);
            let mut state = PackState::new(&pack, 0.5, 1.0, 1.0, 0.0, 0.0);
            let (mut out, mut offered) = (0.0, 0.0);
            for (load_ma, solar_w, dt_s) in segments {
                // What the panel offers can be refused by a full cell, never exceeded.
                offered += solar_w / 3.0 * dt_s / 3.6;
                out += pack.take(&mut state, Segment { load_ma, solar_w, dt_s });
                pack.age(&mut state, 0.0);
            }
            prop_assert!((state.start_mah - out - state.wells.total).abs() < 1e-6);
            prop_assert!((state.drawn_mah - out).abs() < 1e-9);
            prop_assert!(-out <= offered + 1e-9, "more went in than the panel gave: {out} {offered}");
        }

        #[test]
        fn a_pulse_gives_way_when_and_only_when_the_supply_falls_below(
            z in 0.05..1.0f64, ma in 10.0..1500.0f64, least in 2.5..3.9f64, dt in 0.01..60.0f64, t in -25.0..40.0f64,
        ) {
            let pack = pack(Regulator::Direct);
            let mut state = PackState::new(&pack, z, 1.0, 1.0, 0.0, 0.0);
            state.temperature_c = t;
            match pack.gives_way_s(&state, ma, dt, least) {
                None => prop_assert!(pack.rail_v(&state, ma, dt) >= least),
                Some(at) => {
                    prop_assert!((0.0..=dt).contains(&at));
                    let mut then = state;
                    pack.take(&mut then, Segment { load_ma: ma, solar_w: 0.0, dt_s: at + 1e-6 });
                    let sags = pack.rail_v(&state, ma, dt) < least && pack.rail_v(&state, ma, at) <= least + 1e-9;
                    prop_assert!(sags || pack.is_empty(&then), "{at} {then:?}");
                }
            }
        }
    }

    /// Nothing comes out of an empty pack, whatever stands between it and its board; and never more than it held.
    #[test]
    fn an_empty_pack_lets_its_board_down() {
        let boost = Regulator::Switching {
            out_v: 3.3,
            efficiency: 0.9,
            quiescent_ma: 0.01,
            min_in_v: 0.9,
            boost: true,
        };
        let ldo = Regulator::Ldo { out_v: 3.3, dropout_ohm: 0.1, quiescent_ma: 0.01 };
        for (regulator, t) in [
            (Regulator::Direct, 25.0),
            (ldo, 25.0),
            (boost, 25.0),
            (boost, -20.0),
            (Regulator::Direct, -20.0),
        ] {
            let pack = pack(regulator);
            let mut state = full(&pack);
            state.temperature_c = t;
            let holds = pack.capacity_mah(&state) * pack.cell.capacity_factor(t);
            let mut hours = 0;
            while pack.gives_way_s(&state, 50.0, 3600.0, 0.5).is_none() {
                pack.take(&mut state, Segment { load_ma: 50.0, solar_w: 0.0, dt_s: 3600.0 });
                hours += 1;
                assert!(hours < 100, "{regulator:?} {t}");
            }
            pack.take(&mut state, Segment { load_ma: 50.0, solar_w: 0.0, dt_s: 3600.0 });
            assert!(state.drawn_mah <= holds + 1e-6, "{} of {holds} mAh", state.drawn_mah);
            assert!(pack.is_empty(&state) && pack.rail_v(&state, 1.0, 0.0) == 0.0);
            if t < 0.0 {
                state.temperature_c = 25.0;
                assert!(!pack.is_empty(&state) && pack.rail_v(&state, 1.0, 0.0) > 2.9, "the warmth frees it");
            }
        }
    }

    #[test]
    fn a_panel_fills_it_and_no_further() {
        let pack = pack(Regulator::Direct);
        let mut state = PackState::new(&pack, 0.9, 1.0, 1.0, 0.0, 0.0);
        for _ in 0..48 {
            pack.take(&mut state, Segment { load_ma: 1.0, solar_w: 1.0, dt_s: 3600.0 });
        }
        let head = pack.cell.kibam.head(&state.wells);
        assert!(
            (head - 1000.0).abs() < 1e-6 && state.wells.total <= 1000.0 + 1e-6,
            "{head} {:?}",
            state.wells
        );
    }
}
