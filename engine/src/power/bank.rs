//! The packs of a cohort: what its devices draw, wake by wake.

use super::{
    HOUR_S,
    cell::Cell,
    life::Gauge,
    pack::{Pack, PackState, Segment},
    regulator::Regulator,
    solar::SolarDef,
};
use crate::{
    actuate::Drawn,
    catalog::{BoardDef, Catalog, Firmware, PowerDef, SensorDef},
    rng::stream,
    scenario::definition::{fed_by, on_cells},
    time::{SimTime, Span},
};
use rand::RngExt;
use rand_distr::StandardNormal;

/// A group's packs and what its devices take from them.
#[derive(Clone, Debug)]
pub(crate) struct PackPlan {
    pub pack: Pack,
    pub solar: Option<SolarDef>,
    /// Supply voltage below which the board is reset, [V].
    pub brown_out_v: f64,
    /// Current while sending, [mA].
    pub transmit_ma: f64,
    /// The greatest current that the firmware asks for, [mA].
    pub worst_ma: f64,
    charge: (f64, f64),
    spread: (f64, f64),
    age: (f64, f64),
    thermal_tau_s: f64,
    rest_ma: f64,
    active_ma: f64,
    awake_s: f64,
    measuring_ma_s: f64,
    /// What sensors on the cells draw, past the regulator, [mA].
    direct_ma: f64,
}

impl PackPlan {
    /// The packs of devices with this board, firmware and sensors; none where they run on something else.
    pub fn new(
        power: &PowerDef,
        catalog: &Catalog,
        board: Option<&BoardDef>,
        firmware: Option<&Firmware>,
        sensors: &[&SensorDef],
    ) -> Option<Self> {
        let PowerDef::Pack { cell, series, parallel, charge, years, cycles, thermal_tau, regulator, solar } =
            power
        else {
            return None;
        };
        // The checks have refused names that nothing carries.
        let def = catalog.batteries.get(cell)?;
        let board = board.map(|b| fed_by(b, power, catalog));
        let board = board.as_ref();
        let regulator = regulator.as_ref().and_then(|r| catalog.regulators.get(r));
        let (active, transmit, sleep) = board
            .map_or((0.0, 0.0, 0.0), |b| (b.current_ma.active, b.current_ma.transmit, b.current_ma.sleep));
        let rest = if firmware.is_some_and(|f| f.deep_sleep) { sleep } else { active };
        let sends = firmware.is_some_and(Firmware::speaks);
        let (direct, sensors): (Vec<&SensorDef>, Vec<&SensorDef>) =
            sensors.iter().copied().partition(|s| on_cells(board, power, catalog, s.supply_v, true));
        let idle_ma: f64 = sensors.iter().map(|s| s.idle_ma).sum();
        Some(Self {
            pack: Pack {
                cell: Cell::new(def, *series, *parallel),
                regulator: regulator.map_or(Regulator::Direct, |r| r.kind),
                most_ma: regulator.and_then(|r| r.most_ma).unwrap_or(f64::INFINITY),
                stated_v: board.filter(|b| b.converts).map(|b| b.supply_v),
            },
            solar: *solar,
            brown_out_v: board.map_or(0.0, |b| b.brown_out_v),
            transmit_ma: transmit.max(active),
            worst_ma: if sends { active.max(transmit) } else { active },
            charge: *charge,
            spread: (def.capacity_spread, def.resistance_spread),
            age: (*years, *cycles),
            thermal_tau_s: thermal_tau.as_secs_f64(),
            rest_ma: rest + idle_ma,
            active_ma: active + idle_ma,
            awake_s: firmware.map_or(0.0, |f| f.awake.as_secs_f64()),
            measuring_ma_s: sensors
                .iter()
                .map(|s| (s.active_ma - s.idle_ma) * s.conversion.as_secs_f64())
                .sum(),
            direct_ma: direct.iter().map(|s| s.idle_ma).sum(),
        })
    }

    /// Current of the board while it runs, [mA].
    pub fn active_ma(&self) -> f64 {
        self.active_ma
    }

    /// Current of the board while its radio listens, [mA].
    pub fn listening_ma(&self, radio_ma: f64) -> f64 {
        self.active_ma + radio_ma
    }

    /// Takes what a link's radio asks for in place of the board's own figure, where it says.
    pub fn with_radio(mut self, transmit_ma: Option<f64>) -> Self {
        if let Some(ma) = transmit_ma {
            self.transmit_ma = self.active_ma + ma;
            self.worst_ma = self.transmit_ma;
        }
        self
    }
}

/// What a device finds when it wakes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surrounded {
    pub t: SimTime,
    /// Temperature of its place, [°C].
    pub temperature_c: f64,
    /// Light fallen on its place since the start, [J/m²].
    pub fallen_j_m2: f64,
    /// What its actuators draw.
    pub drawn: Drawn,
}

/// The packs of a cohort.
#[derive(Debug, Default)]
pub(crate) struct Packs {
    lanes: Vec<Lane>,
    batch: Span,
}

