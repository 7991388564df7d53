# What every shim module stands on: the line to the run, and what happens while a script waits.
import sys, gc, io
from micropython import const

_world = open("/dev/world", "r+b")
board = ""
device = ""
mac = b"\x02\0\0\0\0\1"
reset_cause = "power_on"
hz = 0
_ballast = None
timers = []
on_edge = {}
on_net = []


def ask(line):
    _world.write(line.encode() + b"\n")
    return _world.readline().decode().rstrip().split(" ")


_CODES = {"nodev": 19, "nodata": 5, "timeout": 110, "refused": 111, "pipe": 32}


def ask_ok(line):
    answer = ask(line)
    if answer[0] == "err":
        why = answer[1].split(":")[0]
        if why == "nopin":
            raise ValueError("invalid pin")
        raise OSError(_CODES.get(why, 5), answer[1]) if why not in _CODES else OSError(_CODES[why])
    return answer[1:]


def now_ns():
    return int(ask("now")[1])


def unix_ns():
    words = ask("now")
    return int(words[1]) + int(words[2])


def unhex(text):
    return b"" if text == "-" else bytes.fromhex(text)


def tohex(data):
    return bytes(data).hex() or "-"


def news(what):
    if what.startswith("edge:"):
        pin, level = what.split(":")[1:3]
        call = on_edge.get(pin)
        if call:
            call(level == "1")
    elif what == "net":
        on_net.append(1)


def run_due():
    now = now_ns()
    for timer in list(timers):
        while timer in timers and timer._next <= now:
            timer._fire()
    return now


def wait(until, net=False):
    tidy()
    # Until a time, or, where `net` says so, until something came over the network.
    while True:
        now = run_due()
        if now >= until or (net and on_net):
            return
        first = until
        for timer in timers:
            if timer._next < first:
                first = timer._next
        answer = ask("wait %d" % first)
        if len(answer) > 1:
            news(answer[1])
            tidy()


def end(kind, text):
    ask("end %s %s" % (kind, tohex(text.encode())))


_mem_free, _mem_alloc, _collect = gc.mem_free, gc.mem_alloc, gc.collect


class _Gc:
    def __init__(self):
        for name in dir(gc):
            if not name.startswith("__"):
                setattr(self, name, getattr(gc, name))
        self.collect = collect
        self.mem_free = lambda: max(0, _heap - self.mem_alloc())
        self.mem_alloc = lambda: max(0, _mem_alloc() - _taken)


_taken = 0
_heap = 0
_live = 0
_waits = 0
# Garbage may lie beyond the board's heap until the next collection.
_SLACK = const(65536)


def collect():
    global _live
    _collect()
    ask("gc")
    _live = _mem_alloc()
    if _live - _taken > _heap:
        raise MemoryError("memory allocation failed: the board's heap is full")


def tidy():
    global _waits
    _waits += 1
    if _waits & 3 == 0 and _mem_alloc() - _live > 40960:
        collect()


def ready(heap_kb):
    # In the picture: the modules that boards have in their firmware, and a ballast that leaves the board's heap.
    global _ballast, _taken, _heap, _live
    _heap = heap_kb * 1024
    import time, machine, network, socket, select
    sys.modules["gc"] = _Gc()
    # What programs for a board's own compiler call: here they are plain numbers and buffers.
    import builtins
    try:
        builtins.uint, builtins.ptr8 = lambda x: x & 0xFFFFFFFF, lambda x: x
    except AttributeError:
        # This build keeps its names to itself.
        pass
    # The names with a u would find what is built in, past what is on the path.
    for name in ("time", "machine", "network", "socket", "select", "gc"):
        sys.modules["u" + name] = sys.modules[name]
    _collect()
    ask("gc")
    over = _mem_free() - 134217728 - _heap - _SLACK
    if over > 0:
        _ballast = bytearray(over)
    _taken = _live = _mem_alloc()


def run(path, name, address, cause, frequency):
    global device, mac, reset_cause, hz
    device, mac, reset_cause, hz = name, bytes.fromhex(address), cause, frequency
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
            source = file.read()
            file.close()
            code = compile(source, first, "exec")
            source = None
            space = main.__dict__
            space["__name__"] = "__main__"
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
