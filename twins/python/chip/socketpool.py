"""CircuitPython's sockets: those of the device, once its radio has joined."""
import errno as _errno
import socket as _s

# Clients tell by the number that nothing came in time.
_s._TIMED_OUT = (_errno.ETIMEDOUT, "ETIMEDOUT")
gaierror = _s.gaierror


class Socket(_s.socket):
    """A socket of a radio."""

    _radio = None

    def connect(self, address):
        if not self._radio.connected:
            raise OSError(118, "EHOSTUNREACH")
        super().connect(address)


class SocketPool:
    AF_INET, AF_INET6, SOCK_STREAM, SOCK_DGRAM, SOCK_RAW = _s.AF_INET, _s.AF_INET6, _s.SOCK_STREAM, _s.SOCK_DGRAM, _s.SOCK_RAW
    SOL_SOCKET, SO_REUSEADDR, TCP_NODELAY, IPPROTO_TCP = _s.SOL_SOCKET, _s.SO_REUSEADDR, _s.TCP_NODELAY, _s.IPPROTO_TCP
    IPPROTO_IP, IP_MULTICAST_TTL = _s.IPPROTO_IP, _s.IP_MULTICAST_TTL
    EAI_NONAME = _s.EAI_NONAME
    gaierror = gaierror

    def __init__(self, radio):
        if type(radio).__name__ != "Radio":
            raise TypeError("SocketPool can only be used with wifi.radio")
        self._radio = radio

    def socket(self, family=_s.AF_INET, type=_s.SOCK_STREAM, proto=0):  # noqa
        made = Socket(family, type, proto)
        made._radio = self._radio
        return made

    def getaddrinfo(self, host, port, family=0, type=0, proto=0, flags=0):  # noqa
        if not self._radio.connected:
            raise gaierror(-2, "Name or service not known")
        return _s.getaddrinfo(host, port, family, type or _s.SOCK_STREAM, proto, flags)
