//! What a script finds where its parts are wired: routed serial lines, buses beside the board's own, a clock that two parts
//! share, a motor's coils, displays.

use super::{ESP, Stage};
use crate::system::common::command;
use twinfleet_tests::python_of;

#[test]
fn a_receiver_is_heard_on_the_pins_that_it_is_wired_to() {
    for (tx, rx) in [(4, 5), (16, 17), (17, 16)] {
        let script = format!(
            "import time\nfrom machine import UART\n\
            def some(tx, rx):\n    u = UART(1, baudrate=9600, tx=tx, rx=rx)\n    time.sleep(3)\n    return b'$GP' in (u.read() or b'')\n\
            time.sleep(3)\nprint(some({tx}, {rx}), some({rx}, {tx}))\n"
        );
        let gps = format!(
            r#"board: "esp32-devkit", parts: [(id: "gps", model: "neo-6m", on: Pins(["GPIO{tx}", "GPIO{rx}"]))]"#
        );
        let stage = Stage::new(&gps, "MicroPython", "", &script).with("count: 2", "count: 1");
        assert_eq!(stage.told(&stage.run(&[]), "script_says"), ["True False"], "{tx} {rx}");
    }
}

#[test]
fn what_a_receiver_says_while_a_fault_has_it_is_lost_and_comes_no_later() {
    let script = "import serial, time\nport = serial.Serial('/dev/serial0', 9600, timeout=0)\n\
        while True:\n    time.sleep(1)\n    print(len(port.read(4096)))\n";
    let gps =
        r#"board: "raspberry-pi-4b", parts: [(id: "gps", model: "neo-6m", on: Pins(["GPIO14", "GPIO15"]))]"#;
    let stage = Stage::new(gps, "RaspberryPi", "", script)
        .with("count: 2", "count: 1")
        .with("duration: \"2min\"", "duration: \"60s\"")
        .with(
            "fleet: [",
            r#"timeline: [(at: "35s", until: "45s", do: Fault(target: "d-0/gps.latitude", kind: Dropout))], fleet: ["#,
        );
    let said = stage.told(&stage.run(&[]), "script_says");
    let bytes: Vec<u32> = said.iter().map(|s| s.parse().unwrap()).collect();
    // A second's sentences are less than half a kilobyte; it was silent for ten seconds.
    assert_eq!(bytes.iter().filter(|n| **n == 0).count(), 10, "{bytes:?}");
    assert!(bytes.iter().all(|n| *n < 600), "{bytes:?}");
}

