"""Files as a device shows them to its script.

Its card is its home folder; what a script writes elsewhere (`/tmp`, `/var/log`) lies in a hidden folder of the card. Some
files the system makes up, as the kernel of a Raspberry Pi does. Nothing that a script can ask of a file tells of the machine
that the run is on: times are simulated, numbers of files are counted, lists are in order. Modes, owners and further
attributes are kept as long as the process lives and mean nothing.
"""
import builtins
import io
import os
import posixpath
import stat as _stat
import sys

import _twinfleet as _k

_HIDDEN = ".root"
_SYSTEM = ("/usr", "/lib", "/lib64", "/proc", "/sys", "/dev", "/etc", "/bin", "/sbin", "/boot")
# Where anything may be written on a Linux board.
_THERE = ("tmp", "var/log", "var/lib", "var/tmp", "opt", "mnt", "media", "run", "srv", "home")
real = {name: getattr(os, name) for name in (
    "stat", "lstat", "fstat", "listdir", "scandir", "open", "mkdir", "rmdir", "unlink", "remove", "access", "chdir",
    "truncate", "readlink", "rename", "replace", "link", "symlink", "getcwd")}
_open = io.open

folder = ""
home = "/home/device"
_own = ()
made = {}  # path: what gives its bytes
takes = {}  # path: what takes what is written there
_times = {}  # (dev, ino): [mtime_ns, size]
_modes = {}
_numbers = {}
_counted = 100


def within(path, of):
    return path == of or path.startswith(of.rstrip("/") + "/")


def true(path):
    """Where the machine has what a script calls by a path."""
    if isinstance(path, int):
        return path
    if not isinstance(path, str):
        path = os.fspath(path)
        if isinstance(path, bytes):
            return os.fsencode(true(os.fsdecode(path)))
    if not path.startswith("/") or within(path, folder):
        return path
    plain = posixpath.normpath(path)
    if home != "/" and within(plain, home):
        return folder + plain[len(home):]
    if any(within(plain, of) for of in _own):
        return path
    if home == "/":
        return folder + plain if plain != "/" else folder
    hidden = folder + "/" + _HIDDEN
    if not real["access"](hidden, os.F_OK):
        for part in (*_THERE, home[1:]):
            _make_all(hidden + "/" + part)
    return hidden + plain if plain != "/" else hidden


def on_card(path):
    """Whether a folder that modules are looked for in is one of the card's."""
    return not path.startswith("/") or (within(path, home) and not any(within(path, of) for of in _own))


def _make_all(path):
    if not real["access"](path, os.F_OK):
        _make_all(posixpath.dirname(path))
        real["mkdir"](path)


def told(path):
    """What a script calls a place of the machine."""
    hidden = folder + "/" + _HIDDEN
    if within(path, hidden):
        return path[len(hidden):] or "/"
    if within(path, folder):
        return posixpath.normpath(home.rstrip("/") + "/" + path[len(folder):].lstrip("/"))
    return path


def _call(name, path, *more, **named):
    at = path if named.get("dir_fd") is not None else true(path)
    try:
        return real[name](at, *more, **named)
    except OSError as error:
        if error.filename == at:
            error.filename = path
        raise


# Made-up files.

def content(path):
    """What gives the bytes of a made-up file; None where it is none."""
    if isinstance(path, int):
        return None
    path = os.fsdecode(os.fspath(path))
    if not path.startswith("/"):
        return None
    path = posixpath.normpath(path)
    if path.startswith("/sys/bus/w1"):
        _one_wire()
    return made.get(path)


def _below(path):
    """What made-up folders have in them; None where it is none."""
    if isinstance(path, int):
        return None
    path = os.fsdecode(os.fspath(path))
    if not path.startswith(("/sys", "/proc", "/etc")):
        return None
    path = posixpath.normpath(path)
    if path.startswith("/sys/bus/w1"):
        _one_wire()
    start = path.rstrip("/") + "/"
    return sorted({name[len(start):].split("/")[0] for name in made if name.startswith(start)}) or None


