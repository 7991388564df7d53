"""What every shim module stands on: the line to the run, simulated time, lines counted, threads one at a time.

The script's process never waits for the real clock. Whatever needs the world (a pin, a transfer, time to pass) goes as one
line over a socket, with the simulated time at which it is asked; the run answers at that time. Between two questions the
script's own computing costs simulated time by the lines it runs.
"""
import builtins
import importlib.abc
import importlib.machinery
import io
import os
import random
import sys
import traceback
import types

import _thread

_lock = _thread.allocate_lock  # the real one
_start = _thread.start_new_thread
_write, _read = os.write, os.read
_ident = _thread.get_ident

LINE_NS = 1000
SLICE_NS = 50_000_000

fd = -1
base_ns = 0  # simulated time at the last answer
base_n = 0  # and the lines run until then
n = 0  # lines run
limit_n = 0  # lines at which the run is told that the script still computes
asking = False
epoch_ns = 0
settings = {}
_buffer = b""


class Gone(BaseException):
    """The run wants no more of this process."""


def now_ns():
    """Simulated time since the run's start."""
    return base_ns + (n - base_n) * LINE_NS


def ask(op, *words):
    """One question to the run. Returns the words of its answer, without the time."""
    global base_ns, base_n, limit_n, asking, _buffer
    line = " ".join([str(now_ns()), op, *[str(w) for w in words]]) + "\n"
    asking = True
    try:
        data = line.encode()
        while data:
            data = data[_write(fd, data):]
        while b"\n" not in _buffer:
            more = _read(fd, 65536)
            if not more:
                os._exit(0)
            _buffer += more
    finally:
        asking = False
    answer, _, _buffer = _buffer.partition(b"\n")
    at, _, rest = answer.decode().partition(" ")
    base_ns, base_n = int(at), n
    limit_n = n + SLICE_NS // LINE_NS
    if rest == "kill":
        os._exit(0)
    return rest.split(" ")


def ask_ok(op, *words):
    """The same, where `err WHY` becomes an OSError."""
    answer = ask(op, *words)
    if answer[0] == "err":
        raise os_error(" ".join(answer[1:]))
    return answer[1:]


ERRORS = {"nodev": (121, "Remote I/O error"), "nodata": (121, "Remote I/O error"), "timeout": (110, "Connection timed out"),
          "refused": (111, "Connection refused"), "unreachable": (113, "No route to host"), "pipe": (32, "Broken pipe")}


def os_error(why):
    code, text = ERRORS.get(why.split(":")[0], (5, why))
    return OSError(code, text)


# Lines, counted. The shim itself and the import machinery count as nothing.

def _foreign(code):
    return code.co_filename.startswith("<")


def _on_call(frame, event, arg):
    if _foreign(frame.f_code):
        return None
    return _on_line


def _on_line(frame, event, arg):
    global n
    if event == "line":
        n += 1
        if n >= limit_n and not asking:
            _slice(frame)
    return _on_line


def _slice(frame):
    """A stretch of computing is over: simulated time passes, and what waits for it has its turn."""
    answer = ask("tick")
    if answer[0] == "stuck":
        own = [f for f in traceback.extract_stack(frame) if not f.filename.startswith("<")]
        _end("stuck", "".join(traceback.format_list(own)))
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
        """This thread waits until a time (None: for ever) or until `wake(place)`. Whether it was woken."""
        self.order += 1
        gate = self.gate()
        entry = [until_ns, self.order, gate, place, False]
        self.sleeping.append(entry)
        self.next(gate)
        return entry[4]

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
            if entry[0] is not None and entry[0] <= now:
                self.sleeping.remove(entry)
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

    def over(self):
        """This thread ends."""
        self.gates.pop(_ident(), None)
        self.next(None)


threads = Threads()


def sleep_ns(ns):
    """Simulated time passes."""
    threads.wait(now_ns() + max(0, int(ns)))


class Lock:
    """A lock of the simulation: who waits for it waits in simulated time."""

    def __init__(self):
        self._held = False

    def acquire(self, blocking=True, timeout=-1):
        if not self._held:
            self._held = True
            return True
        if not blocking:
            return False
        until = None if timeout is None or timeout < 0 else now_ns() + int(timeout * 1e9)
        # Whoever releases hands the lock over.
        return threads.wait(until, self)

    def release(self):
        if not self._held:
            raise RuntimeError("release unlocked lock")
        if not threads.wake(self):
            self._held = False

    def locked(self):
        return self._held

    def _at_fork_reinit(self):
        self._held = False

    def __enter__(self):
        return self.acquire()

    def __exit__(self, *_):
        self.release()

    acquire_lock, release_lock, locked_lock = acquire, release, locked


