"""CircuitPython's counter of edges."""
import _twinfleet as _k


class Edge:
    RISE, FALL, RISE_AND_FALL = "1", "0", "01"


class Counter:
    def __init__(self, pin, *, edge=Edge.FALL, pull=None):
        self._pin, self._edge, self.count = pin.id, edge, 0
        _k.threads.pollers.append(self._news)
        _k.ask_ok("watch", self._pin, pull or "-")

    def _news(self, what):
        words = what.split(":")
        if words[0] == "edge" and words[1] == self._pin and words[2] in self._edge:
            self.count += 1

    def reset(self):
        self.count = 0

    def deinit(self):
        _k.threads.pollers.remove(self._news)
        _k.ask("unwatch", self._pin)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.deinit()