#[test]
fn a_ranger_that_is_not_there_has_no_echo() {
    let script = "import time\nfrom machine import Pin, time_pulse_us\ntrigger = Pin(5, Pin.OUT, value=0)\n\
        echo = Pin(18, Pin.IN)\nfor k in range(3):\n    trigger(1)\n    time.sleep_us(10)\n    trigger(0)\n\
        \x20   us = time_pulse_us(echo, 1, 30000)\n    print(echo(), us if us < 0 else 'heard')\n    time.sleep(10)\n";
    let ranger = r#"board: "esp32-devkit", parts: [(id: "d", model: "hc-sr04", on: Pins(["GPIO5", "GPIO18"]), shifted: true)]"#;
    let stage = Stage::new(ranger, "MicroPython", "", script).with("count: 2", "count: 1").with(
        "fleet: [(",
        r#"timeline: [(at: "5s", until: "15s", do: Fault(target: "d-0/d.distance", kind: Dropout))],
        fleet: [(truths: {"d.distance": 1.0}, "#,
    );
    assert_eq!(stage.told(&stage.run(&[]), "script_says"), ["0 heard", "0 -2", "0 heard"]);
}

#[test]
fn two_load_cells_on_one_clock_are_both_read() {
    let script = "import time\nfrom machine import Pin\n\
        data, clock = [Pin(4, Pin.IN), Pin(16, Pin.IN)], Pin(5, Pin.OUT, value=0)\n\
        time.sleep(1)\nwhile any(d.value() for d in data):\n    time.sleep_ms(1)\n\
        read = [0, 0]\nfor bit in range(24):\n    clock.value(1)\n    clock.value(0)\n    for k in (0, 1):\n        read[k] = read[k] << 1 | data[k].value()\n\
        clock.value(1)\nclock.value(0)\nprint(read[0], read[1])\n";
    let cells = r#"board: "esp32-devkit", parts: [(id: "a", model: "hx711-load-cell", on: Pins(["GPIO4", "GPIO5"])),
        (id: "b", model: "hx711-load-cell", on: Pins(["GPIO16", "GPIO5"]))]"#;
    let stage = Stage::new(cells, "MicroPython", "", script)
        .with("count: 2", "count: 1")
        .with("fleet: [(", r#"fleet: [(truths: {"a.force": 10.0, "b.force": 20.0}, "#);
    let said = stage.told(&stage.run(&[]), "script_says");
    let codes: Vec<f64> = said[0].split(' ').map(|w| w.parse().unwrap()).collect();
    // 1 mV/V at 5 kg and 5 V, of ±19.5 mV in 24 bits: 43,800 counts a newton, each cell within 1 %, one standard deviation.
    for (code, want) in codes.iter().zip([438e3, 876e3]) {
        assert!((code / want - 1.0).abs() < 0.05, "{said:?}");
    }
}

#[test]
fn a_stepper_turns_by_its_coils() {
    let script = "import time\nfrom machine import Pin\n\
        coils = [Pin(p, Pin.OUT) for p in (16, 17, 18, 19)]\n\
        steps = ((1,0,0,0), (1,1,0,0), (0,1,0,0), (0,1,1,0), (0,0,1,0), (0,0,1,1), (0,0,0,1), (1,0,0,1))\n\
        def go(ks):\n    for k in ks:\n        for coil, on in zip(coils, steps[k % 8]):\n            coil.value(on)\n        time.sleep_us(2500)\n\
        go(range(512))\ntime.sleep(3)\ngo(range(510, 255, -1))\n\
        for coil in coils:\n    coil.value(0)\ntime.sleep(3)\n";
    let motor = r#"board: "esp32-devkit", parts: [(id: "turn", model: "stepper-28byj48",
        on: Pins(["GPIO16", "GPIO17", "GPIO18", "GPIO19"]))]"#;
    let stage = Stage::new(motor, "MicroPython", "", script).with("count: 2", "count: 1");
    let levels = stage.values(&stage.run(&[]), "command");
    let most = levels.iter().copied().fold(0.0, f64::max);
    assert!((most - 511.0 / 4096.0).abs() < 1e-9, "{levels:?}");
    let last = levels.last().copied().unwrap_or_default();
    assert!((last - 256.0 / 4096.0).abs() < 1e-9, "currentless coils leave it there: {levels:?}");
    assert!(levels.len() < 12, "one place a turn: {levels:?}");
}

/// A script for a Pico runs on a Pico W as well, where its pin 25 selects the radio's chip: its light stays dark.
#[test]
fn a_picos_light_is_no_light_of_a_pico_w() {
    let script = "from machine import Pin, ADC\n\
        p = Pin(25, Pin.OUT)\np.on()\nprint(p.value(), p, Pin('LED', Pin.OUT))\n\
        for what in (lambda: Pin(30), lambda: ADC(Pin(25))):\n    try:\n        what()\n        print('taken')\n    except ValueError as e:\n        print(type(e))\n";
    let board = r#"board: "raspberry-pi-pico-w""#;
    let stage = Stage::new(board, "MicroPython", "", script).with("count: 2", "count: 1");
    let ran = stage.run(&[]);
    let wanted =
        ["1 Pin(GPIO25, mode=OUT) Pin(WL_GPIO0, mode=OUT)", "<class 'ValueError'>", "<class 'ValueError'>"];
    assert_eq!(stage.told(&ran, "script_says"), wanted, "{:?}", stage.told(&ran, "script_crash"));
    let lines = Stage::new(board, "MicroPython", "", "from machine import Pin\nPin(25, Pin.OUT).on()\n");
    let ran = command(&["check", &lines.file()]);
    assert_eq!(ran.code(), 0, "{}", ran.stderr());
    let text = ran.stderr();
    assert!(text.contains("main.py:2:5") && text.contains("leads to no header"), "{text}");
    assert!(text.contains("Pin(\"LED\")"), "{text}");
    // Nothing of a scenario is wired there.
    let lamp = r#"board: "raspberry-pi-pico-w", parts: [(id: "lamp", model: "led", on: Pin("GP25"))]"#;
    let ran = command(&["check", &Stage::new(lamp, "MicroPython", "", "").file()]);
    assert_eq!(ran.code(), 2, "{}", ran.stderr());
    assert!(
        ran.stderr().contains("pin `GP25` of `raspberry-pi-pico-w` leads to no header"),
        "{}",
        ran.stderr()
    );
}

