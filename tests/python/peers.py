"""Load generators beside each other, against one mosquitto on loopback. `tests/peers.sh` runs it.

Each publishes 64-byte payloads as fast as it can, once a few and once many: CPU time and rate come from the difference of the two
runs, so that the start of a runtime does not count. How many messages there were, the broker says ($SYS). Memory a connection
is the difference of the peaks of resident memory between a few connections that are held open and many.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

import brokers

BYTES = 64
PAYLOAD = "x" * BYTES
TICK_S = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def session(leader):
    """(pid, CPU seconds, resident bytes) of each process of a session."""
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            fields = pathlib.Path(entry.path, "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[3]) == leader:
            yield int(entry.name), (int(fields[11]) + int(fields[12])) / TICK_S, int(fields[21]) * PAGE


class Run:
    """A command from start to end: its CPU time and peak memory, with all that it starts."""

    def __init__(self, args, folder, env=None, limit_s=90):
        self.peak = 0
        begin = time.monotonic()
        with open(folder / "out", "w") as out:
            process = subprocess.Popen(args, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
            end = threading.Event()
            watch = threading.Thread(target=self.watch, args=(process.pid, end))
            watch.start()
            guard = threading.Timer(limit_s, lambda: os.killpg(process.pid, 9))
            guard.start()
            _, status, usage = os.wait4(process.pid, 0)
            guard.cancel()
            end.set()
            watch.join()
        process.returncode = os.waitstatus_to_exitcode(status)
        self.wall_s = time.monotonic() - begin
        self.cpu_s = usage.ru_utime + usage.ru_stime
        self.code = process.returncode
        self.said = (folder / "out").read_text(errors="replace")

    def watch(self, leader, end):
        while not end.wait(0.02):
            self.peak = max(self.peak, sum(rss for _, _, rss in session(leader)))


class Ours:
    name = "twinfleet load"
    few, many, held = 100_000, 600_000, (500, 5_500)
    # More than fits into the sockets' buffers, so that the broker has to keep up.
    counts = {0: (1_500_000, 4_500_000)}

    def __init__(self, command, target):
        self.command = command

    def version(self):
        return ""

    def scenario(self, folder, connections, stage, spacing, qos, more):
        path = folder / "load.ron"
        path.write_text(
            f'Scenario(format: 1, duration: "1s", load: (devices: [(id: "d-{{}}", count: {connections}, topic: "bench/{{device}}", qos: {qos},'
            f' schedule: Constant("{spacing}"), in_flight: 100)], stages: [Hold(for: "{stage}")], connects_per_s: 5000, drain: "60s",'
            f' limits: (lag: "1h", cpu: 9, waited_for_cpu: 9){more}))'
        )
        return [self.command, "--json", "load", str(path), "--broker", f"mqtt://127.0.0.1:{self.port}", "--quiet"]

    def publish(self, folder, port, connections, messages, qos):
        # All are due within a tenth of a second; the rest is how fast they go.
        self.port = port
        spacing_us = 100_000 * connections / messages
        return self.scenario(folder, connections, "100ms", f"{spacing_us}us", qos, "")

    def hold(self, folder, port, connections):
        self.port = port
        return self.scenario(folder, connections, "3s", "2s", 0, "")


class Mosquitto:
    name = "mosquitto_pub -l"
    few, many, held = 50_000, 250_000, (5, 55)

    def __init__(self, command, target):
        self.binary = brokers.need(brokers.program("mosquitto_pub"), "apt install mosquitto-clients")

    def version(self):
        return subprocess.run([self.binary, "--version"], capture_output=True, text=True).stdout.split()[2]

    def publish(self, folder, port, connections, messages, qos):
        # A connection is a process.
        (folder / "lines").write_text(f"{PAYLOAD}\n" * (messages // 10))
        return ["bash", "-c", f"for i in {{1..10}}; do {self.binary} -p {port} -q {qos} -t bench/$i -l < lines & done; wait"]

    def hold(self, folder, port, connections):
        line = f"(sleep 3; echo {PAYLOAD}) | {self.binary} -p {port} -t bench/$i -l &"
        return ["bash", "-c", f"for i in {{1..{connections}}}; do {line} done; wait"]


class Tsung:
    name = "tsung"
    few, many, held = 20_000, 320_000, (50, 1_050)

    def __init__(self, command, target):
        self.binary = brokers.need(brokers.program("tsung"), "apt install tsung")
        # Erlang's name server, on a port of its own: it stays behind, and is ended here.
        self.env = {**os.environ, "ERL_EPMD_PORT": str(brokers.free_port()), "ERL_EPMD_ADDRESS": "127.0.0.1"}

    def end(self):
        if epmd := brokers.program("epmd"):
            subprocess.run([epmd, "-kill"], env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def version(self):
        said = subprocess.run([self.binary, "-v"], capture_output=True, text=True)
        return (said.stdout + said.stderr).split()[-1]

    def config(self, folder, port, connections, body):
        path = folder / "tsung.xml"
        path.write_text(
            f"""<?xml version="1.0"?><!DOCTYPE tsung SYSTEM "/usr/share/tsung/tsung-1.0.dtd">