def start_new_thread(function, args, kwargs={}):
    born = _lock()
    born.acquire()
    ident = []

    def run():
        gate = threads.gate()
        ident.append(_ident())
        threads.ready.append(gate)
        born.release()
        gate.acquire()
        sys.settrace(_on_call)
        try:
            function(*args, **kwargs)
        except SystemExit:
            pass
        except BaseException:
            ask("crash", hexed(traceback.format_exc()))
        finally:
            sys.settrace(None)
            sentinel = _sentinels.pop(_ident(), None)
            if sentinel is not None and sentinel._held:
                sentinel.release()
            threads.over()

    _start(run, ())
    born.acquire()
    return ident[0]


_sentinels = {}


def _set_sentinel():
    lock = _sentinels[_ident()] = Lock()
    return lock


def _patch_threads():
    import queue
    import threading

    _thread.allocate_lock = _thread.allocate = Lock
    _thread.start_new_thread = _thread.start_new = start_new_thread
    _thread._set_sentinel = _set_sentinel
    threading._allocate_lock = threading.Lock = Lock
    threading._start_new_thread = start_new_thread
    threading._set_sentinel = _set_sentinel
    threading._CRLock = None
    threading.RLock = threading._PyRLock
    threading.settrace(None)
    queue.SimpleQueue = queue._PySimpleQueue
    # The locks that were made before are the main thread's own.
    threading._active_limbo_lock = threading.RLock()
    threading._shutdown_locks_lock = Lock()
    main = threading.main_thread()
    main._started = threading.Event()
    main._started._flag = True
    main._tstate_lock = None


# Time.

