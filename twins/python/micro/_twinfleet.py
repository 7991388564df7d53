# What every shim module stands on: the line to the run, and what happens while a script waits.
import sys, gc, io
from collections import namedtuple
from micropython import const

_uname = namedtuple("uname", ("sysname", "nodename", "release", "version", "machine"))

_world = open("/dev/world", "r+b")
board = ""
device = ""
# When this life of the board began, [ns].
born_ns = 0
mac = b"\x02\0\0\0\0\1"
reset_cause = "power_on"
hz = 0
# What may lie beyond the board's heap without more memory, and how much garbage may gather while a program computes. A collection
# then comes between two jumps of bytecode, where C's own functions may be under way (a sort that calls a key), so that it is
# rare.
_SLACK = const(4096)
_GARBAGE = const(524288)
_ballast = []
timers = []
on_edge = {}
on_net = []
# Whether an interrupt gave the event loop something to do.
nudged = False


def ask(line):
    _world.write(line.encode() + b"\n")
    return _world.readline().decode().rstrip().split(" ")


_WRONG = {"nopin": "invalid pin", "input": "pin can only be input", "noadc": "invalid pin"}
_CODES = {
    "busy": 110, "nodev": 19, "nodata": 5, "timeout": 110, "refused": 111, "pipe": 32, "aborted": 103, "reset": 104,
    "notconn": 107, "unreachable": 113, "inuse": 98, "noname": -2,
}


# Whether the script has asked for a network in this life of the board.
joins = False


def os_error(text):
    why = text.split(":")[0]
    if why in ("unreachable", "noname") and not joins:
        return OSError(
            _CODES[why],
            "no network: nothing here has called network.WLAN(network.STA_IF).connect() yet;"
            " if your boot.py does, put it beside the script",
        )
    return OSError(_CODES[why]) if why in _CODES else OSError(5, text)


def ask_ok(line):
    answer = ask(line)
    if answer[0] == "err":
        why = answer[1].split(":")[0]
        if why in _WRONG:
            raise ValueError(_WRONG[why])
        raise os_error(answer[1])
    return answer[1:]


def now_ns():
    return int(ask("now")[1])


def look_ns():
    # The script looks at its clock: who does nothing else is taken ahead.
    return int(ask("look")[1])


# What the script has set its clock ahead by, and the same in [s].
ahead_ns, ahead_s = 0, 0.0


def unix_ns():
    words = ask("look")
    return int(words[1]) + int(words[2]) + ahead_ns


def _ahead(ns):
    global ahead_ns, ahead_s
    # Two microseconds more, so that no whole second is rounded down.
    ahead_ns, ahead_s = ns, ns / 1000000000 + 0.000002


def set_ahead(ns):
    # The clock goes on through a reset and a deep sleep.
    _ahead(ns)
    ask_ok("keep clock %d" % ns)


def set_clock(unix_s):
    set_ahead(ahead_ns + unix_s * 1000000000 - unix_ns())


def core_c():
    # What the thermometer within the processor reads, where the scenario gives it one (`mcu-temp`), [degC].
    words = ask("inside temperature")
    if words[0] == "err":
        raise OSError(19, "the thing has no part for this: give it (id: \"die\", model: \"mcu-temp\", on: Internal)")
    return float(words[1])


def linked_ns():
    # Since when the device's link has been up; None: it is down.
    words = ask("link")
    return int(words[2]) if len(words) > 2 else None


def unhex(text):
    return b"" if text == "-" else bytes.fromhex(text)


def tohex(data):
    return bytes(data).hex() or "-"


def news(what):
    if what.startswith("edge:"):
        pin, level = what.split(":")[1:3]
        call = on_edge.get(pin)
        if call:
            _calls(call, level == "1")
    elif what == "net" and not on_net:
        on_net.append(1)


def _calls(call, arg):
    # What an interrupt or a timer calls: its errors are told, and the program goes on.
    try:
        call(arg)
    except Exception as e:
        print(traceback(e), end="")


def traceback(error):
    out = io.StringIO()
    sys.print_exception(error, out)
    # What runs a script is no line of its traceback.
    return "".join(line + "\n" for line in out.getvalue().split("\n") if line and '"/shim/' not in line)


_serving = False
# Whether the program has switched its interrupts off.
masked = False


def arm():
    # Tells when the first timer is due, and, apart from these, the watchdog.
    due = [t._next for t in timers if t is not watchdog]
    bites = watchdog._next if watchdog in timers else "-"
    ask("due %s %s" % (min(due) if due else "-", bites))


