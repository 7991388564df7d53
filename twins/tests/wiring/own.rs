//! Sensors of one's own whose figures contradict one another.

use twinfleet_engine::{
    catalog::SensorDef,
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
        ("Spi", "", "reach: Above(0.3)", "only an input of a converter is bound by its supply"),
        ("Spi", "", "noise_ratio: -0.1", "`noise_ratio`"),
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
    ] {
        assert_eq!(said(bus, timing, channel), "");
    }
}
