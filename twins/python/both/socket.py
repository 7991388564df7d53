"""Sockets of the simulation: at the other end of a stream is the run's broker or another device, at that of a datagram another
device."""
import struct as _struct
import sys as _sys

import _twinfleet as _k
from _addresses import *  # noqa
from _addresses import _dressed, _is_address  # noqa

_real = _sys.modules.get("_socket")

# The network has addresses of the old kind; sockets of the new kind meet them by the mapped form.
has_ipv6 = True
error = OSError
_default_timeout = None
# What a timeout's error says; CircuitPython's has a number ([`socketpool`]).
_TIMED_OUT = ("timed out",)
# What is taken at once, [bytes].
_PIECE = 262_144


class timeout(TimeoutError):
    pass


timeout = TimeoutError


def setdefaulttimeout(seconds):
    global _default_timeout
    _default_timeout = seconds


def getdefaulttimeout():
    return _default_timeout


class socket:
    family, type, proto = AF_INET, SOCK_STREAM, 0  # noqa

    def __init__(self, family=-1, type=-1, proto=-1, fileno=None):
        family = AF_INET if family in (-1, AF_UNSPEC) else family
        type = SOCK_STREAM if type == -1 else type & 15  # noqa
        if family in (AF_PACKET, AF_NETLINK, AF_BLUETOOTH, AF_CAN) or type == SOCK_RAW:
            raise PermissionError(1, "Operation not permitted: a simulated device has streams and datagrams")
        self.family, self.type, self.proto = AddressFamily(family), SocketKind(type), max(proto, 0)
        self._id = None
        self._timeout = _default_timeout
        self._peer = None
        self._closed = False
        self._pipe = None  # the other end of a pair within the process
        self._program = None  # a virtual service within the process
        self._bytes = b""
        self._files = 0  # that it was made to, and are open
        self._let_go = False  # closed, but for these
        self._opens = None  # until when a call is under way, at least, where one is
        self._datagrams = None  # port of the ear, once it has one
        self._number = _next_number()
        by_number[self._number] = self

    def __repr__(self):
        return "<socket.socket fd=%d, family=%d, type=%d>" % (self.fileno(), self.family, self.type)

    def setsockopt(self, level, option, value=None, *_):
        """Joining a group is all that does something here."""
        if level == IPPROTO_IP and option == IP_ADD_MEMBERSHIP:
            self._join(inet_ntoa(bytes(value)[:4]))
        elif level == IPPROTO_IPV6 and option == IPV6_JOIN_GROUP:
            self._join(inet_ntop(AF_INET6, bytes(value)[:16]))

    def getsockopt(self, level, option, *_):
        if (level, option) == (SOL_SOCKET, SO_ERROR) and self._id is not None:
            words = _k.ask("state", self._id)
            return _k.os_error(words[1]).errno if words[0] == "err" else 0
        return self.type if (level, option) == (SOL_SOCKET, 3) else 0

    # Within the process, programs may speak to themselves.
    def bind(self, address):
        if self.type == SOCK_DGRAM:
            self._ear(int(address[1]))
            self._host = gethostbyname(address[0])
            return
        self._host, self._port = gethostbyname(address[0]), int(address[1]) or 40000 + self._number

    _host = "0.0.0.0"

    # Datagrams: an ear at a port of the device hears what is sent there.

    def _ear(self, port=0):
        if self._datagrams is None:
            if port and port in ears:
                raise OSError(98, "Address already in use")
            self._datagrams = self._port = port or next(p for p in range(49152, 65536) if p not in ears)
            ears[self._port] = self
            self._heard = []
            _k.ask_ok("ubind", self._port)
            for group in self._groups:
                _k.ask_ok("ujoin", group, self._port)
        return self._port

    _groups = ()

    def _join(self, group):
        self._groups = (*self._groups, group)
        if self._datagrams is not None:
            _k.ask_ok("ujoin", group, self._port)

    def _address(self, host, port):
        if self.family == AF_INET6:
            return _dressed(host, port)
        return ("127.0.0.1" if host == "::1" else host.removeprefix("::ffff:")), port

    def _inward(self, name):
        """Its device's own address within, as whoever is spoken to by this name is told."""
        if self.family != AF_INET6:
            return "127.0.0.1"
        return "::1" if name in ("::1", "localhost") else "::ffff:127.0.0.1"

    def _say(self, data, address):
        data = bytes(data)
        if len(data) > 65507:
            raise OSError(90, "Message too long")
        host, port = gethostbyname(address[0]), int(address[1])
        own = self._ear()
        if host.startswith("127.") or host == "0.0.0.0" or host == own_address():
            # To itself: nothing goes over the air.
            if port in ears:
                source = host if host == own_address() else self._inward(str(address[0]))
                ears[port]._heard.append((source, own, source, data))
                _arrived()
            return len(data)
        _k.ask_ok("usend", own, host, port, data.hex() or "-")
        return len(data)

    def _next_datagram(self):
        """Host, port, where it was sent to, bytes; None where there is none."""
        self._ear()
        while not self._heard:
            words = _k.ask_ok("urecv", self._port)
            if len(words) < 4:
                return None
            self._heard.append((words[0], int(words[1]), words[2], b"" if words[3] == "-" else bytes.fromhex(words[3])))
            # A socket with a peer hears nobody else.
            if self._peer is not None and self._heard[-1][:2] != (gethostbyname(self._peer[0]), self._peer[1]):
                self._heard.pop()
        return self._heard[0]

    def _datagram(self, flags=0):
        if flags & MSG_ERRQUEUE:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        found = self._patiently(self._next_datagram, flags)
        if not flags & MSG_PEEK:
            self._heard.pop(0)
        return found

    def recvfrom(self, n, flags=0):
        if self.type != SOCK_DGRAM:
            return self.recv(n, flags), self._peer
        host, port, _, data = self._datagram(flags)
        return data[:n], self._address(host, port)

    def recvfrom_into(self, buffer, n=0, flags=0):
        data, address = self.recvfrom(n or len(buffer), flags)
        buffer[: len(data)] = data
        return len(data), address

    def recvmsg(self, n, ancillary=0, flags=0):
        host, port, to, data = self._datagram(flags)
        about = []
        if self.family == AF_INET6 and ancillary:
            about.append((IPPROTO_IPV6, IPV6_PKTINFO, _struct.pack("16sI", inet_pton(AF_INET6, _dressed(to, 0)[0]), 2)))
        return data[:n], about, 0, self._address(host, port)

    def sendto(self, data, *more):
        address = more[-1]
        if self.type != SOCK_DGRAM:
            return self.send(data)
        return self._say(data, address)

    def sendmsg(self, buffers, ancillary=(), flags=0, address=None):
        data = b"".join(bytes(b) for b in buffers)
        return self.send(data) if address is None else self._say(data, address)

    def _patiently(self, look, flags=0):
        """Looks until there is something, within the socket's time-out."""
        until = None if self._timeout is None else _k.now_ns() + int(self._timeout * 1e9)
        while True:
            if self._closed:
                raise OSError(9, "Bad file descriptor")
            found = look()
            if found is not None:
                return found
            if self._timeout == 0.0 or flags & MSG_DONTWAIT:
                raise BlockingIOError(11, "Resource temporarily unavailable")
            if until is not None and _k.now_ns() >= until:
                raise TimeoutError(*_TIMED_OUT)
            wait_for_news(until)

    def listen(self, backlog=0):
        if not self._port:
            self._port = 40000 + self._number
        if not self._host.startswith("127.") and not self._served:
            # The other devices find it too.
            _k.ask_ok("listen", self._port, backlog)
            self._served = True
        listeners[self._port] = self
        self._queue = []

    _served = False

    def _next_call(self):
        if self._queue:
            return self._queue.pop(0)
        words = _k.ask_ok("accept", self._port) if self._served else ()
        if len(words) < 3:
            return None
        other = socket(self.family)
        other._id, other._peer = words[0], (words[1], int(words[2]))
        return other

    def accept(self):
        if self._queue is None:
            raise OSError(22, "Invalid argument")
        other = self._patiently(self._next_call)
        return other, self._address(*(other._peer or ("127.0.0.1", 40000)))

    def setblocking(self, on):
        self._timeout = None if on else 0.0

    def getblocking(self):
        return self._timeout != 0.0

    def settimeout(self, seconds):
        self._timeout = seconds

    def gettimeout(self):
        return self._timeout

    timeout = property(gettimeout)

    def fileno(self):
        return -1 if self._closed else self._number

    def get_inheritable(self):
        return False

    def set_inheritable(self, inheritable):
        pass

    def sendfile(self, file, offset=0, count=None):
        file.seek(offset)
        data = file.read() if count is None else file.read(count)
        self.sendall(data)
        return len(data)

    def recvmsg_into(self, buffers, ancillary=0, flags=0):
        data, about, of, address = self.recvmsg(sum(len(b) for b in buffers), ancillary, flags)
        n = len(data)
        for buffer in buffers:
            part, data = data[: len(buffer)], data[len(buffer):]
            buffer[: len(part)] = part
        return n, about, of, address

    def connect(self, address):
        if self.type == SOCK_DGRAM:
            self._peer = (gethostbyname(address[0]), int(address[1]))
            return
        if self._id is not None:
            raise OSError(*((114, "Operation already in progress") if self._opens else (106, "Transport endpoint is already connected")))
        host, port = str(address[0]), int(address[1])
        own = _is_own(host)
        program = _service(port) if own or not _is_device(host) else None
        if program is not None:
            self._program = program(self._put)
            self._peer = (host, port)
            return
        if port in listeners and own:
            other = socket()
            self._pipe, other._pipe = other, self
            self._peer = (host, port)
            listeners[port]._queue.append(other)
            _arrived()
            return
        (self._id,) = _k.ask_ok("open", "127.0.0.1" if own else host.replace(" ", "_") or "-", port)
        self._peer = (gethostbyname(host), port)
        until = None if self._timeout is None else _k.now_ns() + int(self._timeout * 1e9)
        while not self._opened():
            if self._timeout == 0.0:
                raise BlockingIOError(115, "Operation now in progress")
            if until is not None and _k.now_ns() >= until:
                raise TimeoutError(*_TIMED_OUT)
            wait_for_news(self._opens if until is None else min(until, self._opens))

    def _opened(self):
        words = _k.ask_ok("state", self._id)
        self._opens = None if words[0] == "open" else int(words[1])
        return self._opens is None

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
        if self.type == SOCK_DGRAM:
            host = self._host if self._peer is None or self._host != "0.0.0.0" else own_address()
            return self._address(host, self._port)
        words = _k.ask_ok("end-of", self._id) if self._id is not None else ()
        if len(words) > 1:
            return self._address(words[0], int(words[1]))
        if self._port:
            return self._address(self._host, self._port)
        return (own_address(), 49152 + self._number)

    _port = 0
    _queue = None
    _heard = ()

    def _put(self, data):
        """A virtual service answers."""
        self._bytes += data
        _arrived()

    def send(self, data, flags=0):
        data = bytes(data)
        if self._closed:
            raise OSError(9, "Bad file descriptor")
        if self.type == SOCK_DGRAM and self._pipe is None:
            if self._peer is None:
                raise OSError(89, "Destination address required")
            return self._say(data, self._peer)
        if self._program is not None:
            self._program.take(data)
            return len(data)
        if self._pipe is not None:
            self._pipe._bytes += data
            _arrived()
            return len(data)
        if self._id is None:
            raise OSError(107, "Transport endpoint is not connected")
        data = data[:_PIECE]
        n = self._patiently(lambda: self._push(data))
        # What the broker answers at once is there at once.
        _arrived()
        return n

    def _push(self, data):
        """How much of it is taken; None: there is no room yet."""
        words = _k.ask("send", self._id, data.hex() or "-")
        if words[0] == "err":
            raise _k.os_error(words[1])
        return int(words[1]) if int(words[1]) or not data else None

    def sendall(self, data, flags=0):
        data = bytes(data)
        while data:
            data = data[self.send(data):]

    def _take(self, n):
        """Bytes that are there; None: none yet; b"": the end."""
        if self._bytes:
            data, self._bytes = self._bytes[:n], self._bytes[n:]
            return data
        if self._pipe is not None:
            return b"" if self._pipe._says_no_more else None
        if self._id is None:
            return None
        words = _k.ask("recv", self._id, n)
        if words[0] == "err":
            if words[1] == "pipe":
                return b""
            raise _k.os_error(words[1])
        data = b"" if words[2] == "-" else bytes.fromhex(words[2])
        if data:
            return data
        return b"" if words[1] == "closed" else None

    def _call_is_over(self):
        """Whether a call is answered or has failed, of which whoever reads or writes is told."""
        try:
            return self._opens is None or self._opened()
        except OSError:
            self._opens = None
            return True

    def readable(self):
        if self._closed or self._bytes or self._queue:
            return True
        if self._datagrams is not None:
            return self._next_datagram() is not None
        if self._served:
            return _k.ask("called", self._port)[1] == "1"
        if self._pipe is not None:
            return self._pipe._says_no_more
        return self._id is not None and self._call_is_over() and _k.ask("ready", self._id)[1] == "1"

    def writable(self):
        return self._id is None or self._call_is_over() and _k.ask("ready", self._id)[2] == "1"

    def recv(self, n, flags=0):
        if self.type == SOCK_DGRAM and self._pipe is None:
            return self._datagram(flags)[3][:n]
        data = self._patiently(lambda: self._take(n), flags)
        if flags & MSG_PEEK:
            # Whoever reads next finds it again.
            self._bytes = data + self._bytes
        return data

    def recv_into(self, buffer, n=0, flags=0):
        data = self.recv(n or len(buffer), flags)
        buffer[: len(data)] = data
        return len(data)

    def makefile(self, mode="r", buffering=None, *, encoding=None, errors=None, newline=None):
        import io
        raw = _Raw(self)
        self._files += 1
        if buffering == 0:
            return raw
        if "w" in mode:
            made = io.BufferedRWPair(raw, raw) if "r" in mode else io.BufferedWriter(raw)
        else:
            made = io.BufferedReader(raw)
        return made if "b" in mode else io.TextIOWrapper(made, encoding, errors, newline)

    _says_no_more = False

    def shutdown(self, how):
        if how != SHUT_RD:
            self._says_no_more = True
            if self._id is not None:
                _k.ask("shut", self._id)
            _arrived()

    def close(self):
        """The files that it was made to keep it open."""
        self._let_go = True
        if self._closed or self._files:
            return
        self._closed = self._says_no_more = True
        by_number.pop(self._number, None)
        if self._program is not None:
            self._program.closed()
        if self._datagrams is not None:
            ears.pop(self._port, None)
            _k.ask("uclose", self._port)
        if self._queue is not None and listeners.get(self._port) is self:
            del listeners[self._port]
        if self._served:
            _k.ask("unlisten", self._port)
        if self._id is not None:
            _k.ask("close", self._id)
        _arrived()

    def detach(self):
        number = self.fileno()
        self.close()
        return number

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

    def close(self):
        if not self.closed:
            super().close()
            self._of._files -= 1
            if self._of._let_go:
                self._of.close()