/// As drivers of micropython-lib read: into arrays of words and views of them. And each controller has its own word for nobody.
#[test]
fn a_buffer_of_words_is_filled_with_bytes() {
    let script = "import array\nfrom machine import I2C, Pin, SoftI2C\n\
        i = I2C(0, sda=Pin(4), scl=Pin(5))\nb = bytearray(6)\ni.readfrom_mem_into(0x76, 0x88, b)\n\
        def same(fill):\n    a = array.array('h', [0, 0, 0])\n    fill(a)\n    return bytes(a) == bytes(b)\n\
        def into(a):\n    i.writeto(0x76, b'\\x88', False)\n    i.readfrom_into(0x76, memoryview(a))\n\
        print(any(b), same(lambda a: i.readfrom_mem_into(0x76, 0x88, a)), same(lambda a: i.readfrom_mem_into(0x76, 0x88, memoryview(a))), same(into))\n\
        for bus in (i, SoftI2C(sda=Pin(4), scl=Pin(5))):\n    try:\n        bus.readfrom(0x50, 1)\n    except OSError as e:\n        print(e)\n";
    let air = r#"board: "raspberry-pi-pico-w", parts: [(id: "air", model: "bme280", on: I2c(0x76))]"#;
    let stage = Stage::new(air, "MicroPython", "", script).with("count: 2", "count: 1");
    let ran = stage.run(&[]);
    let wanted = ["True True True True", "[Errno 5] EIO", "[Errno 19] ENODEV"];
    assert_eq!(stage.told(&ran, "script_says"), wanted, "{:?}", stage.told(&ran, "script_crash"));
}

/// An ESP8266's I2C is the one in software, whose conditions drivers make by hand.
#[test]
fn an_esp8266_drives_its_bus_in_software() {
    let script = "import time\nfrom machine import I2C, Pin\n\
        i = I2C(scl=Pin(5), sda=Pin(4))\ni.start()\ni.writeto(0x44, b'\\xF3\\x2D')\ntime.sleep_ms(2)\nb = i.readfrom(0x44, 3)\ni.stop()\n\
        print(hex(b[0] << 8 | b[1]), I2C(-1, Pin(5), Pin(4)).scan())\n";
    let air = r#"board: "esp8266-nodemcu", parts: [(id: "air", model: "sht31", on: I2c(0x44))]"#;
    let stage = Stage::new(air, "MicroPython", "", script).with("count: 2", "count: 1");
    let ran = stage.run(&[]);
    assert_eq!(stage.told(&ran, "script_says"), ["0x8010 [68]"], "{:?}", stage.told(&ran, "script_crash"));
}

#[test]
fn a_second_bus_is_found_at_its_pins() {
    let script = "from machine import I2C, SoftI2C, Pin\n\
        print(I2C(0, sda=Pin(21), scl=Pin(22)).scan(), SoftI2C(sda=Pin(18), scl=Pin(19)).scan(),\n\
        \x20   SoftI2C(sda=Pin(19), scl=Pin(18)).scan(), I2C(1, sda=Pin(25), scl=Pin(26)).scan())\n";
    let two = r#"board: "esp32-devkit", parts: [(id: "in", model: "bh1750", on: I2c(0x23)),
        (id: "out", model: "bh1750", on: I2c(0x23), bus: ("GPIO18", "GPIO19")),
        (id: "air", model: "sht31", on: I2c(0x44), bus: ("GPIO18", "GPIO19"))]"#;
    let stage = Stage::new(two, "MicroPython", "", script).with("count: 2", "count: 1");
    assert_eq!(stage.told(&stage.run(&[]), "script_says"), ["[35] [35, 68] [] []"]);

    // Where a part is in its place, and nobody says where it went.
    let lamp = r#"board: "esp32-devkit", parts: [(id: "air", model: "sht31", on: I2c(0x44)),
        (id: "lamp", model: "led", on: Pin("GPIO21"))]"#;
    let stage = Stage::new(lamp, "MicroPython", "", script).with("count: 2", "count: 1");
    assert_eq!(stage.told(&stage.run(&[]), "script_says"), ["[] [] [] []"]);
    let ran = command(&["check", &stage.file()]);
    assert_eq!(ran.code(), 0, "{}", ran.stderr());
    let said = format!("{} {}", ran.stdout(), ran.stderr());
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ").replace(" | ", " ");
    assert!(said.contains("`lamp` of `t` is where the I2C bus of `esp32-devkit` usually is"), "{said}");
}

