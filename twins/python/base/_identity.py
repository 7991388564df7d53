"""Who and what the device is, as far as a script can ask: the same in each run, whatever machine that is on.

Its chance is drawn from the run's seed; its names, numbers, processor and loads are the board's.
"""
import os
import random
import sys
import threading

import _thread
import _twinfleet as _k
import _files

REVISIONS = {"raspberry-pi-3b": 0xA02082, "raspberry-pi-3b-plus": 0xA020D3, "raspberry-pi-4b": 0xC03112,
             "raspberry-pi-5": 0xC04170, "raspberry-pi-zero-2w": 0x902120}
MODELS = {"raspberry-pi-3b": "Raspberry Pi 3 Model B Rev 1.2", "raspberry-pi-3b-plus": "Raspberry Pi 3 Model B Plus Rev 1.3",
          "raspberry-pi-4b": "Raspberry Pi 4 Model B Rev 1.2", "raspberry-pi-5": "Raspberry Pi 5 Model B Rev 1.0",
          "raspberry-pi-zero-2w": "Raspberry Pi Zero 2 W Rev 1.0",
          "beaglebone-black": "TI AM335x BeagleBone Black"}
_LOAD = (0.08, 0.03, 0.01)
dice = random.Random()


def urandom(size):
    return dice.getrandbits(8 * size).to_bytes(size, "little") if size else b""


def install_chance():
    """The first of all: what follows imports from it."""
    seed = _k.settings["seed"]
    dice.seed(seed)
    os.urandom = random._urandom = _k.unbound(urandom)
    os.getrandom = _k.unbound(lambda size, flags=0: urandom(size))
    random.seed(seed ^ 0x5DEECE66D)
    plain = random.Random.seed

    def reseed(self, a=None, version=2):
        if a is None:
            a = int.from_bytes(urandom(16), "little")
        plain(self, a, version)

    random.Random.seed = reseed
    import uuid

    uuid.getnode = lambda: int(_k.settings["mac"].replace(":", ""), 16)
    # The library's own reads the real clock.
    uuid._generate_time_safe = uuid._UuidCreate = uuid._last_timestamp = None
    uuid._has_uuid_generate_time_safe = False


def _uname():
    board, device = _k.settings["board"], _k.settings["device"]
    if _k.settings["small"]:
        return os.uname_result((_chip(), device, "9.2.1", "9.2.1 on 2024-11-20", board + " with " + _chip()))
    machine = "armv7l" if board.startswith("beaglebone") else "aarch64"
    release = "5.10.168-ti-r72" if board.startswith("beaglebone") else "6.6.51+rpt-rpi-v8"
    return os.uname_result(("Linux", device, release, "#1 SMP PREEMPT Debian 1:6.6.51-1+rpt3 (2024-10-08)", machine))


def _chip():
    board = _k.settings["board"]
    for mark, chip in (("esp32", "esp32"), ("esp8266", "esp8266"), ("pico", "rp2040"), ("nrf52", "nrf52840")):
        if mark in board:
            return chip
    return board


def _cores():
    return 1 if _k.settings["small"] or _k.settings["board"].startswith("beaglebone") else 4


def _computed():
    return _k.n * _k.LINE_NS / 1e9


def install():
    ids = {}

    def native():
        return ids.setdefault(_thread.get_ident(), 1000 + len(ids))

    native()
    _thread.get_native_id = threading.get_native_id = native
    threading.main_thread()._native_id = native()
    cores = _cores()
    new = {name: lambda: 0 for name in ("getuid", "geteuid", "getgid", "getegid")}
    new |= {"getpid": lambda: 1000, "getppid": lambda: 1, "getlogin": lambda: "root", "getgroups": lambda: [0],
            "getpgrp": lambda: 1000, "getsid": lambda p: 1000, "getpgid": lambda p: 1000, "getloadavg": lambda: _LOAD,
            "uname": _uname, "cpu_count": lambda: cores, "process_cpu_count": lambda: cores,
            "sched_getaffinity": lambda pid: set(range(cores)),
            "times": lambda: os.times_result((_computed(), 0.0, 0.0, 0.0, (_k.BOOT_NS + _k.now_ns()) / 1e9))}
    asked = os.sysconf

    def sysconf(name):
        return cores if name in ("SC_NPROCESSORS_ONLN", "SC_NPROCESSORS_CONF") else asked(name)

    new["sysconf"] = sysconf
    for name, function in new.items():
        setattr(os, name, _k.unbound(function))
    import platform
    import resource

    platform._uname_cache = None
    platform._platform_cache.clear()
    platform.libc_ver = lambda *_, **__: ("glibc", "2.36")
    used = resource.struct_rusage
    resource.getrusage = lambda who: used((_computed(), 0.0, 16_384, *[0] * 13))
    _made_up(_files.made)
    _sqlite()