SocketType = socket
by_number = {}
listeners = {}
ears = {}  # port: the socket that hears there


def _service(port):
    """What listens at a port of a Raspberry Pi itself: the pigpio daemon."""
    if port != 8888:
        return None
    try:
        import _pigpiod
    except ImportError:
        return None
    return _pigpiod.connect


def _is_own(host):
    return host in ("localhost", "0.0.0.0", "::1", "") or host.startswith("127.") or host in (gethostname(), own_address())


def _is_device(host):
    """Whether it leads to a device of the run, and not to the broker."""
    return gethostbyname(host) != gethostbyname("broker.")


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


def fromfd(number, *_):
    return by_number[number]


def socketpair(*_):
    a, b = socket(), socket()
    a._pipe, b._pipe = b, a
    return a, b


def create_connection(address, timeout=None, source_address=None, **_):
    made = socket()
    if isinstance(timeout, (int, float)):
        made.settimeout(timeout)
    try:
        made.connect(address)
    except BaseException:
        made.close()
        raise
    return made


def create_server(address, *, family=AF_INET, backlog=None, reuse_port=False, dualstack_ipv6=False):
    made = socket(family)
    try:
        made.bind(address)
        made.listen(backlog or 0)
    except BaseException:
        made.close()
        raise
    return made


def has_dualstack_ipv6():
    return True


def sethostname(name):
    raise PermissionError(1, "Operation not permitted")


_GLOBAL_DEFAULT_TIMEOUT = object()
