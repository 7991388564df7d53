# Sockets, as MicroPython gives them: at their other end is the run's broker.
import _twinfleet as _t

AF_INET, AF_INET6 = 2, 10
SOCK_STREAM, SOCK_DGRAM, SOCK_RAW = 1, 2, 3
IPPROTO_TCP, IPPROTO_UDP, IPPROTO_IP = 6, 17, 0
SOL_SOCKET, SO_REUSEADDR, SO_BROADCAST, IP_ADD_MEMBERSHIP = 1, 4, 32, 35


def getaddrinfo(host, port, *_):
    return [(2, 1, 6, "", (host, port))]


class socket:
    def __init__(self, af=2, type=1, proto=6, fileno=None):
        self._id, self._timeout, self._b = None, None, b""

    def setsockopt(self, *_):
        pass

    def bind(self, address):
        pass

    def listen(self, n=1):
        pass

    def setblocking(self, on):
        self._timeout = None if on else 0

    def settimeout(self, s):
        self._timeout = s

    def connect(self, address):
        self._id = _t.ask_ok("open %s %d" % (str(address[0]).replace(" ", "_") or "-", address[1]))[0]

    def send(self, data):
        if self._id is None:
            raise OSError(107)
        if isinstance(data, str):
            data = data.encode()
        try:
            _t.ask_ok("send %s %s" % (self._id, _t.tohex(data)))
        except OSError:
            raise OSError(104)
        return len(data)

    sendall = send

    def write(self, data, n=None, m=None):
        if m is not None:
            data = data[n:n + m]
        elif n is not None:
            data = data[:n]
        return self.send(data)

    def sendto(self, data, address):
        return len(data)

    def _some(self, n):
        # None: nothing yet.
        words = _t.ask("recv %s %d" % (self._id, n))
        if words[0] == "err":
            return b""
        data = _t.unhex(words[2])
        if data:
            return data
        return b"" if words[1] == "closed" else None

    def _wait(self, n):
        until = None if self._timeout is None else _t.now_ns() + int(self._timeout * 1000000000)
        while True:
            data = self._some(n)
            if data is not None:
                return data
            if self._timeout == 0:
                return None
            if until is not None and _t.now_ns() >= until:
                raise OSError(110)
            _t.on_net.clear()
            _t.wait(_t.now_ns() + 3600000000000 if until is None else until, True)

    def recv(self, n):
        data = self._wait(n)
        if data is None:
            raise OSError(11)
        return data

    def recvfrom(self, n):
        return self.recv(n), ("10.0.0.1", 0)

    def read(self, n=-1):
        if n < 0:
            return self._wait(4096)
        data = b""
        while len(data) < n:
            more = self._wait(n - len(data))
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
                break
            line += byte
        return line

    def makefile(self, *_):
        return self

    def fileno(self):
        return int(self._id or -1)

    def _ready(self):
        return self._id is not None and _t.ask("ready %s" % self._id)[1] == "1"

    def close(self):
        if self._id is not None:
            _t.ask("close %s" % self._id)
            self._id = None
