# Sockets, as MicroPython gives them: at the other end of a stream is the run's broker or another device, at that of a datagram
# another device.
import _twinfleet as _t

AF_INET, AF_INET6 = 2, 10
SOCK_STREAM, SOCK_DGRAM, SOCK_RAW = 1, 2, 3
IPPROTO_TCP, IPPROTO_UDP, IPPROTO_IP = 6, 17, 0
SOL_SOCKET, SO_REUSEADDR, SO_BROADCAST, IP_ADD_MEMBERSHIP = 1, 4, 32, 35
SO_KEEPALIVE, SO_SNDTIMEO, SO_RCVTIMEO, TCP_NODELAY, SO_BINDTODEVICE = 8, 4101, 4102, 1, 4107


_ears, _served = [], []
# Bytes that one question to the run carries, at most.
_ONCE = 4096


def _address(host):
    return _t.ask_ok("address %s" % (str(host).replace(" ", "_") or "-"))[0]


def getaddrinfo(host, port, *_):
    if host.replace(".", "").isdigit() or not host:
        return [(2, 1, 6, "", (host or "0.0.0.0", port))]
    return [(2, 1, 6, "", (_address(host), port))]


class socket:
    def __init__(self, af=2, type=1, proto=6, fileno=None):
        self._id, self._timeout, self._b = None, None, b""
        # Until when a call to somebody is under way, at least, where one is.
        self._opens = None
        self._datagrams, self._port, self._peer, self._groups = type == SOCK_DGRAM, None, None, []

    def setsockopt(self, level, option, value):
        if option == IP_ADD_MEMBERSHIP and self._datagrams:
            self._groups.append(".".join(str(b) for b in value[:4]))
            if self._port is not None:
                self._join()

    def bind(self, address):
        if self._datagrams:
            self._ear(address[1])
        else:
            self._at = address[1] or next(p for p in range(49152, 65536) if p not in _served)

    # Datagrams: an ear at a port of the device hears what is sent there.

    def _ear(self, port=0):
        if self._port is None:
            self._port = port or next(p for p in range(49152, 65536) if p not in _ears)
            if self._port in _ears:
                raise OSError(98)
            _ears.append(self._port)
            _t.ask_ok("ubind %d" % self._port)
            self._join()
        return self._port

    def _join(self):
        while self._groups:
            _t.ask_ok("ujoin %s %d" % (self._groups.pop(), self._port))

    def sendto(self, data, address):
        if isinstance(data, str):
            data = data.encode()
        host = address[0] if address[0].replace(".", "").isdigit() else _address(address[0])
        _t.ask_ok("usend %d %s %d %s" % (self._ear(), host, address[1], _t.tohex(data)))
        return len(data)

    def _datagram(self):
        # None: nothing yet.
        words = _t.ask_ok("urecv %d" % self._ear())
        return (_t.unhex(words[3]), (words[0], int(words[1]))) if len(words) > 3 else None

    # A server: who calls its port waits until it is accepted.

    def listen(self, n=0):
        if self._at is None:
            self._at = next(p for p in range(49152, 65536) if p not in _served)
        _t.ask_ok("listen %d %d" % (self._at, n))
        _served.append(self._at)
        self._listens = True

    def _next_call(self):
        words = _t.ask_ok("accept %d" % self._at)
        return words if len(words) > 2 else None

    def accept(self):
        if not self._listens:
            raise OSError(22)
        words = self._patiently(self._next_call)
        if words is None:
            raise OSError(11)
        other = socket()
        other._id = words[0]
        return other, (words[1], int(words[2]))

    def setblocking(self, on):
        self._timeout = None if on else 0

    def settimeout(self, s):
        self._timeout = s

    def connect(self, address):
        if self._datagrams:
            self._peer = address
            return
        if self._id is not None:
            raise OSError(114 if self._opens else 106)
        self._id = _t.ask_ok("open %s %d" % (str(address[0]).replace(" ", "_") or "-", address[1]))[0]
        until = None if self._timeout is None else _t.now_ns() + int(self._timeout * 1000000000)
        while not self._opened():
            if self._timeout == 0:
                raise OSError(115)
            if until is not None and _t.now_ns() >= until:
                raise OSError(110)
            _t.on_net.clear()
            _t.wait(self._opens if until is None else min(until, self._opens), True)

    def _opened(self):
        words = _t.ask_ok("state %s" % self._id)
        self._opens = None if words[0] == "open" else int(words[1])
        return self._opens is None

    def send(self, data):
        if self._peer is not None:
            return self.sendto(data, self._peer)
        if self._id is None:
            raise OSError(107)
        if isinstance(data, str):
            data = data.encode()
        n = self._patiently(lambda: self._send(data))
        if n is None:
            raise OSError(11)
        return n

    def _send(self, data):
        # None: no room yet. A long piece goes bit by bit, so that it takes no multiple of its memory.
        if len(data) > _ONCE:
            data = data[:_ONCE]
        words = _t.ask("send %s %s" % (self._id, _t.tohex(data)))
        if words[0] == "err":
            raise OSError(104) if words[1] == "pipe" else _t.os_error(words[1])
        return int(words[1]) if int(words[1]) or not data else None

    def sendall(self, data):
        # A stream that blocks takes all, one that does not what there is room for.
        if isinstance(data, str):
            data = data.encode()
        done = 0
        while done < len(data):
            try:
                done += self.send(data[done:done + _ONCE] if len(data) > _ONCE else data[done:] if done else data)
            except OSError as e:
                if e.errno != 11:
                    raise e
                return done or None
        return done

    def write(self, data, n=None, m=None):
        if m is not None:
            data = data[n:n + m]
        elif n is not None:
            data = data[:n]
        return self.sendall(data)

    def _is_open(self):
        return self._datagrams or self._id is not None or self._listens

    _listens, _at = False, None

    def _some(self, n):
        # None: nothing yet.
        if self._id is None:
            raise OSError(107)
        words = _t.ask("recv %s %d" % (self._id, n))
        if words[0] == "err":
            if words[1] == "pipe":
                return b""
            raise _t.os_error(words[1])
        data = _t.unhex(words[2])
        if data:
            return data
        return b"" if words[1] == "closed" else None

    def _wait(self, n):
        return self._patiently(lambda: self._some(n))

    def _patiently(self, look):
        until = None if self._timeout is None else _t.now_ns() + int(self._timeout * 1000000000)
        while True:
            data = look()
            if data is not None:
                return data
            if self._timeout == 0:
                return None
            if until is not None and _t.now_ns() >= until:
                raise OSError(110)
            _t.on_net.clear()
            _t.wait(_t.now_ns() + 3600000000000 if until is None else until, True)

    def recv(self, n):
        if self._datagrams:
            return self.recvfrom(n)[0]
        data = self._wait(n)
        if data is None:
            raise OSError(11)
        return data

    def recvfrom(self, n):
        if not self._datagrams:
            return self.recv(n), ("10.0.0.1", 0)
        if self._later is not None:
            found, self._later = self._later, None
        else:
            found = self._patiently(self._datagram)
        if found is None:
            raise OSError(11)
        return found[0][:n], found[1]

    _later = None

    def read(self, n=-1):
        # Without a number: until the other side ends.
        data = b""
        while n < 0 or len(data) < n:
            more = self._wait(4096 if n < 0 else n - len(data))
            if more is None:
                return data or None
            if not more:
                break
            data += more
        return data

    def readinto(self, buf, n=None):
        data = self._wait(n or len(buf))
        if data is None:
            return None
        buf[: len(data)] = data
        return len(data)

    def readline(self):
        line = b""
        while not line.endswith(b"\n"):
            byte = self._wait(1)
            if not byte:
                if byte is None and not line:
                    return None
                break
            line += byte
        return line

    def makefile(self, *_):
        return self

    def fileno(self):
        return int(self._id or -1)

    def _ready(self):
        return self._bits(1) != 0

    def _bits(self, mask):
        # What of reading (1) and writing (4) would not wait.
        if not self._is_open():
            return mask & 4 | 16
        if self._datagrams:
            if self._later is None and mask & 1:
                self._later = self._datagram()
            return mask & 4 | (self._later is not None and mask & 1)
        if self._listens:
            return mask & int(_t.ask("called %d" % self._at)[1])
        if self._opens is not None:
            try:
                if not self._opened():
                    return 0
            except OSError:
                # Whoever reads or writes is told why.
                self._opens = None
                return mask & 5 | 8
        words = _t.ask("ready %s" % self._id)
        return mask & (int(words[1]) | int(words[2]) << 2)

    def close(self):
        if self._port is not None:
            _ears.remove(self._port)
            _t.ask("uclose %d" % self._port)
            self._port = None
        if self._listens:
            _served.remove(self._at)
            _t.ask("unlisten %d" % self._at)
            self._listens = False
        if self._id is not None:
            _t.ask("close %s" % self._id)
            self._id = None
