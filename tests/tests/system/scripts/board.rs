//! What a script finds of its own board.

use super::{ESP, PI, Stage};
use twinfleet_tests::python_of;

/// A Pi that knows its processor, with a thermometer on the kernel's 1-Wire bus.
const WARM: &str = r#"board: "raspberry-pi-4b", parts: [(id: "soc", model: "pi-soc", on: Internal),
    (id: "probe", model: "ds18b20", on: Pin("GPIO4"), pull_up: true)]"#;

#[test]
fn a_pis_usual_files_and_programs_are_there() {
    let script = r#"
import os, subprocess, pathlib, glob
degrees = int(open("/sys/class/thermal/thermal_zone0/temp").read()) / 1000
asked = subprocess.check_output(["vcgencmd", "measure_temp"]).decode()
opened = os.popen("vcgencmd measure_temp").readline()
text = subprocess.run(["vcgencmd", "get_throttled"], capture_output=True, text=True, check=True).stdout
print(degrees, asked[5:9], opened[5:9], text.strip())
print(pathlib.Path("/proc/cpuinfo").read_text().count("processor"), os.read(os.open("/proc/cpuinfo", os.O_RDONLY), 9))
print(open("/proc/uptime").read().split()[0], os.path.exists("/proc/device-tree/model"), open("/sys/firmware/devicetree/base/model").read()[:22])
for path in glob.glob("/sys/bus/w1/devices/28-*/w1_slave"):
    lines = open(path).read().splitlines()
    print(lines[0][-3:], lines[1].partition("t=")[2], open(path.replace("w1_slave", "temperature")).read().strip())
print(subprocess.check_output("hostname", shell=True, text=True).strip(), os.uname().nodename)
for command in (["ls"], ["/bin/ls"], "ls | wc"):
    try:
        subprocess.run(command, shell=isinstance(command, str), check=True)
        print("ran")
    except OSError as e:
        print("refused")
"#;
    let stage = Stage::new(WARM, "RaspberryPi", "", script);
    let ran = stage.run(&[]);
    let said = stage.told(&ran, "script_says");
    let words: Vec<&str> = said[0].split(' ').collect();
    for word in &words[..3] {
        let degrees: f64 = word.parse().unwrap();
        // Warmer than the room, and the same by each way within noise.
        assert!((degrees - words[0].parse::<f64>().unwrap()).abs() < 2.0 && degrees > 30.0, "{said:?}");
    }
    assert_eq!(words[3], "throttled=0x0");
    assert_eq!(said[1], "4 b'processor'");
    assert!(said[2].ends_with("True Raspberry Pi 4 Model B"), "{said:?}");
    let probe: Vec<&str> = said[3].split(' ').collect();
    assert_eq!(probe[0], "YES");
    for milli in &probe[1..] {
        assert!((milli.parse::<f64>().unwrap() / 1000.0 - 21.0).abs() < 1.5, "{said:?}");
    }
    assert_eq!(said[4], "d-0 d-0");
    assert_eq!(said[5..8], ["refused", "refused", "refused"]);

    // What the thing has not, a script is told how to give it.
    let script =
        "try:\n    open('/sys/class/thermal/thermal_zone0/temp')\nexcept OSError as e:\n    print(e)\n";
    let stage = Stage::new(PI, "RaspberryPi", "", script);
    let said = stage.told(&stage.run(&[]), "script_says");
    assert!(said[0].contains("pi-soc"), "{said:?}");
}

#[test]
fn gpiozero_and_w1thermsensor_read_a_pi() {
    let test = "gpiozero_and_w1thermsensor_read_a_pi";
    // The thermometers' own package looks for the kernel's bus as soon as it is imported: click is what it came with.
    let Some(python) = python_of("venv-scripts", "gpiozero, click", test) else { return };
    let script = r#"
from gpiozero import CPUTemperature, LoadAverage, DiskUsage
print(CPUTemperature().temperature, 0 <= LoadAverage().load_average < 1, 0 < DiskUsage().usage < 100)
from w1thermsensor import W1ThermSensor
for sensor in W1ThermSensor.get_available_sensors():
    print(sensor.type.name, sensor.get_temperature())
    sensor.set_resolution(9, persist=True)
    path = "/sys/bus/w1/devices/28-%s/" % sensor.id
    print(sensor.get_resolution(), sensor.get_temperature() % 0.5, open(path + "resolution").read().strip())
    for said in "13", "much":
        try:
            with open(path + "w1_slave", "w") as file:
                file.write(said)
        except OSError as e:
            print(e)
"#;
    let stage = Stage::new(WARM, "RaspberryPi", "", script).python(python);
    let ran = stage.run(&[]);
    let said = stage.told(&ran, "script_says");
    let cpu: Vec<&str> = said[0].split(' ').collect();
    assert!(cpu[0].parse::<f64>().unwrap() > 30.0 && cpu[1..] == ["True", "True"], "{said:?}");
    let probe: Vec<&str> = said[1].split(' ').collect();
    assert_eq!(probe[0], "DS18B20");
    assert!((probe[1].parse::<f64>().unwrap() - 21.0).abs() < 1.5, "{said:?}");
    // Nine bits are steps of half a degree, and what the part is asked for is kept by it.
    let refused = "[Errno 22] Invalid argument";
    assert_eq!(said[2..], ["9 0.0 9", refused, refused]);
}

