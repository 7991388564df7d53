"""Waiting for sockets of the simulation."""
import socket as _s

import _twinfleet as _k

POLLIN, POLLPRI, POLLOUT, POLLERR, POLLHUP, POLLNVAL = 1, 2, 4, 8, 16, 32
EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP = 1, 4, 8, 16
error = OSError


def _socket(of):
    if isinstance(of, _s.socket):
        return of
    number = of if isinstance(of, int) else of.fileno()
    return _s.by_number.get(number)


def _wait(look, timeout, sockets):
    until = None if timeout is None else _k.now_ns() + int(max(0, timeout) * 1e9)
    while True:
        found = look()
        if found or (until is not None and _k.now_ns() >= until):
            return found
        # Calls that are under way may be answered at a time.
        times = [s._opens for s in sockets() if s is not None and s._opens is not None]
        _s.wait_for_news(until if not times else min(times if until is None else times + [until]))


def select(rlist, wlist, xlist, timeout=None):
    rlist, wlist = list(rlist), list(wlist)

    def look():
        readable = [r for r in rlist if _socket(r) is not None and _socket(r).readable()]
        writable = [w for w in wlist if _socket(w) is not None and _socket(w).writable()]
        return (readable, writable, []) if readable or writable else None

    return _wait(look, timeout, lambda: [_socket(of) for of in rlist + wlist]) or ([], [], [])


# `selectors` has it in a class.
select = _k.unbound(select)


class poll:
    def __init__(self, sizehint=-1, flags=0):
        self._of = {}

    def register(self, fd, mask=POLLIN | POLLOUT):
        self._of[fd if isinstance(fd, int) else fd.fileno()] = mask

    modify = register

    def unregister(self, fd):
        del self._of[fd if isinstance(fd, int) else fd.fileno()]

    def _look(self):
        found = []
        for number, mask in self._of.items():
            of = _s.by_number.get(number)
            bits = 0
            if of is not None:
                bits |= POLLIN if mask & POLLIN and of.readable() else 0
                bits |= POLLOUT if mask & POLLOUT and of.writable() else 0
            if bits:
                found.append((number, bits))
        return found

    def _sockets(self):
        return [_s.by_number.get(number) for number in self._of]

    def poll(self, timeout=None):
        return _wait(self._look, None if timeout is None or timeout < 0 else timeout / 1000, self._sockets) or []


class epoll(poll):
    def poll(self, timeout=None, maxevents=-1):
        return _wait(self._look, None if timeout is None or timeout < 0 else timeout, self._sockets) or []

    def close(self):
        pass

    def fileno(self):
        return -1
