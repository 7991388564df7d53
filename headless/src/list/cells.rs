//! What a line of a list tells besides name and description: what one compares parts by.

use crate::report::words::figure;
use twinfleet_engine::{
    catalog::{ActuatorDef, BoardDef, BusDef, Catalog, EffectDef, PinFn, SensorDef},
    link::profile::{AirDef, LinkProfileDef},
    power::{
        along,
        cell::BatteryDef,
        regulator::{Regulator, RegulatorDef},
    },
};

/// Heads of the columns between name and description; none for a kind that has no more to tell.
pub fn heads(what: &str) -> &'static [&'static str] {
    match what {
        "boards" => &["cpu", "ram", "flash", "logic", "analogue in", "radio", "active", "sleep"],
        "sensors" => &["measures", "bus", "supply", "active", "at most every"],
        "actuators" => &["at full level", "gives", "supply", "draws"],
        "batteries" => &["full", "empty", "capacity", "at -20 °C", "resistance", "chargeable"],
        "regulators" => &["gives", "at most", "input up to", "own current"],
        "links" => &["radio", "rate", "sends at", "hears down to", "payload", "air", "latency"],
        _ => &[],
    }
}

/// Cells of those columns for one definition.
pub fn of(catalog: &Catalog, what: &str, name: &str) -> Vec<String> {
    let cells = match what {
        "boards" => catalog.boards.get(name).map(board),
        "sensors" => catalog.sensors.get(name).map(sensor),
        "actuators" => catalog.actuators.get(name).map(actuator),
        "batteries" => catalog.batteries.get(name).map(battery),
        "regulators" => catalog.regulators.get(name).map(regulator),
        "links" => catalog.links.get(name).map(link),
        _ => None,
    };
    cells.unwrap_or_default()
}

fn board(b: &BoardDef) -> Vec<String> {
    let cpu = b.cpu.map_or(String::new(), |c| match c.cores {
        1 => format!("{} MHz", figure(c.clock_mhz)),
        n => format!("{n} × {} MHz", figure(c.clock_mhz)),
    });
    let flash =
        b.cpu.map_or(String::new(), |c| if c.flash_kb > 0.0 { bytes(c.flash_kb) } else { "card".to_owned() });
    let pins = b.pins.values().filter(|f| f.contains(&PinFn::Analog)).count();
    let adc = b
        .adc
        .as_ref()
        .map_or("–".to_owned(), |a| format!("{pins} × {} bit to {} V", a.bits, figure(a.reference_v)));
    vec![
        cpu,
        b.cpu.map_or(String::new(), |c| bytes(c.ram_kb)),
        flash,
        format!("{} V", figure(b.logic_v)),
        adc,
        radios(b),
        ma(b.current_ma.active),
        ma(b.current_ma.sleep),
    ]
}

fn radios(b: &BoardDef) -> String {
    match b.radios.as_deref() {
        None => String::new(),
        Some([]) => "–".to_owned(),
        Some(all) => all.iter().map(|r| r.kind.word()).collect::<Vec<_>>().join(", "),
    }
}

fn battery(b: &BatteryDef) -> Vec<String> {
    let volts = |p: Option<&(f64, f64)>| p.map_or(String::new(), |p| format!("{} V", figure(p.1)));
    let cold = if b.capacity_at.is_empty() { 1.0 } else { along(&b.capacity_at, -20.0) };
    vec![
        volts(b.ocv_v.last()),
        volts(b.ocv_v.first()),
        format!("{} mAh", figure(b.capacity_mah)),
        format!("{} %", figure(100.0 * cold)),
        b.r0_ohm.last().map_or(String::new(), |p| format!("{} Ω", figure(p.1))),
        if b.rechargeable { "yes" } else { "no" }.to_owned(),
    ]
}

fn regulator(r: &RegulatorDef) -> Vec<String> {
    let (out_v, quiescent_ma) = match r.kind {
        Regulator::Direct => (String::new(), 0.0),
        Regulator::Ldo { out_v, quiescent_ma, .. } => (format!("{} V, linear", figure(out_v)), quiescent_ma),
        Regulator::Switching { out_v, quiescent_ma, boost, .. } => {
            let way = if boost { "up" } else { "down" };
            (format!("{} V, {way}", figure(out_v)), quiescent_ma)
        }
    };
    let stands = r.most_in_v.map_or(String::new(), |v| format!("{} V", figure(v)));
    vec![out_v, r.most_ma.map_or(String::new(), ma), stands, ma(quiescent_ma)]
}