#[derive(Debug)]
struct Lane {
    state: PackState,
    gauge: Gauge,
    /// Up to when the state has been brought; `i64::MIN` before the first wake.
    at_ns: i64,
    fallen_j_m2: f64,
    /// What actuators draw: charge that the pack has paid for, and the current when it last looked, [mAh, mA].
    drawn: Drawn,
    /// Time awake on top at the next wake, [s]: a start after a reset.
    booting_s: f64,
    /// The coldest that the cells have been, [°C].
    coldest_c: f64,
}

/// Mean current of a stretch in which `base_ma` flowed and a charge became due, [mA], and puts down what is paid with it.
/// What was paid ahead of its time comes off, but nothing flows back.
fn owed_ma(paid_mah: &mut f64, due_mah: f64, base_ma: f64, dt_s: f64) -> f64 {
    let asked_ma = base_ma + (due_mah - *paid_mah) * HOUR_S / dt_s;
    let ma = asked_ma.max(0.0);
    *paid_mah = due_mah + (ma - asked_ma) * dt_s / HOUR_S;
    ma
}

impl Lane {
    /// Takes a stretch ahead of the clock. What actuators draw in it is paid for now, and not once more when it is over.
    fn spend(&mut self, plan: &PackPlan, load_ma: f64, dt_s: f64) {
        let load_ma = load_ma + self.drawn.rail.1;
        plan.pack.take(&mut self.state, Segment { load_ma, solar_w: 0.0, dt_s });
        for (paid_mah, ma) in [&mut self.drawn.rail, &mut self.drawn.cells] {
            *paid_mah += *ma * dt_s / HOUR_S;
        }
        self.at_ns += (dt_s * 1e9) as i64;
    }
}

impl Packs {
    /// `batch`: how long the stretches are whose mean currents are compared for the forecast of life.
    pub fn new(batch: Span) -> Self {
        Self { lanes: Vec::new(), batch }
    }

    /// Adds the next lane's pack. Its charge comes from the stream `power/charge`, its unit's capacity and resistance from
    /// `power/unit`.
    pub fn add(&mut self, plan: &PackPlan, seed: u64, device: &str) {
        let u: f64 = stream(seed, device, "power/charge").random();
        let (low, high) = plan.charge;
        let mut unit = stream(seed, device, "power/unit");
        let mut factor = |spread: f64| {
            let n: f64 = unit.sample(StandardNormal);
            (1.0 + spread * n).max(0.2)
        };
        let (capacity, resistance) = (factor(plan.spread.0), factor(plan.spread.1));
        let (years, cycles) = plan.age;
        let state = PackState::new(&plan.pack, low + (high - low) * u, capacity, resistance, years, cycles);
        self.lanes.push(Lane {
            state,
            gauge: Gauge::default(),
            at_ns: i64::MIN,
            fallen_j_m2: 0.0,
            drawn: Drawn::default(),
            booting_s: 0.0,
            coldest_c: f64::INFINITY,
        });
    }

    /// Its panel lies elsewhere from now on, where so much more light has fallen since the start, [J/m²].
    pub fn shift_light(&mut self, lane: usize, more_j_m2: f64) {
        self.lanes[lane].fallen_j_m2 += more_j_m2;
    }

    /// Brings a pack to a wake: the rest since the last one, at the mean of what light and actuators did meanwhile.
    pub fn rest(&mut self, lane: u16, plan: &PackPlan, now: &Surrounded) {
        let batch = self.batch;
        let l = &mut self.lanes[lane as usize];
        if l.at_ns == i64::MIN {
            // A device has been in its place for long when the run begins.
            l.state.temperature_c = now.temperature_c;
            l.at_ns = 0;
        }
        let dt_s = (now.t.0 - l.at_ns).max(0) as f64 * 1e-9;
        let warms = -(-dt_s / plan.thermal_tau_s.max(1e-9)).exp_m1();
        l.state.temperature_c += (now.temperature_c - l.state.temperature_c) * warms;
        l.coldest_c = l.coldest_c.min(l.state.temperature_c);
        if dt_s > 0.0 {
            let light_w_m2 = (now.fallen_j_m2 - l.fallen_j_m2) / dt_s;
            let solar_w = plan.solar.map_or(0.0, |s| s.power_w(light_w_m2));
            let load_ma = owed_ma(&mut l.drawn.rail.0, now.drawn.rail.0, plan.rest_ma, dt_s);
            l.state.direct_ma = owed_ma(&mut l.drawn.cells.0, now.drawn.cells.0, plan.direct_ma, dt_s);
            plan.pack.take(&mut l.state, Segment { load_ma, solar_w, dt_s });
            l.fallen_j_m2 = now.fallen_j_m2;
        }
        l.drawn.rail.1 = now.drawn.rail.1;
        l.drawn.cells.1 = now.drawn.cells.1;
        l.state.direct_ma = plan.direct_ma + now.drawn.cells.1;
        l.at_ns = l.at_ns.max(now.t.0);
        plan.pack.age(&mut l.state, now.t.as_secs_f64());
        l.gauge.note(now.t, l.state.drawn_mah, batch);
    }