def run_due():
    global _serving
    now = now_ns()
    if _serving:
        # Called by a timer that waits: the watchdog alone interrupts it.
        if watchdog in timers and watchdog._next <= now:
            watchdog._fire(None)
        return now
    _serving = True
    fired = False
    try:
        for timer in list(timers):
            while timer in timers and timer._next <= now:
                fired = True
                _calls(timer._fire, None)
    finally:
        _serving = False
    if fired:
        arm()
    return now


def _run_news():
    # What came while the program computed.
    global _serving
    _serving = True
    try:
        while True:
            answer = ask("news")
            if len(answer) < 2:
                return
            news(answer[1])
    finally:
        _serving = False


_full = MemoryError("memory allocation failed: the board's heap is full")


def _turn(_):
    # Between two jumps of bytecode, while the program computes, as MicroPython's scheduler calls it.
    try:
        if not _serving and not masked:
            _run_news()
            if timers:
                run_due()
            if _mem_alloc() - _live > min(_GARBAGE, 4 * _heap):
                collect()
    except MemoryError:
        ask("raise %d" % id(_full))


def wait(until, net=False, loop=False):
    pauses = False
    # Until a time, or, where `net` says so, until something came over the network, and where `loop` does, until an interrupt
    # gave the event loop something to do.
    while True:
        now = run_due()
        if now >= until or net and on_net or loop and nudged:
            return
        if not pauses and until - now >= 1000000:
            # A pause of some length is the time to look after the heap.
            pauses = True
            tidy()
        first = until
        for timer in timers:
            if timer._next < first and (not _serving or timer is watchdog):
                first = timer._next
        answer = ask("wait %d" % first)
        if len(answer) > 1:
            news(answer[1])
            tidy()


# When the watchdog bites, if it has been set.
watchdog = None


def end(kind, text):
    bites = "" if watchdog is None else " %d" % max(0, watchdog._next - now_ns())
    ask("end %s %s%s" % (kind, tohex(text.encode()), bites))


_mem_free, _mem_alloc, _collect = gc.mem_free, gc.mem_alloc, gc.collect


class _Of:
    # A module whose names may be others on a board.
    def __init__(self, module):
        for name in dir(module):
            if not name.startswith("__") and not hasattr(self, name):
                setattr(self, name, getattr(module, name))


class _Gc(_Of):
    def __init__(self):
        super().__init__(gc)
        self.collect = collect
        self.mem_free = lambda: max(0, _heap - self.mem_alloc())
        self.mem_alloc = self._alloc

    def _alloc(self):
        if _mem_alloc() - _taken > _heap:
            # A board would have collected by now.
            collect()
        return max(0, _mem_alloc() - _taken)


def _as_it_is(f):
    return f


class _Micropython(_Of):
    # A board's compiler for its own processor has nothing to do here, and no interrupt runs out of memory for its error.
    def __init__(self, micropython):
        super().__init__(micropython)
        self.native = self.viper = self.bytecode = _as_it_is

    def alloc_emergency_exception_buf(self, size):
        if int(size) < 0:
            raise ValueError("invalid size")

    def heap_locked(self):
        return 0


_PORTS = {"esp32": "esp32", "esp8266": "esp8266", "raspberry-pi-pico": "rp2", "arduino": "samd"}
port = "esp32"


_implementation = namedtuple("implementation", ("name", "version", "_machine"))
_MACHINES = {
    "esp32-devkit": "Generic ESP32 module with ESP32",
    "esp32-c3-devkit": "ESP32C3 module with ESP32C3",
    "esp32-s3-devkit": "Generic ESP32S3 module with ESP32S3",
    "esp8266-nodemcu": "ESP module with ESP8266",
    "raspberry-pi-pico-w": "Raspberry Pi Pico W with RP2040",
}


class _Os(_Of):
    def __init__(self, os):
        super().__init__(os)
        self._list, self._ilist = os.listdir, os.ilistdir

    def _root(self, path):
        return (self._full(path) if path else self.getcwd()) == "/"

    def _full(self, path):
        return path if path.startswith("/") else self.getcwd().rstrip("/") + "/" + path

    def listdir(self, path=""):
        names = self._list(path) if path else self._list()
        return [n for n in names if n not in ("dev", "shim")] if self._root(path) else names

    def ilistdir(self, path=""):
        entries = self._ilist(path) if path else self._ilist()
        hide = self._root(path)
        return (e for e in entries if not hide or e[0] not in ("dev", "shim"))

    def uname(self):
        return _uname(port, device, "1.27.0", "v1.27.0 (simulated)", board)

    def urandom(self, n):
        import random

        return bytes(random.getrandbits(8) for _ in range(n))

    def dupterm(self, *_):
        return None

    def sync(self):
        pass


