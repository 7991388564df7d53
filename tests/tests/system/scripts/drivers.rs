//! Example scripts of Adafruit's drivers, as their packages bring them: run as they are, held against the world.

use super::Stage;
use std::{fs, path::PathBuf};
use twinfleet_tests::{python_of, root, skip};

/// An example of a package, by its file's name; `tests/run.sh` unpacks them. None: it is not there, and the skip is noted.
fn example(name: &str, test: &str) -> Option<String> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let folders = [target, root().join("target")].map(|t| t.join("script-examples"));
    let packages = folders.iter().filter_map(|f| fs::read_dir(f).ok()).flatten().flatten();
    let found = packages.map(|p| p.path().join("examples").join(name)).find(|p| p.is_file());
    if found.is_none() {
        skip(test, &format!("the example `{name}` is not unpacked"));
    }
    fs::read_to_string(found?).ok()
}

/// What an example says with these parts on a Raspberry Pi, `truths` told of them.
fn says(name: &str, parts: &str, truths: &str) -> Option<Vec<String>> {
    let python = python_of("venv-scripts", "adafruit_bus_device", name)?;
    let script = example(name, name)?;
    let thing = format!(r#"board: "raspberry-pi-4b", parts: [{parts}]"#);
    let stage = Stage::new(&thing, "CircuitPython", "", &script)
        .python(python)
        .with("fleet: [(id: \"d-{}\",", &format!("fleet: [(truths: {{{truths}}}, id: \"d-{{}}\","))
        .with("count: 2", "count: 1")
        .with("duration: \"2min\"", "duration: \"20s\"");
    let ran = stage.run(&[]);
    let crashes = stage.told(&ran, "script_crash");
    assert!(crashes.is_empty(), "{name}: {crashes:?}");
    Some(stage.told(&ran, "script_says"))
}

/// The numbers in a line.
fn numbers(line: &str) -> Vec<f64> {
    line.split(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-'))
        .filter_map(|w| w.parse().ok())
        .collect()
}

#[test]
fn adafruits_examples_run_as_they_are() {
    // An example, the part, what is told, the line that tells, which number of it, what it should be and how far
    // off the part may be.
    let cases = [
        (
            "bme280_simpletest.py",
            r#"(id: "p", model: "bme280", on: I2c(0x77))"#,
            "",
            "Temperature",
            0,
            21.0,
            2.0,
        ),
        ("sht31d_simpletest.py", r#"(id: "p", model: "sht31", on: I2c(0x44))"#, "", "Humidity", 0, 45.0, 4.0),
        (
            "sht31d_periodic_mode.py",
            r#"(id: "p", model: "sht31", on: I2c(0x44))"#,
            "",
            "Humidity",
            2,
            45.0,
            4.0,
        ),
        (
            "bh1750_simpletest.py",
            r#"(id: "p", model: "bh1750", on: I2c(0x23))"#,
            r#""p.illuminance": 500"#,
            "Lux",
            0,
            500.0,
            110.0,
        ),
        (
            "ina219_simpletest.py",
            r#"(id: "p", model: "ina219", on: I2c(0x40))"#,
            r#""p.bus_voltage": 5.0, "p.current": 200"#,
            "Voltage (VIN-)",
            0,
            5.0,
            0.3,
        ),
        (
            "vl53l0x_simpletest.py",
            r#"(id: "p", model: "vl53l0x", on: I2c(0x29))"#,
            r#""p.distance": 0.5"#,
            "Range",
            0,
            500.0,
            60.0,
        ),
        (
            "ads1x15_ads1115_simpletest.py",
            r#"(id: "p", model: "ads1115", on: I2c(0x48)), (id: "t", model: "tmp36", on: Pin("p.0"))"#,
            "",
            "\t",
            1,
            0.71,
            0.035,
        ),
        (
            "mcp3xxx_mcp3008_single_ended_simpletest.py",
            r#"(id: "p", model: "mcp3008", on: Spi("GPIO5"))"#,
            r#""p.voltage_0": 1.2"#,
            "ADC Voltage",
            0,
            1.2,
            0.012,
        ),
        (
            "ds18x20_simpletest.py",
            r#"(id: "p", model: "ds18b20", on: Pin("GPIO5"), pull_up: true)"#,
            "",
            "Temperature",
            0,
            21.0,
            1.0,
        ),
        (
            "dht_simpletest.py",
            r#"(id: "p", model: "dht22", on: Pin("GPIO18"), pull_up: true)"#,
            "",
            "Humidity",
            2,
            45.0,
            8.0,
        ),
        (
            "scd4x_simpletest.py",
            r#"(id: "p", model: "scd41", on: I2c(0x62))"#,
            r#""p.co2": 800"#,
            "CO2:",
            1,
            800.0,
            110.0,
        ),
        (
            "lsm9ds1_simpletest.py",
            r#"(id: "p", model: "lsm9ds1", on: I2c(0x6B))"#,
            r#""p.accel_z": 9.80665"#,
            "Acceleration",
            3,
            9.8,
            3.0,
        ),
        (
            "hcsr04_simpletest.py",
            r#"(id: "p", model: "hc-sr04", on: Pins(["GPIO5", "GPIO6"]), shifted: true)"#,
            r#""p.distance": 1.5"#,
            "(",
            0,
            147.9,
            3.0,
        ),
    ];
    let mut ran = 0;
    for (name, part, truths, line, at, want, within) in cases {
        let Some(said) = says(name, part, truths) else { continue };
        let told = said.iter().rev().find(|l| l.contains(line) && numbers(l).len() > at);
        let told = told.unwrap_or_else(|| panic!("{name} says {said:?}"));
        let is = numbers(told)[at];
        assert!((is - want).abs() < within, "{name}: {is} for {want} in {told:?}");
        ran += 1;
    }
    println!("{ran} examples ran as they are");
}

/// A package of the judges' environment, to lie beside a script: MicroPython reads no other folder.
fn package(name: &str, test: &str) -> Option<Vec<(String, String)>> {
    let python = python_of("venv-scripts", "adafruit_bus_device", test)?;
    let lib = python.parent()?.parent()?.join("lib");
    let versions = fs::read_dir(lib).ok()?.flatten().map(|d| d.path().join("site-packages").join(name));
    let Some(folder) = versions.into_iter().find(|p| p.is_dir()) else {
        skip(test, &format!("Python's package `{name}` is not installed"));
        return None;
    };
    let files =
        fs::read_dir(folder).ok()?.flatten().filter(|f| f.path().extension().is_some_and(|e| e == "py"));
    Some(
        files
            .map(|f| {
                let path = format!("{name}/{}", f.file_name().to_string_lossy());
                (path, fs::read_to_string(f.path()).unwrap())
            })
            .collect(),
    )
}

#[test]
fn micropythons_drivers_run_within_its_heap() {
    let test = "micropythons_drivers_run_within_its_heap";
    let air = "import bme280\nwith bme280.BME280(i2cBus=0) as bme:\n    t, h, p = bme.readForced()\n    print(t, h * 100, p / 100)\n";
    let probe = "import time, onewire\nfrom machine import Pin\nfrom DIYables_MicroPython_DS18X20 import DS18X20\n\
        ds = DS18X20(onewire.OneWire(Pin(4)))\nroms = ds.scan()\nds.convert_temp()\ntime.sleep_ms(750)\nprint(ds.read_temp(roms[0]))\n";
    let cases = [
        (
            "bme280",
            air,
            r#"(id: "p", model: "bme280", on: I2c(0x76), pull_up: true)"#,
            vec![(21.0, 2.0), (45.0, 6.0), (1013.25, 4.0)],
        ),
        (
            "DIYables_MicroPython_DS18X20",
            probe,
            r#"(id: "p", model: "ds18b20", on: Pin("GPIO4"), pull_up: true)"#,
            vec![(21.0, 1.0)],
        ),
    ];
    for (name, script, part, wanted) in cases {
        let Some(files) = package(name, test) else { continue };
        let thing = format!(r#"board: "esp32-devkit", parts: [{part}]"#);
        let mut stage = Stage::new(&thing, "MicroPython", "", script).with("count: 2", "count: 1");
        fs::create_dir(stage.dir.path().join("code").join(name)).unwrap();
        for (path, text) in files {
            stage = stage.beside(&path, &text);
        }
        let ran = stage.run(&[]);
        let crashes = stage.told(&ran, "script_crash");
        assert!(crashes.is_empty(), "{name}: {crashes:?}");
        let said = stage.told(&ran, "script_says");
        let read = numbers(&said[0]);
        assert_eq!(read.len(), wanted.len(), "{name}: {said:?}");
        for (is, (want, within)) in read.iter().zip(wanted) {
            assert!((is - want).abs() < within, "{name}: {said:?}");
        }
    }
}

/// As most of the Raspberry Pi's older tutorials read it: Adafruit's library before CircuitPython, which builds on a Pi alone.
#[test]
fn the_older_dht_library_is_there_on_a_pi() {
    let script = "import Adafruit_DHT\n\
        for sensor, pin in ((Adafruit_DHT.DHT22, 4), (Adafruit_DHT.AM2302, 17)):\n\
        \x20   humidity, temperature = Adafruit_DHT.read_retry(sensor, pin, retries=2)\n\
        \x20   if humidity is not None and temperature is not None:\n\
        \x20       print('Temp={0:0.1f}*C  Humidity={1:0.1f}%'.format(temperature, humidity))\n\
        \x20   else:\n        print('Failed to get reading. Try again!')\n";
    let thing =
        r#"board: "raspberry-pi-4b", parts: [(id: "p", model: "dht22", on: Pin("GPIO4"), pull_up: true)]"#;
    let stage = Stage::new(thing, "RaspberryPi", "", script);
    let ran = stage.run(&[]);
    let said = stage.told(&ran, "script_says");
    assert_eq!(said.len(), 2, "{said:?} {:?}", stage.told(&ran, "script_crash"));
    let (warm, wet) =
        said[0].strip_prefix("Temp=").and_then(|line| line.split_once("*C  Humidity=")).unwrap();
    let (warm, wet): (f64, f64) = (warm.parse().unwrap(), wet.trim_end_matches('%').parse().unwrap());
    assert!((warm - 21.0).abs() < 1.0 && (wet - 45.0).abs() < 8.0, "{said:?}");
    assert_eq!(said[1], "Failed to get reading. Try again!");
}
