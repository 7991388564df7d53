# Waiting for sockets, as MicroPython gives it.
import _twinfleet as _t

POLLIN, POLLOUT, POLLERR, POLLHUP = 1, 4, 8, 16


class poll:
    def __init__(self):
        self._of = []

    def register(self, obj, mask=5):
        self.unregister(obj)
        self._of.append([obj, mask])

    def modify(self, obj, mask):
        for entry in self._of:
            if entry[0] is obj:
                entry[1] = mask

    def unregister(self, obj):
        self._of = [e for e in self._of if e[0] is not obj]

    def _look(self):
        found = []
        for obj, mask in self._of:
            bits = mask & POLLOUT
            if mask & POLLIN and hasattr(obj, "_ready") and obj._ready():
                bits |= POLLIN
            if bits:
                found.append((obj, bits))
        return found

    def poll(self, timeout=-1):
        until = _t.now_ns() + (1 << 60 if timeout < 0 else int(timeout) * 1000000)
        while True:
            found = self._look()
            if found or _t.now_ns() >= until:
                return found
            _t.on_net.clear()
            _t.wait(until, True)

    def ipoll(self, timeout=-1, flags=0):
        return iter(self.poll(timeout))


def select(rlist, wlist, xlist, timeout=None):
    p = poll()
    for obj in rlist:
        p.register(obj, POLLIN)
    for obj in wlist:
        p.register(obj, POLLOUT)
    found = p.poll(-1 if timeout is None else timeout * 1000)
    return [o for o, b in found if b & POLLIN], [o for o, b in found if b & POLLOUT], []
