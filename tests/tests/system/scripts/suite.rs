//! MicroPython's own tests, which its project runs on boards: our asyncio, sockets, time and machine answer them as a board does.

use super::{ESP, JOINED, Stage};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use twinfleet_tests::{root, skip};

/// Something that `tests/run.sh` has put into the target folder; None: it is not there, and the skip is noted.
fn fetched(path: &str, test: &str) -> Option<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let found = [target, root().join("target")].map(|t| t.join(path)).into_iter().find(|p| p.exists());
    if found.is_none() {
        skip(test, &format!("`{path}` is not in the target folder: `tests/run.sh` fetches it"));
    }
    found
}

/// The folder of its tests.
fn suite(test: &str) -> Option<PathBuf> {
    fetched("micropython-tests/extmod/asyncio_basic.py", test)?.parent().map(Path::to_owned)
}

/// One of its examples, by folder and file.
pub fn example(folder: &str, name: &str, test: &str) -> Option<String> {
    fs::read_to_string(fetched(&format!("micropython-tests/{folder}/{name}"), test)?).ok()
}

/// A file of a package for it.
pub fn package(name: &str, file: &str, test: &str) -> Option<String> {
    fs::read_to_string(fetched(&format!("micropython-packages/{name}/{file}"), test)?).ok()
}

/// What a test should print: what its project says, else what CPython prints.
fn wanted(test: &Path) -> String {
    match fs::read_to_string(test.with_extension("py.exp")) {
        Ok(text) => text,
        Err(_) => {
            let ran = Command::new("python3").arg(test).output().expect("python3 runs");
            String::from_utf8_lossy(&ran.stdout).into_owned()
        }
    }
}

/// Lines without blanks at their ends, and without those that say nothing.
fn lines(text: &str) -> Vec<String> {
    text.lines().map(|l| l.trim_end().to_owned()).filter(|l| !l.is_empty()).collect()
}

#[test]
fn micropythons_own_tests_hold() {
    let Some(suite) = suite("micropythons_own_tests_hold") else { return };
    // Not among them: `asyncio_heaplock`, which forbids memory that a conversation with the run takes; `select_poll_fd`, which is for
    // Unix; those that ask for peripherals of one chip (`machine_i2s_rate`, `machine_spi_rate`) or skip themselves here.
    let named =
        ["machine_disable_irq", "machine_rtc", "machine_uart_tx", "select_ipoll", "select_poll_custom"];
    let more = [
        "cryptolib_aes128_cbc",
        "cryptolib_aes128_ctr",
        "cryptolib_aes128_ecb",
        "cryptolib_aes128_ecb_enc",
        "cryptolib_aes128_ecb_inpl",
        "cryptolib_aes128_ecb_into",
        "cryptolib_aes256_cbc",
        "cryptolib_aes256_ecb",
        "hashlib_final",
        "hashlib_md5",
        "hashlib_sha1",
        "hashlib_sha256",
        "select_poll_udp",
        "socket_tcp_basic",
        "socket_udp_nonblock",
        "ssl_cadata",
        "ssl_keycert",
        "ssl_sslcontext",
        "ssl_sslcontext_verify_mode",
        "time_ms_us",
        "time_res",
        "time_time_ns",
    ];
    let files = fs::read_dir(&suite).expect("a folder").flatten().map(|e| e.path());
    let of_asyncio = |path: &PathBuf| {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        name.starts_with("asyncio_") && name.ends_with(".py") && name != "asyncio_heaplock.py"
    };
    let mut tests: Vec<PathBuf> = files.filter(of_asyncio).collect();
    tests.extend(named.iter().chain(&more).map(|name| suite.join(format!("{name}.py"))));
    tests.sort();
    let mut wrong = Vec::new();
    for test in &tests {
        let script = fs::read_to_string(test).expect("a test");
        let stage = Stage::new(ESP, "MicroPython", "", &script).with("count: 2", "count: 1");
        let ran = stage.run(&[]);
        let said = lines(&stage.told(&ran, "script_says").join("\n"));
        let failed = [stage.told(&ran, "script_crash"), stage.told(&ran, "script_stuck")].concat();
        let wanted = lines(&wanted(test));
        if said != wanted || !failed.is_empty() {
            wrong.push(format!("{}\n  says {said:?}\n  not  {wanted:?}\n  {failed:?}", test.display()));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), tests.len(), wrong.join("\n"));
    assert!(tests.len() > 35, "only {} tests", tests.len());
}

/// What the two devices of a test for two say, behind `--- instance0 ---` and `--- instance1 ---`.
fn of_two(text: &str) -> [Vec<String>; 2] {
    let (first, second) = text.split_once("--- instance1 ---").unwrap_or((text, ""));
    [first.trim_start_matches("--- instance0 ---"), second].map(lines)
}