_wired = False


def _one_wire():
    """What the kernel finds on its 1-Wire bus, at GPIO4, when first somebody looks."""
    global _wired
    if _wired or "/sys/bus/w1/devices/w1_bus_master1/w1_master_slave_count" not in made:
        return
    _wired = True
    import _w1

    for name, files, takers in _w1.devices():
        for of, to in (made, files), (takes, takers):
            of.update(("/sys/bus/w1/devices/%s/%s" % (name, file), call) for file, call in to.items())


def inside(quantity):
    """What the processor measures of itself, in the catalog's unit."""
    answer = _k.ask("inside", quantity)
    if answer[0] == "err":
        if answer[1] == "nopart":
            model = "pi-soc" if "pi" in _k.settings["modules"] else "mcu-temp"
            raise OSError(19, "the thing has no part for this: give it (id: \"soc\", model: \"%s\", on: Internal)" % model)
        raise _k.os_error(answer[1])
    return float(answer[1])


class _Chance(io.RawIOBase):
    """/dev/urandom: the device's own."""

    def readable(self):
        return True

    def readinto(self, buffer):
        buffer[:] = os.urandom(len(buffer))
        return len(buffer)

    def writable(self):
        return True

    def write(self, data):
        return len(data)


class _Taken(io.RawIOBase):
    """A made-up file that is written to: each piece is a command of its own, as to the kernel."""

    def __init__(self, take):
        self._take = take

    def writable(self):
        return True

    def write(self, data):
        data = bytes(data)
        self._take(data)
        return len(data)


def _taken(path):
    """What takes what is written to a made-up file; None where it cannot be written to."""
    return takes.get(posixpath.normpath(os.fsdecode(path)))


def open_(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True, opener=None):
    if isinstance(file, int):
        return _open(file, mode, buffering, encoding, errors, newline, closefd, opener)
    path = os.fspath(file)
    if path in ("/dev/urandom", "/dev/random", b"/dev/urandom"):
        return _Chance() if buffering == 0 else io.BufferedReader(_Chance())
    give = content(path)
    if give is not None:
        if set(mode) & set("wxa+"):
            take = _taken(path)
            if take is None or set(mode) & set("x+"):
                raise PermissionError(13, "Permission denied", path)
            raw = io.BufferedWriter(_Taken(take))
            return raw if "b" in mode else io.TextIOWrapper(raw, encoding or "utf-8", errors, newline)
        raw = io.BytesIO(give())
        return raw if "b" in mode else io.TextIOWrapper(raw, encoding or "utf-8", errors, newline)
    writes = bool(set(mode) & set("wxa+"))
    at = true(path)
    new = writes and not real["access"](at, os.F_OK)

    def open_there(name, flags):
        return open_low(name, flags, 0o666)

    opened = _open(file, mode, buffering, encoding, errors, newline, closefd, opener or open_there)
    if writes:
        touched(opened.fileno(), new)
    return opened


