"""The doors that a device's own process closes behind itself, before a line of its script runs.

A Landlock domain of its own, in which its card is all that it writes to and no signal leaves it; a list of the system calls
that are left; limits of memory and files. All of it holds for the process, whatever `ctypes` does in it.
"""
import ctypes
import mmap
import os
import resource
import struct

import _thread
import _twinfleet as _k

# The numbers are the same on every processor.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_MAKE_CHAR, _MAKE_SOCK, _MAKE_FIFO, _MAKE_BLOCK, _IOCTL_DEV = 1 << 6, 1 << 9, 1 << 10, 1 << 11, 1 << 15
# Rights by the version of the kernel's Landlock.
_RIGHTS = (0, 0x1FFF, 0x3FFF, 0x7FFF, 0x7FFF, 0xFFFF)
_ABSTRACT_SOCKETS, _SIGNALS = 1, 2

# What a card's script may hold open and write in one file.
_FILES, _FILE_BYTES = 64, 64 << 20
# Address space for the stacks of all threads.
THREADS, STACK_BYTES = 64, 1 << 20

_size = 0  # address space before the script


def prepare():
    """In the process that all are forked from."""
    global _size
    _size = _taken()


def _taken():
    """How much address space the process has: /proc is out of its reach, so the limit is felt for."""
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


def limit_memory():
    _thread.stack_size(STACK_BYTES)
    room = _k.settings.get("memory_bytes")
    if room:
        if "linux" in _k.settings["modules"]:
            room += THREADS * STACK_BYTES
        limit = _size + room
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE_BYTES, _FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES, _FILES))


def confine():
    """Closes both doors; ends the process where that cannot be."""
    doors = _k.settings.get("confinement")
    if not doors:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0):
        _failed()
    _landlock(libc, doors["readable"])
    _seccomp(libc, doors["filter"])


def _failed():
    _k.end("sandbox", "the process cannot confine itself: " + os.strerror(ctypes.get_errno()))


def _landlock(libc, readable):
    call = libc.syscall
    call.restype = ctypes.c_long
    version = call(_CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    if version < 1:
        _failed()
    rights = _RIGHTS[min(version, len(_RIGHTS) - 1)]
    scoped = _ABSTRACT_SOCKETS | _SIGNALS if version >= 6 else 0
    # Older kernels know the first fields only. Whether it may use the network, the first process has settled.
    about = struct.pack("=QQQ", rights, 0, scoped)[: 8 if version < 4 else 16 if version < 6 else 24]
    rules = call(_CREATE_RULESET, about, ctypes.c_size_t(len(about)), 0)
    if rules < 0:
        _failed()

    def allow(path, access):
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            # What is not there needs no leave.
            return
        if call(_ADD_RULE, rules, 1, struct.pack("=Qi", access & rights, place), 0):
            _failed()
        os.close(place)

    for path in readable:
        allow(path, _READ_FILE | _READ_DIR if os.path.isdir(path) else _READ_FILE)
    allow("/dev/null", _READ_FILE | _WRITE_FILE)
    never = _EXECUTE | _MAKE_CHAR | _MAKE_SOCK | _MAKE_FIFO | _MAKE_BLOCK | _IOCTL_DEV
    allow(_k.settings["folder"], rights & ~never)
    if call(_RESTRICT_SELF, rules, 0):
        _failed()
    os.close(rules)


def _seccomp(libc, words):
    raw = bytes.fromhex(words)
    program = ctypes.create_string_buffer(raw, len(raw))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

    of = Program(len(raw) // 8, ctypes.cast(program, ctypes.c_void_p))
    if libc.prctl(22, 2, ctypes.byref(of), 0, 0):
        _failed()
