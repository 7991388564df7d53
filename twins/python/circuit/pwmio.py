"""CircuitPython's pulse widths."""
import _twinfleet as _k
import microcontroller as _m


class PWMOut:
    def __init__(self, pin, *, duty_cycle=0, frequency=500, variable_frequency=False):
        self._pin, self._duty, self._hz = _m.claim(pin), duty_cycle, frequency
        self._set()

    def _set(self):
        _k.ask_ok("pwm", self._pin, self._hz, self._duty / 65535)

    @property
    def duty_cycle(self):
        return self._duty

    @duty_cycle.setter
    def duty_cycle(self, to):
        self._duty = to
        self._set()

    @property
    def frequency(self):
        return self._hz

    @frequency.setter
    def frequency(self, to):
        self._hz = to
        self._set()

    def deinit(self):
        self._duty = 0
        self._set()
        _m.release(self._pin)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.deinit()
