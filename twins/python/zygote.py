"""The process that every device's own process is forked from: Python started once, the shim loaded once.

Reads its shim from standard input (a socket), then forks a child for each socket that comes over it. A child serves one
device; what it does with its socket is kernel.py's business.
"""
import json
import os
import socket
import struct
import sys


def exactly(read, n):
    data = b""
    while len(data) < n:
        more = read(n - len(data))
        if not more:
            os._exit(0)
        data += more
    return data


def message(read):
    (n,) = struct.unpack("<I", exactly(read, 4))
    return json.loads(exactly(read, n))


def load(name, source):
    """A module of the shim, from its text."""
    import linecache

    import types

    path = "<twinfleet>/" + name.replace(".", "/") + ".py"
    module = types.ModuleType(name)
    module.__file__ = path
    linecache.cache[path] = (len(source), None, source.splitlines(True), path)
    sys.modules[name] = module
    exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)
    return module


def main():
    control = socket.socket(fileno=os.dup(0))
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    shim = message(control.recv)
    kernel = load("_twinfleet", shim["kernel"])
    kernel.prepare(shim)
    control.sendall(b"!")
    while True:
        data, fds, _, _ = socket.recv_fds(control, 1, 1)
        if not data:
            os._exit(0)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
        pid = os.fork()
        if pid == 0:
            control.close()
            # What a library writes past Python goes nowhere.
            os.dup2(null, 1)
            os.dup2(null, 2)
            fd = fds[0]
            kernel.serve(fd, message(lambda n: os.read(fd, n)))
            os._exit(0)
        os.close(fds[0])
        control.sendall(struct.pack("<I", pid))


main()
