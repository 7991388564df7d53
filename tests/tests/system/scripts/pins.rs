//! Pins of Linux boards: the pigpio daemon, Adafruit_BBIO, converters on SPI and I2C, edges at their own instants.

use super::{PI, Stage};
use crate::system::common::command;
use twinfleet_tests::python_of;

#[test]
fn pigpio_and_gpiozero_find_their_daemon() {
    let test = "pigpio_and_gpiozero_find_their_daemon";
    let Some(python) = python_of("venv-scripts", "pigpio, gpiozero", test) else { return };
    let script = r#"
import time, pigpio
pi = pigpio.pi()
print(pi.connected, hex(pi.get_hardware_revision()))
air = pi.i2c_open(1, 0x76)
print("chip", hex(pi.i2c_read_byte_data(air, 0xD0)), pi.i2c_read_i2c_block_data(air, 0x88, 6)[0])
try:
    pi.i2c_read_byte_data(pi.i2c_open(1, 0x11), 0)
except pigpio.error as e:
    print(e)
pi.set_mode(17, pigpio.OUTPUT)
pi.write(17, 1)
print("lamp", pi.read(17))
pi.set_PWM_frequency(17, 1000)
pi.set_PWM_dutycycle(17, 64)
print("pwm", pi.get_PWM_dutycycle(17), pi.get_PWM_frequency(17))
pi.set_pull_up_down(27, pigpio.PUD_UP)
edges = pi.callback(27, pigpio.EITHER_EDGE)
from gpiozero import Button, Device
print(type(Device._default_pin_factory()).__name__)
door = Button(22)
door.when_pressed = lambda: print("pressed", round(time.monotonic()))
door.when_released = lambda: print("released", round(time.monotonic()))
time.sleep(100)
print("edges", edges.tally())
"#;
    let thing = PI.replace(
        r#"(id: "door", model: "reed-switch", on: Pin("GPIO27"))"#,
        r#"(id: "door", model: "reed-switch", on: Pin("GPIO27")), (id: "gate", model: "reed-switch", on: Pin("GPIO22"))"#,
    );
    let stage = Stage::new(&thing, "RaspberryPi", r#"env: {"GPIOZERO_PIN_FACTORY": "pigpio"}"#, script)
        .python(python)
        .with(
            "fleet: [",
            r#"timeline: [
                (at: "20s", do: Set(target: "d-0/door.contact", to: 1.0)), (at: "30s", do: Set(target: "d-0/door.contact", to: 0.0)),
                (at: "40s", do: Set(target: "d-0/gate.contact", to: 1.0)), (at: "50s", do: Set(target: "d-0/gate.contact", to: 0.0))],
            fleet: ["#,
        );
    let ran = stage.run(&[]);
    let said = stage.told(&ran, "script_says");
    assert_eq!(said[0], "True 0xc03112");
    assert_eq!(said[1], "chip 0x60 6");
    assert_eq!(said[2], "'I2C read failed'");
    assert_eq!(&said[3..6], ["lamp 1", "pwm 64 1000", "PiGPIOFactory"], "{said:?}");
    // A second of uptime before the run; a closed contact pulls the pin low.
    assert_eq!(&said[6..8], ["pressed 41", "released 51"], "{said:?}");
    let edges: u32 = said[8].strip_prefix("edges ").unwrap().parse().unwrap();
    assert!((2..=3).contains(&edges), "{said:?}");
    let levels = stage.values(&ran, "command");
    assert_eq!(levels.len(), 2, "{levels:?}");
    assert!(
        levels[0] == 1.0 && (levels[1] - 64.0 / 255.0).abs() < 1e-6,
        "the duty reaches the lamp: {levels:?}"
    );
}

/// A BeagleBone with a light sensor at an analogue pin and parts on its I2C.
const BONE: &str = r#"board: "beaglebone-black", parts: [(id: "air", model: "bme280", on: I2c(0x76)),
    (id: "lamp", model: "led", on: Pin("P9_14")), (id: "door", model: "reed-switch", on: Pin("P8_14")),
    (id: "warm", model: "tmp36", on: Pin("P9_40")),
    (id: "adc", model: "mcp3008", on: Spi("P9_17"))]"#;

