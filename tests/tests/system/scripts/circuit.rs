//! CircuitPython on a microcontroller: its radio, its sleep, its clock, the names of its board.

use super::{ESP, Stage};
use twinfleet_tests::python_of;

/// A Pico W with a lamp of its own, and a contact to ground.
const PICO: &str = r#"board: "raspberry-pi-pico-w", parts: [(id: "lamp", model: "led", on: Pin("GP15"))]"#;

#[test]
fn a_pico_w_joins_and_speaks_through_a_socket_pool() {
    let script = r#"
import os, time, ssl, wifi, socketpool
pool = socketpool.SocketPool(wifi.radio)
try:
    pool.getaddrinfo("broker", 1883)
except socketpool.gaierror as e:
    print("not joined", wifi.radio.connected, wifi.radio.ipv4_address)
wifi.radio.connect(os.getenv("WIFI_NAME"), os.getenv("WIFI_WORD"))
print(wifi.radio.connected, wifi.radio.ipv4_address, wifi.radio.ap_info.ssid, [n.ssid for n in wifi.radio.start_scanning_networks()])
for wrapped in (False, True):
    with pool.socket(pool.AF_INET, pool.SOCK_STREAM) as s:
        if wrapped:
            s = ssl.create_default_context().wrap_socket(s, server_hostname="broker")
        s.connect(("broker", 8883 if wrapped else 1883))
        s.send(b"\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01c")
        answer = bytearray(4)
        print(s.recv_into(answer), answer.hex())
"#;
    let stage = Stage::new(PICO, "CircuitPython", "", script)
        .beside("settings.toml", "WIFI_NAME = \"home\"\nWIFI_WORD = \"secret\"\n")
        .with("count: 2", "count: 1");
    let ran = stage.run(&[]);
    let want = ["not joined False None", "True 10.1.0.1 home ['home']", "4 20020000", "4 20020000"];
    assert_eq!(stage.told(&ran, "script_says"), want, "{:?}", stage.told(&ran, "script_crash"));
}

#[test]
fn adafruits_mqtt_client_speaks_over_wifi() {
    let test = "adafruits_mqtt_client_speaks_over_wifi";
    let Some(python) = python_of("venv-scripts", "adafruit_minimqtt", test) else { return };
    let script = r#"
import ssl, time, wifi, socketpool
import adafruit_minimqtt.adafruit_minimqtt as MQTT
wifi.radio.connect("x", "y")
client = MQTT.MQTT(broker="io.adafruit.com", port=8883, is_ssl=True, socket_pool=socketpool.SocketPool(wifi.radio),
                   ssl_context=ssl.create_default_context())
client.on_connect = lambda client, data, flags, code: client.subscribe("onoff")
client.on_message = lambda client, topic, message: print(topic, message)
client.connect()
for i in range(3):
    client.publish("onoff", i)
    client.loop(timeout=1)
    time.sleep(2)
"#;
    let stage = Stage::new(PICO, "CircuitPython", "", script).python(python).with("count: 2", "count: 1");
    let ran = stage.run(&[]);
    let said = stage.told(&ran, "script_says");
    assert_eq!(
        said.get(..2).unwrap_or(&said),
        ["onoff 0", "onoff 1"],
        "{:?}",
        stage.told(&ran, "script_crash")
    );
}

#[test]
fn a_board_has_its_makers_names() {
    let script = r#"
import board, digitalio, microcontroller
led = digitalio.DigitalInOut(board.LED)
led.direction = digitalio.Direction.OUTPUT
led.value = True
from microcontroller import pin
print(board.LED, board.A0 == board.GP26, pin.GPIO15 == board.GP15, microcontroller.cpu.reset_reason)
"#;
    let stage = Stage::new(PICO, "CircuitPython", "", script).with("count: 2", "count: 1");
    let ran = stage.run(&[]);
    let want = ["board.WL_GPIO0 True True ResetReason.POWER_ON"];
    assert_eq!(stage.told(&ran, "script_says"), want, "{:?}", stage.told(&ran, "script_crash"));
}

#[test]
fn a_sleep_is_told_after_it_and_the_clock_goes_on() {
    let script = r#"
import alarm, microcontroller, rtc, time
if not alarm.wake_alarm:
    rtc.RTC().datetime = time.struct_time((2019, 5, 29, 15, 14, 0, 0, -1, -1))
    print("first", microcontroller.cpu.reset_reason, alarm.sleep_memory[0])
alarm.sleep_memory[0] += 1
now = rtc.RTC().datetime
print(type(alarm.wake_alarm).__name__, alarm.sleep_memory[0], now.tm_year, now.tm_min * 60 + now.tm_sec)
soon = alarm.time.TimeAlarm(monotonic_time=time.monotonic() + 5)
print(alarm.light_sleep_until_alarms(soon) is soon)
alarm.exit_and_deep_sleep_until_alarms(alarm.time.TimeAlarm(monotonic_time=time.monotonic() + 30))
"#;
    let stage = Stage::new(PICO, "CircuitPython", "", script).with("count: 2", "count: 1");
    let ran = stage.run(&[]);
    let said = stage.told(&ran, "script_says");
    assert!(said.len() >= 7, "{said:?} {:?}", stage.told(&ran, "script_crash"));
    assert_eq!(said[..3], ["first ResetReason.POWER_ON 0", "NoneType 1 2019 840", "True"], "{said:?}");
    // Five seconds of light sleep, thirty of deep sleep, and its start.
    let second = |line: &str, count: u32| {
        let at = line.strip_prefix(&format!("TimeAlarm {count} 2019 ")).unwrap_or_else(|| panic!("{line}"));
        at.parse::<u32>().unwrap()
    };
    assert!((875..=878).contains(&second(&said[3], 2)), "{said:?}");
    assert!((910..=915).contains(&second(&said[5], 3)), "{said:?}");
}

/// As a board's drive has it: libraries lie in `lib`.
#[test]
fn libraries_lie_where_circuitpython_looks_for_them() {
    let script =
        "import os\nimport blink_helper\nprint(blink_helper.TIMES, os.getcwd(), os.listdir('/lib'))\n";
    let stage = Stage::new(ESP, "CircuitPython", "", script).beside("lib/blink_helper.py", "TIMES = 3\n");
    let ran = stage.run(&[]);
    let want = ["3 / ['blink_helper.py']"];
    assert_eq!(stage.told(&ran, "script_says"), want, "{:?}", stage.told(&ran, "script_crash"));
}