#[test]
fn micropythons_own_tests_for_two_hold() {
    let test = "micropythons_own_tests_for_two_hold";
    // Of those, all that need neither TLS nor an option of sockets that boards have not.
    let names = [
        ("asyncio_tcp_close_write", ""),
        ("asyncio_tcp_readall", ""),
        ("asyncio_tcp_readexactly", ""),
        ("asyncio_tcp_readinto", ""),
        ("asyncio_tcp_server_client", ""),
        ("tcp_accept_recv", "True\n--- instance1 ---\n"),
        ("tcp_data", "b'client to server'\n--- instance1 ---\nb'server to client'\n"),
        (
            "udp_data",
            "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\npass\n--- instance1 ---\n0\n1\n2\n3\n4\n5\n6\n7\n8\n9\npass\n",
        ),
    ];
    // What their runner puts around them: here the address is known, and who is second waits a while.
    let head = "import network, time\nIP = '10.1.0.1'\nsecond = network.hostname() == 'd-1'\n\
        class multitest:\n    get_network_ip = staticmethod(lambda: IP)\n    globals = staticmethod(lambda **_: None)\n\
        \x20   next = staticmethod(lambda: time.sleep(0.5) if second else None)\n\
        \x20   broadcast = wait = staticmethod(lambda _: None)\n";
    for (name, own) in names {
        let Some(path) = fetched(&format!("micropython-tests/multi_net/{name}.py"), test) else { return };
        let script = fs::read_to_string(&path).expect("a test");
        let script = format!("{JOINED}{head}{script}\n(instance1 if second else instance0)()\n");
        let wanted = fs::read_to_string(path.with_extension("py.exp")).unwrap_or_else(|_| own.to_owned());
        let stage = Stage::new(ESP, "MicroPython", "", &script)
            .with("duration: \"2min\", step: \"1s\"", "duration: \"30s\", step: \"10ms\"");
        let ran = stage.run(&[]);
        let said = ["d-0", "d-1"].map(|d| lines(&stage.told_of(d, &ran, "script_says").join("\n")));
        let crashed = ["d-0", "d-1"].map(|d| stage.told_of(d, &ran, "script_crash"));
        assert_eq!(said, of_two(&wanted), "{name}: {crashed:?}");
    }
    let alone = [
        "accept_nonblock",
        "accept_timeout",
        "asyncio_loopback",
        "asyncio_start_server",
        "connect_nonblock",
        "connect_poll",
    ];
    for name in alone {
        let Some(path) = fetched(&format!("micropython-tests/net_hosted/{name}.py"), test) else { return };
        // Those that call their project's own host call the run's broker.
        let script =
            fs::read_to_string(&path).expect("a test").replace("\"micropython.org\", 80", "\"broker\", 1883");
        let wanted = lines(&fs::read_to_string(path.with_extension("py.exp")).expect("what it prints"));
        let stage =
            Stage::new(ESP, "MicroPython", "", &format!("{JOINED}{script}")).with("count: 2", "count: 1");
        let ran = stage.run(&[]);
        let said = lines(&stage.told(&ran, "script_says").join("\n"));
        assert_eq!(said, wanted, "{name}: {:?}", stage.told(&ran, "script_crash"));
    }
}

#[test]
fn a_program_that_computes_is_collected_interrupted_and_watched_as_on_a_board() {
    // Garbage of many times the heap, in a loop that never waits, beside a timer that goes on.
    let script = "import machine, time\n\
        ticks = []\n\
        machine.Timer(0, period=10, callback=lambda t: ticks.append(1))\n\
        total = 0.0\n\
        for i in range(60000):\n    total += 0.5\n\
        print(total, len(ticks) > 5)\n\
        def bad(t):\n    raise ValueError('in a callback')\n\
        machine.Timer(1, mode=machine.Timer.ONE_SHOT, period=50, callback=bad)\n\
        time.sleep(1)\nprint('goes on')\n\
        machine.WDT(timeout=2000)\n\
        print(machine.reset_cause() == machine.WDT_RESET)\n\
        while True:\n    pass\n";
    let stage = Stage::new(ESP, "MicroPython", "", script)
        .with("count: 2", "count: 1")
        .with("duration: \"2min\"", "duration: \"20s\"");
    let ran = stage.run(&[]);
    let said = stage.told(&ran, "script_says");
    assert_eq!(said[0], "30000.0 True", "{said:?}");
    assert!(said.iter().any(|l| l == "ValueError: in a callback"), "{said:?}");
    assert!(said.iter().any(|l| l == "goes on") && !said.iter().any(|l| l.contains("/shim/")), "{said:?}");
    // The watchdog bites a program that computes for ever, and the board says so at its next start.
    assert!(said.iter().any(|l| l == "True"), "{said:?}");
    let resets = stage.told(&ran, "script_reset");
    assert!(resets.len() > 3 && resets.iter().all(|r| r == "by the watchdog"), "{resets:?}");
}

