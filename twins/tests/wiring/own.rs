//! Sensors and boards of one's own whose figures contradict one another, or name what is not there.

use twinfleet_engine::{
    catalog::{BoardDef, SensorDef},
    scenario::{definition, source::Source},
};

fn said(bus: &str, timing: &str, channel: &str) -> String {
    let text = format!(
        r#"Sensor(format: 1, name: "own", source: "its datasheet, p. 3", bus: {bus}, active_ma: 1, {timing}
            channels: [(quantity: "temperature", unit: "degC", range: (0, 1), {channel})])"#
    );
    match definition::read::<SensorDef>(&Source::embedded("own.ron", &text)) {
        Ok(_) => String::new(),
        Err(report) => report.to_string(),
    }
}

#[test]
fn figures_that_contradict_one_another() {
    for (bus, timing, channel, words) in [
        ("I2c([0x48, 0x49, 0x48])", "", "", "the address 0x48 is written twice"),
        ("Spi", "conversion: \"1s\", min_interval: \"100ms\",", "", "a measurement takes 1s"),
        ("Spi", "", "hysteresis: 2", "the hysteresis is wider than the whole range"),
        ("Spi", "", "block: \"2s\"", "an output that stays up is 0 or 1"),
        ("Digital(1)", "", "unsettled: \"60s\"", "only an output that stays up for a while rises by itself"),
        ("Spi", "", "reach: Above(0.3)", "only an input of a converter is bound by its supply"),
        ("Spi", "", "noise_ratio: -0.1", "`noise_ratio`"),
        ("Spi", "peak_ma: -5,", "", "`peak_ma`"),
        ("Digital(2)", "driven: [2],", "", "the part has no digital line 2"),
        ("Spi", "shares: [0],", "", "the part has no digital line 0"),
        ("I2c([0x48])", "beside: {0x6A: 0x1C},", "", "the part has no address 0x6a"),
    ] {
        let said = said(bus, timing, channel);
        assert!(said.contains(words), "{bus} {timing} {channel}: {said}");
    }
    for (bus, timing, channel) in [
        (
            "I2c([0x48, 0x49])",
            "conversion: \"1s\", min_interval: \"1s\",",
            "hysteresis: 0.5, noise_ratio: 0.1",
        ),
        ("Spi", "conversion: \"1s\",", "hold: \"3s\", block: \"2s\""),
        ("Digital(2)", "driven: [1], shares: [1],", ""),
        ("I2c([0x48])", "beside: {0x48: 0x1C},", ""),
    ] {
        assert_eq!(said(bus, timing, channel), "");
    }
}

#[test]
fn a_board_that_names_what_it_has_not() {
    let said = |more: &str| {
        let text = format!(
            r#"Board(format: 1, name: "own", source: "its datasheet, p. 3", pins: {{"P0": [Digital, Tx]}}, logic_v: 3.3,
                brown_out_v: 2.0, current_ma: (active: 5, transmit: 50, sleep: 0.1), {more})"#
        );
        match definition::read::<BoardDef>(&Source::embedded("own.ron", &text)) {
            Ok(_) => String::new(),
            Err(report) => report.to_string(),
        }
    };
    for (more, words) in [
        (r#"pulled_up: ["P1"]"#, "the board has no pin `P1`"),
        (r#"wakes_by: "P1""#, "the board has no pin `P1`"),
        (r#"no_pull_up: ["P1"]"#, "the board has no pin `P1`"),
        (r#"ports: [["P0", "P1"]]"#, "the board has no pin `P1`"),
        (r#"inner_pins: ["P0"]"#, "`P0` is one of the board's `pins`"),
        (r#"associated: ["doze"], rest_ma: {"nap": 1.0}"#, "the board has no state `doze`"),
        (r#"rest_ma: {"nap": -1.0}"#, "must be at least 0, but is -1"),
        (r#"on_bus: {0xEC: "a chip"}"#, "0xec is no I2C address of a part"),
    ] {
        assert!(said(more).contains(words), "{more}: {}", said(more));
    }
    let sound = r#"pulled_up: ["P0"], inner_pins: ["P9"], wakes_by: "P0", ports: [["P0"]], rest_ma: {"nap": 1.0}, associated: ["nap"], on_bus: {0x60: "a chip"}"#;
    assert_eq!(said(sound), "");
}
