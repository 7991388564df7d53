# The network's time: the run's, whatever the script has set its clock to.
import _twinfleet as _t

host, timeout = "pool.ntp.org", 1


def time():
    import socket
    import time

    # Where no name is known, there is no time.
    socket.getaddrinfo(host, 123)
    return time.time() - _t.ahead_ns // 1000000000


def settime():
    time()
    _t.set_ahead(0)
