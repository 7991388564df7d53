//! What a catalog file states, under the names that the bench measures.

use super::{
    difference_unit,
    sensor::{COOL_C, WARM_C},
};
use twinfleet_engine::catalog::{ActuatorDef, BoardDef, Catalog, ChannelDef, SensorDef};

/// A stated figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Stated {
    /// The quantity, or `part`, `supply`, `adc`, `clock`, `level`.
    pub channel: String,
    /// Which figure.
    pub name: String,
    /// How much.
    pub value: f64,
    /// In what.
    pub unit: String,
}

/// Everything that the file of a sensor, a board or an actuator states; nothing for a name that is none.
pub fn stated(catalog: &Catalog, part: &str) -> Vec<Stated> {
    if let Some(sensor) = catalog.sensors.get(part) {
        return sensor_figures(sensor);
    }
    if let Some(board) = catalog.boards.get(part) {
        return board_figures(board);
    }
    catalog.actuators.get(part).map_or_else(Vec::new, actuator_figures)
}

fn put(all: &mut Vec<Stated>, channel: &str, name: &str, value: f64, unit: &str) {
    all.push(Stated { channel: channel.to_owned(), name: name.to_owned(), value, unit: unit.to_owned() });
}

fn sensor_figures(sensor: &SensorDef) -> Vec<Stated> {
    let mut all = Vec::new();
    let slowest = sensor.channels.iter().map(|c| c.tau_s).fold(0.0, f64::max);
    for c in &sensor.channels {
        channel_figures(c, super::sensor::fresh_s(sensor).max(0.75 * slowest), &mut all);
    }
    put(&mut all, "part", "conversion", sensor.conversion.as_secs_f64(), "s");
    put(&mut all, "part", "min_interval", sensor.min_interval.as_secs_f64(), "s");
    if let Some(c) = sensor.channels.iter().find(|c| c.hold.0 > 0) {
        put(&mut all, "part", "hold", c.hold.as_secs_f64(), "s");
        put(&mut all, "part", "lock_out", c.block.as_secs_f64(), "s");
    }
    if sensor.warm_up.0 > 0 {
        put(&mut all, "part", "warm_up", sensor.warm_up.as_secs_f64(), "s");
    }
    put(&mut all, "part", "current_idle", sensor.idle_ma, "mA");
    put(&mut all, "part", "current_active", sensor.active_ma, "mA");
    all
}

fn channel_figures(c: &ChannelDef, period_s: f64, all: &mut Vec<Stated>) {
    let (q, d) = (c.quantity.as_str(), difference_unit(&c.unit));
    // Quantisation is noise, too, where the noise is not far below a step; a wander moves on from reading to reading.
    let moved = if c.wander_tau_s > 0.0 { -(-period_s / c.wander_tau_s).exp_m1() } else { 0.0 };
    let at = super::sensor::Range::middle(c);
    let noise = c.noise_at(at).hypot(c.lsb / 12f64.sqrt()).hypot(c.wander_std * moved.sqrt());
    let noise = if c.noise_at(at) > 0.3 * c.lsb { noise } else { f64::NAN };
    put(all, q, "noise_std", noise, d);
    let offset = (c.bias_std.powi(2) + (c.gain_std * at).powi(2) + c.wander_std.powi(2)).sqrt();
    put(all, q, "offset_std", offset, d);
    put(all, q, "gain_std", 100.0 * c.gain_std, "percent");
    put(all, q, "range_min", c.range.0, &c.unit);
    put(all, q, "range_max", c.range.1, &c.unit);
    put(all, q, "quantum", c.lsb, d);
    put(all, q, "hysteresis", c.hysteresis, d);
    put(all, q, "drift_per_year", c.drift_per_year, d);
    let warmed = c.cross.iter().filter(|x| x.quantity == "temperature").map(|x| {
        let ((cool, less), (warm, more)) = (x.change(COOL_C), x.change(WARM_C));
        (warm - cool + at * (more - less)) / (WARM_C - COOL_C)
    });
    put(all, q, "temperature_coefficient", warmed.sum(), d);
    put(all, q, "self_heating", c.self_heating, d);
    put(all, q, "tau63", c.tau_s, "s");
}

fn board_figures(board: &BoardDef) -> Vec<Stated> {
    let mut all = Vec::new();
    put(&mut all, "supply", "current_active", board.current_ma.active, "mA");
    put(&mut all, "supply", "current_idle", board.current_ma.sleep, "mA");
    if board.current_ma.transmit > board.current_ma.active {
        put(&mut all, "supply", "current_transmit", board.current_ma.transmit, "mA");
    }
    for (state, ma) in &board.rest_ma {
        put(&mut all, "supply", &format!("current_{state}"), *ma, "mA");
    }
    put(&mut all, "supply", "brown_out", board.brown_out_v, "V");
    put(&mut all, "clock", "clock_std", board.clock_ppm, "ppm");
    if let Some(adc) = &board.adc {
        put(&mut all, "adc", "bits", f64::from(adc.bits), "none");
        put(&mut all, "adc", "range_max", adc.reference_v, "V");
        put(&mut all, "adc", "noise_std", adc.noise_lsb.hypot(1.0 / 12f64.sqrt()), "none");
        put(&mut all, "adc", "range_min", adc.least_v, "V");
        let off = |volts: f64| {
            // A bow is at its largest in the middle, where an S is nothing.
            let (u, inl_v) = (adc.share_of(volts), adc.inl_lsb * adc.step_v(volts));
            let bow = inl_v * 4.0 * u * (1.0 - u);
            let s = inl_v * 10.392_304_845_413_264 * u * (1.0 - u) * (2.0 * u - 1.0);
            (volts * adc.reference_spread).hypot(bow).hypot(s)
        };
        put(&mut all, "adc", "middle_std", off(0.5 * adc.straight_v()), "V");
        put(&mut all, "adc", "top_std", off(0.95 * adc.straight_v()), "V");
        for (name, range) in &adc.ranges {
            put(&mut all, "adc", &format!("range_max_{name}"), range.reference_v, "V");
        }
    }
    all
}

fn actuator_figures(actuator: &ActuatorDef) -> Vec<Stated> {
    let mut all = Vec::new();
    put(&mut all, "level", "current_active", actuator.idle_ma + actuator.active_ma, "mA");
    put(&mut all, "level", "current_idle", actuator.idle_ma, "mA");
    if actuator.moving_ma > 0.0 {
        put(&mut all, "level", "current_moving", actuator.worst_ma(), "mA");
    }
    if actuator.travel_s > 0.0 {
        put(&mut all, "level", "travel", actuator.travel_s, "s");
    } else {
        put(&mut all, "level", "tau63", actuator.tau_s, "s");
    }
    all
}
