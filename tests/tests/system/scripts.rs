//! The user's own device code, through the command: three runtimes, their judges, what goes wrong, and what is kept from them.

mod board;
mod broker;
mod circuit;
mod confined;
mod drivers;
mod ends;
mod libraries;
mod micro;
mod net;
mod outage;
mod pins;
mod power;
mod same;
mod streams;
mod suite;
mod timely;
mod wires;

use super::common::{Ran, command, scratch, twinfleet_command};
use confined::ATTEMPT;
use std::{
    fs,
    path::{Path, PathBuf},
};
use twinfleet_tests::python_of;

/// A scenario with one device that runs a script, beside which `files` lie.
struct Stage {
    dir: tempfile::TempDir,
    /// Python with the judges' packages, where one is wanted.
    python: Option<PathBuf>,
}

/// A board with parts, as a thing's fields.
const PI: &str = r#"board: "raspberry-pi-4b", parts: [(id: "air", model: "bme280", on: I2c(0x76)),
    (id: "lamp", model: "led", on: Pin("GPIO17")), (id: "door", model: "reed-switch", on: Pin("GPIO27")),
    (id: "light", model: "bh1750", on: I2c(0x23)), (id: "wet", model: "sht31", on: I2c(0x44))]"#;
const ESP: &str = r#"board: "esp32-devkit", parts: [(id: "climate", model: "sht31", on: I2c(0x44), pull_up: true),
    (id: "probe", model: "ds18b20", on: Pin("GPIO4"), pull_up: true), (id: "dht", model: "dht22", on: Pin("GPIO16"), pull_up: true),
    (id: "fan", model: "fan-5v", on: Pin("GPIO25"), own_supply: true)]"#;

/// What a microcontroller's script does before it reaches anybody: it joins a network.
const JOINED: &str = "import network\n_w = network.WLAN(network.STA_IF)\n_w.active(True)\n_w.connect('a', 'b')\n\
    while not _w.isconnected():\n    pass\n";

impl Stage {
    fn new(thing: &str, runtime: &str, more: &str, script: &str) -> Self {
        let dir = scratch();
        let text = format!(
            r#"Scenario(format: 1, seed: 5, duration: "2min", step: "1s",
            world: (zones: [(id: "room", temperature_c: 21.0, humidity_percent: 45.0)]),
            things: [(name: "t", source: "a test", {thing},
                firmware: Script(path: "code/main.py", runtime: {runtime}, {more}))],
            fleet: [(id: "d-{{}}", count: 2, thing: "t", in: ["room"])])"#
        );
        fs::create_dir(dir.path().join("code")).unwrap();
        fs::write(dir.path().join("s.ron"), text).unwrap();
        fs::write(dir.path().join("code/main.py"), script).unwrap();
        Self { dir, python: None }
    }

    fn beside(self, name: &str, text: &str) -> Self {
        let path = self.dir.path().join("code").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// The same with something else in the scenario.
    fn with(self, from: &str, to: &str) -> Self {
        let path = self.dir.path().join("s.ron");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from}");
        fs::write(path, text.replace(from, to)).unwrap();
        self
    }

    /// The same with Python that has the judges' packages.
    fn python(self, python: PathBuf) -> Self {
        Self { python: Some(python), ..self }
    }

    fn file(&self) -> String {
        self.dir.path().join("s.ron").display().to_string()
    }

    fn run(&self, more: &[&str]) -> Ran {
        let report = self.dir.path().join("report");
        let file = self.file();
        let report = report.display().to_string();
        let mut args =
            vec!["--json", "run", &file, "--broker", "none", "--quiet", "--no-pictures", "--report", &report];
        args.extend(more);
        let mut command = twinfleet_command();
        if let Some(python) = &self.python {
            command.env("TWINFLEET_PYTHON", python);
        }
        Ran { output: command.args(args).output().expect("the command starts") }
    }

    /// Details of the first device's events of a kind.
    fn told(&self, ran: &Ran, kind: &str) -> Vec<String> {
        self.told_of("d-0", ran, kind)
    }

    /// Values of the first device's events of a kind.
    fn values(&self, ran: &Ran, kind: &str) -> Vec<f64> {
        let events = self.events("d-0", ran, kind);
        events.iter().map(|e| e["value"].as_f64().unwrap_or(f64::NAN)).collect()
    }

    /// Details of a device's events of a kind.
    fn told_of(&self, device: &str, ran: &Ran, kind: &str) -> Vec<String> {
        let events = self.events(device, ran, kind);
        events.iter().map(|e| e["detail"].as_str().unwrap_or_default().to_owned()).collect()
    }

    fn events(&self, device: &str, ran: &Ran, kind: &str) -> Vec<serde_json::Value> {
        assert!(ran.code() <= 1, "{}\n{}", ran.code(), ran.stderr());
        let text = fs::read_to_string(self.dir.path().join("report/report.json")).expect("a report");
        let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let events = json["happenings"].as_array().expect("what happened").iter();
        events.filter(|e| e["what"] == kind && e["subject"] == device).cloned().collect()
    }
}

