"""Brokers for measurements on loopback, each started here and stopped with its handle; and a table of what they take.

`tests/brokers.sh` runs it.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

AEDES = """
const load = async () => {
  const { Aedes } = require("aedes");
  const broker = Aedes.createBroker ? await Aedes.createBroker() : new Aedes();
  require("net").createServer(broker.handle).listen(Number(process.argv[2]), "127.0.0.1");
};
load();
"""

RUMQTTD = """
id = 0
[router]
id = 0
max_connections = 10010
max_outgoing_packet_count = 200
max_segment_size = 104857600
max_segment_count = 10
[v4.1]
name = "v4-1"
listen = "127.0.0.1:PORT"
next_connection_delay_ms = 1
[v4.1.connections]
connection_timeout_ms = 60000
max_payload_size = 20480
max_inflight_count = 100
dynamic_filters = true
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def program(name, *folders):
    path = os.pathsep.join([*map(str, folders), os.environ["PATH"], "/usr/sbin", "/usr/local/sbin"])
    return shutil.which(name, path=path)


def wait_for(port, process, what, patience_s=60):
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"{what} ended with {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"{what} does not listen on port {port} after {patience_s} s")


@contextlib.contextmanager
def started(args, port, folder, what, env=None):
    """A broker in a process group of its own, which ends as a whole."""
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(args, cwd=folder, env=env, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        wait_for(port, process, what)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class Missing(Exception):
    """The broker is not installed here."""


def need(path, what):
    if path is None:
        raise Missing(what)
    return path


@contextlib.contextmanager
def mosquitto(target, folder, more=""):
    port = free_port()
    binary = need(program("mosquitto"), "apt install mosquitto")
    # Without TCP_NODELAY, acknowledgements wait for each other; all else is as it comes.
    text = f"user root\nset_tcp_nodelay true\nallow_anonymous true\nlistener {port} 127.0.0.1\n{more}"
    (folder / "mosquitto.conf").write_text(text)
    version = subprocess.run([binary, "-h"], capture_output=True, text=True).stdout.split()[2]
    with started([binary, "-c", "mosquitto.conf"], port, folder, "mosquitto") as process:
        yield f"mosquitto {version}", f"mqtt://127.0.0.1:{port}", process


@contextlib.contextmanager
def embedded(target, folder):
    yield "embedded, in the generator's process", "embedded", None


@contextlib.contextmanager
def nats(target, folder):
    port, client = free_port(), free_port()
    binary = need(program("nats-server"), "apt install nats-server")
    text = f'server_name: lab\nlisten: "127.0.0.1:{client}"\njetstream {{ store_dir: "{folder}/store" }}\nmqtt {{ listen: "127.0.0.1:{port}" }}\n'
    (folder / "nats.conf").write_text(text)
    version = subprocess.run([binary, "-v"], capture_output=True, text=True).stdout.split()[-1].lstrip("v")
    with started([binary, "-c", "nats.conf"], port, folder, "nats-server") as process:
        yield f"nats-server {version}", f"mqtt://127.0.0.1:{port}", process


@contextlib.contextmanager
def aedes(target, folder):
    port = free_port()
    node = need(program("node"), "node and npm")
    modules = target / "node" / "node_modules"
    if not (modules / "aedes").exists():
        raise Missing("npm install aedes")
    (folder / "broker.js").write_text(AEDES)
    version = json.loads((modules / "aedes" / "package.json").read_text())["version"]
    env = {**os.environ, "NODE_PATH": str(modules)}
    with started([node, "broker.js", str(port)], port, folder, "aedes", env) as process:
        yield f"aedes {version}", f"mqtt://127.0.0.1:{port}", process


@contextlib.contextmanager
def rumqttd(target, folder):
    port = free_port()
    binary = need(program("rumqttd", target / "peers" / "bin"), "cargo install rumqttd")
    (folder / "rumqttd.toml").write_text(RUMQTTD.replace("PORT", str(port)))
    said = subprocess.run([binary, "--version"], capture_output=True, text=True).stdout.split()
    with started([binary, "-c", "rumqttd.toml"], port, folder, "rumqttd") as process:
        yield f"rumqttd {said[-1] if said else ''}", f"mqtt://127.0.0.1:{port}", process


@contextlib.contextmanager
def rabbitmq(target, folder):
    binary = pathlib.Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
    if not binary.exists():
        raise Missing("apt install rabbitmq-server")
    port, dist, epmd = free_port(), free_port(), free_port()
    (folder / "enabled_plugins").write_text("[rabbitmq_mqtt].\n")
    (folder / "rabbitmq.conf").write_text(
        f"listeners.tcp = none\nmqtt.listeners.tcp.1 = 127.0.0.1:{port}\nmqtt.allow_anonymous = true\nvm_memory_high_watermark.relative = 0.4\n"
    )
    env = {
        **os.environ,
        "HOME": str(folder),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(epmd),
        "RABBITMQ_NODENAME": f"lab{port}@localhost",
        "RABBITMQ_DIST_PORT": str(dist),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "logs"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
    }
    said = subprocess.run(["dpkg-query", "-Wf", "${Version}", "rabbitmq-server"], capture_output=True, text=True).stdout
    try:
        with started([str(binary)], port, folder, "rabbitmq-server", env) as process:
            time.sleep(2)
            yield f"rabbitmq-server {said.split('-')[0]}", f"mqtt://127.0.0.1:{port}", process
    finally:
        # The name server of Erlang, which the broker has started on a port of its own and leaves behind.
        if killer := program("epmd"):
            subprocess.run([killer, "-port", str(epmd), "-kill"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


ALL = {"mosquitto": mosquitto, "embedded": embedded, "nats-server": nats, "aedes": aedes, "rumqttd": rumqttd, "rabbitmq-server": rabbitmq}


def load(command, scenario, url, more=()):
    """The result of a load as JSON; its exit code is in it."""
    args = [command, "--json", "load", scenario, "--broker", url, "--quiet", *more]
    ran = subprocess.run(args, capture_output=True, text=True, timeout=300)
    if not ran.stdout.strip():
        return {"exit": ran.returncode, "headline": ran.stderr.strip().splitlines()[-1] if ran.stderr.strip() else "nothing"}
    return json.loads(ran.stdout)


def found(result):
    """What the oracle found, in a few words."""
    if "verdict" not in result:
        return f"exit {result['exit']}: {result['headline']}"
    sums = {}
    for f in result["verdict"]["findings"]:
        if f["breach"]:
            key = f["what"].replace("_", " ") + (f" at QoS {f['qos']}" if f["device"] else "")
            sums[key] = sums.get(key, 0) + f["count"]
    c = result["counters"]
    sums["subscriptions refused"] = c["subscriptions_refused"]
    sums["connections broke by themselves"] = c["disconnected"]
    text = ", ".join(f"{n:,} {what}" for what, n in sums.items() if n) or "none"
    return text if result["exit"] != 4 else f"{text} (no measurement: {result['accusations'][0]['of']})"


def gave_way(search):
    """What failed at the lowest rate that did not hold."""
    failed = [t for t in search.get("trials", []) if not (t["held"] and t["valid"])]
    if not failed:
        return "nothing up to the highest rate tried"
    lowest = min(failed, key=lambda t: t["rate"])
    why = lowest["why"].split(";")[0]
    return f"{lowest['planned_per_s']:,.0f}/s: {why}"


def row(command, target, name, more):
    with tempfile.TemporaryDirectory() as folder:
        with ALL[name](target, pathlib.Path(folder)) as (title, url, _):
            smoke = load(command, "load-smoke", url, more)
            faults = load(command, "load-faults", url, more)
            search = load(command, "load-search", url, more)
    rate, p99 = "none held", ""
    if search.get("found"):
        latency = next(r for r in search["times"] if r["of"] == "latency" and r["stage"] is None and r["qos"] == 1)
        least = "at least " if search.get("limited_by") else ""
        rate, p99 = f"{least}{search['sent_per_s']:,.0f}/s", f"{latency['p99_ms']:.1f} ms"
    cells = [title, rate, p99, gave_way(search), found(smoke), found(faults), found(search)]
    print(f"| {' | '.join(cells)} |", flush=True)


def main():
    command, target, limits, *names = sys.argv[1:]
    more = ["--set", f"load.limits={limits}"] if limits else []
    print("| broker | highest rate, p99 < 50 ms | p99 there | what gave way above | faults in load-smoke | in load-faults | at the highest rate |")
    print("|---|---|---|---|---|---|---|")
    for name in names or ALL:
        if name not in ALL:
            sys.exit(f"no broker `{name}`: choose of {', '.join(ALL)}")
        try:
            row(command, pathlib.Path(target), name, more)
        except Missing as missing:
            print(f"| {name} | not installed: {missing} | | | | | |", flush=True)
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            print(f"| {name} | {error} | | | | | |", flush=True)


if __name__ == "__main__":
    main()