def _made_up(made):
    mac = _k.settings["mac"]
    plain = mac.replace(":", "")
    board = _k.settings["board"]
    if _k.settings["small"]:
        return

    def text(words):
        return lambda: words.encode()

    def uptime():
        up = (_k.BOOT_NS + _k.now_ns()) / 1e9
        return b"%.2f %.2f\n" % (up, up * _cores() * 0.95)

    ram = int(_k.settings["ram_kb"])
    made["/proc/uptime"] = uptime
    made["/proc/loadavg"] = text("%.2f %.2f %.2f 1/120 1000\n" % _LOAD)
    rest = "".join("%-16s%8d kB\n" % (name + ":", kb) for name, kb in (
        ("Buffers", ram // 50), ("Cached", ram // 6), ("SwapCached", 0), ("Active", ram // 5), ("Inactive", ram // 10),
        ("SwapTotal", 0), ("SwapFree", 0), ("Shmem", 0), ("Slab", 0), ("SReclaimable", 0)))
    made["/proc/meminfo"] = text("MemTotal: %15d kB\nMemFree: %16d kB\nMemAvailable: %11d kB\n" % (
        ram, ram * 6 // 10, ram * 8 // 10) + rest)

    def stat():
        # Hundredths of a second: in user, nice, system, idle, and what nobody has here.
        up, user = (_k.BOOT_NS + _k.now_ns()) // 10_000_000, int(_computed() * 100)
        one = "%d 0 0 %d 0 0 0 0 0 0\n"
        lines = ["cpu  " + one % (user, max(0, up * _cores() - user))]
        lines += ["cpu%d " % i + one % (user if i == 0 else 0, max(0, up - user) if i == 0 else up) for i in range(_cores())]
        boot_s = (_k.epoch_ns - _k.BOOT_NS) // 1_000_000_000
        return ("".join(lines) + "intr 0\nctxt 0\nbtime %d\nprocesses 1000\nprocs_running 1\nprocs_blocked 0\n" % boot_s).encode()

    made["/proc/stat"] = stat
    bus = {"pi": ("i2c-1", "spidev0.0", "spidev0.1", "serial0"), "bone": ("i2c-2", "spidev0.0")}
    for name in (name for of in _k.settings["modules"] for name in bus.get(of, ())):
        # They are there; who means to speak to them uses the modules for it.
        made["/dev/" + name] = lambda: b""
    made["/etc/hostname"] = text(_k.settings["device"] + "\n")
    made["/etc/machine-id"] = text((plain * 3)[:32] + "\n")
    made["/etc/os-release"] = text('PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian\n')
    made["/proc/version"] = text("Linux version %s\n" % _uname().release)
    made["/proc/sys/kernel/random/boot_id"] = text("%s-0000-4000-8000-%s\n" % (plain[:8], plain))

    def fresh():
        import uuid
        return ("%s\n" % uuid.UUID(bytes=urandom(16), version=4)).encode()

    made["/proc/sys/kernel/random/uuid"] = fresh
    for card in ("wlan0", "eth0"):
        made["/sys/class/net/%s/address" % card] = text(mac + "\n")
        made["/sys/class/net/%s/operstate" % card] = text("up\n" if card == "wlan0" else "down\n")
    model = MODELS.get(board, board)
    for place in ("/proc/device-tree", "/sys/firmware/devicetree/base"):
        made[place + "/model"] = text(model + "\0")
        made[place + "/serial-number"] = text("10000000%s\0" % plain[4:])
    revision = REVISIONS.get(board)
    if revision is None:
        return
    made["/proc/device-tree/system/linux,revision"] = lambda: revision.to_bytes(4, "big")
    made["/proc/cpuinfo"] = text("".join("processor\t: %d\nBogoMIPS\t: 108.00\n\n" % i for i in range(4)) + (
        "Hardware\t: BCM2835\nRevision\t: %x\nSerial\t\t: 10000000%s\nModel\t\t: %s\n" % (revision, plain[4:], model)))
    thermal = "/sys/class/thermal/thermal_zone0/"
    made[thermal + "temp"] = lambda: b"%d\n" % round(_files.inside("temperature") * 1000)
    made[thermal + "type"] = text("cpu-thermal\n")
    clock = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq"
    made[clock] = lambda: b"%d\n" % round(_files.inside("frequency") * 1000)
    bus = "/sys/bus/w1/devices/w1_bus_master1/"
    made[bus + "w1_master_name"] = text("w1_bus_master1\n")

    def slaves():
        import _w1
        return ("".join(name + "\n" for name, *_ in _w1.devices()) or "not found.\n").encode()

    made[bus + "w1_master_slaves"] = slaves
    made[bus + "w1_master_slave_count"] = lambda: b"%d\n" % (slaves().count(b"\n") if slaves() != b"not found.\n" else 0)


# SQLite has a clock and a die of its own.

def _sqlite():
    sqlite3 = sys.modules.get("sqlite3")
    if sqlite3 is None:
        return
    plain = sqlite3.connect
    helper = None

    def now():
        return "%.9f" % ((_k.epoch_ns + _k.look()) / 86_400e9 + 2_440_587.5)

    def dated(name):
        def call(*args):
            nonlocal helper
            if helper is None:
                helper = plain(":memory:")
            args = list(args)
            first = 1 if name == "strftime" else 0
            if len(args) <= first:
                args.append("now")
            args = [now() if isinstance(a, str) and a.lower() == "now" else a for a in args]
            marks = ",".join("?" * len(args))
            return helper.execute("select %s(%s)" % (name, marks), args).fetchone()[0]

        return call

    def connect(database, *args, **named):
        if isinstance(database, (str, bytes, os.PathLike)):
            name = os.fsdecode(os.fspath(database))
            if name not in ("", ":memory:") and not name.startswith("file:"):
                database = _files.true(name)
                if not _files.real["access"](database, os.F_OK):
                    # So that its time is that of its making.
                    _files.open_(name, "ab").close()
        made = plain(database, *args, **named)
        for function in ("datetime", "date", "time", "julianday", "strftime", "unixepoch"):
            made.create_function(function, -1, dated(function))
        for word, function in (("current_timestamp", "datetime"), ("current_date", "date"), ("current_time", "time")):
            made.create_function(word, 0, dated(function))
        made.create_function("random", 0, lambda: int.from_bytes(urandom(8), "little", signed=True))
        made.create_function("randomblob", 1, lambda size: urandom(max(1, size)))
        return made

    sqlite3.connect = sqlite3.dbapi2.connect = connect