def _port(name):
    global board, port
    board = name
    for begin in _PORTS:
        if name.startswith(begin):
            port = _PORTS[begin]
    sys.modules["sys"].platform = port
    sys.modules["sys"].implementation = _implementation("micropython", (1, 27, 0, ""), _MACHINES.get(name, name))
    import machine, network, time

    for module in (machine, network, time):
        module._port(port)


def _input(prompt=""):
    # A board waits for ever here, since nobody types.
    print(prompt)
    raise EOFError("input(): nobody types at a device of a run")


_taken = 0
_heap = 0
_live = 0
_waits = 0


def collect():
    global _live
    _collect()
    ask("gc")
    _live = _mem_alloc()
    if _live - _taken > _heap:
        raise _full


def tidy():
    global _waits
    _waits += 1
    used = _mem_alloc()
    # What no longer fits the board is told at the first wait.
    if used - _taken > _heap or _waits & 3 == 0 and used - _live > 40960:
        collect()


def ready(heap_kb):
    # In the picture: the modules that boards have in their firmware.
    global _heap
    _heap = heap_kb * 1024
    import builtins, os, time, machine, micropython, network, socket, select
    builtins.input = _input
    sys.modules["gc"] = _Gc()
    sys.modules["micropython"] = _Micropython(micropython)
    sys.modules["sys"], sys.modules["os"] = _Of(sys), _Os(os)
    ask("turn %d" % id(_turn))
    # The names with a u would find what is built in, past what is on the path.
    for name in ("time", "machine", "network", "socket", "select", "gc", "sys", "os"):
        sys.modules["u" + name] = sys.modules[name]


def fill():
    # When nothing is left that the heap could grow into: a ballast, in pieces as they fit.
    global _taken, _live
    _collect()
    ask("gc")
    # MicroPython counts among what is free what it may grow by at once: as much as the board's heap.
    over = piece = _mem_free() - 2 * _heap - _SLACK
    # A heap of so few KiB could grow into what is kept for the C library.
    least = 1024 if _heap > 32768 else _heap
    while over > 0 and piece > least:
        try:
            _ballast.append(bytearray(min(piece, over)))
            over -= len(_ballast[-1])
        except MemoryError:
            piece = piece * 3 // 4
    _taken = _live = _mem_alloc()


def _length(path):
    import os

    return os.stat(path)[6]


def run(path, name, address, cause, frequency, of):
    global device, mac, reset_cause, hz, born_ns
    born_ns = now_ns()
    ask("born")
    device, mac, reset_cause, hz = name, bytes.fromhex(address), cause, frequency
    _port(of)
    kept = ask("kept clock")[1]
    if kept == "-":
        # Nobody has set its clock since power came: it counts from 2000, or, on the RP2 port, from 2021.
        set_ahead((1609459200 if port == "rp2" else 946684800) * 1000000000 - unix_ns() + born_ns)
    else:
        _ahead(int(kept))
    main = __import__("__main__")
    kind, text = "exit", ""
    try:
        for first in ("boot.py", path):
            if first == "boot.py":
                try:
                    file = open(first)
                except OSError:
                    continue
            else:
                file = open(first)
            # At once: it may be as large as the heap.
            source = file.read(_length(first))
            file.close()
            code = compile(source, first, "exec")
            source = None
            space = main.__dict__
            space["__name__"] = "__main__"
            # What programs for a board's own compiler call: here they are plain numbers and buffers.
            space["uint"], space["ptr8"] = lambda x: x & 0xFFFFFFFF, _as_it_is
            exec(code, space)
        # A program that has ended leaves its timers and interrupts at work.
        while timers or on_edge:
            wait(now_ns() + 3600000000000)
    except SystemExit as e:
        text = str(e.args[0]) if e.args and e.args[0] not in (0, None) else ""
        if text == "forced reset":
            kind = "reset"
    except BaseException as e:
        kind = "stuck" if isinstance(e, KeyboardInterrupt) else "crash"
        try:
            out = io.StringIO()
            sys.print_exception(e, out)
            text = out.getvalue()
        except MemoryError:
            text = "MemoryError: "
    try:
        end(kind, text)
    except MemoryError:
        _world.write(b"end crash 4d656d6f72794572726f723a\n")
