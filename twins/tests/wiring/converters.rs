//! Analogue parts behind converters that are parts themselves: what the wire goes to stands it, reads it, and is told of it; and
//! which buses may share a pin.

use super::super::{errors, scenario, told, told_of};
use std::{path::PathBuf, sync::Arc};
use twinfleet_engine::{
    actuate, environment,
    plan::Plan,
    run::Run,
    scenario::{read, source::Source},
    sense,
    world::{Rows, Watch},
};
use twinfleet_twins::catalog;

#[test]
fn parts_share_a_pin_for_the_same_bus_alone() {
    let i2c = r#"(id: "a", model: "bme280", on: I2c(0x76))"#;
    let spi = r#"(id: "a", model: "mcp3008", on: Spi("GPIO5"))"#;
    let wire =
        |id: &str, pin: &str| format!(r#"(id: "{id}", model: "ds18b20", on: Pin("{pin}"), pull_up: true)"#);
    // An ESP32 leads its I2C bus to other pins, a Raspberry Pi does not.
    for (board, bus, pin) in [
        ("raspberry-pi-4b", i2c, "GPIO2"),
        ("raspberry-pi-4b", i2c, "GPIO3"),
        ("esp32-devkit", spi, "GPIO23"),
        ("esp32-devkit", spi, "GPIO19"),
        ("esp32-devkit", spi, "GPIO18"),
    ] {
        let words = format!("two parts use pin `{pin}`");
        for parts in [format!("{bus}, {}", wire("b", pin)), format!("{}, {bus}", wire("b", pin))] {
            let good = parts.replace(pin, "GPIO16");
            told_of(board, (&parts, ""), (&good, ""), &words);
        }
    }
    let two = format!(
        "{}, {}, {i2c}, (id: \"d\", model: \"bh1750\", on: I2c(0x23))",
        wire("b", "GPIO16"),
        wire("c", "GPIO16")
    );
    assert!(!told("esp32-devkit", &two, "").contains("use pin"), "of one bus they do");
}

/// The level is judged by what the wire goes to: an ADS1115 at 3.3 V stands 3.6 V, whatever the board's own pins stand.
#[test]
fn a_converter_stands_what_its_own_supply_lets_it() {
    let on = |model: &str| {
        format!(
            r#"(id: "adc", model: "ads1115", on: I2c(0x48)), (id: "n", model: "{model}", on: Pin("adc.0"))"#
        )
    };
    for board in ["beaglebone-black", "raspberry-pi-4b"] {
        told_of(board, (&on("mq135"), ""), (&on("ntc-10k"), ""), "an input of `adc` that stands 3.6 V");
        assert!(!told(board, &on("ntc-10k"), "").contains("1.8 V"), "its own converter has nothing to say");
    }
    assert!(!told("arduino-uno-r3", &on("mq135"), "").contains("stands"), "fed with 5 V it stands 5.3 V");
    let divided = on("mq135").replace("\"adc.0\")", "\"adc.0\"), shifted: true");
    assert!(!told("raspberry-pi-4b", &divided, "").contains("stands"), "behind a divider");
}

#[test]
fn an_input_that_a_part_drives_is_told_by_nobody() {
    let all = catalog::builtin().unwrap();
    let parts =
        r#"(id: "adc", model: "ads1115", on: I2c(0x48)), (id: "n", model: "tmp36", on: Pin("adc.1"))"#;
    let of = |input: u32| {
        let truths = format!("thing: \"t\", truths: {{\"adc.voltage_{input}\": 1}})");
        let set =
            format!("timeline: [(at: \"1min\", do: Set(target: \"n/adc.voltage_{input}\", to: 2))], things:");
        errors(
            &all,
            &scenario("esp32-devkit", parts, "").replace("thing: \"t\")", &truths).replace("things:", &set),
        )
    };
    let driven = of(1);
    assert_eq!(driven.matches("`adc.voltage_1` is what `n` puts there").count(), 2, "{driven}");
    assert!(driven.contains("`n.temperature`"), "{driven}");
    assert_eq!(of(0), "", "the others are anybody's");
}

/// Readings of the one device of a scenario by channel name, over an hour of a reading a second at 20 °C.
fn readings(board: &str, parts: &str, truths: &str) -> Vec<(String, Vec<f64>)> {
    let text = format!(
        r#"Scenario(format: 1, seed: 5, duration: "1h", step: "1s", world: (zones: [(id: "z", temperature_c: 20.0)]),
            fleet: [(id: "n", thing: "t", in: ["z"], truths: {{{truths}}})],
            things: [(name: "t", source: "a test", board: "{board}", parts: [{parts}], firmware: (period: "1s"))])"#
    );
    let scenario = read(&Source::embedded("s", &text)).unwrap_or_else(|r| panic!("{r}"));
    let all = catalog::builtin().unwrap();
    let plan = Plan::new(Arc::new(scenario), Arc::new(all), PathBuf::new(), 5, (0, 1)).unwrap();
    let mut run = Run::new(&plan, 1, Watch(vec![true; plan.signals.len()])).unwrap();
    let (world, schedule) = run.parts();
    environment::install(world, schedule, &plan);
    actuate::install(world, schedule, &plan);
    sense::install(world, schedule, &plan);
    let (_, _, channels) = plan.signals.blocks().next().unwrap();
    let mut all: Vec<(String, Vec<f64>)> = channels.iter().map(|c| (c.name.clone(), Vec::new())).collect();
    let first = plan.signals.id(plan.groups[0].block, 0, 0).0;
    while !run.is_over() {
        run.tick(Vec::new());
        for row in &run.world_mut().resource::<Rows>().0 {
            if let Some(series) = row.signal.0.checked_sub(first).and_then(|i| all.get_mut(i as usize)) {
                series.1.push(row.value);
            }
        }
    }
    all
}