#[test]
fn a_run_with_scripts_is_the_same_at_any_thread_count() {
    let hash = |threads: &str| {
        let ran =
            command(&["run", "scenarios/scripted.ron", "--broker", "none", "--quiet", "--threads", threads]);
        assert_eq!(ran.code(), 0, "{}\n{}", ran.stdout(), ran.stderr());
        ran.state_hash()
    };
    assert_eq!(hash("1"), hash("2"));
    let ran = command(&["run", "scripted", "--broker", "embedded:0", "--quiet"]);
    assert_eq!(ran.state_hash(), hash("1"), "through a broker, and from the binary's own copy");
}

#[test]
fn adafruits_drivers_read_what_the_room_has() {
    let test = "adafruits_drivers_read_what_the_room_has";
    let Some(python) = python_of("venv-scripts", "adafruit_bus_device", test) else { return };
    let script = "import time, board\n\
        from adafruit_bme280 import basic\n\
        import adafruit_bh1750, adafruit_sht31d\n\
        i2c = board.I2C()\n\
        air, light, wet = basic.Adafruit_BME280_I2C(i2c, address=0x76), adafruit_bh1750.BH1750(i2c), adafruit_sht31d.SHT31D(i2c)\n\
        while True:\n    print(air.temperature, air.relative_humidity, air.pressure, light.lux, wet.temperature, wet.relative_humidity)\n    time.sleep(10)\n";
    let stage = Stage { python: Some(python), ..Stage::new(PI, "CircuitPython", "", script) };
    let said = stage.told(&stage.run(&[]), "script_says");
    assert_eq!(said.len(), 12, "{said:?}");
    for line in said {
        let x: Vec<f64> = line.split(' ').map(|w| w.parse().expect("a number")).collect();
        // Their parts' own biases, three standard deviations of them.
        assert!((x[0] - 21.0).abs() < 2.0 && (x[4] - 21.0).abs() < 0.7, "{line}");
        assert!((x[1] - 45.0).abs() < 6.0 && (x[5] - 45.0).abs() < 4.0, "{line}");
        assert!((x[2] - 1013.25).abs() < 4.0 && x[3] < 1.0, "{line}");
    }
}

