//! What a Raspberry Pi's usual scripts import beside their parts: servers, ports, programs, Blinka.

use super::{PI, Stage};

#[test]
fn a_web_server_answers_another_device() {
    let script = r#"
import http.server, socket, threading, time, urllib.request
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"you asked for " + self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
if socket.gethostname() == "d-0":
    server = http.server.ThreadingHTTPServer(("0.0.0.0", 5000), Handler)
    # As Werkzeug does it, on which Flask's own server stands.
    server.socket.set_inheritable(True)
    server.serve_forever()
time.sleep(5)
print(urllib.request.urlopen("http://d-0:5000/led/on", timeout=20).read().decode())
"#;
    let stage = Stage::new(PI, "RaspberryPi", "", script);
    let ran = stage.run(&[]);
    let crash = (stage.told(&ran, "script_crash"), stage.told_of("d-1", &ran, "script_crash"));
    assert_eq!(stage.told_of("d-1", &ran, "script_says"), ["you asked for /led/on"], "{crash:?}");
}

#[test]
fn programs_and_processes_are_answered_or_refused_and_never_waited_for() {
    let script = r#"
import asyncio, multiprocessing, os, socket
async def main():
    ran = await asyncio.create_subprocess_exec("uname", "-m", stdout=asyncio.subprocess.PIPE)
    print((await ran.communicate())[0], ran.returncode)
    ran = await asyncio.create_subprocess_shell("hostname", stdout=asyncio.subprocess.PIPE)
    print(await ran.stdout.readline(), await ran.wait())
    for asks in (asyncio.create_subprocess_exec("ls"),
                 asyncio.get_running_loop().subprocess_exec(asyncio.SubprocessProtocol, "ls")):
        try:
            await asks
        except (OSError, NotImplementedError) as e:
            print("refused", type(e).__name__)
asyncio.run(main())
for refused in (lambda: multiprocessing.Process(target=print).start(), lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)):
    try:
        refused()
    except PermissionError as e:
        print("refused", e.errno)
print(os.sysconf("SC_NPROCESSORS_ONLN"), open("/proc/stat").read().split("\n")[0][:4])
"#;
    let stage = Stage::new(PI, "RaspberryPi", "", script).with("count: 2", "count: 1");
    let ran = stage.run(&[]);
    let want = [
        "b'aarch64\\n' 0",
        "b'd-0\\n' 0",
        "refused FileNotFoundError",
        "refused NotImplementedError",
        "refused 1",
        "refused 1",
        "4 cpu ",
    ];
    assert_eq!(stage.told(&ran, "script_says"), want, "{:?}", stage.told(&ran, "script_crash"));
}

#[test]
fn serial_ports_are_listed() {
    let script = r#"
import serial, serial.tools.list_ports
from serial.serialutil import SerialException
print([p.device for p in serial.tools.list_ports.comports()], serial.VERSION)
port = serial.Serial("/dev/serial0", 9600, timeout=1, write_timeout=2)
print(port.write_timeout, port)
"#;
    let stage = Stage::new(PI, "RaspberryPi", "", script).with("count: 2", "count: 1");
    let ran = stage.run(&[]);
    let said = stage.told(&ran, "script_says");
    assert_eq!(said.len(), 2, "{:?}", stage.told(&ran, "script_crash"));
    assert_eq!(said[0], "['/dev/ttyAMA0'] 3.5");
    assert!(said[1].starts_with("2 Serial<open=True>(port='/dev/serial0', baudrate=9600"), "{said:?}");
}

#[test]
fn blinka_and_a_pis_own_modules_are_in_one_script() {
    let script = r#"
import os, board, busio, digitalio
import RPi.GPIO as GPIO
from smbus2 import SMBus
lamp = digitalio.DigitalInOut(board.D17)
lamp.switch_to_output(True)
GPIO.setmode(GPIO.BCM)
GPIO.setup(27, GPIO.IN, pull_up_down=GPIO.PUD_UP)
i2c = busio.I2C(board.SCL, board.SDA)
i2c.try_lock()
with SMBus(1) as bus:
    print([hex(a) for a in i2c.scan()], hex(bus.read_byte_data(0x76, 0xD0)), GPIO.input(27) in (0, 1))
print(os.path.expanduser("~"))
"#;
    for runtime in ["RaspberryPi", "CircuitPython"] {
        let stage = Stage::new(PI, runtime, "", script).with("count: 2", "count: 1");
        let ran = stage.run(&[]);
        let said = stage.told(&ran, "script_says");
        let crash = stage.told(&ran, "script_crash");
        assert_eq!(said, ["['0x23', '0x44', '0x76'] 0x60 True", "/home/pi"], "{runtime}: {crash:?}");
    }
}

/// As pyserial's own introduction reads lines of text.
#[test]
fn a_serial_port_is_a_stream_of_pythons() {
    let script = r#"
import io, serial
port = serial.Serial("/dev/serial0", 9600, timeout=1)
text = io.TextIOWrapper(io.BufferedRWPair(port, port))
print([text.readline()[:6] for _ in range(2)])
port.close()
port.open()
print(port.readline()[:6], port.is_open)
"#;
    let gps =
        r#"board: "raspberry-pi-4b", parts: [(id: "gps", model: "neo-6m", on: Pins(["GPIO14", "GPIO15"]))]"#;
    let stage = Stage::new(gps, "RaspberryPi", "", script).with("count: 2", "count: 1");
    let ran = stage.run(&[]);
    let want = ["['$GPRMC', '$GPVTG']", "b'$GPRMC' True"];
    assert_eq!(stage.told(&ran, "script_says"), want, "{:?}", stage.told(&ran, "script_crash"));
}

#[test]
fn who_peeks_at_a_stream_leaves_it_as_it_is() {
    let script = r#"
import socket, threading
server = socket.create_server(("127.0.0.1", 8000))
def serve():
    call, _ = server.accept()
    print(call.recv(2, socket.MSG_PEEK), call.recv(10))
    try:
        call.recv(1, socket.MSG_DONTWAIT)
    except BlockingIOError:
        print("none yet")
    call.sendall(b"x")
threading.Thread(target=serve).start()
caller = socket.create_connection(("127.0.0.1", 8000))
caller.sendall(b"hello")
print(caller.recv(1))
"#;
    let stage = Stage::new(PI, "RaspberryPi", "", script).with("count: 2", "count: 1");
    let ran = stage.run(&[]);
    let want = ["b'he' b'hello'", "none yet", "b'x'"];
    assert_eq!(stage.told(&ran, "script_says"), want, "{:?}", stage.told(&ran, "script_crash"));
}

#[test]
fn settings_beside_a_script_go_along() {
    let script = "import os\nprint(open('.env').read().strip(), os.path.exists('.git'))\n";
    let stage = Stage::new(PI, "RaspberryPi", "", script).with("count: 2", "count: 1");
    let stage = stage.beside(".env", "KEY=1\n").beside(".git/config", "");
    let ran = stage.run(&[]);
    assert_eq!(stage.told(&ran, "script_says"), ["KEY=1 False"], "{:?}", stage.told(&ran, "script_crash"));
}
