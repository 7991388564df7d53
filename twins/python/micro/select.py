# Waiting for sockets, as MicroPython gives it.
import _twinfleet as _t

POLLIN, POLLOUT, POLLERR, POLLHUP = 1, 4, 8, 16


def _state(obj, mask):
    # What of `mask` an object is ready for: a stream of ours, or one of the script's own with an `ioctl`.
    if hasattr(obj, "_bits"):
        return obj._bits(mask)
    if hasattr(obj, "_ready"):
        return mask & POLLOUT | (POLLIN if mask & POLLIN and obj._ready() else 0)
    if hasattr(obj, "ioctl"):
        found = obj.ioctl(3, mask)
        if found < 0:
            raise OSError(-found)
        return found
    if hasattr(obj, "any"):
        # A serial port.
        return mask & POLLOUT | (POLLIN if mask & POLLIN and obj.any() else 0)
    if hasattr(obj, "read") or hasattr(obj, "write"):
        # The console: nobody types.
        return mask & POLLOUT
    raise OSError(22)


def opening(until, objects):
    # The first time until then at which a call that is under way may be answered.
    for obj in objects:
        if getattr(obj, "_opens", None) is not None:
            until = min(until, obj._opens)
    return until


class poll:
    def __init__(self):
        self._of = []

    def register(self, obj, mask=5):
        for entry in self._of:
            if entry[0] is obj:
                entry[1] = mask
                return
        self._of.append([obj, mask])

    def modify(self, obj, mask):
        for entry in self._of:
            if entry[0] is obj:
                entry[1] = mask
                return
        raise OSError(2)

    def unregister(self, obj):
        self._of = [e for e in self._of if e[0] is not obj]

    def _look(self, once):
        found = []
        for entry in self._of:
            obj, mask = entry
            bits = _state(obj, mask)
            if bits:
                found.append((obj, bits))
                if once:
                    entry[1] = 0
        return found

    def poll(self, timeout=-1, flags=0):
        until = _t.now_ns() + (1 << 60 if timeout is None or timeout < 0 else int(timeout) * 1000000)
        own = any(not hasattr(e[0], "_some") for e in self._of)
        while True:
            found = self._look(flags & 1)
            now = _t.now_ns()
            if found or now >= until:
                return found
            _t.on_net.clear()
            # Only the network tells by itself that there is something new.
            _t.wait(min(until, now + 1000000) if own else opening(until, (e[0] for e in self._of)), True)

    def ipoll(self, timeout=-1, flags=0):
        return iter(self.poll(timeout, flags))


def select(rlist, wlist, xlist, timeout=None):
    p = poll()
    for obj in rlist:
        p.register(obj, POLLIN)
    for obj in wlist:
        p.register(obj, POLLOUT)
    found = p.poll(-1 if timeout is None else timeout * 1000)
    return [o for o, b in found if b & POLLIN], [o for o, b in found if b & POLLOUT], []