#[test]
fn paho_and_gpiozero_do_as_on_a_pi() {
    let test = "paho_and_gpiozero_do_as_on_a_pi";
    let Some(python) = python_of("venv-scripts", "paho.mqtt.client, gpiozero", test) else { return };
    // Each device by a name of its own: the broker throws out who has another's.
    let script = "import socket, time, paho.mqtt.client as m\n\
        from gpiozero import LED\n\
        c = m.Client(m.CallbackAPIVersion.VERSION2, socket.gethostname())\n\
        c.on_connect = lambda c, *_: c.subscribe('a/#', 1)\n\
        c.on_message = lambda c, u, x: print('got', x.payload.decode(), round(time.monotonic()))\n\
        c.connect('broker', 1883)\nc.loop_start()\nLED(17).blink(1, 1, n=3)\n\
        for i in range(3):\n    time.sleep(5)\n    r = c.publish('a/b', str(i), qos=1)\n    r.wait_for_publish(2)\n    print(r.is_published())\n\
        time.sleep(5)\n";
    let stage = Stage { python: Some(python), ..Stage::new(PI, "RaspberryPi", "", script) };
    let ran = stage.run(&[]);
    let said = stage.told(&ran, "script_says");
    assert_eq!(said.iter().filter(|l| *l == "True").count(), 3, "{said:?}");
    // Two devices publish, and each hears both: half a second of start-up, five of sleep, one tick to the broker and back.
    let got: Vec<&String> = said.iter().filter(|l| l.starts_with("got")).collect();
    assert_eq!(got, ["got 0 7", "got 0 7", "got 1 12", "got 1 12", "got 2 17", "got 2 17"], "{said:?}");
    assert_eq!(stage.told(&ran, "command").len(), 6, "the lamp goes on and off three times");
}

#[test]
fn micropython_reads_its_parts_within_its_heap() {
    let script = "import gc, time, machine, dht, onewire, ds18x20\n\
        from machine import Pin, I2C\n\
        print(gc.mem_free() // 1024, machine.freq(), machine.reset_cause())\n\
        i2c = I2C(0, scl=Pin(22), sda=Pin(21))\n\
        print([hex(a) for a in i2c.scan()], [hex(a) for a in I2C(1, scl=Pin(18), sda=Pin(19)).scan()])\n\
        d = dht.DHT22(Pin(16))\ntime.sleep(5)\nd.measure()\ntime.sleep(3)\nd.measure()\nprint(d.temperature(), d.humidity())\n\
        ds = ds18x20.DS18X20(onewire.OneWire(Pin(4)))\nroms = ds.scan()\nds.convert_temp()\ntime.sleep_ms(750)\nprint(ds.read_temp(roms[0]))\n\
        t = machine.Timer(0)\nt.init(period=10000, callback=lambda _: print('tick', time.ticks_ms() // 1000))\n";
    let stage = Stage::new(ESP, "MicroPython", "", script);
    let said = stage.told(&stage.run(&[]), "script_says");
    assert!(said[0].ends_with(" 240000000 1"), "{said:?}");
    let heap: i64 = said[0].split(' ').next().unwrap().parse().unwrap();
    assert!((120..=165).contains(&heap), "{heap} KiB");
    assert_eq!(said[1], "['0x44'] []", "on the bus's own pins, and nowhere else");
    let dht: Vec<f64> = said[2].split(' ').map(|w| w.parse().unwrap()).collect();
    assert!((dht[0] - 21.0).abs() < 1.5 && (dht[1] - 45.0).abs() < 8.0, "{dht:?}");
    assert!((said[3].parse::<f64>().unwrap() - 21.0).abs() < 1.5, "{}", said[3]);
    assert!(said.iter().filter(|l| l.starts_with("tick")).count() >= 10, "{said:?}");
}

#[test]
fn what_goes_wrong_in_a_script_is_its_own() {
    for (runtime, thing) in [("RaspberryPi", PI), ("MicroPython", ESP)] {
        let crash = "import time\ntime.sleep(3)\ndef f(x):\n    return 1 // x\nf(0)\n";
        let stage = Stage::new(thing, runtime, "", crash);
        let told = stage.told(&stage.run(&[]), "script_crash");
        assert!(told[0].contains("ZeroDivisionError") && told[0].contains("main.py"), "{runtime}: {told:?}");
        assert!(told[0].contains("line 4"), "{runtime}: {told:?}");

        let stage = Stage::new(thing, runtime, "stuck_after: \"200ms\"", "x = 0\nwhile True:\n    x += 1\n");
        let told = stage.told(&stage.run(&[]), "script_stuck");
        assert!(told.len() == 1 && told[0].contains("line"), "{runtime}: {told:?}");

        let hog = "x = []\nwhile True:\n    x.append(bytearray(100000))\n";
        let stage = Stage::new(thing, runtime, "heap_kb: 64", hog);
        let told = stage.told(&stage.run(&[]), "script_crash");
        assert!(told[0].contains("MemoryError"), "{runtime}: {told:?}");

        let again = "import time\nprint('up')\ntime.sleep(20)\nraise ValueError('again')\n";
        let stage = Stage::new(thing, runtime, "restart: \"10s\"", again);
        let ran = stage.run(&[]);
        assert_eq!(stage.told(&ran, "script_says").len(), 4, "{runtime}");
        assert_eq!(stage.told(&ran, "script_crash").len(), 4, "{runtime}");
    }
}