def _patch_time():
    import time

    real = types.SimpleNamespace(gmtime=time.gmtime, strftime=time.strftime, localtime=time.localtime, ctime=time.ctime)

    def wall():
        return (epoch_ns + now_ns()) / 1e9

    def sleep(seconds):
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        sleep_ns(round(seconds * 1e9))

    def monotonic_ns():
        return boot_uptime_ns + now_ns()

    time.sleep = sleep
    time.time = wall
    time.time_ns = lambda: epoch_ns + now_ns()
    time.monotonic = lambda: monotonic_ns() / 1e9
    time.monotonic_ns = monotonic_ns
    time.perf_counter = time.monotonic
    time.perf_counter_ns = monotonic_ns
    time.process_time = lambda: n * LINE_NS / 1e9
    time.process_time_ns = lambda: n * LINE_NS
    time.thread_time = time.process_time
    time.gmtime = lambda s=None: real.gmtime(wall() if s is None else s)
    # Devices live in UTC.
    time.localtime = time.gmtime
    time.ctime = lambda s=None: real.ctime(wall() if s is None else s)
    time.strftime = lambda f, t=None: real.strftime(f, time.gmtime() if t is None else t)
    time.clock_gettime = lambda clock: wall() if clock == 0 else monotonic_ns() / 1e9
    time.clock_gettime_ns = lambda clock: time.time_ns() if clock == 0 else monotonic_ns()

    import datetime

    class Datetime(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls.fromtimestamp(wall(), tz)

        @classmethod
        def utcnow(cls):
            return cls.utcfromtimestamp(wall())

        @classmethod
        def today(cls):
            return cls.fromtimestamp(wall())

    class Date(datetime.date):
        @classmethod
        def today(cls):
            return cls.fromtimestamp(wall())

    Datetime.__name__ = Datetime.__qualname__ = "datetime"
    Date.__name__ = Date.__qualname__ = "date"
    Datetime.__module__ = Date.__module__ = "datetime"
    datetime.datetime, datetime.date = Datetime, Date


boot_uptime_ns = 1_000_000_000


# Chance: the device's own, drawn from the run's seed.

def _patch_chance():
    dice = random.Random(settings["seed"])

    def urandom(size):
        return dice.getrandbits(8 * size).to_bytes(size, "little") if size else b""

    os.urandom = urandom
    os.getrandom = lambda size, flags=0: urandom(size)
    os.getpid = lambda: 1000
    random._urandom = urandom
    random.seed(settings["seed"] ^ 0x5DEECE66D)
    plain = random.Random.seed

    def seed(self, a=None, version=2):
        if a is None:
            a = int.from_bytes(urandom(16), "little")
        plain(self, a, version)

    random.Random.seed = seed
    import uuid
    uuid.getnode = lambda: int(settings["mac"].replace(":", ""), 16)


# Files that a Raspberry Pi's kernel makes up.

REVISIONS = {"raspberry-pi-3b": 0xA02082, "raspberry-pi-3b-plus": 0xA020D3, "raspberry-pi-4b": 0xC03112,
             "raspberry-pi-5": 0xC04170, "raspberry-pi-zero-2w": 0x902120}


def _patch_files():
    revision = REVISIONS.get(settings["board"])
    if revision is None:
        return
    text = "Revision\t: %x\nSerial\t\t: 10000000%s\nModel\t\t: %s\n" % (
        revision, settings["mac"].replace(":", "")[4:], settings["board"].replace("-", " ").title())
    made = {"/proc/device-tree/system/linux,revision": revision.to_bytes(4, "big"), "/proc/cpuinfo": text.encode(),
            "/proc/device-tree/model": settings["board"].encode() + b"\0"}
    real = builtins.open

    def open_(file, mode="r", *args, **named):
        data = made.get(file) if isinstance(file, str) else None
        if data is None:
            return real(file, mode, *args, **named)
        return io.BytesIO(data) if "b" in mode else io.StringIO(data.decode())

    builtins.open = io.open = open_


# What the script prints goes to the run.

def hexed(text):
    return text.encode("utf-8", "replace").hex() or "-"


class Console(io.TextIOBase):
    def __init__(self):
        self._line = ""

    encoding = "utf-8"

    def writable(self):
        return True

    def fileno(self):
        raise io.UnsupportedOperation("a device's console has no file number")

    def isatty(self):
        return False

    def write(self, text):
        text = str(text)
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            ask("say", hexed(line[:4096]))
        return len(text)

    def flush(self):
        pass

    def last(self):
        if self._line:
            self.write("\n")


# The modules that the script finds.

class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """The shim's modules, from the texts that came with it."""

    def __init__(self, sources):
        self.sources = sources

    def find_spec(self, name, path, target=None):
        packages = name in self.packages
        if name in self.sources or packages:
            spec = importlib.machinery.ModuleSpec(name, self, is_package=packages)
            spec.origin = "<twinfleet>/" + name.replace(".", "/") + ".py"
            return spec
        return None

    @property
    def packages(self):
        return {n.rpartition(".")[0] for n in self.sources if "." in n} | {
            n.removesuffix(".__init__") for n in self.sources if n.endswith(".__init__")}

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        name = module.__name__
        source = self.sources.get(name, self.sources.get(name + ".__init__", ""))
        path = "<twinfleet>/" + name.replace(".", "/") + ".py"
        module.__file__ = path
        import linecache
        linecache.cache[path] = (len(source), None, source.splitlines(True), path)
        exec(_compiled(source, path), module.__dict__)

    def get_source(self, name):
        return self.sources.get(name, "")


shim = {}
compiled = {}  # by text: every device runs the same


def _compiled(source, path):
    code = compiled.get(source)
    if code is None:
        code = compiled[source] = compile(source, path, "exec", dont_inherit=True)
    return code



def prepare(bundle):
    """In the process that all devices are forked from: everything that is the same for all."""
    shim.update(bundle)
    import collections, contextlib, datetime, enum, functools, json, linecache, math, queue, re, struct, threading  # noqa
    import importlib.util, socket, select, errno, uuid, ctypes, mmap, resource, signal, warnings, weakref  # noqa
    # What clients and drivers import on their own: neither a lock of the real kind nor a socket is in these.
    import array, base64, bisect, copy, dataclasses, decimal, hashlib, heapq, hmac, http, inspect, ipaddress, locale  # noqa
    import numbers, pathlib, platform, shutil, statistics, string, textwrap, tokenize, typing, urllib.parse, zlib  # noqa
    for folder in (f for name, f in bundle.items() if name != "kernel"):
        for name, source in folder.items():
            _compiled(source, "<twinfleet>/" + name.removesuffix(".__init__").replace(".", "/") + ".py")
    import gc
    global _size
    _size = _taken()
    gc.collect()
    gc.freeze()


def _end(kind, text):
    ask("end", kind, hexed(text))
    os._exit(0)


def _taken():
    """How much address space the process has: /proc is out of its reach, so the limit is felt for."""
    import mmap
    import resource
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    low, high = 1 << 20, 1 << 36
    while high - low > 1 << 20:
        middle = (low + high) // 2
        resource.setrlimit(resource.RLIMIT_AS, (middle, hard))
        try:
            mmap.mmap(-1, 4096).close()
            high = middle
        except OSError:
            low = middle
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    return high


_size = 0  # address space before the script
_reserve = None  # memory to tell a lack of memory with


def _memory():
    global _reserve
    import resource
    room = settings.get("memory_bytes")
    if room:
        _reserve = bytearray(1 << 18)
        limit = _size + room
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 20, 64 << 20))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


