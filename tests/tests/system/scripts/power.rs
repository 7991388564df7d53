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

/// A thing on two AA cells in the cold of a January night, which its board does not stand.
fn in_a_cold_night(thing: &str, script: &str) -> Stage {
    Stage::new(thing, "MicroPython", "", script)
        .with("count: 2", "count: 1")
        .with(", in: [\"room\"]", "")
        .with(
            "duration: \"2min\", step: \"1s\"",
            "duration: \"23h\", step: \"5s\", start: \"2026-01-20T15:00:00Z\"",
        )
        .with("world: (", "world: (weather: (latitude_deg: 48.0, mean_c: -6.0, swing_c: 24.0), ")
}

#[test]
fn a_thermometers_eeprom_outlives_a_loss_of_power_and_its_scratchpad_does_not() {
    let thing = r#"board: "esp32-devkit", parts: [(id: "probe", model: "ds18b20", on: Pin("GPIO4"), pull_up: true)],
        power: Pack(cell: "aa-alkaline", series: 2, parallel: 6, charge: (0.62, 0.64))"#;
    let script = r#"
import ds18x20, onewire, time
from machine import Pin
bus = onewire.OneWire(Pin(4))
ds = ds18x20.DS18X20(bus)
rom = ds.scan()[0]
pad = ds.read_scratch(rom)
print("boot", pad[2], hex(pad[4]))
if pad[4] == 0x7F:
    # Nine bits are copied to the EEPROM; an alarm at 30 degrees stays in the scratchpad.
    ds.write_scratch(rom, bytes([75, 70, 0x1F]))
    bus.reset()
    bus.select_rom(rom)
    bus.writebyte(0x48)
    time.sleep_ms(20)
    ds.write_scratch(rom, bytes([30, 70, 0x1F]))
while True:
    time.sleep(600)
"#;
    let stage = in_a_cold_night(thing, script);
    let said = stage.told(&stage.run(&[]), "script_says");
    assert!(said.len() > 1, "{said:?}");
    assert_eq!(said[0], "boot 75 0x7f");
    assert!(said[1..].iter().all(|s| s == "boot 75 0x1f"), "{said:?}");
}

#[test]
fn a_board_whose_supply_gives_way_starts_anew_with_all_that_is_wired_to_it() {
    let thing = r#"board: "esp32-devkit", parts: [(id: "imu", model: "mpu6050", on: I2c(0x68), pull_up: true)],
        power: Pack(cell: "aa-alkaline", series: 2, parallel: 6, charge: (0.62, 0.64))"#;
    let script = r#"
import machine, time
i2c = machine.I2C(0)
rtc = machine.RTC()
# PWR_MGMT_1: a part that has just got its power sleeps.
print("boot", machine.reset_cause() == machine.PWRON_RESET, hex(i2c.readfrom_mem(0x68, 0x6B, 1)[0]), rtc.memory())
rtc.memory(b"kept by RAM")
i2c.writeto_mem(0x68, 0x6B, b"\0")
while True:
    time.sleep(600)
    print("alive")
"#;
    let stage = in_a_cold_night(thing, script);
    let ran = stage.run(&[]);
    let seconds = |kind: &str| -> Vec<f64> {
        stage.events("d-0", &ran, kind).iter().map(|e| e["from_s"].as_f64().unwrap_or(f64::NAN)).collect()
    };
    let (down, up) = (seconds("brown_out"), seconds("reboot"));
    assert!(!down.is_empty() && !up.is_empty(), "{down:?} {up:?}");
    let says = stage.events("d-0", &ran, "script_says");
    let boots: Vec<&str> =
        says.iter().filter_map(|e| e["detail"].as_str()).filter(|d| d.starts_with("boot")).collect();
    assert!(boots.len() > 1, "{} starts, {} reboots", boots.len(), up.len());
    assert!(boots.iter().all(|b| *b == "boot True 0x40 b''"), "{boots:?}");
    // Between its last brown-out before a reboot and that, it says nothing.
    for up in &up {
        let since = down.iter().copied().filter(|d| d < up).fold(0.0, f64::max);
        let within =
            says.iter().filter_map(|e| e["from_s"].as_f64()).filter(|t| *t > since + 10.0 && t < up).count();
        assert_eq!(within, 0, "it speaks between {since} and {up}");
    }
}

#[test]
fn a_bus_is_as_fast_as_the_script_has_it() {
    let thing =
        r#"board: "esp32-devkit", parts: [(id: "imu", model: "mpu6050", on: I2c(0x68), pull_up: true)]"#;
    let script = r#"
import machine, time
def took(hz):
    i2c = machine.I2C(0, freq=hz)
    began = time.ticks_us()
    for _ in range(20):
        i2c.readfrom_mem(0x68, 0x3B, 14)
    return time.ticks_diff(time.ticks_us(), began) / 20
# Seventeen bytes of nine bits, and what begins and ends them.
slow, fast = took(100000), took(400000)
print(1530 < slow < 2000, 382 < fast < 700, (slow - fast) / 1148)
"#;
    let stage = Stage::new(thing, "MicroPython", "", script).with("count: 2", "count: 1");
    let said = stage.told(&stage.run(&[]), "script_says");
    let (told, ratio) = said[0].rsplit_once(' ').unwrap();
    assert_eq!(told, "True True", "{said:?}");
    let ratio: f64 = ratio.parse().unwrap();
    assert!((ratio - 1.0).abs() < 0.1, "{ratio}");
}