<tsung loglevel="error" version="1.0"><clients><client host="localhost" use_controller_vm="true" maxusers="20000"/></clients>
<servers><server host="127.0.0.1" port="{port}" type="tcp"/></servers>
<load><arrivalphase phase="1" duration="1" unit="minute"><users maxnumber="{connections}" arrivalrate="500" unit="second"/></arrivalphase></load>
<sessions><session name="s" probability="100" type="ts_mqtt">
<request><mqtt type="connect" clean_start="true" keepalive="60"/></request>{body}
<request><mqtt type="disconnect"/></request></session></sessions></tsung>"""
        )
        return [self.binary, "-f", str(path), "-l", str(folder / "tsung-log"), "-X", str(folder), "start"]

    def publish(self, folder, port, connections, messages, qos):
        request = f'<request><mqtt type="publish" topic="bench/t" qos="{qos}">{PAYLOAD}</mqtt></request>'
        return self.config(folder, port, connections, f'<for from="1" to="{messages // connections}" incr="1" var="n">{request}</for>')

    def hold(self, folder, port, connections):
        return self.config(folder, port, connections, '<thinktime value="5"/>')


LOCUST = """
import os
import gevent
from locust import task
from locust.exception import StopUser
from locust.contrib.mqtt import MqttUser
CONNECTIONS, EACH, QOS, HOLD_S = (int(os.environ[k]) for k in ("CONNECTIONS", "EACH", "QOS", "HOLD_S"))
up = done = 0
class Device(MqttUser):
    host, port = "127.0.0.1", int(os.environ["PORT"])
    @task
    def work(self):
        global up, done
        while not self.client.is_connected():
            gevent.sleep(0.01)
        up += 1
        while up < CONNECTIONS:
            gevent.sleep(0.01)
        gevent.sleep(HOLD_S)
        for n in range(EACH):
            last = self.client.publish("bench/t", os.environ["PAYLOAD"], qos=QOS)
            if n % 20 == 19 or n == EACH - 1:
                while not last.is_published():
                    gevent.sleep(0.001)
        self.client.disconnect()
        done += 1
        if done == CONNECTIONS:
            self.environment.runner.quit()
        raise StopUser()
