"""CircuitPython's pulses in: a DHT's, and those of a pin that changes by itself."""
import _twinfleet as _k


class PulseIn:
    def __init__(self, pin, maxlen=2, *, idle_state=False):
        self._pin, self._pulses, self.maxlen, self.paused = pin.id, [], maxlen, False
        self._last = None  # when the line changed last
        _k.threads.pollers.append(self._news)
        # A DHT's pulses are taken as they are, all at once.
        self._all_at_once = maxlen > 80
        if not self._all_at_once:
            self._watch()

    def _watch(self):
        self._last = None
        _k.ask("watch", self._pin, "-")

    def _news(self, what):
        if not what.startswith("edge:") or self.paused:
            return
        words = what.split(":")
        if words[1] == self._pin:
            at, last = int(words[3]), self._last
            self._last = at
            if last is not None:
                self._pulses = (self._pulses + [min(65535, (at - last) // 1000)])[-self.maxlen :]

    def pause(self):
        self.paused = True
        _k.ask("unwatch", self._pin)

    def clear(self):
        self._pulses = []

    def resume(self, trigger_duration=0):
        self.paused = False
        answer = _k.ask("dht", self._pin) if self._all_at_once else ["err"]
        if answer[0] == "ok":
            self._pulses = [80, 80]
            for byte in bytes.fromhex(answer[1]):
                for i in range(7, -1, -1):
                    self._pulses += [50, 70 if byte >> i & 1 else 26]
            self._pulses.append(50)
            # The oldest make way where there is no more room: the part's answer, before its bits.
            self._pulses = self._pulses[-self.maxlen :]
        elif not self._all_at_once:
            self._watch()

    def __len__(self):
        # Whoever looks again and again lets time pass, so that pulses can come.
        if not self._pulses and not self.paused:
            _k.sleep_ns(100_000)
        return len(self._pulses)

    def __getitem__(self, i):
        return self._pulses[i]

    def popleft(self):
        return self._pulses.pop(0)

    def deinit(self):
        self.pause()
        if self._news in _k.threads.pollers:
            _k.threads.pollers.remove(self._news)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.deinit()
