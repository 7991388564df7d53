"""What every shim module stands on: the line to the run, simulated time, lines counted, threads one at a time.

The script's process never waits for the real clock. Whatever needs the world (a pin, a transfer, time to pass) goes as one
line over a socket, with the simulated time at which it is asked; the run answers at that time. Between two questions the
script's own computing costs simulated time by the lines it runs. A script that does nothing but look at its clock or at a
pin is taken ahead in steps that grow with the time it has looked: what it waits for, nobody has to wait for as well.

What else a script finds changed is in `base`: its files, its signals, who it is, how it ends, and the doors that are closed
behind it.
"""
import builtins
import copyreg
import functools
import io
import os
import sys
import traceback
import types

import _thread

_lock = _thread.allocate_lock  # the real one
_write, _read, _exit = os.write, os.read, os._exit
_ident = _thread.get_ident
_trace = sys.settrace

LINE_NS = 1000
SLICE_NS = 50_000_000
# How long the board has been up when the script's clock begins.
BOOT_NS = 1_000_000_000
# A line that a script may print in pieces, and a question that goes as one, [bytes].
PRINTED, QUESTION = 4096, 1 << 20
# A byte at 115,200 baud, and one into a journal of Linux, about, [ns].
CONSOLE_BYTE_NS, JOURNAL_BYTE_NS = 86_806, 100
# Who looks at the clock or a pin again within so many lines does nothing else; it is taken ahead by a part of the time that
# it has looked so far, at most by so much, [ns].
LOOK_LINES, LOOK_PART, LOOK_NS = 100, 10, 1_000_000
# So long one who reads a converter takes samples as fast as that can, before it is taken for one who waits, [ns].
SAMPLED_NS = 200_000_000
# What it takes to set a pin, [ns].
DRIVE_NS = 1_000

fd = -1
base_ns = 0  # simulated time at the last answer
base_n = 0  # and the lines run until then
n = 0  # lines run
limit_n = 0  # lines at which the run is told that the script still computes
asking = False
looked = False  # whether the script has looked at its clock or a pin since the run was last told
look_n = -1 << 60  # lines run when it last looked
look_ns = 0  # since when it has done nothing else
samples = False  # whether it has read a converter since
driven = {}  # pin: the level that the script has set it to, as far as nothing has touched it since
held = {}  # pin: (pull, level, until when it is known, acts)
silent = {}  # serial port: (until when nothing comes, acts)
edge_ns = 0  # until when the pins and ports looked at are known
acts = 0  # questions that may change a pin or a port
epoch_ns = 0
settings = {}
_buffer = b""


def unbound(function):
    """A function that stands for one of C: kept in a class, it does not become a method of it."""
    if sys.version_info >= (3, 10):
        return staticmethod(function)
    return functools.update_wrapper(functools.partial(function), function)


# A copy of one is itself, as it is of C's.
copyreg.pickle(staticmethod, lambda of: of.__qualname__)


class Gone(BaseException):
    """The run wants no more of this process."""


def now_ns():
    """Simulated time since the run's start."""
    return base_ns + (n - base_n) * LINE_NS


def ask(op, *words):
    """One question to the run. Returns the words of its answer, without the time."""
    global base_ns, base_n, limit_n, asking, acts, look_n, _buffer
    line = " ".join([str(now_ns()), op, *[str(w) for w in words]]) + "\n"
    if len(line) > QUESTION:
        raise OSError(90, "Message too long")
    if op not in _LOOKS:
        acts += 1
        look_n = -1 << 60
    if op in _ONE:
        _touched(words[0])
    elif op not in _LEAVES:
        driven.clear()
    asking = True
    try:
        data = line.encode()
        while data:
            data = data[_write(fd, data):]
        while b"\n" not in _buffer:
            more = _read(fd, 65536)
            if not more:
                _exit(0)
            _buffer += more
    finally:
        asking = False
    answer, _, _buffer = _buffer.partition(b"\n")
    at, _, rest = answer.decode().partition(" ")
    base_ns, base_n = int(at), n
    limit_n = n + SLICE_NS // LINE_NS
    if rest == "kill":
        _exit(0)
    return rest.split(" ")


# What changes nothing; what touches one pin, since one that is read no longer drives; what touches none.
_LOOKS = {"in", "tick", "adc", "uartr"}
_ONE = {"in", "out", "free"}
_LEAVES = {"tick", "adc", "say", "uartr"}


