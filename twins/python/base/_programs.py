"""Programs that scripts start on a Raspberry Pi to learn of their own board. All others cannot be started."""
import importlib.abc
import importlib.machinery
import io
import os
import shlex
import subprocess
import sys

import _twinfleet as _k
import _files


def _vcgencmd(words):
    asked = words[0] if words else ""
    inside = _files.inside
    if asked == "measure_temp":
        return "temp=%.1f'C" % inside("temperature")
    if asked == "get_throttled":
        return "throttled=0x%x" % int(inside("throttled"))
    if asked == "measure_clock":
        hz = round(inside("frequency") * 1e6) if words[1:] in (["arm"], []) else 500_000_992
        return "frequency(48)=%d" % hz
    if asked == "measure_volts":
        return "volt=0.8500V"
    if asked == "get_mem":
        return "%s=%dM" % ((words + ["arm"])[1], 64 if words[1:] == ["gpu"] else _k.settings["ram_kb"] // 1024 - 64)
    if asked == "version":
        return "Aug 30 2024 19:19:11\nversion 2808975b80149bbfe86844655fe45c7de66fc078 (clean) (release) (start)"
    return "error=1 error_msg=\"Command not registered\""


def _uname(words):
    of = os.uname()
    names = {"-s": of.sysname, "-n": of.nodename, "-r": of.release, "-v": of.version, "-m": of.machine, "-a": " ".join(of)}
    return names.get((words + ["-s"])[0], "")


def _hostname(words):
    if not words:
        return _k.settings["device"]
    import socket

    return socket.own_address() + " " if words[0] in ("-I", "-i") else ""


def _cat(words):
    text = b""
    for path in words:
        with open(path, "rb") as file:
            text += file.read()
    return text.decode("utf-8", "replace").removesuffix("\n")


def _echo(words):
    return " ".join(words)


def _reboot(words):
    _k.end("reset", "reboot")


_known = {"vcgencmd": _vcgencmd, "uname": _uname, "hostname": _hostname, "cat": _cat, "echo": _echo, "reboot": _reboot,
          "uptime": lambda words: " up %d min" % (_k.now_ns() // 60_000_000_000), "sync": lambda words: ""}


def run(args, shell=False):
    """What a program prints and what it ends with; None: it is none of these."""
    path = into = None
    words = [os.fsdecode(w) for w in ([args] if isinstance(args, (str, bytes, os.PathLike)) else args)]
    if shell or (len(words) == 1 and isinstance(args, str) and shell):
        try:
            words = shlex.split(words[0])
        except ValueError:
            return None
        if len(words) > 2 and words[-2] in (">", ">>"):
            *words, into, path = words
        if any(c in "|;&<>$`" for w in words for c in w):
            return None
    if words and words[0] == "sudo":
        words = words[1:]
    call = _known.get(os.path.basename(words[0])) if words else None
    if call is None:
        return None
    try:
        text = call(words[1:])
        if path is not None:
            with open(path, "w" if into == ">" else "a") as file:
                file.write(text + "\n")
            text = ""
    except OSError as error:
        return ("%s: %s\n" % (words[0], error)).encode(), 1
    return (text + "\n").encode() if text else b"", 0


class Popen:
    """What `subprocess` starts: it has run to its end by then."""

    def __init__(self, args, bufsize=-1, executable=None, stdin=None, stdout=None, stderr=None, preexec_fn=None,
                 close_fds=True, shell=False, cwd=None, env=None, universal_newlines=None, *_, encoding=None, errors=None,
                 text=None, **__):
        ran = run(args, shell)
        if ran is None:
            name = args if isinstance(args, str) else os.fsdecode(list(args)[0])
            if shell or "/" in name:
                raise PermissionError(1, "a simulated device starts no programs", name)
            raise FileNotFoundError(2, "a simulated device has no such program", name)
        output, self._code = ran
        self.args, self.pid, self.returncode = args, 1001, None
        as_text = text or universal_newlines or encoding or errors

        def stream(data):
            raw = io.BytesIO(data)
            return io.TextIOWrapper(raw, encoding or "utf-8", errors) if as_text else raw

        failed = self._code != 0
        self.stdin = stream(b"") if stdin == subprocess.PIPE else None
        self.stdout = stream(b"" if failed and stderr != subprocess.STDOUT else output) if stdout == subprocess.PIPE else None
        self.stderr = stream(output if failed else b"") if stderr == subprocess.PIPE else None
        if stdout is None and not failed:
            print(output.decode(), end="")

    def poll(self):
        self.returncode = self._code
        return self.returncode

    def wait(self, timeout=None):
        return self.poll()

    def communicate(self, input=None, timeout=None):
        self.poll()
        return (self.stdout.read() if self.stdout else None, self.stderr.read() if self.stderr else None)

    def send_signal(self, number):
        pass

    def kill(self):
        pass

    terminate = kill

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream:
                stream.close()
        self.wait()

    def __class_getitem__(cls, _):
        return cls


def _asyncs(module):
    """`asyncio.subprocess`, whose own would wait for a child of the system's for ever."""
    import asyncio.base_events
    import asyncio.streams

    def stream(data):
        made = asyncio.streams.StreamReader()
        made.feed_data(data)
        made.feed_eof()
        return made

    class Process:
        def __init__(self, ran):
            self._ran, self.pid, self.returncode = ran, ran.pid, None
            self.stdin = None
            self.stdout = None if ran.stdout is None else stream(ran.stdout.read())
            self.stderr = None if ran.stderr is None else stream(ran.stderr.read())

        async def wait(self):
            self.returncode = self._ran.wait()
            return self.returncode

        async def communicate(self, input=None):
            output = None if self.stdout is None else await self.stdout.read()
            errors = None if self.stderr is None else await self.stderr.read()
            await self.wait()
            return output, errors

        def kill(self):
            pass

        terminate = kill

        def send_signal(self, number):
            pass

    async def create_subprocess_exec(program, *args, stdin=None, stdout=None, stderr=None, limit=None, **named):
        return Process(Popen([program, *args], stdin=stdin, stdout=stdout, stderr=stderr, **named))

    async def create_subprocess_shell(cmd, stdin=None, stdout=None, stderr=None, limit=None, **named):
        return Process(Popen(cmd, stdin=stdin, stdout=stdout, stderr=stderr, shell=True, **named))

    async def refused(*_, **__):
        raise NotImplementedError("a simulated device starts no programs by its loop: asyncio.create_subprocess_exec does")

    module.Process = Process
    module.create_subprocess_exec, module.create_subprocess_shell = create_subprocess_exec, create_subprocess_shell
    asyncio.base_events.BaseEventLoop.subprocess_exec = asyncio.base_events.BaseEventLoop.subprocess_shell = refused


def _no_processes(module):
    """`multiprocessing`: a device has one process, and a fork of it would wait for ever."""

    def refused(self):
        raise PermissionError(1, "a simulated device has one process: threads are there (threading, ThreadPoolExecutor)")

    module.BaseProcess.start = refused


_mended = {"asyncio.subprocess": _asyncs, "multiprocessing.process": _no_processes}


class Mender(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Modules of Python that need another hand as soon as they are there."""

    def find_spec(self, name, path=None, target=None):
        if name not in _mended:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None:
            spec.loader_state, spec.loader = spec.loader, self
        return spec

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        spec = module.__spec__
        spec.loader = module.__loader__ = spec.loader_state
        spec.loader.exec_module(module)
        _mended[spec.name](module)


def install():
    subprocess.Popen = Popen
    sys.meta_path.insert(0, Mender())

    def system(command):
        ran = run(command, True)
        if ran is None:
            return 127 << 8
        print(ran[0].decode(), end="")
        return ran[1] << 8

    os.system = _k.unbound(system)
