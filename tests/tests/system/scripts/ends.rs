//! How programs end, and what becomes of what their pins held on.

use super::{PI, Stage};

#[test]
fn threads_and_what_was_left_for_the_end_come_before_it() {
    let script = "import atexit, sys, threading, time\n\
        from concurrent.futures import ThreadPoolExecutor\n\
        atexit.register(lambda: print('bye', int(time.monotonic())))\n\
        pool = ThreadPoolExecutor(1)\nprint(pool.submit(lambda: 5).result())\n\
        def late():\n    time.sleep(4)\n    print('late')\n\
        threading.Thread(target=late).start()\nEND\n";
    for (end, crashes, ended) in [
        ("pass", 0, "the script has ended"),
        ("sys.exit(3)", 0, "the script has ended with 3"),
        ("1 / 0", 1, "the script has ended with 1"),
    ] {
        let stage = Stage::new(PI, "RaspberryPi", "", &script.replace("END", end));
        let ran = stage.run(&[]);
        assert_eq!(stage.told(&ran, "script_says"), ["5", "late", "bye 5"], "{end}");
        assert_eq!(stage.told(&ran, "script_crash").len(), crashes, "{end}");
        assert_eq!(stage.told(&ran, "script_exit"), [ended], "{end}");
    }
}

/// As a service manager does with one that fails.
#[test]
fn who_exits_with_a_status_is_started_again() {
    let script = "import os, sys\nn = len(os.listdir('.'))\nprint(n)\nopen('ran%d' % n, 'w').close()\n\
        sys.exit(1 if n < 3 else 0)\n";
    let stage = Stage::new(PI, "RaspberryPi", "restart: \"10s\"", script);
    let ran = stage.run(&[]);
    assert_eq!(stage.told(&ran, "script_says"), ["1", "2", "3"]);
    let ended = ["the script has ended with 1", "the script has ended with 1", "the script has ended"];
    assert_eq!(stage.told(&ran, "script_exit"), ended);
}

/// Linux's journal is no serial console.
#[test]
fn a_long_line_takes_a_pi_no_time_to_speak_of() {
    let script = "import time\nprint('x' * 300000)\nprint(int(time.monotonic()))\n";
    let stage = Stage::new(PI, "RaspberryPi", "", script);
    let said = stage.told(&stage.run(&[]), "script_says");
    assert_eq!(said.last().map(String::as_str), Some("1"), "{}", said.len());
}

#[test]
fn a_pin_that_becomes_an_input_lets_go_of_its_lamp() {
    let esp = r#"board: "esp32-devkit", parts: [(id: "lamp", model: "led", on: Pin("GPIO25"))]"#;
    let s3 = r#"board: "esp32-s3-devkit", parts: [(id: "lamp", model: "led", on: Pin("GPIO5"))]"#;
    let reset = "import machine, time\n\
        if machine.reset_cause() == machine.PWRON_RESET:\n\
        \x20   machine.Pin(25, machine.Pin.OUT, value=1)\n    time.sleep(1)\n    machine.reset()\n";
    let as_input = "import time\nfrom machine import Pin\n\
        Pin(25, Pin.OUT, value=1)\ntime.sleep(1)\nprint(Pin(25).value())\nPin(25, Pin.IN)\ntime.sleep(1)\n";
    let given_back = "import board, digitalio, time\n\
        with digitalio.DigitalInOut(board.IO5) as lamp:\n    lamp.switch_to_output(True)\n    time.sleep(1)\n\
        time.sleep(1)\n";
    let left_on = "import board, digitalio, time\n\
        lamp = digitalio.DigitalInOut(board.IO5)\nlamp.switch_to_output(True)\ntime.sleep(1)\n";
    let header = "import RPi.GPIO as GPIO, time\nGPIO.setmode(GPIO.BCM)\nGPIO.setup(17, GPIO.OUT, initial=1)\n\
        time.sleep(1)\nGPIO.setup(17, GPIO.IN)\ntime.sleep(1)\n";
    for (thing, runtime, script) in [
        (esp, "MicroPython", as_input),
        (esp, "MicroPython", reset),
        (s3, "CircuitPython", given_back),
        (s3, "CircuitPython", left_on),
        (PI, "RaspberryPi", header),
    ] {
        let stage = Stage::new(thing, runtime, "", script).with("count: 2", "count: 1");
        let ran = stage.run(&[]);
        let crash = stage.told(&ran, "script_crash");
        assert_eq!(stage.values(&ran, "command"), [1.0, 0.0], "{runtime}: {script}{crash:?}");
        let went = stage.events("d-0", &ran, "command");
        let lit_s = went[1]["from_s"].as_f64().unwrap() - went[0]["from_s"].as_f64().unwrap();
        assert!((lit_s - 1.0).abs() < 0.1, "{runtime}: {script}{lit_s}");
    }
}

/// Whoever names no duty hears a buzzer on an ESP32.
#[test]
fn a_pulse_width_begins_with_half_its_duty_on_an_esp32() {
    let thing = r#"board: "esp32-devkit", parts: [(id: "lamp", model: "led", on: Pin("GPIO25"))]"#;
    let script = "import time\nfrom machine import PWM, Pin\n\
        tone = PWM(Pin(25), freq=440)\nprint(tone.duty())\ntime.sleep(1)\ntone.deinit()\ntime.sleep(1)\n";
    let stage = Stage::new(thing, "MicroPython", "", script).with("count: 2", "count: 1");
    let ran = stage.run(&[]);
    assert_eq!(stage.told(&ran, "script_says"), ["512"]);
    assert_eq!(stage.values(&ran, "command"), [0.5, 0.0]);
}