def _touched(pin):
    """A pin may have another level from now on, by whichever of its names."""
    number = _digits(pin)
    for other in [p for p in driven if _digits(p) == number]:
        del driven[other]


def _digits(pin):
    return "".join(filter(str.isdigit, str(pin)))


def ask_ok(op, *words):
    """The same, where `err WHY` becomes an OSError."""
    answer = ask(op, *words)
    if answer[0] == "err":
        raise os_error(" ".join(answer[1:]))
    return answer[1:]


ERRORS = {"nodev": (121, "Remote I/O error"), "nodata": (121, "Remote I/O error"), "timeout": (110, "Connection timed out"),
          "refused": (111, "Connection refused"), "unreachable": (113, "No route to host"), "pipe": (32, "Broken pipe"),
          "aborted": (103, "Software caused connection abort"), "reset": (104, "Connection reset by peer"),
          "notconn": (107, "Transport endpoint is not connected"), "inuse": (98, "Address already in use")}


def os_error(why):
    code, text = ERRORS.get(why.split(":")[0], (5, why))
    return OSError(code, text)


# Looking at the clock, at a pin, at a converter or at a serial port.

def look():
    """The script looks at its clock or at a pin. Returns simulated time, as `now_ns`."""
    global base_ns, limit_n, looked, look_n, look_ns, samples
    now = base_ns + (n - base_n) * LINE_NS
    looked = True
    if n - look_n > LOOK_LINES:
        look_ns, samples = now, False
    else:
        ahead = now - look_ns - (SAMPLED_NS if samples else 0) >> LOOK_PART
        if ahead > 0:
            ahead = min(ahead, LOOK_NS)
            if now < edge_ns < now + ahead:
                ahead = edge_ns - now
            for entry in threads.sleeping:
                if entry[0] is not None and entry[0] < now + ahead:
                    # Somebody else's turn comes before.
                    ahead = max(0, entry[0] - now)
                    limit_n = n
            base_ns += ahead
            limit_n -= ahead // LINE_NS
            now += ahead
    look_n = n
    if n >= limit_n and not asking:
        _slice()
        now = now_ns()
    return now


def level(pin, pull):
    """The level of a pin: from the run, or what the run said as long as that holds."""
    global edge_ns, look_ns
    now = look()
    known = held.get(pin)
    if known is not None and known[0] == pull and known[3] == acts and now < known[2]:
        return known[1]
    words = ask_ok("in", pin, pull, "hold")
    new, until = int(words[0]), int(words[1])
    held[pin] = (pull, new, until, acts)
    if until > base_ns:
        edge_ns = min(until, edge_ns) if edge_ns > base_ns else until
    if known is None or known[1] != new:
        look_ns = base_ns
    return new


def drive(pin, level):
    """Sets a pin. Who sets one to the level that it has does nothing."""
    global base_ns
    if driven.get(pin) == level:
        look()
        base_ns += DRIVE_NS
        return
    ask_ok("out", pin, level)
    driven[pin] = level


def convert(pin):
    """What a converter makes of a pin's voltage: the words of the run's answer."""
    global samples
    look()
    samples = True
    return ask_ok("adc", pin)


def listen(wires, baud, most):
    """Bytes that have come over a serial port, as the run writes them; of none the run said until when that holds."""
    global edge_ns, look_n
    now = look()
    known = silent.get(wires)
    if known is not None and known[1] == acts and now < known[0]:
        return "-"
    data, until = ask_ok("uartr", wires, baud, most, "hold")
    if data != "-":
        look_n = -1 << 60
        return data
    until = int(until)
    silent[wires] = until, acts
    if until > base_ns:
        edge_ns = min(until, edge_ns) if edge_ns > base_ns else until
    return data


# Lines, counted. The shim itself and the import machinery count as nothing.

def count(on):
    """Whether this thread's lines are counted."""
    _trace(_on_call if on else None)


UNCOUNTED = ("<twinfleet>", "<frozen ")
_counted = {}  # by the code's id: the code, and what counts it


def _on_call(frame, event, arg):
    code = frame.f_code
    known = _counted.get(id(code)) or _known(code)
    if known[1] is _on_step:
        frame.f_trace_opcodes = True
    return known[1]


