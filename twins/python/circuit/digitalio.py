"""CircuitPython's digital pins."""
import _twinfleet as _k
import microcontroller as _m


class DriveMode:
    PUSH_PULL, OPEN_DRAIN = "push_pull", "open_drain"


class Direction:
    INPUT, OUTPUT = "input", "output"


class Pull:
    UP, DOWN = "up", "down"


class DigitalInOut:
    def __init__(self, pin):
        self._pin, self._direction, self._pull, self._value = _m.claim(pin), Direction.INPUT, None, False
        self.drive_mode = DriveMode.PUSH_PULL

    def deinit(self):
        if self._direction == Direction.OUTPUT and _k.settings["small"]:
            # A board's pin is an input again; Linux keeps it as it is.
            self.switch_to_input()
        _m.release(self._pin)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.deinit()

    def switch_to_output(self, value=False, drive_mode=DriveMode.PUSH_PULL):
        self._direction, self.drive_mode = Direction.OUTPUT, drive_mode
        self.value = value

    def switch_to_input(self, pull=None):
        was, self._direction, self._pull = self._direction, Direction.INPUT, pull
        _k.ask_ok("free" if was == Direction.OUTPUT else "in", self._pin, pull or "-")

    @property
    def direction(self):
        return self._direction

    @direction.setter
    def direction(self, to):
        if to == Direction.OUTPUT:
            self.switch_to_output()
        else:
            self.switch_to_input(self._pull)

    @property
    def pull(self):
        return self._pull

    @pull.setter
    def pull(self, to):
        self._pull = to

    @property
    def value(self):
        if self._direction == Direction.OUTPUT and self.drive_mode == DriveMode.PUSH_PULL:
            return self._value
        return _k.level(self._pin, self._pull or "-") == 1

    @value.setter
    def value(self, to):
        if self._direction == Direction.INPUT:
            raise AttributeError("Cannot set value when direction is input.")
        self._value = bool(to)
        _k.drive(self._pin, 1 if to else 0)
