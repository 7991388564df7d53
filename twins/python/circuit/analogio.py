"""CircuitPython's analogue pins."""
import _twinfleet as _k


class AnalogIn:
    def __init__(self, pin):
        self._pin = pin.id
        self.reference_voltage = int(_k.ask_ok("adc", self._pin)[2]) / 1e6

    @property
    def value(self):
        code, bits, _ = _k.ask_ok("adc", self._pin)
        return int(code) << (16 - int(bits))

    def deinit(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass
