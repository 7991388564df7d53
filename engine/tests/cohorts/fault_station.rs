//! Faults that know how their parts are wired and what they measure, on a station with two parts on I2C, two on SPI and two
//! on analogue pins: each against its closed form, and with its labels.

use crate::common::mean;
use crate::fixture::{Sim, plan, sensor};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};
use twinfleet_engine::{environment::air::saturation_hpa, plan::Plan, time::SimTime};

const CLIMATE: &str = r#"(format: 1, name: "climate", source: "test", bus: I2c([0x76]), active_ma: 1.0, channels: [
    (quantity: "temperature", unit: "degC", range: (-40.0, 85.0), noise_std: 0.1),
    (quantity: "humidity", unit: "percent", range: (0.0, 100.0), noise_std: 0.1)])"#;
const LIGHT: &str = r#"(format: 1, name: "light", source: "test", bus: I2c([0x23]), active_ma: 1.0, channels: [
    (quantity: "illuminance", unit: "lx", range: (0.0, 100000.0), noise_std: 1.0)])"#;
const PROBE: &str = r#"(format: 1, name: "probe", source: "test", bus: Spi, active_ma: 1.0, channels: [
    (quantity: "temperature", unit: "degC", range: (-40.0, 85.0), noise_std: 0.1, bias_std: 2.0)])"#;
const VOLTAGE: &str = r#"(format: 1, name: "voltage", source: "test", bus: Analog, active_ma: 1.0, channels: [
    (quantity: "temperature", unit: "degC", range: (-50.0, 200.0), analog: Some(Linear(zero_v: 0.5, v_per_unit: 0.01)))])"#;

/// Every stream of a station, in the order of its signals.
const STREAMS: [&str; 7] = [
    "climate.temperature",
    "climate.humidity",
    "light.illuminance",
    "a.temperature",
    "b.temperature",
    "u.temperature",
    "v.temperature",
];

/// Four stations whose timeline holds this; two minutes and more of readings, one a second.
fn stations(timeline: &str, more: &str) -> Plan {
    let text = format!(
        r#"(format: 1, seed: 11, duration: "1h", step: "1s", fleet: [(id: "n-{{}}", count: 4, thing: "t")],
        things: [(name: "t", source: "test", board: "esp32", parts: [
            (id: "climate", model: "climate", on: I2c(0x76)), (id: "light", model: "light", on: I2c(0x23)),
            (id: "a", model: "probe", on: Spi("1")), (id: "b", model: "probe", on: Spi("2")),
            (id: "u", model: "voltage", on: Pin("3")), (id: "v", model: "voltage", on: Pin("4"))],
            firmware: (period: "1s", publish: [(topic: "t/{{device}}")]) {more})],
        timeline: [{timeline}])"#
    );
    let plan = plan(&text, &[CLIMATE, LIGHT, PROBE, VOLTAGE].map(sensor));
    let mut catalog = (*plan.catalog).clone();
    let adc = "(bits: 24, reference_v: 3.3, reference_spread: 0.01, noise_lsb: 0.5)";
    for board in catalog.boards.values_mut() {
        board.adc = Some(ron::from_str(adc).unwrap());
    }
    let cell = r#"(format: 1, name: "weak", source: "test", capacity_mah: 2.0, ocv_v: [(0.0, 1.0), (1.0, 1.7)],
        r0_ohm: [(0.0, 1.5), (1.0, 1.5)])"#;
    catalog.batteries.insert("weak".to_owned(), ron::from_str(cell).unwrap());
    Plan::new(plan.scenario.clone(), Arc::new(catalog), PathBuf::new(), 11, (0, 1)).unwrap()
}

fn run(plan: &Plan, seconds: usize) -> Sim {
    let mut sim = Sim::new(plan, true);
    sim.set("outside/temperature", 25.0);
    sim.set("outside/humidity", 50.0);
    sim.set("outside/illuminance", 5000.0);
    sim.run(seconds);
    sim
}

/// A sound run and one with a fault of station 1 from 20 s to 80 s.
struct Pair {
    sound: Sim,
    faulty: Sim,
    plan: Plan,
}

impl Pair {
    fn new(target: &str, kind: &str) -> Self {
        Self::of(&format!(r#"(at: "20s", until: "80s", do: Fault(target: "{target}", kind: {kind}))"#))
    }

    fn of(timeline: &str) -> Self {
        let (sound, plan) = (run(&stations("", ""), 140), stations(timeline, ""));
        let pair = Self { sound, faulty: run(&plan, 140), plan };
        for name in (0..4).filter(|i| *i != 1).flat_map(|i| STREAMS.map(|s| format!("n-{i}/{s}@reading"))) {
            let (a, b) = (pair.sound.series(&pair.plan, &name), pair.faulty.series(&pair.plan, &name));
            assert_eq!(a, b, "{timeline}: {name} is another station's");
        }
        pair
    }

    /// (t, sound, faulty) of a stream of station 1; NaN where there is no faulty reading.
    fn of_stream(&self, stream: &str) -> Vec<(f64, f64, f64)> {
        let name = format!("n-1/{stream}@reading");
        let faulty: BTreeMap<SimTime, f64> = self.faulty.series(&self.plan, &name).into_iter().collect();
        let sound = self.sound.series(&self.plan, &name).into_iter();
        sound.map(|(t, v)| (t.as_secs_f64(), v, faulty.get(&t).copied().unwrap_or(f64::NAN))).collect()
    }

    /// Streams that have a label, which all say the same; from, until, word, size.
    fn labels(&self) -> (Vec<&str>, f64, f64, &str, f64) {
        let start: Vec<_> = self.faulty.events.iter().filter(|e| e.kind == "fault_start").collect();
        let end: Vec<_> = self.faulty.events.iter().filter(|e| e.kind == "fault_end").collect();
        let parts = |events: &[&twinfleet_engine::world::Event]| {
            let mut all: Vec<usize> =
                events.iter().map(|e| STREAMS.iter().position(|s| *s == e.part).unwrap()).collect();
            all.sort_unstable();
            all
        };
        assert_eq!(parts(&start), parts(&end), "every label ends");
        assert!(start.iter().chain(&end).all(|e| e.subject == "n-1" && e.detail == start[0].detail));
        let names = parts(&start).into_iter().map(|i| STREAMS[i]).collect();
        let (from, until) = (start[0].t.as_secs_f64(), end[0].t.as_secs_f64());
        (names, from, until, &start[0].detail, start[0].value)
    }

    /// Unit of the size that every label tells, and the streams that they say theirs is exchanged with.
    fn unit_and_partners(&self) -> (&str, Vec<(&str, &str)>) {
        let labels: Vec<_> = self.faulty.events.iter().filter(|e| e.kind.starts_with("fault_")).collect();
        assert!(labels.iter().all(|e| e.unit == labels[0].unit));
        let mut pairs: Vec<(&str, &str)> = labels
            .iter()
            .filter(|e| !e.with.is_empty())
            .map(|e| (e.part.as_str(), e.with.as_str()))
            .collect();
        pairs.dedup();
        (&labels[0].unit, pairs)
    }

    /// Holds the closed form against every reading of a stream; without one the stream is untouched.
    fn holds(&self, stream: &str, law: impl Fn(f64, f64) -> f64) {
        for (t, sound, faulty) in self.of_stream(stream) {
            let expected = law(t, sound);
            let well = (faulty - expected).abs() < 1e-4 * expected.abs().max(1.0);
            let lost = faulty.is_nan() && expected.is_nan();
            assert!(well || lost, "{stream} at {t}: {sound} became {faulty}, expected {expected}");
        }
    }

    fn leaves(&self, streams: &[&str]) {
        for stream in streams {
            assert!(self.of_stream(stream).iter().all(|(_, a, b)| a == b), "{stream} is not touched");
        }
    }
}

fn lasts(t: f64) -> bool {
    (20.0..80.0).contains(&t)
}

/// An excess that comes at 20 s, goes at 80 s, and is cut when a hundredth is left.
fn wanes(t: f64, tau: f64, at_80: f64) -> f64 {
    if t < 80.0 + tau * 100f64.ln() { at_80 * (-(t - 80.0) / tau).exp() } else { 0.0 }
}

#[test]
fn a_hanging_bus_takes_every_part_on_it() {
    let pair = Pair::new("n-1/light.illuminance", "BusLockUp");
    for stream in &STREAMS[..3] {
        pair.holds(stream, |t, sound| if lasts(t) { f64::NAN } else { sound });
    }
    pair.leaves(&STREAMS[3..]);
    assert_eq!(pair.labels(), (STREAMS[..3].to_vec(), 20.0, 80.0, "bus_lock_up", 0.0));
}

#[test]
fn a_reset_frees_a_hanging_bus_and_its_label_says_why() {
    // Two small cells that soon cannot bear the radio any more: from then on the board is reset again and again.
    let timeline = r#"(at: "20s", do: Fault(target: "n-1/climate.*", kind: BusLockUp))"#;
    let plan = stations(timeline, r#", power: Pack(cell: "weak", series: 2, charge: (1.0, 1.0))"#);
    let sim = run(&plan, 120);
    let first = |kind: &str| sim.events.iter().find(|e| e.subject == "n-1" && e.kind == kind).unwrap();
    let reset = first("brown_out");
    let reset_s = reset.t.as_secs_f64();
    assert!((25.0..90.0).contains(&reset_s), "{reset_s}");
    let ends: Vec<_> = sim.events.iter().filter(|e| e.kind == "fault_end").collect();
    assert_eq!(ends.len(), 3, "each of the bus's streams is free");
    for end in ends {
        assert_eq!(end.cause, twinfleet_engine::cause::id(reset), "{}", end.part);
        assert!((end.t - reset.t).as_secs_f64().abs() < 1e-3);
    }
    for stream in &STREAMS[..3] {
        let t: Vec<f64> = sim
            .series(&plan, &format!("n-1/{stream}@reading"))
            .iter()
            .map(|(t, _)| t.as_secs_f64())
            .collect();
        assert!(t.iter().all(|t| !(20.0..reset_s).contains(t)), "{stream} while the bus hangs");
        assert!(t.iter().any(|t| *t > reset_s), "{stream} after the reset");
    }
}

#[test]
fn a_loose_contact_loses_all_of_its_part_for_a_share_of_the_time() {
    let pair = Pair::new("n-1/climate.humidity", r#"Intermittent(open: "2s", closed: "3s")"#);
    let (a, b) = (pair.of_stream(STREAMS[0]), pair.of_stream(STREAMS[1]));
    let lost = |v: &[(f64, f64, f64)]| v.iter().map(|(.., x)| x.is_nan()).collect::<Vec<_>>();
    assert_eq!(lost(&a), lost(&b), "the part's readings go together");
    assert!(a.iter().all(|(t, sound, x)| x == sound || (lasts(*t) && x.is_nan())));
    let first = a.iter().find(|(t, ..)| *t >= 20.0).unwrap();
    assert!(first.2.is_nan(), "it opens at the onset");
    pair.leaves(&STREAMS[2..]);
    assert_eq!(pair.labels(), (STREAMS[..2].to_vec(), 20.0, 80.0, "intermittent", 0.4));
    assert_eq!(pair.unit_and_partners(), ("ratio", vec![]));
    // Over an hour the share is that of its mean times: 700 turns, five standard errors of 0.4·0.6/√700·√2 each.
    let timeline = r#"(at: 0, do: Fault(target: "n-1/a.*", kind: Intermittent(open: "2s", closed: "3s")))"#;
    let plan = stations(timeline, "");
    let kept = run(&plan, 3600).series(&plan, "n-1/a.temperature@reading").len() as f64 / 3600.0;
    assert!((kept - 0.6).abs() < 0.07, "{kept} of the readings are left");
}

#[test]
fn an_open_pin_of_a_converter_is_at_zero_volts() {
    let pair = Pair::new("n-1/u.*", r#"Intermittent(open: "2s", closed: "3s")"#);
    let zero = |x: f64| (x - -50.0).abs() < 1e-3;
    let v = pair.of_stream("u.temperature");
    assert!(v.iter().all(|(t, sound, x)| x == sound || (lasts(*t) && zero(*x))));
    let open = v.iter().filter(|(.., x)| zero(*x)).count();
    assert!((10..40).contains(&open), "{open} of 60 at 0 V");
}

#[test]
fn a_wrong_reference_scales_the_voltage_of_every_analogue_part() {
    let pair = Pair::new("n-1", "AdcReference(by: 0.05)");
    for stream in &STREAMS[5..] {
        pair.holds(stream, |t, sound| {
            let volts = 0.5 + 0.01 * sound;
            if lasts(t) { (volts / 1.05 - 0.5) / 0.01 } else { sound }
        });
    }
    pair.leaves(&STREAMS[..5]);
    assert_eq!(pair.labels(), (STREAMS[5..].to_vec(), 20.0, 80.0, "adc_reference", 0.05));
    assert_eq!(pair.unit_and_partners(), ("ratio", vec![]));
}

#[test]
fn swapped_sensors_show_what_the_other_reads() {
    let pair = Pair::of(
        r#"(at: "20s", until: "80s", do: Swap(target: "n-1/a.temperature", with: "b.temperature"))"#,
    );
    let (a, b) = (pair.of_stream("a.temperature"), pair.of_stream("b.temperature"));
    assert!((mean(&a.iter().map(|v| v.1 - 25.0).collect::<Vec<_>>())).abs() > 0.3, "the units differ");
    for ((t, a, shown_a), (_, b, shown_b)) in a.iter().zip(&b) {
        assert_eq!((*shown_a, *shown_b), if lasts(*t) { (*b, *a) } else { (*a, *b) }, "at {t}");
    }
    pair.leaves(&[&STREAMS[..3], &STREAMS[5..]].concat());
    assert_eq!(pair.labels(), (STREAMS[3..5].to_vec(), 20.0, 80.0, "swap", 0.0));
    // The ends say so, too.
    let partners = [("a.temperature", "b.temperature"), ("b.temperature", "a.temperature")];
    assert_eq!(pair.unit_and_partners(), ("", [partners, partners].concat()));
}

#[test]
fn a_wet_sensor_reads_saturation_and_dries() {
    let pair = Pair::new("n-1", r#"Condensation(recover: "10s", leak: 0.2)"#);
    let wet = |t: f64| {
        if lasts(t) {
            1.0
        } else if t < 20.0 {
            0.0
        } else {
            wanes(t, 10.0, 1.0)
        }
    };
    pair.holds("climate.humidity", |t, sound| sound + (100.0 - sound) * wet(t));
    for stream in &STREAMS[5..] {
        pair.holds(stream, |t, sound| ((0.5 + 0.01 * sound) * (1.0 - 0.2 * wet(t)) - 0.5) / 0.01);
    }
    pair.leaves(&["climate.temperature", "light.illuminance", "a.temperature", "b.temperature"]);
    let (streams, from, until, word, size) = pair.labels();
    assert_eq!(streams, ["climate.humidity", "u.temperature", "v.temperature"]);
    assert_eq!((from, word, size), (20.0, "condensation", 0.2));
    assert!(
        (until - (80.0 + 10.0 * 100f64.ln())).abs() < 1e-6,
        "the label ends with the last trace, at {until}"
    );
}

#[test]
fn a_part_that_warms_itself_reads_warm_and_dry() {
    let pair = Pair::new("n-1/climate.temperature", r#"SelfHeating(by: 3.0, tau: "10s")"#);
    let come_to = |t: f64| 3.0 * (1.0 - (-(t - 20.0) / 10.0).exp());
    let rise = |t: f64| {
        if lasts(t) {
            come_to(t)
        } else if t < 20.0 {
            0.0
        } else {
            wanes(t, 10.0, come_to(80.0))
        }
    };
    pair.holds("climate.temperature", |t, sound| sound + rise(t));
    pair.holds("climate.humidity", |t, sound| sound * saturation_hpa(25.0) / saturation_hpa(25.0 + rise(t)));
    pair.leaves(&STREAMS[2..]);
    let (streams, from, _, word, size) = pair.labels();
    assert_eq!((streams, from, word, size), (STREAMS[..2].to_vec(), 20.0, "self_heating", 3.0));
    assert_eq!(pair.unit_and_partners(), ("delta_K", vec![]));
}

#[test]
fn dust_takes_the_same_share_of_the_light_in_every_stretch_of_time() {
    let pair = Pair::new("n-1/light.illuminance", "Dust(per_day: 0.9)");
    pair.holds("light.illuminance", |t, sound| {
        if lasts(t) { sound * 0.1f64.powf((t - 20.0) / 86_400.0) } else { sound }
    });
    pair.leaves(&[&STREAMS[..2], &STREAMS[3..]].concat());
    assert_eq!(pair.labels(), (vec!["light.illuminance"], 20.0, 80.0, "dust", 0.9));
    assert_eq!(pair.unit_and_partners(), ("ratio/d", vec![]));
    for (kind, unit) in [
        ("Bias(by: 2.0)", "delta_K"),
        ("Drift(per_h: 2.0)", "delta_K/h"),
        ("Gain(factor: 2.0)", "ratio"),
        ("Stuck", ""),
    ] {
        assert_eq!(Pair::new("n-1/a.temperature", kind).unit_and_partners(), (unit, vec![]), "{kind}");
    }
    assert_eq!(Pair::new("n-1/light.illuminance", "Noise(std: 2.0)").unit_and_partners(), ("lx", vec![]));
    assert_eq!(Pair::new("n-1", "ClockSkew(ppm: 50)").unit_and_partners(), ("ppm", vec![]));
}