#[test]
fn a_beaglebone_runs_adafruit_bbio() {
    let script = r#"
import time
import Adafruit_BBIO.GPIO as GPIO, Adafruit_BBIO.ADC as ADC, Adafruit_BBIO.PWM as PWM
from Adafruit_BBIO.SPI import SPI
from smbus2 import SMBus
GPIO.setup("P8_14", GPIO.IN, pull_up_down=GPIO.PUD_UP)
print("door", GPIO.input("P8_14"))
GPIO.add_event_detect("P8_14", GPIO.FALLING, callback=lambda pin: print("fell", pin, round(time.monotonic())))
ADC.setup()
print("volts", 1.8 * ADC.read("P9_40"), 1.8 * ADC.read("AIN1"))
PWM.start("P9_14", 25, 1000)
print("chip", hex(SMBus(2).read_byte_data(0x76, 0xD0)))
a, b, c = SPI(0, 0).xfer2([1, 0x80 | 3 << 4, 0])
print("input", (b & 3) << 8 | c)
try:
    GPIO.setup("P8_99", GPIO.OUT)
except ValueError as e:
    print(e)
time.sleep(60)
PWM.stop("P9_14")
"#;
    let stage = Stage::new(BONE, "BeagleBone", "", script).with(
        "fleet: [(id: \"d-{}\",",
        r#"timeline: [(at: "20s", do: Set(target: "d-0/door.contact", to: 1.0))],
        fleet: [(truths: {"adc.voltage_3": 1.65}, id: "d-{}","#,
    );
    let ran = stage.run(&[]);
    let said = stage.told(&ran, "script_says");
    assert_eq!(said[0], "door 1");
    let volts: Vec<f64> = said[1].split(' ').skip(1).map(|w| w.parse().unwrap()).collect();
    // 0.71 V at 21 °C, within three degrees.
    assert!(volts.iter().all(|v| (v - 0.71).abs() < 0.035), "{volts:?}");
    assert_eq!(said[2], "chip 0x60");
    let code: i32 = said[3].strip_prefix("input ").unwrap().parse().unwrap();
    assert!((code - 512).abs() <= 4, "{code}");
    assert!(said[4].contains("P8_99"), "{said:?}");
    assert_eq!(said[5], "fell P8_14 21", "{said:?}");
    assert_eq!(stage.values(&ran, "command"), [0.25, 0.0]);

    let wrong = Stage::new(
        BONE,
        "BeagleBone",
        "",
        "import Adafruit_BBIO.GPIO as GPIO\nGPIO.setup('P8_99', GPIO.OUT)\n",
    );
    let ran = command(&["check", &wrong.file()]);
    assert_eq!(ran.code(), 2);
    assert!(
        ran.stderr().contains("main.py:2:12") && ran.stderr().contains("no pin `P8_99`"),
        "{}",
        ran.stderr()
    );
    let listed = command(&["list", "runtimes"]).json();
    let bone = listed.as_array().unwrap().iter().find(|r| r["name"] == "BeagleBone").unwrap();
    assert!(bone["modules"].as_array().unwrap().iter().any(|m| m == "Adafruit_BBIO.PWM"), "{bone}");
}

#[test]
fn gpiozero_reads_a_part_behind_a_converter() {
    let test = "gpiozero_reads_a_part_behind_a_converter";
    let Some(python) = python_of("venv-scripts", "pigpio, gpiozero", test) else { return };
    let thing = r#"board: "raspberry-pi-4b", parts: [(id: "adc", model: "mcp3008", on: Spi("GPIO8")),
        (id: "warm", model: "tmp36", on: Pin("adc.2"))]"#;
    let script = "from gpiozero import MCP3008\nprint(MCP3008(channel=2).voltage)\n";
    // Through spidev, and through the daemon.
    for factory in ["rpigpio", "pigpio"] {
        let env = format!(r#"env: {{"GPIOZERO_PIN_FACTORY": "{factory}"}}"#);
        let stage = Stage::new(thing, "RaspberryPi", &env, script).python(python.clone());
        let ran = stage.run(&[]);
        assert!(!ran.stderr().contains("stays 0"), "{}", ran.stderr());
        let said = stage.told(&ran, "script_says");
        let volts: f64 = said[0].parse().unwrap();
        // 0.71 V at 21 °C, within three degrees; a count is 3 mV.
        assert!((volts - 0.71).abs() < 0.035, "{factory}: {said:?}");
    }
    for (pin, why) in
        [("adc.9", "its inputs are 0 to 7"), ("other.0", "neither a pin nor an input of a converter")]
    {
        let stage = Stage::new(&thing.replace("adc.2", pin), "RaspberryPi", "", script);
        let ran = command(&["check", &stage.file()]);
        assert!(ran.code() == 2 && ran.stderr().contains(why), "{}", ran.stderr());
    }
}

#[test]
fn edges_come_at_their_own_instants() {
    // A fan at full speed, its tachometer, a range finder, read by interrupts within steps of a second.
    let thing = r#"board: "raspberry-pi-4b", parts: [(id: "fan", model: "fan-nf-a4x10", on: Pin("GPIO17"), own_supply: true),
        (id: "tacho", model: "fan-tacho", on: Pin("GPIO27"), of: "fan"),
        (id: "far", model: "hc-sr04", on: Pins(["GPIO23", "GPIO24"]), shifted: true)]"#;
    let script = r#"
import time, RPi.GPIO as GPIO
GPIO.setmode(GPIO.BCM)
GPIO.setup(17, GPIO.OUT, initial=1)
GPIO.setup(27, GPIO.IN, pull_up_down=GPIO.PUD_UP)
GPIO.setup(23, GPIO.OUT, initial=0)
GPIO.setup(24, GPIO.IN)
time.sleep(10)
pulses = 0
def count(pin):
    global pulses
    pulses += 1
GPIO.add_event_detect(27, GPIO.FALLING, callback=count)
time.sleep(10)
print("pulses", pulses)
GPIO.remove_event_detect(27)
GPIO.output(23, 1)
time.sleep(0.00001)
GPIO.output(23, 0)
GPIO.wait_for_edge(24, GPIO.RISING, timeout=100)
start = time.monotonic()
GPIO.wait_for_edge(24, GPIO.FALLING, timeout=100)
print("echo", (time.monotonic() - start) * 1e6)
from gpiozero import DistanceSensor
print("gpiozero", DistanceSensor(echo=24, trigger=23, max_distance=4, queue_len=3).distance)
"#;
    let test = "edges_come_at_their_own_instants";
    let Some(python) = python_of("venv-scripts", "gpiozero", test) else { return };
    let stage = Stage::new(thing, "RaspberryPi", "", script)
        .python(python)
        .with("fleet: [(id: \"d-{}\",", r#"fleet: [(truths: {"far.distance": 1.5}, id: "d-{}","#);
    let ran = stage.run(&[]);
    let said = stage.told(&ran, "script_says");
    let number =
        |i: usize, word: &str| -> f64 { said[i].strip_prefix(word).unwrap().trim().parse().unwrap() };
    // Two pulses a turn at 5,000 a minute.
    assert!((number(0, "pulses") - 1667.0).abs() < 20.0, "{said:?}");
    // 58 µs a centimetre; the part's own bias is 3 permille of the way.
    assert!((number(1, "echo") / 58.0 - 150.0).abs() < 2.5, "{said:?}");
    assert!((number(said.len() - 1, "gpiozero") - 1.5).abs() < 0.06, "{said:?}");
}

#[test]
fn a_microcontroller_counts_and_times_pulses() {
    let parts = r#"(id: "fan", model: "fan-nf-a4x10", on: Pin("GPIO25"), own_supply: true),
        (id: "tacho", model: "fan-tacho", on: Pin("GPIO27"), of: "fan"),
        (id: "far", model: "hc-sr04", on: Pins(["GPIO5", "GPIO18"]), own_supply: true, shifted: true)"#;
    let micro = r#"
import time
from machine import Pin, time_pulse_us
Pin(25, Pin.OUT, value=1)
time.sleep(10)
n = 0
def count(pin):
    global n
    n += 1
Pin(27, Pin.IN, Pin.PULL_UP).irq(count, Pin.IRQ_FALLING)
time.sleep(10)
print("pulses", n)
trigger, echo = Pin(5, Pin.OUT, value=0), Pin(18, Pin.IN)
trigger.value(1)
time.sleep_us(10)
trigger.value(0)
print("echo", time_pulse_us(echo, 1, 30000), time_pulse_us(echo, 1, 30000))
"#;
    let circuit = r#"
import time, board, digitalio, countio, pulseio
fan = digitalio.DigitalInOut(board.IO25)
fan.switch_to_output(True)
time.sleep(10)
counter = countio.Counter(board.IO27, pull=digitalio.Pull.UP)
time.sleep(10)
print("pulses", counter.count)
counter.deinit()
trigger, echo = digitalio.DigitalInOut(board.IO5), pulseio.PulseIn(board.IO18)
trigger.switch_to_output(True)
time.sleep(0.00001)
trigger.value = False
while not echo:
    pass
print("echo", echo[0], -2)
"#;
    for (runtime, script) in [("MicroPython", micro), ("CircuitPython", circuit)] {
        let thing = format!(r#"board: "esp32-devkit", parts: [{parts}]"#);
        let stage = Stage::new(&thing, runtime, "", script)
            .with("fleet: [(id: \"d-{}\",", r#"fleet: [(truths: {"far.distance": 1.5}, id: "d-{}","#)
            .with("count: 2", "count: 1")
            .with("duration: \"2min\"", "duration: \"25s\"");
        let said = stage.told(&stage.run(&[]), "script_says");
        let pulses: f64 = said[0].strip_prefix("pulses ").unwrap().parse().unwrap();
        assert!((pulses - 1667.0).abs() < 20.0, "{runtime}: {said:?}");
        let echo: Vec<f64> = said[1].split(' ').skip(1).map(|w| w.parse().unwrap()).collect();
        assert!((echo[0] / 58.0 - 150.0).abs() < 2.5 && echo[1] == -2.0, "{runtime}: {said:?}");
    }
}