"""


class Locust:
    name = "locust (paho)"
    few, many, held = 5_000, 25_000, (20, 120)

    def __init__(self, command, target):
        self.binary = brokers.need(brokers.program("locust", target / "venv-peers" / "bin"), "pip install 'locust[mqtt]'")
        self.env = {}

    def version(self):
        return subprocess.run([self.binary, "--version"], capture_output=True, text=True).stdout.split()[1]

    def command(self, folder, port, connections, each, qos, hold_s):
        (folder / "locustfile.py").write_text(LOCUST)
        numbers = {"CONNECTIONS": connections, "EACH": each, "QOS": qos, "HOLD_S": hold_s, "PORT": port}
        self.env = {**os.environ, "PAYLOAD": PAYLOAD, **{k: str(v) for k, v in numbers.items()}}
        return [self.binary, "-f", "locustfile.py", "--headless", "-u", str(connections), "-r", str(connections), "--loglevel", "ERROR", "--only-summary"]

    def publish(self, folder, port, connections, messages, qos):
        return self.command(folder, port, connections, messages // connections, qos, 0)

    def hold(self, folder, port, connections):
        return self.command(folder, port, connections, 1, 0, 3)


class MqttV5:
    """It runs for a time and not for a count; its throughput mode wants a subscriber, which gets nothing here."""

    name = "mqttv5 bench"
    few, many, held = 1, 4, (50, 350)

    def __init__(self, command, target):
        self.binary = brokers.need(brokers.program("mqttv5", target / "peers" / "bin"), "cargo install --root target/peers mqttv5-cli")

    def version(self):
        return subprocess.run([self.binary, "--version"], capture_output=True, text=True).stdout.split()[-1]

    def command(self, port, publishers, seconds, qos):
        args = f"bench --mode throughput --duration {seconds} --warmup 0 --payload-size {BYTES} --topic bench/t --filter none/of/it"
        return [self.binary, *args.split(), "--qos", str(qos), "--host", "127.0.0.1", "--port", str(port), "--publishers", str(publishers)]

    def publish(self, folder, port, connections, seconds, qos):
        return self.command(port, connections, seconds, qos)

    def hold(self, folder, port, connections):
        return self.command(port, connections, 2, 0)


class MqttBenchmark:
    name = "mqtt-benchmark"
    few, many, held = 50_000, 250_000, (50, 350)

    def __init__(self, command, target):
        self.binary = brokers.need(brokers.program("mqtt-benchmark", target / "peers" / "bin"), "cargo install --root target/peers mqtt-benchmark")

    def version(self):
        return subprocess.run([self.binary, "--version"], capture_output=True, text=True).stdout.split()[-1]

    def command(self, port, connections, each, qos):
        return [self.binary, "-b", f"127.0.0.1:{port}", "-q", str(qos), "-t", "bench/t", "-P", PAYLOAD, "-s", str(each), "-C", str(connections)]

    def publish(self, folder, port, connections, messages, qos):
        return self.command(port, connections, messages // connections, qos)

    def hold(self, folder, port, connections):
        return self.command(port, connections, 500, 0)


PEERS = {"twinfleet": Ours, "mosquitto_pub": Mosquitto, "tsung": Tsung, "locust": Locust, "mqttv5": MqttV5, "mqtt-benchmark": MqttBenchmark}
CONNECTIONS = 10


def received(port):
    """Bytes of payloads that the broker has taken, by its own count, once that stands still for three seconds."""
    seen = [-1]
    while True:
        time.sleep(1.1)
        args = ["mosquitto_sub", "-p", str(port), "-t", "$SYS/broker/publish/bytes/received", "-C", "1", "-W", "5"]
        said = subprocess.run(args, capture_output=True, text=True).stdout.strip()
        now = int(said) if said else 0
        seen.append(now)
        if seen[-3:] == [now] * 3:
            return now


def measured(peer, target, arguments):
    """A run against a mosquitto of its own: the run, and the messages that came."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        more = "sys_interval 1\nmax_queued_messages 0\nlog_type error\n"
        with brokers.mosquitto(target, folder, more) as (_, url, _process):
            port = int(url.rsplit(":", 1)[1])
            args = arguments(folder, port)
            run = Run(args, folder, getattr(peer, "env", None) or None)
            messages = received(port) // BYTES
    return run, messages


def line(peer, target):
    cells = [f"{peer.name} {peer.version()}".strip()]
    for qos in (0, 1):
        runs = []
        for n in getattr(peer, "counts", {}).get(qos, (peer.few, peer.many)):
            run, messages = measured(peer, target, lambda folder, port: peer.publish(folder, port, CONNECTIONS, n, qos))
            runs.append((run.cpu_s, run.wall_s, messages))
            if os.environ.get("VERBOSE"):
                print(f"{peer.name} QoS {qos}: {messages} messages, {run.cpu_s:.2f} s of CPU, {run.wall_s:.2f} s, exit {run.code}; {run.said[-300:]}", file=sys.stderr)
        (cpu_1, wall_1, n_1), (cpu_2, wall_2, n_2) = runs
        more = n_2 - n_1
        if more <= 0 or cpu_2 <= cpu_1 or wall_2 <= wall_1:
            cells += ["no figure", "no figure"]
            continue
        cells += [f"{(cpu_2 - cpu_1) / more * 1e6:.2f} µs", f"{more / (wall_2 - wall_1):,.0f}/s"]
    peaks = []
    for connections in peer.held:
        run, _ = measured(peer, target, lambda folder, port: peer.hold(folder, port, connections))
        peaks.append(run.peak)
        if os.environ.get("VERBOSE"):
            print(f"{peer.name} {connections} connections: {run.peak >> 10} KiB, {run.wall_s:.2f} s, exit {run.code}", file=sys.stderr)
    cells.append(f"{(peaks[1] - peaks[0]) / (peer.held[1] - peer.held[0]) / 1024:,.1f} KiB")
    print(f"| {' | '.join(cells)} |", flush=True)


def main():
    command, target, *names = sys.argv[1:]
    target = pathlib.Path(target).resolve()
    print("| load generator | QoS 0: CPU a message | highest rate | QoS 1: CPU a message | highest rate | memory a connection |")
    print("|---|---|---|---|---|---|")
    for name in names or PEERS:
        if name not in PEERS:
            sys.exit(f"no load generator `{name}`: choose of {', '.join(PEERS)}")
        try:
            peer = PEERS[name](str(pathlib.Path(command).resolve()), target)
            try:
                line(peer, target)
            finally:
                getattr(peer, "end", lambda: None)()
        except brokers.Missing as missing:
            print(f"| {name} | not installed: {missing} | | | | |", flush=True)


if __name__ == "__main__":
    main()