#[test]
fn boards_tell_who_they_are() {
    let pi = "import RPi.GPIO as GPIO\nprint(GPIO.RPI_INFO['TYPE'], GPIO.RPI_INFO['PROCESSOR'])\n";
    for (board, told) in
        [("raspberry-pi-4b", "Pi 4 Model B BCM2711"), ("raspberry-pi-5", "Pi 5 Model B BCM2712")]
    {
        let stage = Stage::new(&PI.replace("raspberry-pi-4b", board), "RaspberryPi", "", pi);
        assert_eq!(stage.told(&stage.run(&[]), "script_says"), [told]);
    }
    let circuit = r#"
import sys, os, microcontroller
print(sys.implementation.name, os.uname().sysname, microcontroller.cpu.frequency)
print(microcontroller.cpu.temperature)
from microcontroller import watchdog as w
from watchdog import WatchDogMode, WatchDogTimeout
import time
w.timeout = 3
w.mode = WatchDogMode.RAISE
for i in range(4):
    time.sleep(2)
    w.feed()
try:
    time.sleep(10)
except WatchDogTimeout:
    print("timed out", round(time.monotonic() - 1.5))
w.timeout = 5
w.mode = WatchDogMode.RESET
while True:
    pass
"#;
    let thing = ESP.replace("parts: [", r#"parts: [(id: "chip", model: "mcu-temp", on: Internal), "#);
    let stage =
        Stage::new(&thing, "CircuitPython", "stuck_after: \"20s\"", circuit).with("count: 2", "count: 1");
    let ran = stage.run(&[]);
    let said = stage.told(&ran, "script_says");
    assert_eq!(said[0], "circuitpython esp32 240000000");
    assert!((said[1].parse::<f64>().unwrap() - 25.0).abs() < 30.0, "{said:?}");
    assert_eq!(said[2], "timed out 11");
    assert!(stage.told(&ran, "script_reset")[0].contains("watchdog"));
}

#[test]
fn pigpio_tells_the_frequency_of_its_hardware() {
    let test = "pigpio_tells_the_frequency_of_its_hardware";
    let Some(python) = python_of("venv-scripts", "pigpio", test) else { return };
    let script = "import pigpio\npi = pigpio.pi()\npi.hardware_PWM(18, 12345, 500000)\n\
        print(pi.get_PWM_frequency(18), pi.get_PWM_dutycycle(18))\n";
    let stage = Stage::new(PI, "RaspberryPi", "", script).python(python);
    assert_eq!(stage.told(&stage.run(&[]), "script_says"), ["12345 500000"]);
}

#[test]
fn clocks_kept_in_a_class_and_log_lines_with_their_time() {
    let script = r#"
import copy, logging, os, selectors, socket, time, datetime
logging.basicConfig(level=logging.INFO, format="%(asctime)s - %(levelname)s - %(message)s")
logging.info("started")
class Clock:
    now, sleep, steady, zone, chance, number, look, opened = (
        time.time, time.sleep, time.monotonic, time.localtime, os.urandom, os.getpid, os.stat, open)
clock = Clock()
before = clock.now()
clock.sleep(2)
print(round(clock.now() - before, 2), clock.steady() > 2, len(clock.chance(3)), clock.number(), clock.look(".").st_size >= 0)
with clock.opened("x", "w") as file:
    file.write("x")
here = (clock.zone().tm_hour, datetime.datetime.now().hour, int(time.strftime("%H")), int(time.ctime()[11:13]), int(time.asctime()[11:13]))
a, b = socket.socketpair()
waits = selectors.SelectSelector()
waits.register(a, selectors.EVENT_READ)
b.send(b"x")
print(len(waits.select(1)), callable(copy.deepcopy({"clock": time.time})["clock"]))
print(len(set(here)), (here[0] - time.gmtime().tm_hour) % 24, time.tzname)
"#;
    let stage = Stage::new(PI, "RaspberryPi", r#"env: {"TZ": "Europe/Berlin"}"#, script);
    let ran = stage.run(&[]);
    let said = stage.told(&ran, "script_says");
    assert_eq!(said.len(), 4, "{said:?} {:?}", stage.told(&ran, "script_crash"));
    // `2024-06-01 10:00:00,502 - INFO - started`
    assert!(said[0].ends_with(" - INFO - started") && said[0].find(" - ") == Some(23), "{said:?}");
    assert_eq!(said[1], "2.0 True 3 1000 True");
    // One hour by all of them, one or two ahead of UTC.
    assert_eq!(said[2], "1 True");
    let zone = said[3].strip_prefix("1 ").and_then(|rest| rest.strip_suffix(" ('CET', 'CEST')"));
    assert!(matches!(zone, Some("1" | "2")), "{said:?}");
}
