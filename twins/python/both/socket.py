"""Sockets of the simulation: at their other end is the run's broker."""
import sys as _sys

import _twinfleet as _k

_real = _sys.modules.get("_socket")
AF_INET, AF_INET6, AF_UNSPEC, AF_UNIX = 2, 10, 0, 1
SOCK_STREAM, SOCK_DGRAM = 1, 2
SOL_SOCKET, SO_REUSEADDR, SO_KEEPALIVE, SO_ERROR, SO_BINDTODEVICE = 1, 2, 9, 4, 25
IPPROTO_TCP, IPPROTO_UDP, IPPROTO_IP, TCP_NODELAY = 6, 17, 0, 1
IP_ADD_MEMBERSHIP, IP_MULTICAST_TTL = 35, 33
SHUT_RD, SHUT_WR, SHUT_RDWR = 0, 1, 2
AI_PASSIVE, NI_NUMERICHOST = 1, 1
INADDR_ANY = 0
has_ipv6 = False
error = OSError
_default_timeout = None


class timeout(TimeoutError):
    pass


timeout = TimeoutError


class gaierror(OSError):
    pass


class herror(OSError):
    pass


def setdefaulttimeout(seconds):
    global _default_timeout
    _default_timeout = seconds


def getdefaulttimeout():
    return _default_timeout


def gethostname():
    return _k.settings["device"]


getfqdn = lambda name="": name or gethostname()


def gethostbyname(name):
    return name if name.replace(".", "").isdigit() else "10.0.0.1"


_names = {}


def getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
    address = gethostbyname(host or "0.0.0.0")
    _names[address] = host
    return [(AF_INET, type or SOCK_STREAM, proto or 6, "", (address, int(port or 0)))]


def inet_aton(text):
    return bytes(int(p) for p in text.split("."))


def inet_ntoa(data):
    return ".".join(str(b) for b in data)


def inet_pton(family, text):
    return inet_aton(text)


def inet_ntop(family, data):
    return inet_ntoa(data)


def htons(x):
    return (x & 255) << 8 | x >> 8


ntohs = htons