def _known(code):
    if len(_counted) > 10_000:
        # Code that is made while the script runs.
        _counted.clear()
    how = None if code.co_filename.startswith(UNCOUNTED) else _on_step if _jumps_to_itself(code) else _on_line
    known = _counted[id(code)] = (code, how)
    return known


def _jumps_to_itself(code):
    """Whether a loop is one instruction, which some interpreters never count as a line."""
    raw = code.co_code
    if _EMPTY_LOOP is not None:
        return _EMPTY_LOOP in raw
    return any(raw[i] == _JUMP and raw[i + 1] * _JUMP_BYTES == i & 0xFF for i in range(0, len(raw), 2))


def _empty_loop():
    """The instruction, where it jumps by a distance; None where it jumps to a place."""
    import dis
    code = compile("while True: pass", "", "exec").co_code
    word = dis.opmap.get("JUMP_BACKWARD")
    return None if word is None else code[code.index(word) :][:2]


_EMPTY_LOOP = _empty_loop()
# By version 3.10, places are counted in instructions.
_JUMP, _JUMP_BYTES = 113, 2 if sys.version_info >= (3, 10) else 1


def _on_line(frame, event, arg):
    global n
    if event == "line":
        n += 1
        if n >= limit_n and not asking:
            _slice()
    return _on_line


def _on_step(frame, event, arg):
    global n
    if event == "opcode" or event == "line":
        n += 1
        if n >= limit_n and not asking:
            _slice()
    return _on_step


def _slice():
    """A stretch of computing is over: simulated time passes, and what waits for it has its turn."""
    global looked
    how, looked = "looked" if looked else "busy", False
    answer = ask("tick", how)
    while len(answer) > 1:
        threads.news(answer[1])
        answer = ask("tick", how)
    if answer[0] == "stuck":
        end("stuck", "".join(traceback.format_list(ends.own(traceback.extract_stack()))))
    threads.others_due()


# Threads: one runs at a time, and goes on until it waits.

class Threads:
    """Who runs, who waits for what. Real threads, of which all but one hang on a lock of their own."""

    def __init__(self):
        self.ready = []  # (gate) that may run, first come first served
        self.sleeping = []  # [until_ns, order, gate, place]
        self.order = 0
        self.gates = {}
        self.pollers = []  # functions that look whether something came from outside

    def gate(self):
        ident = _ident()
        gate = self.gates.get(ident)
        if gate is None:
            gate = self.gates[ident] = _lock()
            gate.acquire()
        return gate

    def wait(self, until_ns, place=None):
        """This thread waits until a time (None: for ever) or until `wake(place)`. Whether it was woken. The main thread runs
        the handlers of signals meanwhile."""
        while True:
            self.order += 1
            gate = self.gate()
            entry = [until_ns, self.order, gate, place, False]
            self.sleeping.append(entry)
            self.next(gate)
            if signals.pending:
                ran = signals.run()
                if place is signals.PAUSE:
                    return ran
            if entry[4] or (until_ns is not None and now_ns() >= until_ns):
                return entry[4]

    def at(self, at_ns, call):
        """Something is called at a time, by whichever thread is there."""
        self.order += 1
        self.sleeping.append([at_ns, self.order, call, None, False])

    def rouse(self, ident):
        """Lets a thread look up from its wait."""
        gate = self.gates.get(ident)
        for entry in self.sleeping:
            if entry[2] is gate and gate is not None:
                self.sleeping.remove(entry)
                self.ready.append(gate)
                return

    def wake(self, place, count=1):
        """Lets the first of those go on that wait at a place."""
        woken = 0
        for entry in sorted(self.sleeping, key=lambda e: e[1]):
            if woken < count and entry[3] is not None and entry[3] is place:
                self.sleeping.remove(entry)
                entry[4] = True
                self.ready.append(entry[2])
                woken += 1
        return woken

    def next(self, own):
        """Hands over to whoever comes next; returns when it is this thread's turn again (never, for `None`)."""
        while not self.ready:
            self.advance()
        gate = self.ready.pop(0)
        if gate is own:
            return
        gate.release()
        if own is not None:
            own.acquire()

    def advance(self):
        """Nobody can run: time passes until somebody can."""
        times = [e[0] for e in self.sleeping if e[0] is not None]
        until = min(times) if times else -1
        if until == -1 or until > now_ns():
            news = ask("wait", until)
            if len(news) > 1:
                self.news(news[1])
        self.due()

    def due(self):
        now = now_ns()
        for entry in sorted(self.sleeping, key=lambda e: (e[0] is None, e[0], e[1])):
            if entry[0] is not None and entry[0] <= now and entry in self.sleeping:
                self.sleeping.remove(entry)
                if callable(entry[2]):
                    entry[2]()
                else:
                    self.ready.append(entry[2])

    def news(self, what):
        for poller in list(self.pollers):
            poller(what)

    def others_due(self):
        """In the middle of one thread's computing: whoever's time has come has its turn first."""
        self.due()
        if self.ready:
            self.ready.append(self.gate())
            self.next(self.gate())
        if signals.pending:
            signals.run()

    def over(self):
        """This thread ends."""
        self.gates.pop(_ident(), None)
        self.next(None)