#[test]
fn rangers_that_are_held_in_reset_are_given_their_addresses() {
    let script = "import time\nfrom machine import I2C, Pin\n\
        shut = [Pin(p, Pin.OUT, value=0) for p in (16, 17)]\n\
        i2c = I2C(0, sda=Pin(21), scl=Pin(22))\nprint(i2c.scan())\n\
        for k in (0, 1):\n    shut[k].value(1)\n    time.sleep_ms(2)\n    i2c.writeto_mem(0x29, 0x8A, bytes([0x30 + k]))\n\
        print(i2c.scan())\n\
        for at in (0x30, 0x31):\n    i2c.writeto_mem(at, 0, bytes([1]))\n    time.sleep_ms(60)\n    print(int.from_bytes(i2c.readfrom_mem(at, 0x1E, 2), 'big'))\n\
        shut[0].value(0)\nprint(i2c.scan())\nshut[0].value(1)\ntime.sleep_ms(2)\nprint(i2c.scan())\n";
    let rangers = r#"board: "esp32-devkit", parts: [(id: "near", model: "vl53l0x", on: I2c(0x29), shutdown: "GPIO16"),
        (id: "far", model: "vl53l0x", on: I2c(0x29), shutdown: "GPIO17")]"#;
    let stage = Stage::new(rangers, "MicroPython", "", script)
        .with("count: 2", "count: 1")
        .with("fleet: [(", r#"fleet: [(truths: {"near.distance": 0.2, "far.distance": 1.0}, "#);
    let said = stage.told(&stage.run(&[]), "script_says");
    assert_eq!([&said[0], &said[1], &said[4], &said[5]], ["[]", "[48, 49]", "[49]", "[41, 49]"], "{said:?}");
    for (mm, want) in said[2..4].iter().zip([200.0, 1000.0]) {
        let mm: f64 = mm.parse().unwrap();
        // 4 % is one standard deviation, from reading to reading and from part to part.
        assert!((mm / want - 1.0).abs() < 0.2, "{said:?}");
    }
}