class socket:
    def __init__(self, family=AF_INET, type=SOCK_STREAM, proto=0, fileno=None):
        self.family, self.type, self.proto = family, type & 15, proto
        self._id = None
        self._timeout = _default_timeout
        self._peer = None
        self._closed = False
        self._pipe = None  # the other end of a pair within the process
        self._bytes = b""
        self._number = _next_number()
        by_number[self._number] = self

    # What says nothing here.
    def setsockopt(self, *_):
        pass

    def getsockopt(self, *_):
        return 0

    # Within the process, programs may speak to themselves.
    def bind(self, address):
        self._port = int(address[1]) or 40000 + self._number

    def listen(self, backlog=0):
        listeners[self._port] = self
        self._queue = []

    def accept(self):
        while not self._queue:
            if self._timeout == 0.0:
                raise BlockingIOError(11, "Resource temporarily unavailable")
            wait_for_news(None if self._timeout is None else _k.now_ns() + int(self._timeout * 1e9))
        return self._queue.pop(0), ("127.0.0.1", 40000)

    def setblocking(self, on):
        self._timeout = None if on else 0.0

    def getblocking(self):
        return self._timeout != 0.0

    def settimeout(self, seconds):
        self._timeout = seconds

    def gettimeout(self):
        return self._timeout

    def fileno(self):
        return -1 if self._closed else self._number

    def connect(self, address):
        if self.type == SOCK_DGRAM:
            self._peer = address
            return
        host, port = address[0], int(address[1])
        if port in listeners and host in ("127.0.0.1", "localhost", "0.0.0.0"):
            other = socket()
            self._pipe, other._pipe = other, self
            self._peer = (host, port)
            listeners[port]._queue.append(other)
            _arrived()
            return
        (self._id,) = _k.ask_ok("open", str(host).replace(" ", "_") or "-", port)
        self._peer = (gethostbyname(str(host)), port)

    def connect_ex(self, address):
        try:
            self.connect(address)
        except OSError as error:
            return error.errno
        return 0

    def getpeername(self):
        if self._peer is None:
            raise OSError(107, "Transport endpoint is not connected")
        return self._peer

    def getsockname(self):
        return ("127.0.0.1", self._port) if self._port else ("10.0.0.2", 49152 + self._number)

    _port = 0
    _queue = None

    def send(self, data, flags=0):
        data = bytes(data)
        if self._closed:
            raise OSError(9, "Bad file descriptor")
        if self._pipe is not None:
            self._pipe._bytes += data
            _arrived()
            return len(data)
        if self._id is None:
            raise OSError(107, "Transport endpoint is not connected")
        try:
            _k.ask_ok("send", self._id, data.hex() or "-")
        except OSError as error:
            raise BrokenPipeError(32, "Broken pipe") from error
        # What the broker answers at once is there at once.
        _arrived()
        return len(data)

    def sendall(self, data, flags=0):
        self.send(data)

    def sendto(self, data, *_):
        return len(data)

    def _take(self, n):
        """Bytes that are there; None: none yet; b"": the end."""
        if self._pipe is not None or self._bytes:
            data, self._bytes = self._bytes[:n], self._bytes[n:]
            return data or None
        if self._id is None:
            return None
        words = _k.ask("recv", self._id, n)
        if words[0] == "err":
            return b""
        data = b"" if words[2] == "-" else bytes.fromhex(words[2])
        if data:
            return data
        return b"" if words[1] == "closed" else None

    def readable(self):
        if self._closed or self._bytes or self._queue:
            return True
        if self._id is None:
            return False
        return _k.ask("ready", self._id)[1] == "1"

    def recv(self, n, flags=0):
        if self._closed:
            raise OSError(9, "Bad file descriptor")
        until = None if self._timeout is None else _k.now_ns() + int(self._timeout * 1e9)
        while True:
            data = self._take(n)
            if data is not None:
                return data
            if self._timeout == 0.0:
                raise BlockingIOError(11, "Resource temporarily unavailable")
            if until is not None and _k.now_ns() >= until:
                raise TimeoutError("timed out")
            wait_for_news(until)

    def recv_into(self, buffer, n=0, flags=0):
        data = self.recv(n or len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def recvfrom(self, n, flags=0):
        return self.recv(n), self._peer

    def makefile(self, mode="r", buffering=None, **_):
        import io
        raw = _Raw(self)
        return io.BufferedReader(raw) if "r" in mode and "w" not in mode else io.BufferedRWPair(raw, raw)

    def shutdown(self, how):
        pass

    def close(self):
        if not self._closed:
            self._closed = True
            by_number.pop(self._number, None)
            if self._id is not None:
                _k.ask("close", self._id)

    detach = close

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


import io as _io


class _Raw(_io.RawIOBase):
    def __init__(self, of):
        self._of = of

    def readable(self):
        return True

    def writable(self):
        return True

    def readinto(self, buffer):
        data = self._of.recv(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def write(self, data):
        return self._of.send(data)


SocketType = socket
by_number = {}
listeners = {}
_place = object()
_count = 100


def _next_number():
    global _count
    _count += 1
    return _count


def _arrived(*_):
    _k.threads.wake(_place, 1 << 30)


def wait_for_news(until):
    """Until something came from outside, or a time."""
    _k.threads.wait(until, _place)


_k.threads.pollers.append(lambda what: what == "net" and _arrived())


def socketpair(*_):
    a, b = socket(), socket()
    a._pipe, b._pipe = b, a
    return a, b


def create_connection(address, timeout=None, source_address=None, **_):
    made = socket()
    if isinstance(timeout, (int, float)):
        made.settimeout(timeout)
    made.connect(address)
    return made


_GLOBAL_DEFAULT_TIMEOUT = object()