def open_low(path, flags, mode=0o777, *, dir_fd=None):
    plain = os.fsdecode(os.fspath(path))
    give = (lambda: os.urandom(65536)) if plain in ("/dev/urandom", "/dev/random") else content(path)
    if give is None:
        if dir_fd is not None:
            return real["open"](path, flags, mode, dir_fd=dir_fd)
        writes = flags & (os.O_WRONLY | os.O_RDWR)
        new = writes and not real["access"](true(path), os.F_OK)
        fd = _call("open", path, flags, mode)
        if writes:
            touched(fd, new)
        return fd
    at = true("/tmp/.made")
    fd = real["open"](at, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    real["unlink"](at)
    os.write(fd, give())
    os.lseek(fd, 0, 0)
    return fd


# What is told of files.

def touched(of, new=False):
    """A file is written to: its time is now."""
    of = real["fstat"](of) if isinstance(of, int) else real["stat"](of)
    key = (of.st_dev, of.st_ino)
    if new:
        _numbers.pop(key, None)
        _modes.pop(key, None)
    _times[key] = [_k.epoch_ns + _k.now_ns(), of.st_size]


def _number(key):
    global _counted
    if key not in _numbers:
        _counted += 1
        _numbers[key] = _counted
    return _numbers[key]


def _result(mode, number, links, size, times):
    seconds = [t // 1_000_000_000 for t in times]
    words = ("atime", "mtime", "ctime")
    more = {"st_" + w: t / 1e9 for w, t in zip(words, times)} | {"st_%s_ns" % w: t for w, t in zip(words, times)}
    more |= {"st_blksize": 4096, "st_blocks": -(-size // 4096) * 8, "st_rdev": 0}
    return os.stat_result((mode, number, 45826, links, 0, 0, size, *seconds), more)


def _shown(of):
    key = (of.st_dev, of.st_ino)
    is_folder = _stat.S_ISDIR(of.st_mode)
    size = 4096 if is_folder else of.st_size
    written = _times.get(key)
    if written is not None and not is_folder and written[1] != of.st_size:
        written[:] = [_k.epoch_ns + _k.now_ns(), of.st_size]
    # What was there before the script is as old as the run.
    changed = written[0] if written is not None else _k.epoch_ns
    times = (written[2] if written is not None and len(written) > 2 else changed), changed, changed
    return _result(_modes.get(key, of.st_mode), _number(key), 1 if is_folder else of.st_nlink, size, times)


def _stat_of(name):
    def ask(path, *, dir_fd=None, follow_symlinks=True):
        if not isinstance(path, int):
            if content(path) is not None:
                return _result(_stat.S_IFREG | 0o444, 1, 1, 4096, [_k.epoch_ns] * 3)
            if dir_fd is None and _below(path) and not real["access"](true(path), os.F_OK):
                return _result(_stat.S_IFDIR | 0o555, 2, 1, 4096, [_k.epoch_ns] * 3)
        if dir_fd is not None:
            return _shown(real["stat"](path, dir_fd=dir_fd, follow_symlinks=follow_symlinks))
        return _shown(_call(name if follow_symlinks else "lstat", path))

    return ask


def _listed(path="."):
    if isinstance(path, int):
        return sorted(real["listdir"](path))
    below = _below(path)
    if below is not None:
        return below
    return sorted(name for name in _call("listdir", path) if name not in (_HIDDEN, os.fsencode(_HIDDEN)))


class Entry:
    """One of a folder's."""

    def __init__(self, path, name):
        self.name = name
        # A folder may be given by its number.
        self._fd = path if isinstance(path, int) else None
        self.path = name if isinstance(path, int) else os.path.join(path, name)

    def __fspath__(self):
        return self.path

    def __repr__(self):
        return "<DirEntry %r>" % self.name

    def stat(self, *, follow_symlinks=True):
        return os.stat(self.path, dir_fd=self._fd, follow_symlinks=follow_symlinks)

    def inode(self):
        return self.stat(follow_symlinks=False).st_ino

    def _is(self, test, follow):
        try:
            return test(self.stat(follow_symlinks=follow).st_mode)
        except FileNotFoundError:
            return False

    def is_dir(self, *, follow_symlinks=True):
        return self._is(_stat.S_ISDIR, follow_symlinks)

    def is_file(self, *, follow_symlinks=True):
        return self._is(_stat.S_ISREG, follow_symlinks)

    def is_symlink(self):
        return self._is(_stat.S_ISLNK, False)

    def is_junction(self):
        return False


class Entries:
    def __init__(self, path="."):
        path = "." if path is None else path
        self._left = iter([Entry(path if isinstance(path, int) else os.fspath(path), name) for name in _listed(path)])

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._left)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def close(self):
        pass


def _access(path, mode, **named):
    if content(path) is not None:
        return not mode & os.X_OK and (not mode & os.W_OK or _taken(path) is not None)
    if _below(path) and not real["access"](true(path), os.F_OK):
        return not mode & os.W_OK
    return real["access"](true(path), mode)


def _of_own(path, follow=True):
    """The key of a file that the script may change the attributes of."""
    if isinstance(path, int):
        of = real["fstat"](path)
    else:
        at = os.fsdecode(true(path))
        at = at if at.startswith("/") else posixpath.join(real["getcwd"](), at)
        of = _call("stat" if follow else "lstat", path)
        if not within(posixpath.normpath(at), folder):
            raise PermissionError(1, "Operation not permitted", path)
    return (of.st_dev, of.st_ino), of


def _chmod(path, mode, *, dir_fd=None, follow_symlinks=True):
    key, of = _of_own(path, follow_symlinks)
    _modes[key] = _stat.S_IFMT(of.st_mode) | mode & 0o7777


def _chown(path, uid, gid, *, dir_fd=None, follow_symlinks=True):
    _of_own(path, follow_symlinks)


def _utime(path, times=None, *, ns=None, dir_fd=None, follow_symlinks=True):
    key, of = _of_own(path, follow_symlinks)
    if ns is None:
        ns = (_k.epoch_ns + _k.now_ns(),) * 2 if times is None else [round(t * 1e9) for t in times]
    _times[key] = [ns[1], of.st_size, ns[0]]


def _one(name):
    def do(path, *more, **named):
        return _call(name, path, *more, **named)

    return do


def _two(name):
    def do(source, to, **named):
        if named.get("src_dir_fd") is None:
            source = true(source)
        return real[name](source, true(to) if named.get("dst_dir_fd") is None else to, **named)

    return do


def _mkdir(path, mode=0o777, *, dir_fd=None):
    _call("mkdir", path, mode, dir_fd=dir_fd)
    if dir_fd is None:
        touched(true(path), True)


def _refuse(*_, **__):
    raise PermissionError(1, "Operation not permitted")


def _space(path):
    return os.statvfs_result((4096, 4096, 7_500_000, 6_000_000, 5_700_000, 1_900_000, 1_800_000, 1_800_000, 0, 255))


def install():
    """In a device's own process. The folder is its card's."""
    global folder, home, _own
    folder = _k.settings["folder"]
    home = _k.settings["home"]
    outer = {p for p in (*sys.path, sys.prefix, sys.base_prefix, sys.exec_prefix) if p.startswith("/")}
    # A microcontroller has its card and nothing else.
    _own = (*(("/proc", "/dev") if home == "/" else _SYSTEM), *sorted(outer - {"/"} - {home}))
    new = {"stat": _stat_of("stat"), "lstat": _stat_of("lstat"), "fstat": lambda fd: _shown(real["fstat"](fd)),
           "listdir": _listed, "scandir": Entries, "open": open_low, "access": _access, "mkdir": _mkdir,
           "chmod": _chmod, "fchmod": _chmod, "lchown": _chown, "chown": _chown, "fchown": _chown, "utime": _utime,
           "mknod": _refuse, "mkfifo": _refuse, "chroot": _refuse,
           "getxattr": _refuse, "setxattr": _refuse, "removexattr": _refuse, "listxattr": lambda *_, **__: [],
           "statvfs": _space, "fstatvfs": _space, "getcwd": lambda: told(real["getcwd"]()),
           "getcwdb": lambda: os.fsencode(told(real["getcwd"]()))}
    new |= {name: _one(name) for name in ("rmdir", "unlink", "remove", "chdir", "truncate", "readlink")}
    new |= {name: _two(name) for name in ("rename", "replace", "link")}
    new["symlink"] = lambda source, to, *_, **__: real["symlink"](source, true(to))
    # `pathlib` of old has them in a class, as a script may.
    opens = _k.unbound(open_)
    for name, function in new.items():
        setattr(os, name, function if function is Entries else _k.unbound(function))
    builtins.open = io.open = opens
    import tokenize

    tokenize._builtin_open = open_
    # What has these from before, in a class or a default, gets them anew.
    sys.modules.pop("tempfile", None)
    if sys.version_info < (3, 11):
        sys.modules.pop("pathlib", None)
