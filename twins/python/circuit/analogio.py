"""CircuitPython's analogue pins."""
import _twinfleet as _k
import microcontroller as _m


class AnalogIn:
    def __init__(self, pin):
        answer = _k.ask("adc", pin.id)
        if answer[0] == "err" and answer[1] in ("noadc", "nopin"):
            raise ValueError("Invalid pin")
        self._pin = _m.claim(pin)
        self.reference_voltage = int(_k.ask_ok("adc", self._pin)[2]) / 1e6

    @property
    def value(self):
        # As its ports do where a converter is no straight line from 0: the calibrated voltage over the reference.
        _, _, full, uv = _k.convert(self._pin)
        return min(65535, (int(uv) * 65536 + int(full) // 2) // int(full))

    def deinit(self):
        _m.release(self._pin)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.deinit()
