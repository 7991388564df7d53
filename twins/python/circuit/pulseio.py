"""CircuitPython's pulses in, as far as a DHT needs them."""
import _twinfleet as _k


class PulseIn:
    def __init__(self, pin, maxlen=2, *, idle_state=False):
        self._pin, self._pulses = pin.id, []

    def pause(self):
        pass

    def clear(self):
        self._pulses = []

    def resume(self, trigger_duration=0):
        answer = _k.ask("dht", self._pin)
        if answer[0] == "ok":
            self._pulses = [80, 80]
            for byte in bytes.fromhex(answer[1]):
                for i in range(7, -1, -1):
                    self._pulses += [50, 70 if byte >> i & 1 else 26]
            self._pulses.append(50)

    def __len__(self):
        return len(self._pulses)

    def __getitem__(self, i):
        return self._pulses[i]

    def popleft(self):
        return self._pulses.pop(0)

    def deinit(self):
        pass