threads = Threads()


def sleep_ns(ns):
    """Simulated time passes."""
    threads.wait(now_ns() + max(0, int(ns)))


# What the script prints goes to the run.

def hexed(text):
    return text.encode("utf-8", "replace").hex() or "-"


def clipped(text):
    """A text that may be of any length, without its middle."""
    return text if len(text) <= 20_000 else text[:10_000] + "\n…\n" + text[-10_000:]


class Console(io.TextIOBase):
    def __init__(self):
        self._line = ""

    encoding, errors = "utf-8", "replace"

    @property
    def buffer(self):
        return self

    def reconfigure(self, **_):
        pass

    def writable(self):
        return True

    def fileno(self):
        raise io.UnsupportedOperation("a device's console has no file number")

    def isatty(self):
        return False

    def write(self, text):
        global base_ns, limit_n
        text = bytes(text).decode("utf-8", "replace") if isinstance(text, (bytes, bytearray, memoryview)) else str(text)
        *lines, rest = (self._line + text).split("\n")
        for line in lines:
            ask("say", hexed(line[:PRINTED]))
        # Of a line that has no end it keeps what will be told of it; the rest takes the time of a console.
        self._line = rest[:PRINTED]
        if len(rest) > PRINTED:
            over_ns = (len(rest) - PRINTED) * (CONSOLE_BYTE_NS if settings["small"] else JOURNAL_BYTE_NS)
            base_ns += over_ns
            limit_n -= over_ns // LINE_NS
        return len(text)

    def flush(self):
        pass

    def last(self):
        if self._line:
            self.write("\n")


# The modules of the shim.

shim = {}
compiled = {}  # by text: every device runs the same
compiles = 0  # flags that a script and its modules are compiled with


def compiled_of(source, path):
    code = compiled.get(source)
    if code is None:
        code = compiled[source] = compile(source, path, "exec", dont_inherit=True)
    return code


clock = confine = ends = files = identity = locks = modules = programs = signals = None  # the modules of `base`


def _base(name):
    module = types.ModuleType(name)
    module.__file__ = path = "<twinfleet>/" + name + ".py"
    import linecache
    source = shim["base"][name]
    linecache.cache[path] = (len(source), None, source.splitlines(True), path)
    sys.modules[name] = module
    exec(compiled_of(source, path), module.__dict__)
    return module


def prepare(bundle):
    """In the process that all devices are forked from: everything that is the same for all."""
    shim.update(bundle)
    import collections, contextlib, datetime, enum, functools, json, linecache, math, queue, re, struct, threading  # noqa
    import importlib.util, socket, select, errno, uuid, ctypes, mmap, resource, signal, warnings, weakref  # noqa
    # What clients and drivers import on their own: neither a lock of the real kind nor a socket is in these.
    import array, base64, bisect, copy, dataclasses, decimal, hashlib, heapq, hmac, http, inspect, ipaddress, locale  # noqa
    import numbers, pathlib, platform, shlex, shutil, statistics, string, subprocess, textwrap, tokenize, typing  # noqa
    import urllib.parse, zlib  # noqa
    try:
        import sqlite3  # noqa
    except ImportError:
        # Some builds of Python have none.
        pass
    global clock, confine, ends, files, identity, locks, modules, programs, signals
    clock, confine, ends, files, identity, locks, modules, programs, signals = (_base(name) for name in (
        "_clock", "_confine", "_ends", "_files", "_identity", "_threads", "_modules", "_programs", "_signals"))
    for folder in (f for name, f in bundle.items() if name != "kernel"):
        for name, source in folder.items():
            compiled_of(source, "<twinfleet>/" + name.removesuffix(".__init__").replace(".", "/") + ".py")
    import gc
    clock.prepare()
    confine.prepare()
    gc.collect()
    gc.freeze()