    /// Takes what being awake takes.
    pub fn awake(&mut self, lane: u16, plan: &PackPlan) {
        let l = &mut self.lanes[lane as usize];
        let dt_s = plan.awake_s + std::mem::take(&mut l.booting_s);
        let dt_s = dt_s.max(1e-3);
        l.spend(plan, plan.active_ma + plan.measuring_ma_s / dt_s, dt_s);
    }

    /// Takes `dt_s` seconds at a current of the whole board, [mA], and what its actuators take meanwhile.
    pub fn spend(&mut self, lane: u16, plan: &PackPlan, load_ma: f64, dt_s: f64) {
        self.lanes[lane as usize].spend(plan, load_ma, dt_s);
    }

    /// When the board is reset within `dt_s` seconds at this current, [s]. None: its supply holds.
    pub fn gives_way_s(&self, lane: u16, plan: &PackPlan, load_ma: f64, dt_s: f64) -> Option<f64> {
        let l = &self.lanes[lane as usize];
        plan.pack.gives_way_s(&l.state, load_ma + l.drawn.rail.1, dt_s, plan.brown_out_v)
    }

    /// When being awake itself resets the board.
    pub fn falls_asleep_s(&self, lane: u16, plan: &PackPlan) -> Option<f64> {
        self.gives_way_s(lane, plan, plan.active_ma, plan.awake_s.max(1e-3))
    }

    /// The next wake begins with a start that takes so long.
    pub fn boots(&mut self, lane: u16, boot: Span) {
        self.lanes[lane as usize].booting_s = boot.as_secs_f64();
    }

    /// The board's supply under the firmware's greatest load, now and were the cells at their reference temperature, [V].
    pub fn worst_v(&self, lane: u16, plan: &PackPlan) -> (f64, f64) {
        let l = &self.lanes[lane as usize];
        let ma = plan.worst_ma + l.drawn.rail.1;
        (plan.pack.rail_v(&l.state, ma, 0.0), plan.pack.rail_at_reference_v(&l.state, ma, 0.0))
    }

    /// Voltage at the battery's terminals while the board runs, [V].
    pub fn voltage_v(&self, lane: u16, plan: &PackPlan) -> f64 {
        let l = &self.lanes[lane as usize];
        plan.pack.terminal_v(&l.state, plan.active_ma + l.drawn.rail.1, 0.0)
    }

    /// What the regulator makes of it for the board, [V]. None before its device's first wake.
    pub fn board_v(&self, lane: u16, plan: &PackPlan) -> Option<f64> {
        let l = &self.lanes[lane as usize];
        (l.at_ns != i64::MIN).then(|| plan.pack.rail_v(&l.state, plan.active_ma + l.drawn.rail.1, 0.0))
    }

    /// Voltage at the battery's terminals and current out of them while the board takes `load_ma` beside its actuators,
    /// [V, mA].
    pub fn terminals(&self, lane: u16, plan: &PackPlan, load_ma: f64) -> (f64, f64) {
        let l = &self.lanes[lane as usize];
        plan.pack.terminals(&l.state, load_ma + l.drawn.rail.1)
    }

    /// State of charge, 0–1.
    pub fn charge(&self, lane: u16, plan: &PackPlan) -> f64 {
        plan.pack.charge(&self.lanes[lane as usize].state)
    }

    /// Temperature of the cells, [°C].
    pub fn temperature_c(&self, lane: u16) -> f64 {
        self.lanes[lane as usize].state.temperature_c
    }

    /// What the forecast of life goes by: charge left to where the board browns out with the cells as cold as they have been
    /// in the run, [mAh], and the gauge. A night like the run's coldest ends a life that its days would not. `warm` asks for what
    /// the cells would still give at their reference temperature.
    pub fn left(&self, lane: u16, plan: &PackPlan, warm: bool) -> (f64, &Gauge) {
        let l = &self.lanes[lane as usize];
        let (s, ma) = (&l.state, plan.worst_ma + l.drawn.rail.1);
        let coldest_c = l.coldest_c.min(s.temperature_c);
        // Cells that never were cold have nothing more to give in the warm.
        let warms = warm && coldest_c < plan.pack.cell.cold_c;
        let coldest_c = if warms { plan.pack.cell.reference_c } else { coldest_c };
        let unusable = plan.pack.unusable_mah(s, ma, plan.brown_out_v, coldest_c);
        let mean_ma = s.drawn_mah * HOUR_S / (l.at_ns.max(1) as f64 * 1e-9);
        (plan.pack.lasting_mah(s, unusable, mean_ma, coldest_c), &l.gauge)
    }

    pub fn hash_into(&self, lane: u16, bytes: &mut Vec<u8>) {
        let l = &self.lanes[lane as usize];
        for x in [
            l.state.wells.total,
            l.state.wells.gap,
            l.state.relax_v,
            l.state.temperature_c,
            l.state.throughput_mah,
            l.booting_s,
        ] {
            bytes.extend(x.to_bits().to_le_bytes());
        }
        bytes.extend(l.at_ns.to_le_bytes());
    }

    /// Bytes held, [B].
    pub fn bytes(&self) -> usize {
        self.lanes.capacity() * size_of::<Lane>()
    }
}