#[test]
fn a_script_that_hangs_for_real_ends_the_run_with_3() {
    let stage = Stage::new(PI, "RaspberryPi", "", "x = 7 ** (10 ** 9)\n");
    let file = stage.file();
    let output = twinfleet_command()
        .env("TWINFLEET_SCRIPT_PATIENCE", "2")
        .args(["run", &file, "--broker", "none", "--quiet"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("d-0") && told.contains("real time"), "{told}");
}

#[test]
fn a_script_gets_no_further_than_its_own_folder() {
    let secret = scratch();
    let path = secret.path().join("secret.txt");
    fs::write(&path, "told").unwrap();
    let path = path.display().to_string();
    let script = format!(
        r#"{ATTEMPT}
import subprocess, _socket
attempt("own", lambda: open("notes.txt").read())
attempt("card", lambda: open("new.txt", "w").write("x"))
attempt("read", lambda: open({path:?}).read())
attempt("write", lambda: open({path:?}, "w").write("x"))
attempt("list", lambda: call(2, b"/home", 0))
attempt("passwd", lambda: open("/etc/passwd").read())
attempt("ctypes", lambda: call(2, {path:?}.encode(), 0))
attempt("socket", lambda: _socket.socket())
attempt("ctypes_socket", lambda: call(41, 2, 1, 0))
attempt("shell", lambda: subprocess.run(["/bin/sh", "-c", "echo hi"], check=True))
attempt("python", lambda: subprocess.run([sys.executable, "-c", "1"], check=True))
attempt("fork", lambda: os.fork())
attempt("exec", lambda: os.execv("/bin/true", ["true"]))
attempt("kill", lambda: os.kill(os.getppid(), 9))
"#
    );
    let stage = Stage::new(PI, "RaspberryPi", "", &script).beside("notes.txt", "mine");
    let said = stage.told(&stage.run(&[]), "script_says");
    assert_eq!(said.len(), 14, "{said:?}");
    assert_eq!((said[0].as_str(), said[1].as_str()), ("own done mine", "card done 1"));
    for line in &said[2..] {
        assert!(line.contains("refused"), "{line}");
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "told");
    assert!(!Path::new(&stage.dir.path().join("code/new.txt")).exists(), "the card is a copy");
}

#[test]
fn check_tells_what_is_wrong_with_a_script_at_its_place() {
    let told = |thing: &str, runtime: &str, script: &str| {
        let stage = Stage::new(thing, runtime, "", script);
        let ran = command(&["check", &stage.file()]);
        assert_eq!(ran.code(), 2, "{}", ran.stderr());
        ran.stderr()
    };
    let text = told(PI, "RaspberryPi", "import time\ndef f(:\n    pass\n");
    assert!(text.contains("main.py:2:") && text.contains("no Python"), "{text}");
    let text = told(ESP, "MicroPython", "from machine import Pin\nled = Pin(99, Pin.OUT)\n");
    assert!(text.contains("main.py:2:11") && text.contains("no pin 99"), "{text}");
    let text = told(PI, "RaspberryPi", "import RPi.GPIO as GPIO\nGPIO.setup(99, GPIO.OUT)\n");
    assert!(text.contains("main.py:2:12") && text.contains("no pin 99"), "{text}");
    let stage = Stage::new(PI, "RaspberryPi", "", "");
    fs::remove_file(stage.dir.path().join("code/main.py")).unwrap();
    let ran = command(&["check", &stage.file()]);
    assert_eq!(ran.code(), 2);
    assert!(ran.stderr().contains("code/main.py") && ran.stderr().contains("s.ron:"), "{}", ran.stderr());
}

/// A part without a register map reads well in declarative firmware, and a script would look for it in vain.
#[test]
fn check_tells_of_parts_that_no_script_finds() {
    // One of the user's own, of which there is no map.
    const OWN: &str = r#"Sensor(format: 1, name: "my-gauge", source: "a test", bus: I2c([0x48]), active_ma: 1.0,
        channels: [(quantity: "temperature", unit: "degC", range: (-40.0, 85.0))])"#;
    let told = |model: &str, on: &str| {
        let thing = format!(r#"board: "raspberry-pi-4b", parts: [(id: "a", model: "{model}", on: {on})]"#);
        let stage = Stage::new(&thing, "RaspberryPi", "", "pass\n");
        let own = stage.dir.path().join("catalog/sensors");
        fs::create_dir_all(&own).unwrap();
        fs::write(own.join("my-gauge.ron"), OWN).unwrap();
        let ran = command(&["check", &stage.file()]);
        assert_eq!(ran.code(), 0, "{}", ran.stderr());
        ran.stderr()
    };
    let text = told("my-gauge", "I2c(0x48)");
    assert!(text.contains("a script does not find `a` of `t`"), "{text}");
    let dust = r#"Pins(["GPIO14", "GPIO15"])"#;
    for (model, on) in [
        ("scd41", "I2c(0x62)"),
        ("lsm9ds1", "I2c(0x6B)"),
        ("reed-switch", r#"Pin("GPIO27")"#),
        ("pms5003", dust),
    ] {
        let text = told(model, on);
        assert!(!text.contains("a script does not find"), "{model}: {text}");
    }
}

#[test]
fn check_warns_of_modules_that_are_nowhere() {
    let told = |thing: &str, runtime: &str, script: &str| {
        let stage = Stage::new(thing, runtime, "", script);
        let stage = stage.beside("own.py", "x = 1\n").beside("lib/other.py", "").beside("lib/third.mpy", "M");
        let ran = command(&["check", &stage.file()]);
        assert_eq!(ran.code(), 0, "{}", ran.stderr());
        ran.stderr()
    };
    let text = told(
        ESP,
        "MicroPython",
        "import utime, ujson, machine, own, other\nfrom umqtt.simple import MQTTClient\nimport nowhere\n\
        try:\n    import perhaps\nexcept ImportError:\n    perhaps = None\n",
    );
    assert!(text.contains("main.py:3:1") && text.contains("there is no module `nowhere`"), "{text}");
    assert_eq!(text.matches("there is no module").count(), 1, "{text}");
    let text = told(PI, "RaspberryPi", "import json, RPi.GPIO, smbus2, own\nimport no_such_package\n");
    assert!(text.contains("no module `no_such_package`") && text.contains("pip install"), "{text}");
    assert_eq!(text.matches("there is no module").count(), 1, "{text}");
    let text = told(ESP, "CircuitPython", "import board, other, third\n");
    assert!(text.contains("`third.mpy` is compiled for a board"), "{text}");
    assert_eq!(text.matches("there is no module").count(), 1, "{text}");
}

#[test]
fn check_warns_of_i2c_pins_on_which_no_part_hangs() {
    let told = |script: &str| {
        let ran = command(&["check", &Stage::new(ESP, "MicroPython", "", script).file()]);
        assert_eq!(ran.code(), 0, "{}", ran.stderr());
        ran.stderr()
    };
    let text = told("from machine import I2C, Pin\ni2c = I2C(0, scl=Pin(22), sda=Pin(33))\n");
    assert!(text.contains("main.py:2:") && text.contains("nothing is wired to pin 33 as SDA"), "{text}");
    assert!(!text.contains("pin 22"), "{text}");
    let text = told("from machine import I2C, Pin\ni2c = I2C(0, scl=Pin(22), sda=Pin(21))\n");
    assert!(!text.contains("nothing is wired"), "{text}");
}