def end(kind, text):
    """The script is over."""
    ask("end", kind, hexed(clipped(text)))
    _exit(0)


def leave(status):
    """The script ends itself at once, without its last words."""
    end("exit", str(status) if status else "")


def _home():
    """Where the card lies, by the script's own system."""
    if "pi" in settings["modules"]:
        return "/home/pi"
    if "bone" in settings["modules"]:
        return "/home/debian"
    return "/" if settings["small"] else "/home/device"


def serve(line, hello):
    """In a device's own process: runs its script to the end."""
    global fd, LINE_NS, base_ns, epoch_ns, limit_n
    fd = line
    settings.update(hello)
    settings["small"] = "linux" not in hello["modules"]
    settings["home"] = home = _home()
    settings.setdefault("ram_kb", settings["memory_bytes"] // 1024)
    LINE_NS = hello["line_ns"]
    base_ns = hello["now_ns"]
    epoch_ns = hello["epoch_ns"]
    limit_n = SLICE_NS // LINE_NS
    os.chdir(hello["folder"])
    os.environ.clear()
    # Mathematics on as many threads as this machine has would differ from one to the other.
    os.environ.update({name + "_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")})
    os.environ.update({"HOME": home, "USER": "root", "PATH": "/usr/bin:/bin", "TZ": "UTC", "LANG": "C.UTF-8"})
    if "pi" in hello["modules"]:
        # gpiozero's factory over RPi.GPIO, which is the shim's.
        os.environ["GPIOZERO_PIN_FACTORY"] = "rpigpio"
    os.environ.update(hello["env"])
    sys.argv = [hello["path"], *hello["args"]]
    sys.path[:] = [p for p in sys.path if p]
    sys.path.insert(0, os.path.dirname(os.path.join(home, hello["path"])))
    sys.stdin = io.StringIO()
    sys.dont_write_bytecode = True
    # The chance first: what follows imports from it.
    identity.install_chance()
    locks.install()
    clock.install()
    signals.install()
    identity.install()
    sources = {}
    for folder in hello["modules"]:
        sources.update(shim[folder])
    modules.install(sources)
    for name in [*sources, "selectors", "asyncio"]:
        sys.modules.pop(name, None)
    for name in hello.get("early", []):
        __import__(name)
    ends.keep()
    confine.limit_memory()
    confine.confine()
    files.install()
    programs.install()
    if settings["small"]:
        # Its libraries are on its card, which this machine's folders of that name are not.
        sys.path.insert(1, os.path.join(sys.path[0], "lib"))
        sys.implementation.name = "circuitpython"
        __import__("_board").install()
    # Who counts the lines is not for the script to change.
    sys.settrace = sys.setprofile = sys.modules["threading"].settrace = lambda function: None
    console = sys.stdout = sys.stderr = Console()
    path = os.path.join(hello["folder"], hello["path"])
    main = types.ModuleType("__main__")
    main.__dict__.update(__file__=hello["path"], __builtins__=builtins)
    sys.modules["__main__"] = main

    def program():
        with open(path, "rb") as file:
            source = file.read()
        code = compile(source, hello["path"], "exec", compiles, dont_inherit=True)
        text = source.decode("utf-8", "replace")
        import linecache
        linecache.cache[hello["path"]] = (len(text), None, text.splitlines(True), hello["path"])
        _counting(exec, code, main.__dict__)

    import atexit
    left = atexit._ncallbacks()
    kind, text = ends.outcome(program)
    if kind == "crash" and (ends.others() or atexit._ncallbacks() > left):
        # Its other threads go on, and what it left for the end comes after its traceback, as Python has it.
        ask("crash", hexed(clipped(text)))
        kind, text = "exit", "1"
    late = ends.outcome(lambda: _counting(ends.join))
    if kind == "exit" and late != ("exit", ""):
        kind, text = late
    ends.outcome(lambda: _counting(atexit._run_exitfuncs))
    console.last()
    end(kind, text)


def _counting(call, *args):
    """A call of which the lines count."""
    count(True)
    try:
        call(*args)
    finally:
        count(False)