#[test]
fn of_rangers_one_needs_no_line_whichever_comes_first() {
    let script = "import time\nfrom machine import I2C, Pin\n\
        shut = Pin(16, Pin.OUT, value=0)\ni2c = I2C(0, sda=Pin(21), scl=Pin(22))\n\
        i2c.writeto_mem(0x29, 0x8A, bytes([0x30]))\nshut.value(1)\ntime.sleep_ms(2)\nprint(i2c.scan())\n";
    let held = r#"(id: "near", model: "vl53l0x", on: I2c(0x29), shutdown: "GPIO16")"#;
    let free = r#"(id: "far", model: "vl53l0x", on: I2c(0x29))"#;
    for (first, second) in [(held, free), (free, held)] {
        let rangers = format!(r#"board: "esp32-devkit", parts: [{first}, {second}]"#);
        let stage = Stage::new(&rangers, "MicroPython", "", script)
            .with("count: 2", "count: 1")
            .with("fleet: [(", r#"fleet: [(truths: {"near.distance": 0.2, "far.distance": 1.0}, "#);
        assert_eq!(stage.told(&stage.run(&[]), "script_says"), ["[41, 48]"], "{rangers}");
    }
}

#[test]
fn adafruits_driver_reads_a_pms5003() {
    let test = "adafruits_driver_reads_a_pms5003";
    let Some(python) = python_of("venv-scripts", "adafruit_pm25", test) else { return };
    // In calm air a frame comes every 2.3 s.
    let script = "import board, busio\nfrom adafruit_pm25.uart import PM25_UART\n\
        dust = PM25_UART(busio.UART(board.TX, board.RX, baudrate=9600, timeout=3), None)\n\
        for k in range(5):\n    told = dust.read()\n    print(told['pm10 standard'], told['pm25 env'], told['pm100 env'])\n";
    let thing = r#"board: "arduino-mkr-wifi-1010", parts: [(id: "dust", model: "pms5003", on: Pins(["D14", "D13"]), own_supply: true)]"#;
    let stage = Stage::new(thing, "CircuitPython", "", script)
        .python(python)
        .with("count: 2", "count: 1")
        .with("fleet: [(", r#"fleet: [(truths: {"dust.pm1": 40, "dust.pm2_5": 80, "dust.pm10": 120}, "#);
    let said = stage.told(&stage.run(&[]), "script_says");
    assert_eq!(said.len(), 5, "{said:?}");
    let last: Vec<f64> = said[4].split(' ').map(|w| w.parse().unwrap()).collect();
    for (told, want) in last.iter().zip([40.0, 80.0, 120.0]) {
        // 4 µg/m³ and 4 % from part to part, one standard deviation each.
        assert!((told - want).abs() < 12.0 + 0.12 * want, "{said:?}");
    }
}

/// The voltages that a script reads at GPIO34, each the mean of some.
fn volts(part: &str, fleet: &str, script: &str) -> Vec<f64> {
    let script = format!(
        "import time\nfrom machine import ADC\npin = ADC(34, atten=ADC.ATTN_11DB)\n\
        def tell():\n    print(sum(pin.read_uv() for k in range(40)) / 40e6)\n{script}\n"
    );
    let thing = format!(r#"board: "esp32-devkit", parts: [{part}]"#);
    let stage =
        Stage::new(&thing, "MicroPython", "", &script).with("count: 2", "count: 1").with("fleet: [(", fleet);
    let said = stage.told(&stage.run(&[]), "script_says");
    said.iter().map(|line| line.parse().unwrap()).collect()
}

#[test]
fn a_divider_before_an_analogue_pin_is_there_for_a_script() {
    let part = r#"(id: "gas", model: "mq135", on: Pin("GPIO34"), shifted: true, own_supply: true)"#;
    let read = volts(part, r#"fleet: [(truths: {"gas.gas": 200}, "#, "tell()");
    // 1.53 V of 5 V, less or more by what units differ, of which the divider leaves 3.13 V of 5.
    assert!((0.75..1.12).contains(&read[0]), "{read:?}");
}

#[test]
fn faults_at_an_analogue_pin_are_there_for_a_script() {
    let part = r#"(id: "warm", model: "tmp36", on: Pin("GPIO34"))"#;
    for (kind, left) in
        [("AdcReference(by: 0.1)", 1.0 / 1.1), ("Condensation(leak: 0.3, recover: \"10min\")", 0.7)]
    {
        let fleet = format!(
            r#"timeline: [(at: "10s", until: "100s", do: Fault(target: "d-0", kind: {kind}))], fleet: [("#
        );
        let read = volts(part, &fleet, "tell()\ntime.sleep(20)\ntell()");
        assert!((read[1] / read[0] - left).abs() < 0.03, "{kind}: {read:?}");
    }
}

#[test]
fn check_tells_that_a_scripts_clock_goes_right() {
    let told = |target: &str| {
        let stage = Stage::new(r#"board: "esp32-devkit""#, "MicroPython", "", "pass\n").with(
            "fleet: [",
            &format!(r#"timeline: [(at: "10s", until: "20s", do: Fault(target: "{target}", kind: ClockSkew(ppm: 500)))], fleet: ["#),
        );
        let ran = command(&["check", &stage.file()]);
        format!("{}{}", ran.stdout(), ran.stderr())
    };
    assert!(told("d-1").contains("`d-1` runs a script, whose clock is the run's"), "{}", told("d-1"));
}

/// The display that half of all projects have, driven as MicroPython's own driver does it.
#[test]
fn a_display_shows_what_is_written_to_it() {
    let driver = "import framebuf\n\
        class SSD1306_I2C(framebuf.FrameBuffer):\n\
        \x20   def __init__(self, width, height, i2c, addr=0x3C):\n\
        \x20       self.width, self.height, self.i2c, self.addr = width, height, i2c, addr\n\
        \x20       self.buffer = bytearray(height // 8 * width)\n\
        \x20       super().__init__(self.buffer, width, height, framebuf.MONO_VLSB)\n\
        \x20       for c in (0xAE, 0x20, 0, 0x40, 0xA1, 0xA8, height - 1, 0xC8, 0xD3, 0, 0xDA, 0x12, 0xD5, 0x80,\n\
        \x20               0xD9, 0xF1, 0xDB, 0x30, 0x81, 0xFF, 0xA4, 0xA6, 0x8D, 0x14, 0xAF):\n\
        \x20           self.cmd(c)\n\
        \x20       self.fill(0)\n        self.show()\n\
        \x20   def cmd(self, c):\n        self.i2c.writeto(self.addr, bytes((0x80, c)))\n\
        \x20   def show(self):\n\
        \x20       for c in (0x21, 0, self.width - 1, 0x22, 0, self.height // 8 - 1):\n            self.cmd(c)\n\
        \x20       self.i2c.writevto(self.addr, [b'\\x40', self.buffer])\n";
    let script = "import time\nfrom machine import Pin, SoftI2C\nimport ssd1306\n\
        i2c = SoftI2C(scl=Pin(22), sda=Pin(21))\nprint(i2c.scan())\n\
        oled = ssd1306.SSD1306_I2C(128, 64, i2c)\n\
        def show():\n    oled.show()\n    print(sum(bin(b).count('1') for b in oled.buffer) / 8192)\n    time.sleep(5)\n\
        oled.text('Hello', 0, 0)\nshow()\noled.fill_rect(0, 16, 64, 32, 1)\nshow()\n\
        oled.cmd(0xAE)\n";
    let oled = r#"board: "esp32-devkit", parts: [(id: "oled", model: "ssd1306", on: I2c(0x3C))]"#;
    let stage = Stage::new(oled, "MicroPython", "", script).with("count: 2", "count: 1");
    let stage = stage.beside("ssd1306.py", driver);
    let ran = stage.run(&[]);
    let said = stage.told(&ran, "script_says");
    assert_eq!(said.first().map(String::as_str), Some("[60]"), "{:?}", stage.told(&ran, "script_crash"));
    let drawn: Vec<f64> = said[1..].iter().map(|line| line.parse().unwrap()).collect();
    assert!(drawn.len() == 2 && drawn[0] > 0.005 && drawn[1] > 0.25, "{drawn:?}");
    assert_eq!(stage.values(&ran, "command"), [drawn[0], drawn[1], 0.0]);
}

/// What a bus does step by step, as drivers of strange parts ask for it; a part that is not there is no error of the bus.
#[test]
fn a_soft_bus_goes_step_by_step() {
    let script = "import time\nfrom machine import I2C, Pin, SoftI2C\n\
        i2c, b = SoftI2C(scl=Pin(22), sda=Pin(21)), bytearray(6)\n\
        i2c.start()\nprint(i2c.write(bytes([0x44 << 1, 0x24, 0])))\ni2c.stop()\ntime.sleep_ms(20)\n\
        i2c.start()\nprint(i2c.write(bytes([0x44 << 1 | 1])))\ni2c.readinto(b)\ni2c.stop()\n\
        print(abs(-45 + 175 * (b[0] << 8 | b[1]) / 65535 - 21) < 1)\n\
        i2c.start()\nprint(i2c.write(bytes([0x55 << 1, 1])))\ni2c.stop()\n\
        try:\n    I2C(5)\nexcept ValueError as e:\n    print(e)\n";
    let stage = Stage::new(ESP, "MicroPython", "", script);
    let ran = stage.run(&[]);
    let want = ["3", "1", "True", "0", "I2C(5) doesn't exist"];
    assert_eq!(stage.told(&ran, "script_says"), want, "{:?}", stage.told(&ran, "script_crash"));
}

/// The LCD behind an expander, as RPLCD's and everybody's own few lines write to it.
#[test]
fn a_character_display_is_written_to() {
    let script = "import time, smbus\nbus = smbus.SMBus(1)\n\
        def send(bits, light=0x08):\n\
        \x20   for half in (bits & 0xF0, bits << 4 & 0xF0):\n\
        \x20       for strobe in (0x04, 0):\n            bus.write_byte(0x27, half | light | strobe)\n            time.sleep(0.0005)\n\
        for command in (0x33, 0x32, 0x06, 0x0C, 0x28, 0x01):\n    send(command)\n\
        for c in 'Hello':\n    send(ord(c) | 1)\n\
        time.sleep(5)\nbus.write_byte(0x27, 0)\nprint('done')\n";
    let lcd = r#"board: "raspberry-pi-4b", parts: [(id: "lcd", model: "lcd1602-i2c", on: I2c(0x27))]"#;
    let stage = Stage::new(lcd, "RaspberryPi", "", script).with("count: 2", "count: 1");
    let ran = stage.run(&[]);
    assert_eq!(stage.told(&ran, "script_says"), ["done"], "{:?}", stage.told(&ran, "script_crash"));
    assert_eq!(stage.values(&ran, "command"), [1.0, 0.0]);
}