def _confine():
    """The second lock of the sandbox, which only a child can close behind itself: no new programs, no new processes."""
    words = settings.get("filter")
    if not words:
        return
    import ctypes
    raw = bytes.fromhex(words)
    program = ctypes.create_string_buffer(raw, len(raw))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

    libc = ctypes.CDLL(None, use_errno=True)
    of = Program(len(raw) // 8, ctypes.cast(program, ctypes.c_void_p))
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.byref(of), 0, 0):
        _end("sandbox", "the process cannot confine itself: " + os.strerror(ctypes.get_errno()))


def serve(line, hello):
    """In a device's own process: runs its script to the end."""
    global fd, LINE_NS, base_ns, epoch_ns, limit_n
    fd = line
    settings.update(hello)
    LINE_NS = hello["line_ns"]
    base_ns = hello["now_ns"]
    epoch_ns = hello["epoch_ns"]
    limit_n = SLICE_NS // LINE_NS
    os.chdir(hello["folder"])
    os.environ.clear()
    os.environ.update({"HOME": hello["folder"], "PATH": "/usr/bin:/bin", "TZ": "UTC", "LANG": "C.UTF-8"})
    if "pi" in hello["modules"]:
        # gpiozero's factory over RPi.GPIO, which is the shim's.
        os.environ["GPIOZERO_PIN_FACTORY"] = "rpigpio"
    os.environ.update(hello["env"])
    sys.argv = [hello["path"], *hello["args"]]
    sys.path[:] = [p for p in sys.path if p]
    sys.path.insert(0, os.path.dirname(os.path.join(hello["folder"], hello["path"])))
    sys.stdin = io.StringIO()
    sys.dont_write_bytecode = True
    # The real chance first: what follows imports from it.
    _patch_chance()
    _patch_threads()
    _patch_time()
    _patch_files()
    sources = {}
    for folder in hello["modules"]:
        sources.update(shim[folder])
    finder = Finder(sources)
    sys.meta_path.insert(0, finder)
    for name in [*sources, "selectors", "asyncio"]:
        sys.modules.pop(name, None)
    for name in hello.get("early", []):
        __import__(name)
    _memory()
    _confine()
    console = sys.stdout = sys.stderr = Console()
    path = os.path.join(hello["folder"], hello["path"])
    main = types.ModuleType("__main__")
    main.__dict__.update(__file__=hello["path"], __builtins__=builtins)
    sys.modules["__main__"] = main
    kind, text = "exit", ""
    try:
        with io.open_code(path) as file:
            code = compile(file.read(), hello["path"], "exec", dont_inherit=True)
        import linecache
        with open(path, encoding="utf-8", errors="replace") as file:
            source = file.read()
        linecache.cache[hello["path"]] = (len(source), None, source.splitlines(True), hello["path"])
        sys.settrace(_on_call)
        try:
            exec(code, main.__dict__)
        finally:
            sys.settrace(None)
        _join(main)
    except SystemExit as end:
        if end.code not in (None, 0):
            kind, text = "exit", str(end.code)
    except BaseException as error:
        _let_go()
        kind, text = "crash", _traceback(error)
    console.last()
    _end(kind, text)


def _let_go():
    global _reserve
    _reserve = None


def _join(main):
    """A program ends when its threads have ended, daemons apart."""
    import threading
    sys.settrace(_on_call)
    for thread in list(threading.enumerate()):
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join()


def _traceback(error):
    """The script's own traceback, without what runs it."""
    try:
        told = traceback.TracebackException.from_exception(error)
        told.stack = traceback.StackSummary.from_list([f for f in told.stack if not f.filename.startswith("<twinfleet>/_twinfleet")])
        return "".join(told.format())
    except BaseException:
        return "%s: %s\n" % (type(error).__name__, error)
