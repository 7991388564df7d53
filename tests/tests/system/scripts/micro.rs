//! Packages for MicroPython and its project's example scripts, by others, unmodified.

use super::{
    ESP, Stage,
    suite::{example, package},
};

/// The numbers in a line.
fn numbers(line: &str) -> Vec<f64> {
    line.split(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-'))
        .filter_map(|w| w.parse().ok())
        .collect()
}

/// An ESP32 with this part, of which `truths` are told, and a script; beside it files of packages.
fn stage(part: &str, truths: &str, script: &str, files: &[(&str, String)]) -> Stage {
    let thing = format!(r#"board: "esp32-devkit", parts: [{part}]"#);
    let stage = Stage::new(&thing, "MicroPython", "", script)
        .with("fleet: [(id: \"d-{}\",", &format!("fleet: [(truths: {{{truths}}}, id: \"d-{{}}\","))
        .with("count: 2", "count: 1")
        .with("duration: \"2min\"", "duration: \"20s\"");
    files.iter().fold(stage, |stage, (path, text)| stage.beside(path, text))
}

#[test]
fn packages_for_micropython_meet_our_parts() {
    let test = "packages_for_micropython_meet_our_parts";
    // The package, its file, the part, what is told, what it reads with it, and what that should be within what.
    let cases = [
        (
            "bme280",
            "bme280.py",
            r#"(id: "p", model: "bme280", on: I2c(0x76), pull_up: true)"#,
            "",
            // It begins in normal mode with a long conversion, within which the part puts off what it is told.
            "import bme280, time\nfrom machine import I2C, Pin\n\
                b = bme280.BME280(i2c=I2C(0, scl=Pin(22), sda=Pin(21)))\nb.values\ntime.sleep(1)\nprint(*b.values)\n",
            // Three standard deviations of the part's biases, and what the package's own arithmetic cuts off: it takes the
            // second trim word of temperature in whole multiples of 2,048, up to 7 % of what is above the first one.
            vec![(21.0, 3.0), (1013.25, 8.0), (45.0, 8.0)],
        ),
        (
            "hx711",
            "hx711.py",
            r#"(id: "p", model: "hx711-load-cell", on: Pins(["GPIO32", "GPIO33"]))"#,
            r#""p.force": 10.0"#,
            "import hx711\nh = hx711.HX711(d_out=32, pd_sck=33)\nprint(*h.channel)\nprint(h.read())\n\
                h.channel = hx711.HX711.CHANNEL_A_64\nprint(h.read())\n",
            // 1 mV/V at 49 N, in counts of 24 bits over the supply and the gain; its cell is good for 3 % and 0.08 N.
            vec![(128.0, 0.0), (438_200.0, 16_500.0), (219_100.0, 8_300.0)],
        ),
    ];
    for (name, file, part, truths, script, wanted) in cases {
        let Some(text) = package(name, file, test) else { continue };
        let stage = stage(part, truths, script, &[(file, text)]);
        let ran = stage.run(&[]);
        let crashes = stage.told(&ran, "script_crash");
        assert!(crashes.is_empty(), "{name}: {crashes:?}");
        let read = numbers(&stage.told(&ran, "script_says").join("\n"));
        assert_eq!(read.len(), wanted.len(), "{name}: {read:?}");
        for (is, (want, within)) in read.iter().zip(wanted) {
            assert!((is - want).abs() <= within, "{name}: {read:?}");
        }
    }
    // A servo follows the width of its pulse: 544 to 2400 µs by the package, 500 to 2400 by the part.
    let Some(text) = package("servo", "src/servo/__init__.py", test) else { return };
    let script = "import time, servo\ns = servo.Servo(25)\nfor deg in (0, 45, 90, 180):\n    s.write(deg)\n    time.sleep(1)\n";
    let part = r#"(id: "p", model: "servo-sg90", on: Pin("GPIO25"), own_supply: true)"#;
    let stage = stage(part, "", script, &[("servo/__init__.py", text)]);
    let ran = stage.run(&[]);
    let went = stage.values(&ran, "command");
    let want = [0.0, 45.0, 90.0, 180.0].map(|deg| (544.0 + deg / 180.0 * 1856.0 - 500.0) / 1900.0);
    // A pulse of 20 ms has 65,535 steps.
    assert!(went.len() == 4 && went.iter().zip(want).all(|(is, want)| (is - want).abs() < 2e-4), "{went:?}");
}

#[test]
fn micropythons_requests_and_logging_do_as_on_a_board() {
    let test = "micropythons_requests_and_logging_do_as_on_a_board";
    let (Some(requests), Some(logging)) = (
        package("urequests", "urequests/__init__.py", test),
        package("logging", "logging/__init__.py", test),
    ) else {
        return;
    };
    let esp = "import logging, urequests\n\
        logging.basicConfig(level=logging.INFO, format='%(levelname)s %(message)s')\n\
        log = logging.getLogger()\n\
        r = urequests.post('http://hub:8000/x?y=1', json={'t': 21.5})\n\
        print(r.status_code, r.reason, r.json())\n\
        print(urequests.get('http://hub:8000/none').status_code)\n\
        log.debug('unseen')\nlog.warning('%d lines', 2)\n";
    let hub = "import http.server, json\n\
        class Page(http.server.BaseHTTPRequestHandler):\n\
        \x20   def do_POST(self):\n\
        \x20       got = json.loads(self.rfile.read(int(self.headers['Content-Length'])))\n\
        \x20       body = json.dumps({'path': self.path, 'twice': 2 * got['t']}).encode()\n\
        \x20       self.send_response(200)\n        self.end_headers()\n        self.wfile.write(body)\n\
        \x20   def do_GET(self):\n        self.send_error(404)\n\
        http.server.HTTPServer(('', 8000), Page).serve_forever()\n";
    let things = format!(
        r#"things: [(name: "p", source: "a test", {}, firmware: Script(path: "code/hub.py", runtime: RaspberryPi)),"#,
        super::PI
    );
    let files =
        [("urequests/__init__.py", requests), ("logging/__init__.py", logging), ("hub.py", hub.to_owned())];
    let stage = stage("", "", &format!("{}{esp}", super::JOINED), &files)
        .with("things: [", &things)
        .with("in: [\"room\"])])", "in: [\"room\"]), (id: \"hub\", thing: \"p\", in: [\"room\"])])")
        .with("step: \"1s\"", "step: \"100ms\"");
    let ran = stage.run(&[]);
    let crashes = stage.told(&ran, "script_crash");
    assert!(crashes.is_empty(), "{crashes:?}");
    let said = stage.told(&ran, "script_says");
    assert_eq!(
        said[0]
            .replace("'path': '/x?y=1', 'twice': 43.0", "…")
            .replace("'twice': 43.0, 'path': '/x?y=1'", "…"),
        "200 b'OK' {…}"
    );
    assert_eq!(said[1], "404");
    assert!(said.len() == 3 && said[2].contains("WARNING") && said[2].contains("2 lines"), "{said:?}");
}

#[test]
fn micropythons_hardware_examples_run_as_they_are() {
    let test = "micropythons_hardware_examples_run_as_they_are";
    // An LED at pin 2, lit by a low level, that fades in and out in steps of a twentieth: twice each, 20 ms long.
    let led = r#"board: "esp8266-nodemcu", parts: [(id: "led", model: "led", on: Pin("GPIO2"))]"#;
    for name in ["soft_pwm.py", "soft_pwm_asyncio.py"] {
        let (Some(script), Some(config)) =
            (example("hwapi", name, test), example("hwapi", "hwconfig_esp8266_esp12.py", test))
        else {
            return;
        };
        let stage = Stage::new(led, "MicroPython", "", &script)
            .beside("hwconfig.py", &config)
            .with("count: 2", "count: 1")
            .with("duration: \"2min\"", "duration: \"5s\"");
        let ran = stage.run(&[]);
        let changes: Vec<(f64, f64)> = stage
            .events("d-0", &ran, "command")
            .iter()
            .map(|e| (e["from_s"].as_f64().unwrap(), e["value"].as_f64().unwrap()))
            .collect();
        // How long it was low, time by time, in thousandths of a second, from when it first is.
        let low = |pair: &[(f64, f64)]| (pair[0].1 == 0.0).then(|| ((pair[1].0 - pair[0].0) * 1e3).round());
        let lit: Vec<f64> = changes.windows(2).filter_map(low).collect();
        assert!(lit.len() > 70, "{name}: {changes:?}");
        // The pin rests low, so that the first is not seen to begin.
        let want = (1..20).flat_map(|ms| [f64::from(ms); 2]).skip(1);
        for (is, want) in lit.iter().zip(want) {
            assert!((is - want).abs() <= 1.0, "{name}: {lit:?}");
        }
    }
    // A button that somebody presses from second 10 to second 12, and a lamp that shows it.
    let parts = r#"board: "esp32-devkit", parts: [(id: "lamp", model: "led", on: Pin("GPIO25")),
        (id: "button", model: "hc-sr501", on: Pin("GPIO27"), own_supply: true)]"#;
    let config = "from machine import Pin, Signal\nLED = Signal(25, Pin.OUT)\nBUTTON = Pin(27, Pin.IN)\n";
    let pressed = "timeline: [(at: \"10s\", until: \"12s\", do: Set(target: \"d-0/button.presence\", to: 1))], fleet: [";
    let run = |name: &str| {
        let stage = Stage::new(parts, "MicroPython", "", &example("hwapi", name, test)?)
            .beside("hwconfig.py", config)
            .with("count: 2", "count: 1")
            .with("duration: \"2min\"", "duration: \"30s\"")
            .with("fleet: [", pressed);
        let ran = stage.run(&[]);
        assert!(
            stage.told(&ran, "script_crash").is_empty(),
            "{name}: {:?}",
            stage.told(&ran, "script_crash")
        );
        Some((stage.values(&ran, "command"), stage.told(&ran, "script_says")))
    };
    let Some((lamp, _)) = run("button_led.py") else { return };
    assert_eq!(lamp, [1.0, 0.0], "on, and off");
    let Some((_, said)) = run("button_reaction.py") else { return };
    let slow = said.iter().find(|l| l.starts_with("You are as slow")).unwrap_or_else(|| panic!("{said:?}"));
    assert!(numbers(slow)[0] >= 1.9e6, "{slow}");
}

#[test]
fn a_picos_clock_counts_from_1970_and_its_channel_4_is_its_thermometer() {
    let script = "import machine, time\n\
        print(time.gmtime(0)[:3], time.mktime((2026, 5, 20, 8, 0, 0, 0, 0)), time.gmtime(time.mktime((1999, 12, 31, 23, 59, 58, 0, 0))))\n\
        print(time.localtime(1779264000))\n\
        for adc in (machine.ADC(4), machine.ADC(machine.ADC.CORE_TEMP)):\n\
        \x20   volts = adc.read_u16() * 3.3 / 65535\n    print(27 - (volts - 0.706) / 0.001721)\n";
    let pico = r#"board: "raspberry-pi-pico-w", parts: [(id: "die", model: "mcu-temp", on: Internal)]"#;
    let stage = Stage::new(pico, "MicroPython", "", script).with("count: 2", "count: 1");
    let ran = stage.run(&[]);
    let said = stage.told(&ran, "script_says");
    assert_eq!(
        said[0],
        "(1970, 1, 1) 1779264000 (1999, 12, 31, 23, 59, 58, 4, 365)",
        "{:?}",
        stage.told(&ran, "script_crash")
    );
    assert_eq!(said[1], "(2026, 5, 20, 8, 0, 0, 2, 140)");
    for line in &said[2..4] {
        // Ten degrees without a calibration, and a die warmer than its room by a few.
        assert!((line.parse::<f64>().unwrap() - 23.0).abs() < 16.0, "{line}");
    }
    // Others count from 2000; a clock that a script has set goes on through a deep sleep.
    let script = "import machine, time\n\
        if machine.reset_cause() == machine.DEEPSLEEP_RESET:\n    print(time.time() // 100, machine.RTC().datetime()[:3])\nelse:\n\
        \x20   print(time.gmtime(0)[:3])\n    machine.RTC().datetime((2030, 1, 1, 0, 0, 0, 0, 0))\n    machine.deepsleep(10000)\n";
    let stage = Stage::new(ESP, "MicroPython", "", script).with("count: 2", "count: 1");
    let said = stage.told(&stage.run(&[]), "script_says");
    assert_eq!(said, ["(2000, 1, 1)", "9467712 (2030, 1, 1)"]);
}

#[test]
fn a_piece_larger_than_the_heap_fails_in_its_own_statement() {
    let script = "import gc\n\
        for n in (10000, 30000, 40000, 60000, 200000, 1000000):\n\
        \x20   try:\n        x = bytearray(n)\n        del x\n        print(n, 'ok')\n\
        \x20   except MemoryError:\n        print(n, 'MemoryError')\n    gc.collect()\n\
        try:\n    a = [i for i in range(20000)]\n    print('list', len(a))\n\
        except MemoryError:\n    print('list too big')\n\
        a = None\ngc.collect()\nprint('goes on', gc.mem_free() > 20000)\n";
    let stage =
        Stage::new(r#"board: "esp8266-nodemcu""#, "MicroPython", "", script).with("count: 2", "count: 1");
    let ran = stage.run(&[]);
    let wanted = [
        "10000 ok",
        "30000 ok",
        "40000 MemoryError",
        "60000 MemoryError",
        "200000 MemoryError",
        "1000000 MemoryError",
        "list too big",
        "goes on True",
    ];
    assert_eq!(stage.told(&ran, "script_says"), wanted, "{:?}", stage.told(&ran, "script_crash"));
}

#[test]
fn what_stands_first_in_many_scripts_is_there() {
    let script = "import micropython\nfrom micropython import const, native, schedule, viper\n\
        micropython.alloc_emergency_exception_buf(100)\n\
        @native\ndef f(x):\n    return x + 1\n\
        @micropython.viper  # for speed\ndef g(x: int) -> int:\n    return uint(x) + 1\n\
        print(f(1), g(-1), const(3), micropython.opt_level())\n\
        schedule(lambda x: print('later', x), 5)\n\
        import time\ntime.sleep(1)\n\
        try:\n    import rp2\nexcept ImportError as e:\n    print(e)\n";
    let stage = Stage::new(ESP, "MicroPython", "", script).with("count: 2", "count: 1");
    let ran = stage.run(&[]);
    let said = stage.told(&ran, "script_says");
    let wanted = ["2 4294967296 3 0", "later 5", "no module named 'rp2'"];
    assert_eq!(said, wanted, "{:?}", stage.told(&ran, "script_crash"));
    let script = "import network, rp2\nrp2.country('GB')\nprint(network.country(), rp2.bootsel_button())\n\
        @rp2.asm_pio(set_init=rp2.PIO.OUT_LOW)\ndef blink():\n    wrap_target()\n\
        try:\n    rp2.StateMachine(0, blink)\nexcept OSError as e:\n    print(e)\n";
    let stage =
        Stage::new(r#"board: "raspberry-pi-pico-w""#, "MicroPython", "", script).with("count: 2", "count: 1");
    let ran = stage.run(&[]);
    let wanted = ["GB 0", "[Errno 19] ENODEV: rp2.StateMachine is not simulated"];
    assert_eq!(stage.told(&ran, "script_says"), wanted, "{:?}", stage.told(&ran, "script_crash"));
}

#[test]
fn the_network_gives_back_what_was_set() {
    let script = "import network\n\
        ap = network.WLAN(network.AP_IF)\nap.active(True)\n\
        ap.config(essid='MicroPython-AP', password='123456789', authmode=network.AUTH_WPA_WPA2_PSK)\n\
        print(ap.config('essid'), ap.config('authmode'), ap.ifconfig()[0], ap.isconnected())\n\
        w = network.WLAN(network.STA_IF)\nw.active(True)\nw.config(hostname='pump')\n\
        w.connect('home', 'secret')\nwhile not w.isconnected():\n    pass\n\
        print(w.config('ssid'), network.hostname(), w.ipconfig('addr4'), w.ipconfig('dhcp4'))\n\
        w.ifconfig(('192.168.1.201', '255.255.255.0', '192.168.1.1', '8.8.8.8'))\nprint(w.ifconfig())\n\
        w.ipconfig(dhcp4=True)\nprint(w.ifconfig()[0])\n\
        w.ipconfig(addr4='192.168.1.5/24')\nprint(w.ipconfig('addr4'), w.ipconfig('dhcp4'))\n";
    let stage = Stage::new(ESP, "MicroPython", "", script).with("count: 2", "count: 1");
    let ran = stage.run(&[]);
    let wanted = [
        "MicroPython-AP 4 192.168.4.1 False",
        "home pump ('10.1.0.1', '255.255.255.0') True",
        "('192.168.1.201', '255.255.255.0', '192.168.1.1', '8.8.8.8')",
        "10.1.0.1",
        "('192.168.1.5', '255.255.255.0') False",
    ];
    assert_eq!(stage.told(&ran, "script_says"), wanted, "{:?}", stage.told(&ran, "script_crash"));
}

#[test]
fn streams_and_clients_have_their_packages_names() {
    // A server that writes without `drain`, by new and by old names; a client that tells what it does.
    let script = "import asyncio, asyncio.stream\nfrom asyncio.core import CancelledError\n\
        from umqtt import robust, simple\n\
        async def serve(r, w):\n\
        \x20   if await r.read(1) == b'n':\n        w.write(b'new')\n        w.close()\n        await w.wait_closed()\n\
        \x20   else:\n        await w.awrite('an old one', 3, 3)\n        await w.aclose()\n\
        async def main():\n\
        \x20   await asyncio.start_server(serve, '127.0.0.1', 80)\n\
        \x20   for how in (b'n', b'o'):\n\
        \x20       r, w = await asyncio.open_connection('127.0.0.1', 80)\n\
        \x20       w.write(how)\n        await w.drain()\n        print(await r.read(-1))\n        w.close()\n        await w.wait_closed()\n\
        asyncio.run(main())\n\
        class Client(robust.MQTTClient):\n\
        \x20   def delay(self, i):\n        raise ValueError(i)\n\
        \x20   def log(self, in_reconnect, e):\n        print(in_reconnect)\n\
        try:\n    Client('x', '10.9.9.9').reconnect()\nexcept ValueError as e:\n    print('after', e)\n\
        c = simple.MQTTClient('x', 'broker')\nc.set_last_will('gone', 'x', qos=1)\nprint(c.lw_topic, c.lw_msg, c.lw_qos, c.lw_retain)\n\
        w = _w\nw.connect('a', 'b')\nwhile not w.isconnected():\n    pass\n\
        print(c.connect(timeout=5))\n";
    let script = format!("{}_w.disconnect()\n{script}", super::JOINED);
    let stage = Stage::new(ESP, "MicroPython", "", &script).with("count: 2", "count: 1");
    let ran = stage.run(&[]);
    let wanted = ["b'new'", "b'old'", "True", "after 1", "gone x 1 False", "0"];
    assert_eq!(stage.told(&ran, "script_says"), wanted, "{:?}", stage.told(&ran, "script_crash"));
}

#[test]
fn a_part_on_routed_serial_pins_is_found_and_interrupts() {
    let script = "import time\nfrom machine import UART\n\
        u = UART(2, baudrate=9600)\nu.init(9600, tx=26, rx=27)\ntime.sleep(3)\n\
        print((u.read() or b'')[:1] == b'$', UART(1, baudrate=9600, tx=27, rx=26).read())\n\
        got = []\nu.irq(lambda u: got.append(u.read()), UART.IRQ_RXIDLE)\ntime.sleep(4)\nu.irq(None)\nprint(len(got) > 1)\n";
    let gps =
        r#"board: "esp32-devkit", parts: [(id: "gps", model: "neo-6m", on: Pins(["GPIO26", "GPIO27"]))]"#;
    let stage = Stage::new(gps, "MicroPython", "", script).with("count: 2", "count: 1");
    let ran = stage.run(&[]);
    assert_eq!(
        stage.told(&ran, "script_says"),
        ["True None", "True"],
        "{:?}",
        stage.told(&ran, "script_crash")
    );
}

#[test]
fn the_smaller_names_of_machine_are_there() {
    let script = "import esp32, machine, time\nfrom machine import ADC, PWM, Pin, Timer\n\
        print(Pin(2), PWM(Pin(25), freq=1000, duty_u16=16384, invert=1).duty_u16())\n\
        a = ADC(32)\na.init(atten=ADC.ATTN_11DB)\nprint(a.read() >= 0, machine.ADCBlock(1, bits=12).connect(2, Pin(35)).read() >= 0)\n\
        t = Timer(3, period=2000, callback=lambda t: None)\ntime.sleep(0.5)\nprint(495 < t.value() < 510)\nt.deinit()\n\
        before = time.ticks_ms()\nmachine.lightsleep(2000)\nprint(machine.wake_reason() == machine.TIMER_WAKE)\n\
        esp32.wake_on_ext0(Pin(27, Pin.IN), esp32.WAKEUP_ANY_HIGH)\n\
        machine.lightsleep(60000)\nprint(machine.wake_reason() == machine.EXT0_WAKE, 19 < time.ticks_ms() / 1000 < 22)\n";
    let door = r#"board: "esp32-devkit", parts: [(id: "door", model: "hc-sr501", on: Pin("GPIO27"), own_supply: true),
        (id: "lamp", model: "led", on: Pin("GPIO25"))]"#;
    let stage = Stage::new(door, "MicroPython", "", script).with("count: 2", "count: 1").with(
        "fleet: [",
        "timeline: [(at: \"20s\", until: \"50s\", do: Set(target: \"d-0/door.presence\", to: 1))], fleet: [",
    );
    let ran = stage.run(&[]);
    let said = stage.told(&ran, "script_says");
    let wanted = ["Pin(2) 16384", "True True", "True", "True", "True True"];
    assert_eq!(said, wanted, "{:?}", stage.told(&ran, "script_crash"));
    // Inverted, a quarter is three.
    let went = stage.values(&ran, "command");
    assert!(went.last().is_some_and(|level| (level - 0.75).abs() < 1e-3), "{went:?}");
}

/// A class that keeps functions of the time module calls them without itself, as those of C.
#[test]
fn a_class_keeps_the_clocks_functions_as_they_are() {
    let script = "import time\n\
        class Base:\n    now, diff, wait, unix = time.ticks_us, time.ticks_diff, time.sleep_ms, time.time\n\
        \x20   def go(self):\n        t = self.now()\n        self.wait(50)\n\
        \x20       print(self.diff(self.now(), t) // 1000, self.unix() == time.time())\n\
        Base().go()\n";
    let stage = Stage::new(ESP, "MicroPython", "", script);
    let ran = stage.run(&[]);
    assert_eq!(stage.told(&ran, "script_says"), ["50 True"], "{:?}", stage.told(&ran, "script_crash"));
}

/// A port's numbers for a pin's modes, pulls and edges are its own: who writes them out drives the pin all the same.
#[test]
fn pins_have_the_numbers_of_their_port() {
    let script = "from machine import Pin\nimport time\n\
        led = Pin(LED, 1)\nled.value(1)\ntime.sleep(1)\nled(0)\n\
        print(Pin.IN, Pin.OUT, Pin.PULL_UP, Pin.IRQ_FALLING, Pin(BTN, Pin.IN, Pin.PULL_UP).value(), led.mode() == Pin.OUT)\n\
        came = []\nb = Pin(BTN, Pin.IN, Pin.PULL_UP)\n\
        irq = b.irq(lambda p: came.append(irq.flags()), Pin.IRQ_FALLING)\n\
        time.sleep(30)\nprint(came == [Pin.IRQ_FALLING], irq.trigger() == Pin.IRQ_FALLING)\n";
    for (board, pins, led, btn, numbers) in [
        ("raspberry-pi-pico-w", ["GP15", "GP14"], "15", "14", "0 1 1 4 1 True"),
        ("esp8266-nodemcu", ["GPIO5", "GPIO4"], "5", "4", "0 1 1 2 1 True"),
    ] {
        let thing = format!(
            r#"board: "{board}", parts: [(id: "led", model: "led", on: Pin("{}")),
                (id: "door", model: "reed-switch", on: Pin("{}"))]"#,
            pins[0], pins[1]
        );
        let script = script.replace("LED", led).replace("BTN", btn);
        let stage = Stage::new(&thing, "MicroPython", "", &script).with("count: 2", "count: 1").with(
            "fleet: [",
            r#"timeline: [(at: "20s", do: Set(target: "d-0/door.contact", to: 1.0))], fleet: ["#,
        );
        let ran = stage.run(&[]);
        let said = stage.told(&ran, "script_says");
        assert_eq!(said, [numbers, "True True"], "{board}: {:?}", stage.told(&ran, "script_crash"));
        assert_eq!(stage.values(&ran, "command"), [1.0, 0.0], "{board}");
    }
}

/// Its counter holds no more: a script that asks for more ends there on a board.
#[test]
fn a_picos_watchdog_waits_for_eight_seconds_at_most() {
    let pico = r#"board: "raspberry-pi-pico-w""#;
    let script = "import machine, time\n\
        try:\n    machine.WDT(timeout=8389)\nexcept ValueError as e:\n    print(e)\n\
        machine.WDT(timeout=8388)\ntime.sleep(60)\nprint('not fed')\n";
    let stage = Stage::new(pico, "MicroPython", "", script).with("count: 2", "count: 1");
    let ran = stage.run(&[]);
    let said = stage.told(&ran, "script_says");
    let crashes = stage.told(&ran, "script_crash");
    assert!(said.len() > 2 && said.iter().all(|l| l == "timeout exceeds 8388"), "{said:?} {crashes:?}");
    let script = "from microcontroller import watchdog\n\
        try:\n    watchdog.timeout = 8.389\nexcept ValueError as e:\n    print(e)\n\
        watchdog.timeout = 8.388\nprint(watchdog.timeout)\n";
    let stage = Stage::new(pico, "CircuitPython", "", script).with("count: 2", "count: 1");
    let ran = stage.run(&[]);
    let said = stage.told(&ran, "script_says");
    let wanted = ["timeout duration exceeded the maximum supported value", "8.388"];
    assert_eq!(said[..2], wanted, "{said:?} {:?}", stage.told(&ran, "script_crash"));
    // Others count further.
    let script = "import machine\nmachine.WDT(timeout=60000)\nprint('taken')\n";
    let stage = Stage::new(ESP, "MicroPython", "", script);
    assert_eq!(stage.told(&stage.run(&[]), "script_says").first().map(String::as_str), Some("taken"));
}

/// Pads that are inputs alone have no resistors: to ask for one is no error, and the pin stays open.
#[test]
fn a_pull_up_that_an_esp32_does_not_have_pulls_nothing() {
    let script = "from machine import Pin\n\
        print(*[Pin(n, Pin.IN, Pin.PULL_UP).value() for n in (34, 35, 36, 39, 33)])\n\
        came = []\nPin(34, Pin.IN, Pin.PULL_UP).irq(came.append)\n\
        import time\ntime.sleep(5)\nprint(came)\n";
    let stage = Stage::new(ESP, "MicroPython", "", script).with("count: 2", "count: 1");
    let ran = stage.run(&[]);
    let said = stage.told(&ran, "script_says");
    assert_eq!(said, ["0 0 0 0 1", "[]"], "{:?}", stage.told(&ran, "script_crash"));
}