fn of<'a>(all: &'a [(String, Vec<f64>)], name: &str) -> &'a [f64] {
    &all.iter().find(|(n, _)| n == name).unwrap_or_else(|| panic!("no {name}")).1
}

fn mean(v: &[f64]) -> f64 {
    v.iter().sum::<f64>() / v.len() as f64
}

/// Whether all values are multiples of a step, and more than one of them.
fn assert_steps(values: &[f64], step: f64, what: &str) {
    let off = |v: &f64| (v / step - (v / step).round()).abs();
    let worst = values.iter().map(off).fold(0.0, f64::max);
    assert!(worst < 1e-3, "{what}: {worst} of a step of {step} off");
    let mut codes: Vec<i64> = values.iter().map(|v| (v / step).round() as i64).collect();
    codes.sort_unstable();
    codes.dedup();
    assert!(codes.len() > 1, "{what}: no noise");
}

/// The converter reads the part's voltage, and firmware makes the part's value of that: one reading, told in two ways.
#[test]
fn a_converter_reads_the_voltage_of_the_part_that_is_wired_to_it() {
    let parts = |adc: &str| {
        format!(
            r#"{adc}, (id: "n", model: "tmp36", on: Pin("adc.0")), (id: "m", model: "tmp36", on: Pin("adc.2"))"#
        )
    };
    let ads = r#"(id: "adc", model: "ads1115", on: I2c(0x48))"#;
    let mcp = r#"(id: "adc", model: "mcp3008", on: Spi("D10"))"#;
    // 16 bits over ±4.096 V; 10 bits over an Uno's 5 V; the same at 3.3 V.
    for (board, adc, step_v) in [
        ("esp32-devkit", ads.to_owned(), 0.000125),
        ("arduino-uno-r3", mcp.to_owned(), 5.0 * 0.00322266 / 3.3),
        ("esp32-devkit", mcp.replace("D10", "GPIO5"), 0.00322266),
    ] {
        // Before or after the parts that it reads: it is the same.
        let all = readings(board, &parts(&adc), "\"adc.voltage_1\": 1.0");
        for (part, input) in [("n.temperature", "adc.voltage_0"), ("m.temperature", "adc.voltage_2")] {
            let (volts, value) = (of(&all, input), of(&all, part));
            assert_steps(volts, step_v, input);
            assert!((mean(volts) - 0.7).abs() < 0.05, "{input} at {} V", mean(volts));
            assert!(volts.len() == value.len() && volts.len() > 3500);
            for (v, c) in volts.iter().zip(value) {
                assert!((100.0 * (v - 0.5) - c).abs() < 1e-9, "{v} V and {c} °C");
            }
        }
        let told = mean(of(&all, "adc.voltage_1"));
        assert!(
            (told - 1.0).abs() < 3.0 * step_v + 0.004,
            "an input without a part has what is told: {told}"
        );
        let swapped = parts("").trim_start_matches(", ").to_owned() + ", " + &adc;
        let other = readings(board, &swapped, "\"adc.voltage_1\": 1.0");
        assert_eq!(of(&all, "n.temperature"), of(&other, "n.temperature"));
    }
}

/// A converter reads no further than its supply lets it: 5 V on an Uno, 3.6 V of an ADS1115 at 3.3 V.
#[test]
fn a_converters_range_goes_with_what_feeds_it() {
    let mcp = r#"(id: "adc", model: "mcp3008", on: Spi("D10"))"#;
    let ads = r#"(id: "adc", model: "ads1115", on: I2c(0x48))"#;
    let reads = |board: &str, adc: &str, volts: f64| {
        mean(of(&readings(board, adc, &format!("\"adc.voltage_0\": {volts:?}")), "adc.voltage_0"))
    };
    assert!((reads("arduino-uno-r3", mcp, 4.5) - 4.5).abs() < 0.02);
    assert!((reads("esp32-devkit", &mcp.replace("D10", "GPIO5"), 4.5) - 3.3).abs() < 0.01);
    assert!((reads("arduino-uno-r3", ads, 4.0) - 4.0).abs() < 0.02);
    assert!((reads("esp32-devkit", ads, 4.0) - 3.6).abs() < 1e-6);
}