#[test]
fn flash_and_sleep_are_a_boards() {
    // A count in a file outlives deep sleep; one without an end is ended by the door.
    let script = "import os, machine, esp32\n\
        try:\n    n = int(open('n.txt').read())\nexcept OSError:\n    n = 0\n\
        with open('n.txt', 'w') as f:\n    f.write(str(n + 1))\n\
        print(n, os.listdir(), machine.wake_reason(), os.statvfs('/')[2] > 100)\n\
        if n < 3:\n    machine.deepsleep(5000)\n\
        esp32.wake_on_ext0(machine.Pin(27, machine.Pin.IN), True)\n\
        machine.deepsleep()\n";
    let door = r#"board: "esp32-devkit", parts: [(id: "door", model: "hc-sr501", on: Pin("GPIO27"), own_supply: true)]"#;
    let stage = Stage::new(door, "MicroPython", "", script).with("count: 2", "count: 1").with(
        "fleet: [",
        "timeline: [(at: \"1min\", until: \"90s\", do: Set(target: \"d-0/door.presence\", to: 1))], fleet: [",
    );
    let ran = stage.run(&[]);
    let said = stage.told(&ran, "script_says");
    let counts: Vec<&str> = said.iter().filter_map(|l| l.split(' ').next()).collect();
    assert!(counts.len() >= 5 && counts[..5] == ["0", "1", "2", "3", "4"], "{said:?} {}", ran.stderr());
    assert!(said.iter().all(|l| !l.contains("shim") && l.ends_with("True")), "{said:?}");
    assert!(said[1].contains(" 4 ") && said[4].contains(" 2 "), "by time, and by the pin: {said:?}");
    let none = Stage::new(ESP, "MicroPython", "", "import machine\nprint('up')\nmachine.deepsleep()\n");
    assert_eq!(none.told(&none.run(&[]), "script_says"), ["up"]);
}

#[test]
fn only_the_pins_that_a_part_is_wired_to_answer() {
    let script = "import time\nfrom machine import UART, SPI, Pin, PWM\n\
        time.sleep(3)\n\
        def some(**kw):\n    u = UART(2, **kw)\n    time.sleep(2)\n    return (u.read() or b'')[:6]\n\
        print(some(baudrate=9600, tx=17, rx=16)[:1] == b'$', some(baudrate=9600, tx=14, rx=13), some(baudrate=9600, tx=16, rx=17))\n\
        print(some(baudrate=115200, tx=17, rx=16)[:1] == b'$')\n\
        for what in (lambda: Pin(34, Pin.OUT), lambda: PWM(Pin(25), freq=1000, duty=5000), lambda: PWM(Pin(25), freq=0)):\n    try:\n        what()\n        print('taken')\n    except ValueError as e:\n        print(e)\n";
    let gps =
        r#"board: "esp32-devkit", parts: [(id: "gps", model: "neo-6m", on: Pins(["GPIO17", "GPIO16"]))]"#;
    let stage = Stage::new(gps, "MicroPython", "", script).with("count: 2", "count: 1");
    let said = stage.told(&stage.run(&[]), "script_says");
    assert_eq!(said[..2], ["True b'' b''", "False"], "{said:?}");
    assert_eq!(said[2..], ["pin can only be input", "duty out of range", "frequency out of range"]);
    // CircuitPython on a Pico: the pins that it names, whichever port that is.
    let script = "import time, board, busio\n\
        def some(tx, rx):\n    u = busio.UART(tx, rx, baudrate=9600)\n    time.sleep(3)\n    return (u.read(6) or b'')\n\
        print(some(board.GP0, board.GP1)[:1] == b'$', some(board.GP4, board.GP5))\n";
    let gps =
        r#"board: "raspberry-pi-pico-w", parts: [(id: "gps", model: "neo-6m", on: Pins(["GP0", "GP1"]))]"#;
    let stage = Stage::new(gps, "CircuitPython", "", script).with("count: 2", "count: 1");
    assert_eq!(stage.told(&stage.run(&[]), "script_says"), ["True b''"]);
}