fn link(l: &LinkProfileDef) -> Vec<String> {
    let rate = match l.air {
        AirDef::Rate { bits_per_s, .. } if bits_per_s >= 1e6 => {
            format!("{} Mbit/s", figure(bits_per_s / 1e6))
        }
        AirDef::Rate { bits_per_s, .. } => format!("{} kbit/s", figure(bits_per_s / 1e3)),
        AirDef::Lora(lora) => format!("SF{}", lora.sf),
    };
    vec![
        l.radio.map_or(String::new(), |r| r.word().to_owned()),
        rate,
        format!("{} dBm", figure(l.tx_dbm)),
        format!("{} dBm", figure(l.rssi50_dbm)),
        l.max_payload_bytes.map_or(String::new(), |n| format!("{n} B")),
        l.duty_cycle.map_or(String::new(), |d| format!("{} %", figure(100.0 * d))),
        format!("{} ms", figure(l.latency_min_ms + l.latency_jitter_ms)),
    ]
}

fn sensor(s: &SensorDef) -> Vec<String> {
    let interval_s = s.min_interval.as_secs_f64().max(s.conversion.as_secs_f64());
    vec![
        measures(s),
        bus(&s.bus),
        volts(s.supply_v),
        ma(s.active_ma),
        if interval_s > 0.0 { seconds(interval_s) } else { String::new() },
    ]
}

/// Quantities, axes together: `accel_x/y/z`.
fn measures(s: &SensorDef) -> String {
    let mut names: Vec<String> = Vec::new();
    for c in &s.channels {
        let stem = c.quantity.strip_suffix(['x', 'y', 'z']).and_then(|q| q.strip_suffix('_'));
        let name = stem.map_or_else(|| c.quantity.clone(), |q| format!("{q}_xyz"));
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}

fn bus(bus: &BusDef) -> String {
    match bus {
        BusDef::I2c(addresses) => {
            let all: Vec<String> = addresses.iter().map(|a| format!("0x{a:02x}")).collect();
            let in_a_row = addresses.windows(2).all(|w| w[1] == w[0] + 1);
            let ends = match all.as_slice() {
                [first, _, .., last] if in_a_row => format!("{first}–{last}"),
                [few @ .., last] if !few.is_empty() => format!("{} or {last}", few.join(", ")),
                few => few.join(" or "),
            };
            format!("I2C {ends}")
        }
        BusDef::Spi => "SPI".to_owned(),
        BusDef::OneWire => "1-Wire".to_owned(),
        BusDef::Digital(1) => "1 pin".to_owned(),
        BusDef::Digital(n) => format!("{n} pins"),
        BusDef::Analog => "analogue".to_owned(),
        BusDef::Uart => "UART".to_owned(),
        BusDef::Internal => "on the board".to_owned(),
    }
}

fn actuator(a: &ActuatorDef) -> Vec<String> {
    let effect = match a.effect {
        EffectDef::HeatW(w) if w >= 1000.0 => format!("{} kW", figure(w / 1000.0)),
        EffectDef::HeatW(w) => format!("{} W", figure(w)),
        EffectDef::AirChangesPerH(n) => format!("{} changes/h", figure(n)),
        EffectDef::WaterMmPerH(mm) => format!("{} mm/h", figure(mm)),
        EffectDef::LightLx(lx) => format!("{} lx", figure(lx)),
        EffectDef::SoundDb(db) => format!("{} dB", figure(db)),
        EffectDef::Nothing => "–".to_owned(),
    };
    let unit = |q: &str| twinfleet_engine::units::of_quantity(q).map_or("", |u| u.symbol);
    let gives: Vec<String> = a.gives.iter().map(|(q, x)| format!("{q} {} {}", figure(*x), unit(q))).collect();
    vec![effect, gives.join(", "), volts(a.supply_v), ma(a.worst_ma())]
}

fn volts(range: Option<(f64, f64)>) -> String {
    range.map_or(String::new(), |(low, high)| format!("{}–{} V", figure(low), figure(high)))
}

fn ma(ma: f64) -> String {
    match ma {
        0.0 => "–".to_owned(),
        x if x < 0.1 => format!("{} µA", figure(1000.0 * x)),
        x if x >= 1000.0 => format!("{} A", figure(x / 1000.0)),
        x => format!("{} mA", figure(x)),
    }
}

fn seconds(s: f64) -> String {
    match s {
        s if s < 1e-3 => format!("{} µs", figure(s * 1e6)),
        s if s < 1.0 => format!("{} ms", figure(s * 1e3)),
        s => format!("{} s", figure(s)),
    }
}

fn bytes(kb: f64) -> String {
    match kb {
        k if k >= 1024.0 * 1024.0 => format!("{} GB", figure(k / 1024.0 / 1024.0)),
        k if k >= 1024.0 => format!("{} MB", figure(k / 1024.0)),
        k => format!("{} kB", figure(k)),
    }
}
