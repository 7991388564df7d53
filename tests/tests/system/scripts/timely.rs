//! Scripts that look at a clock or a pin until something is the case, and what comes to them by itself.

use super::{ESP, PI, Stage};
use std::time::{Duration, Instant};

/// A device, the door of which opens after twenty seconds.
fn with_door(script: &str) -> Stage {
    Stage::new(PI, "RaspberryPi", "", script).with("count: 2", "count: 1").with(
        "fleet: [",
        r#"timeline: [(at: "20s", do: Set(target: "d-0/door.contact", to: 1.0))],
        fleet: ["#,
    )
}

#[test]
fn who_looks_at_the_clock_is_neither_stuck_nor_slow() {
    let script = "import time\nlast = time.monotonic()\nk = 0\nwhile True:\n    now = time.monotonic()\n\
        \x20   if now - last >= 10:\n        last = now\n        k += 1\n        print('reading', k, round(now - 1, 2))\n";
    for (runtime, thing) in [("RaspberryPi", PI), ("CircuitPython", ESP)] {
        let stage = Stage::new(thing, runtime, "", script).with("count: 2", "count: 1");
        let begun = Instant::now();
        let ran = stage.run(&[]);
        assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
        let said = stage.told(&ran, "script_says");
        assert_eq!(said.len(), 11, "{runtime}: {said:?}");
        for (i, line) in said.iter().enumerate() {
            let at: f64 = line.split(' ').nth(2).unwrap().parse().unwrap();
            // A half second of start-up, and at most a millisecond late each time.
            assert!((at - 0.5 - 10.0 * (i + 1) as f64).abs() < 0.03, "{line}");
        }
        assert!(stage.told(&ran, "script_stuck").is_empty());
    }
}

/// The loop that every pyserial script has: twenty seconds of it were minutes, in which no other thread had a turn.
#[test]
fn who_asks_a_serial_port_for_bytes_again_and_again_is_not_slow_and_threads_run_beside() {
    let script = "import serial, threading, time\nport = serial.Serial('/dev/serial0', 9600, timeout=1)\nbeats = []\n\
        def beat():\n    while True:\n        time.sleep(0.5)\n        beats.append(1)\n\
        threading.Thread(target=beat, daemon=True).start()\nlines = []\nwhile len(lines) < 120:\n\
        \x20   if port.in_waiting:\n        lines.append(port.readline())\n\
        print(all(l.startswith(b'$GP') and l.endswith(b'\\r\\n') for l in lines), len(beats), round(time.monotonic(), 1))\n";
    let gps =
        r#"board: "raspberry-pi-4b", parts: [(id: "gps", model: "neo-6m", on: Pins(["GPIO14", "GPIO15"]))]"#;
    let stage = Stage::new(gps, "RaspberryPi", "", script)
        .with("count: 2", "count: 1")
        .with("duration: \"2min\"", "duration: \"25s\"");
    let begun = Instant::now();
    let said = stage.told(&stage.run(&[]), "script_says");
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
    // Six sentences a second, the first with the first second; the board's clock began a second before.
    let words: Vec<&str> = said[0].split(' ').collect();
    let (beats, at): (u32, f64) = (words[1].parse().unwrap(), words[2].parse().unwrap());
    assert!(words[0] == "True" && (36..=40).contains(&beats) && (at - 21.2).abs() < 0.5, "{said:?}");
}

#[test]
fn micropython_looks_at_its_clock_and_its_pins_and_is_interrupted_meanwhile() {
    let door = r#"board: "esp32-devkit", parts: [(id: "door", model: "hc-sr501", on: Pin("GPIO27"), own_supply: true)]"#;
    let opens = |script: &str| {
        Stage::new(door, "MicroPython", "", script).with("count: 2", "count: 1").with(
            "fleet: [",
            "timeline: [(at: \"20s\", until: \"50s\", do: Set(target: \"d-0/door.presence\", to: 1))], fleet: [",
        )
    };
    let begun = Instant::now();
    // Blink without delay; a timer is on time beside it.
    let script = "import time, machine\nfired = []\n\
        machine.Timer(0, mode=0, period=3500, callback=lambda t: fired.append(time.ticks_ms()))\n\
        last = time.ticks_ms()\nk = 0\nwhile k < 10:\n    now = time.ticks_ms()\n\
        \x20   if time.ticks_diff(now, last) >= 10000:\n        last = now\n        k += 1\n        print('reading', k, now)\n\
        print(abs(fired[0] - 3500) < 10, len(fired))\n";
    let stage = opens(script);
    let ran = stage.run(&[]);
    let said = stage.told(&ran, "script_says");
    assert!(said.len() == 11 && stage.told(&ran, "script_stuck").is_empty(), "{said:?}");
    for (i, line) in said[..10].iter().enumerate() {
        // Milliseconds since its start, a little late each time.
        let at: f64 = line.split(' ').nth(2).unwrap().parse().unwrap();
        assert!((at - 10_000.0 * (i + 1) as f64).abs() < 100.0, "{line}");
    }
    assert_eq!(said[10], "True 1");
    // A pin that is polled, then a flag that its interrupt sets.
    let script = "import time\nfrom machine import Pin\n\
        pir = Pin(27, Pin.IN)\nwhile not pir.value():\n    pass\nprint('polled', round(time.ticks_ms() / 1000))\n\
        motion = None\n\
        def moved(pin):\n    global motion\n    motion = irq.flags()\n\
        irq = pir.irq(handler=moved, trigger=Pin.IRQ_FALLING)\n\
        while True:\n    if motion:\n        print('flag', motion, irq.trigger(), round(time.ticks_ms() / 1000))\n        motion = None\n";
    let stage = opens(script);
    let ran = stage.run(&[]);
    let said = stage.told(&ran, "script_says");
    assert!(stage.told(&ran, "script_stuck").is_empty());
    // Ticks count from the script's start, half a second after the board's.
    let polled =
        |line: &String| ["polled 19", "polled 20", "polled 21", "polled 22"].contains(&line.as_str());
    assert!(said.len() == 2 && polled(&said[0]), "{said:?}");
    assert!(said[1].starts_with("flag 2 2 5"), "{said:?}");
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

#[test]
fn a_pin_is_looked_at_as_fast_as_on_a_board() {
    let script = r#"
import RPi.GPIO as GPIO, time
GPIO.setmode(GPIO.BCM)
GPIO.setup(27, GPIO.IN, pull_up_down=GPIO.PUD_UP)
before = GPIO.input(27)
while GPIO.input(27) == before:
    pass
print("changed", before, round(time.monotonic() - 1, 2))
began = time.time()
while time.time() - began < 30:
    GPIO.input(27)
print("looked", round(time.time() - began, 2))
"#;
    let begun = Instant::now();
    let stage = with_door(script);
    let said = stage.told(&stage.run(&[]), "script_says");
    // The world's edges are seen once a step.
    assert_eq!(said, ["changed 1 20.0", "looked 30.0"]);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

#[test]
fn an_echo_is_timed_by_looking() {
    // As most scripts for this part have it.
    let script = r#"
import RPi.GPIO as GPIO, time
GPIO.setmode(GPIO.BCM)
GPIO.setup(23, GPIO.OUT, initial=0)
GPIO.setup(24, GPIO.IN)
time.sleep(1)
GPIO.output(23, 1)
time.sleep(0.00001)
GPIO.output(23, 0)
start = stop = time.time()
while GPIO.input(24) == 0:
    start = time.time()
while GPIO.input(24) == 1:
    stop = time.time()
print((stop - start) * 34300 / 2)
"#;
    let thing = r#"board: "raspberry-pi-4b",
        parts: [(id: "far", model: "hc-sr04", on: Pins(["GPIO23", "GPIO24"]), shifted: true, own_supply: true)]"#;
    let stage = Stage::new(thing, "RaspberryPi", "", script)
        .with("fleet: [(id: \"d-{}\",", r#"fleet: [(truths: {"far.distance": 1.5}, id: "d-{}","#);
    let said = stage.told(&stage.run(&[]), "script_says");
    let cm: f64 = said[0].parse().unwrap();
    assert!((cm - 150.0).abs() < 3.0, "{said:?}");
}

#[test]
fn a_program_that_pauses_lives_on_by_its_callbacks() {
    let test = "a_program_that_pauses_lives_on_by_its_callbacks";
    let Some(python) = twinfleet_tests::python_of("venv-scripts", "gpiozero", test) else { return };
    let script = r#"
import time
from gpiozero import Button, LED
from signal import pause
led, door = LED(17), Button(27)
door.when_pressed = lambda: (led.on(), print("opened", round(time.monotonic() - 1)))
print("ready")
pause()
"#;
    let stage = with_door(script).python(python);
    let ran = stage.run(&[]);
    assert_eq!(stage.told(&ran, "script_says"), ["ready", "opened 20"]);
    assert_eq!(stage.values(&ran, "command"), [1.0]);
}

#[test]
fn an_alarm_rings_in_simulated_time() {
    let script = r#"
import asyncio, os, signal, threading, time
def now(): return round(time.monotonic() - 1.5, 1)
def ring(number, frame):
    print("ring", now())
    raise TimeoutError
signal.signal(signal.SIGALRM, ring)
print(signal.alarm(5), signal.getsignal(signal.SIGALRM) is ring)
try:
    time.sleep(20)
except TimeoutError:
    print("woken", now())
ticks = []
signal.signal(signal.SIGALRM, lambda *_: ticks.append(now()))
signal.setitimer(signal.ITIMER_REAL, 1, 2)
time.sleep(10)
signal.setitimer(signal.ITIMER_REAL, 0)
print("slept on", now(), ticks)
threading.Timer(3, os.kill, (os.getpid(), signal.SIGUSR1)).start()
signal.signal(signal.SIGUSR1, lambda *_: print("usr1"))
signal.pause()
print("paused", now())
signal.alarm(2)
print(signal.sigwait([signal.SIGALRM]) == signal.SIGALRM, now())
signal.alarm(1)
x = 0
while not ticks[5:]:
    x += 1
print("computed", round(now()))
signal.signal(signal.SIGALRM, signal.SIG_DFL)
signal.alarm(1)
time.sleep(5)
print("never")
"#;
    let stage = Stage::new(PI, "RaspberryPi", "", script);
    let ran = stage.run(&[]);
    let want = [
        "0 True",
        "ring 5.0",
        "woken 5.0",
        "slept on 15.0 [6.0, 8.0, 10.0, 12.0, 14.0]",
        "usr1",
        "paused 18.0",
        "True 20.0",
        "computed 21",
    ];
    assert_eq!(stage.told(&ran, "script_says"), want, "{:?}", stage.told(&ran, "script_crash"));
    assert!(stage.told(&ran, "script_gone")[0].contains("SIGALRM"));
}

#[test]
fn computing_is_computing_whatever_its_source() {
    for script in [
        "exec('while True: pass')\n",
        "while True: pass\n",
        "import sys\nsys.settrace(None)\nwhile True: pass\n",
    ] {
        let stage = Stage::new(PI, "RaspberryPi", "stuck_after: \"200ms\"", script);
        assert_eq!(stage.told(&stage.run(&[]), "script_stuck").len(), 1, "{script}");
    }
}

#[test]
fn a_flag_that_a_message_sets_is_seen_by_who_waits_for_it_busily() {
    let test = "a_flag_that_a_message_sets_is_seen_by_who_waits_for_it_busily";
    let Some(python) = twinfleet_tests::python_of("venv-scripts", "paho.mqtt.client", test) else { return };
    let script = r#"
import time, paho.mqtt.client as m
got = []
c = m.Client(m.CallbackAPIVersion.VERSION2, 'x')
c.on_connect = lambda c, *_: c.subscribe('a/#')
c.on_message = lambda c, u, x: got.append(x.payload)
c.connect('broker', 1883)
c.loop_start()
time.sleep(3)
c.publish('a/b', 'hello')
began = time.time()
while not got and time.time() - began < 20:
    pass
print(got, time.time() - began < 5)
"#;
    let stage = Stage::new(PI, "RaspberryPi", "", script).python(python).with("count: 2", "count: 1");
    assert_eq!(stage.told(&stage.run(&[]), "script_says"), ["[b'hello'] True"]);
}

#[test]
fn threads_are_many_and_a_console_has_an_end() {
    let script = r#"
import threading, time
done = []
def work(i):
    time.sleep(1)
    done.append(i)
ts = [threading.Thread(target=work, args=(i,)) for i in range(60)]
for t in ts: t.start()
for t in ts: t.join()
print(len(done), done == sorted(done))
try:
    for i in range(100): threading.Thread(target=time.sleep, args=(1,)).start()
except RuntimeError as e:
    print(e)
for i in range(11_000): print(i)
"#;
    let stage = Stage::new(PI, "RaspberryPi", "", script).with("count: 2", "count: 1");
    let ran = stage.run(&[]);
    let said = stage.told(&ran, "script_says");
    assert_eq!(said[0], "60 True");
    assert!(said[1].contains("at most 64"), "{}", said[1]);
    assert_eq!(said.len(), 10_000);
    assert_eq!(stage.told(&ran, "script_quiet").len(), 1);
}

#[test]
fn who_polls_without_sleeping_is_taken_ahead_and_misses_nothing() {
    // The subscriber of umqtt's own examples, and one who tells it something each five seconds.
    let script = "import network, time\nfrom umqtt.simple import MQTTClient\n\
        w = network.WLAN(network.STA_IF)\nw.active(True)\nw.connect('a', 'b')\nwhile not w.isconnected():\n    pass\n\
        name = network.hostname()\nc = MQTTClient(name, 'broker')\nc.connect()\n\
        if name == 'd-1':\n    for i in range(4):\n        time.sleep(5)\n        c.publish('led', str(i))\n    raise SystemExit\n\
        c.set_callback(lambda t, m: print(m.decode(), time.ticks_ms() // 1000))\nc.subscribe('led')\n\
        n, last, begun = 0, 0, time.time()\n\
        while time.time() - begun < 40:\n\
        \x20   c.check_msg()\n    n += 1\n\
        print('rounds', n)\n";
    let begun = Instant::now();
    let stage = Stage::new(ESP, "MicroPython", "", script);
    let ran = stage.run(&[]);
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    let said = stage.told(&ran, "script_says");
    assert_eq!(said.len(), 5, "{said:?} {:?}", stage.told(&ran, "script_crash"));
    for (i, line) in said[..4].iter().enumerate() {
        let (what, at) = line.split_once(' ').unwrap();
        let due = 5 * (i as i64 + 1) + 1;
        assert!(what == i.to_string() && (due..=due + 2).contains(&at.parse::<i64>().unwrap()), "{said:?}");
    }
    let rounds: u32 = said[4].trim_start_matches("rounds ").parse().unwrap();
    assert!((1_000..40_000).contains(&rounds), "{rounds}");
}

#[test]
fn a_button_drives_a_light_without_sleep_and_without_haste() {
    let thing = r#"board: "esp32-devkit", parts: [(id: "door", model: "hc-sr501", on: Pin("GPIO27"), own_supply: true),
        (id: "lamp", model: "led", on: Pin("GPIO25"))]"#;
    let script = "import time\nfrom machine import Pin\n\
        door, lamp, n = Pin(27, Pin.IN), Pin(25, Pin.OUT), 0\n\
        while time.ticks_ms() < 60000:\n    lamp.value(door.value())\n    n += 1\n\
        print(n)\n";
    let stage = Stage::new(thing, "MicroPython", "", script).with("count: 2", "count: 1").with(
        "fleet: [",
        "timeline: [(at: \"20s\", until: \"50s\", do: Set(target: \"d-0/door.presence\", to: 1))], fleet: [",
    );
    let ran = stage.run(&[]);
    let went = stage.values(&ran, "command");
    assert!(went.ends_with(&[1.0, 0.0]) && went.len() <= 3, "{went:?}");
    let rounds: u32 = stage.told(&ran, "script_says")[0].parse().unwrap();
    assert!((1_000..100_000).contains(&rounds), "{rounds}");
}

/// A timer's call may wait while another timer falls due: what comes meanwhile is served after it.
#[test]
fn a_timer_that_waits_holds_the_others_up_and_no_more() {
    let script = "from machine import Pin, Timer\nimport time, onewire, ds18x20\n\
        ds = ds18x20.DS18X20(onewire.OneWire(Pin(4)))\nroms = ds.scan()\nbeats = 0\n\
        def measure(t):\n    ds.convert_temp()\n    time.sleep_ms(750)\n    print(round(ds.read_temp(roms[0])), beats)\n\
        def beat(t):\n    global beats\n    beats += 1\n\
        Timer(0).init(period=5000, callback=measure)\nTimer(1).init(period=500, callback=beat)\n\
        while True:\n    time.sleep(1)\n";
    let stage = Stage::new(ESP, "MicroPython", "", script).with("count: 2", "count: 1");
    let ran = stage.run(&[]);
    let said = stage.told(&ran, "script_says");
    assert!(stage.told(&ran, "script_crash").is_empty(), "{:?}", stage.told(&ran, "script_crash"));
    assert!((22..=24).contains(&said.len()), "{said:?}");
    for (k, line) in said.iter().enumerate() {
        let (warm, beats) = line.split_once(' ').unwrap();
        let beats: usize = beats.parse().unwrap();
        assert_eq!(warm, "21", "{said:?}");
        // Ten in five seconds, but for those that fall due while one is served.
        assert!((10 * k + 8..=10 * k + 11).contains(&beats), "{said:?}");
    }
}

#[test]
fn a_pi_sets_a_pin_by_another_without_sleep_and_without_haste() {
    let script = "import RPi.GPIO as GPIO, time\n\
        GPIO.setmode(GPIO.BCM)\nGPIO.setup(17, GPIO.OUT)\nGPIO.setup(27, GPIO.IN, pull_up_down=GPIO.PUD_UP)\n\
        n = 0\n\
        while time.monotonic() < 61:\n    GPIO.output(17, GPIO.input(27))\n    n += 1\n\
        print(n)\n";
    let begun = Instant::now();
    let stage = with_door(script);
    let ran = stage.run(&[]);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    assert_eq!(stage.values(&ran, "command"), [1.0, 0.0], "{:?}", stage.told(&ran, "script_crash"));
    let rounds: u32 = stage.told(&ran, "script_says")[0].parse().unwrap();
    assert!((1_000..200_000).contains(&rounds), "{rounds}");
    // Nothing else than setting it to what it is: no loop that is stuck either.
    let stage = with_door(
        "import RPi.GPIO as GPIO\nGPIO.setmode(GPIO.BCM)\nGPIO.setup(17, GPIO.OUT)\nwhile True:\n    GPIO.output(17, 1)\n",
    );
    let ran = stage.run(&[]);
    assert!(stage.told(&ran, "script_stuck").is_empty());
    assert_eq!(stage.values(&ran, "command"), [1.0]);
}

/// A burst of samples is as fast as the board takes them; who reads on and on is taken ahead.
#[test]
fn a_converter_is_read_on_and_on_without_haste() {
    let loops = |end: &str| {
        format!(
            "n, begun = 0, now()\nwhile now() - begun < 0.1:\n    read()\n    n += 1\nburst = n\n\
            while now() - begun < {end}:\n    read()\n    n += 1\nprint(burst, n)\n"
        )
    };
    let parts = r#"parts: [(id: "light", model: "ldr", on: Pin("#;
    for (runtime, board, pin, before) in [
        (
            "MicroPython",
            "esp32-devkit",
            "GPIO34",
            "import time, machine\nread = machine.ADC(machine.Pin(34)).read\nnow = lambda: time.ticks_ms() / 1000\n",
        ),
        (
            "CircuitPython",
            "arduino-nano-33-iot",
            "A0",
            "import time, board, analogio\na = analogio.AnalogIn(board.A0)\nread = lambda: a.value\nnow = time.monotonic\n",
        ),
    ] {
        let thing = format!("board: \"{board}\", {parts}\"{pin}\"))]");
        let begun = Instant::now();
        let stage =
            Stage::new(&thing, runtime, "", &format!("{before}{}", loops("20"))).with("count: 2", "count: 1");
        let ran = stage.run(&[]);
        assert!(begun.elapsed() < Duration::from_secs(60), "{runtime}: {:?}", begun.elapsed());
        let said = stage.told(&ran, "script_says");
        let counts: Vec<u32> = said[0].split(' ').map(|n| n.parse().unwrap()).collect();
        // 20 µs a conversion, and what Python takes beside it: a tenth of a second is no time to wait.
        assert!((300..5_000).contains(&counts[0]), "{runtime}: {said:?}");
        assert!((5_000..60_000).contains(&counts[1]), "{runtime}: {said:?}");
    }
}

/// Whoever waits for a queue, a condition or a semaphore for so long waits for that in simulated time.
#[test]
fn waits_with_an_end_come_to_it() {
    let script = r#"
import queue, threading, time
def lasts(call):
    began = time.monotonic()
    try:
        call()
    except (queue.Empty, queue.Full):
        pass
    print(round(time.monotonic() - began))
full, changes = queue.Queue(1), threading.Condition()
full.put(1)
def waits():
    with changes:
        changes.wait_for(lambda: False, 4)
lasts(lambda: queue.Queue().get(timeout=2))
lasts(lambda: full.put(2, timeout=3))
lasts(waits)
lasts(lambda: threading.Semaphore(0).acquire(timeout=5))
"#;
    let stage = Stage::new(PI, "RaspberryPi", "", script).with("count: 2", "count: 1");
    let ran = stage.run(&[]);
    assert_eq!(
        stage.told(&ran, "script_says"),
        ["2", "3", "4", "5"],
        "{:?}",
        stage.told(&ran, "script_crash")
    );
}
