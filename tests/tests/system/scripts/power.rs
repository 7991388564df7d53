//! What a script rests, its battery feels.

use super::Stage;

/// Mean current of a battery under a script, over an hour, [mA].
fn mean_ma(script: &str) -> f64 {
    let thing = r#"board: "esp32-devkit", parts: [(id: "climate", model: "sht31", on: I2c(0x44), pull_up: true)],
        power: Battery(capacity_mah: 1000.0, charge: (1.0, 1.0), ocv_v: [(0.0, 3.3), (1.0, 3.6)], r0_ohm: 0.2)"#;
    let stage = Stage::new(thing, "MicroPython", "", script)
        .with("count: 2", "count: 1")
        .with("duration: \"2min\"", "duration: \"1h\"");
    let ran = stage.run(&[]);
    assert_eq!(ran.code(), 0, "{}", ran.stderr());
    let json = ran.json();
    json["batteries"][0]["mean_ma"].as_f64().unwrap_or_else(|| panic!("no battery in {json}"))
}

#[test]
fn sleep_makes_a_battery_last() {
    let idle = mean_ma("import time\nwhile True:\n    time.sleep(60)\n");
    let light = mean_ma("import machine\nwhile True:\n    machine.lightsleep(60000)\n");
    let deep = mean_ma("import machine\nmachine.deepsleep(59500)\n");
    // 20 mA in modem sleep, 0.8 in light sleep, 0.01 in deep sleep with half a second of 50 mA for a start in each minute.
    for (is, ma) in [(idle, 20.0), (light, 0.8), (deep, 0.01 + 50.0 * 0.5 / 60.0)] {
        assert!((is - ma).abs() < 0.05 * ma + 0.03, "{is} mA for {ma}");
    }
}