#[test]
fn micropythons_modules_answer_as_a_boards_do() {
    let script = r#"
import errno, os, sys, time, machine, network
for what in (lambda: open("none"), lambda: os.mkdir("/lib"), lambda: open("/lib", "w"), lambda: os.rmdir("main.py")):
    try:
        what()
    except OSError as e:
        print(e.errno, e)
print(errno.ENOENT, time.ticks_ms() < 100, sys.implementation[2])
print(network.WLAN(network.STA_IF).ifconfig()[0], len(machine.unique_id()), machine.freq(80000000), machine.freq())
print(machine.RTC().datetime()[0])
machine.RTC().init((2031, 2, 3, 0, 4, 5, 6, 0))
print(machine.RTC().datetime()[:6])
machine.DAC(machine.Pin(25)).write(255)
try:
    import _thread
except ImportError as e:
    print(e)
import urequests
w = network.WLAN(network.STA_IF)
w.active(True)
w.connect("a", "b")
while not w.isconnected():
    time.sleep(1)
try:
    urequests.get("ftp://d-1/")
except ValueError as e:
    print(e)
for url in ("http://d-1:81/", "https://d-1/"):
    try:
        urequests.get(url, timeout=10)
    except OSError as e:
        print(e.errno == errno.ECONNREFUSED)
import binascii, hashlib
for digest in (hashlib.md5, hashlib.sha1, hashlib.sha256):
    h = digest(b"a" * 60)
    h.update(b"b" * 60)
    print(binascii.hexlify(h.digest())[:16].decode())
"#;
    let stage = Stage::new(ESP, "MicroPython", "", script);
    let ran = stage.run(&[]);
    let said = stage.told(&ran, "script_says");
    let want = [
        "2 [Errno 2] ENOENT",
        "17 [Errno 17] EEXIST",
        "21 [Errno 21] EISDIR",
        "20 20",
        "2 True Generic ESP32 module with ESP32",
        "0.0.0.0 6 None 80000000",
        "2000",
        "(2031, 2, 3, 0, 4, 5)",
        "no module named '_thread': threads of MicroPython are not simulated; asyncio and machine.Timer are",
        "Unsupported protocol: ftp:",
        "True",
        "True",
        "0bbda2b03e9a0534",
        "59396f0d880d4038",
        "0c5e28e8adb19d08",
    ];
    assert_eq!(said, want, "{:?}", stage.told(&ran, "script_crash"));
    // What is full is told with the script's own lines, whatever it was about to do.
    let script = "a = []\nwhile True:\n    a.append([0] * 100)\n";
    let stage = Stage::new(r#"board: "esp8266-nodemcu""#, "MicroPython", "", script);
    let ran = stage.run(&[]);
    let crash = stage.told(&ran, "script_crash").join("\n");
    assert!(
        crash.contains("MemoryError") && crash.contains("main.py") && crash.is_ascii(),
        "{crash} {}",
        ran.stderr()
    );
    assert!(stage.told(&ran, "script_gone").is_empty());
}

#[test]
fn who_checks_certificates_sets_its_clock_first() {
    let script = r#"
import network, ntptime, ssl, time
from umqtt.simple import MQTTClient
w = network.WLAN(network.STA_IF)
w.active(True)
w.connect("a", "b")
while not w.isconnected():
    time.sleep(1)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.load_verify_locations(cadata=b"-----BEGIN CERTIFICATE-----")
client = MQTTClient("c", "broker.example", ssl=context)
try:
    client.connect()
except ValueError as e:
    print(e)
ntptime.settime()
print(client.connect(), client.port)
client.publish(b"secured", b"1")
MQTTClient("old", "broker.example", ssl=True, ssl_params={"server_hostname": "broker.example"}).connect()
print("done")
"#;
    let stage = Stage::new(ESP, "MicroPython", "", script).with("count: 2", "count: 1");
    let ran = stage.run(&[]);
    let want = ["The certificate validity starts in the future", "0 8883", "done"];
    assert_eq!(stage.told(&ran, "script_says"), want, "{:?}", stage.told(&ran, "script_crash"));
}

#[test]
fn the_network_sets_a_clock_right() {
    let script = "import machine, ntptime, time\n\
        print(time.gmtime()[0])\n\
        ntptime.settime()\n\
        before = time.time()\n\
        machine.RTC().datetime((2001, 2, 3, 5, 4, 5, 6, 0))\n\
        print(machine.RTC().datetime()[:3], abs(ntptime.time() - before) < 2)\n\
        ntptime.settime()\n\
        print(abs(time.time() - before) < 2)\n";
    let stage = Stage::new(ESP, "MicroPython", "", &format!("{JOINED}{script}")).with("count: 2", "count: 1");
    assert_eq!(stage.told(&stage.run(&[]), "script_says"), ["2000", "(2001, 2, 3) True", "True"]);
}
