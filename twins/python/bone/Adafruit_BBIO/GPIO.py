"""Adafruit_BBIO's digital pins."""
import _header as _h

from Adafruit_BBIO import _pins

VERSION = "1.2.0"
OUT, IN, ALT0 = 1, 0, 4
LOW, HIGH = 0, 1
PUD_OFF, PUD_DOWN, PUD_UP = 0, 1, 2
RISING, FALLING, BOTH = 1, 2, 3
# The four lights on the board itself, which no part is.
_lights = {"USR%d" % n: 0 for n in range(4)}
_said = {}  # board's name: what the script calls it


def _name_of(channel):
    name = _pins.name_of(channel)
    _said[name] = channel
    return name


_header = _h.Header(_name_of, lambda pin: _said.get(pin, pin), RISING, FALLING, IN, OUT,
                    {PUD_OFF: "-", PUD_UP: "up", PUD_DOWN: "down"})


def setwarnings(on):
    pass


def setup(channel, direction, pull_up_down=PUD_OFF, initial=None, delay=0):
    if channel not in _lights:
        _header.setup(channel, direction, pull_up_down, initial)


def output(channel, value):
    if channel in _lights:
        _lights[channel] = 1 if value else 0
    else:
        _header.output(channel, value)


def input(channel):
    return _lights[channel] if channel in _lights else _header.input(channel)


gpio_function = _header.function
cleanup = _header.cleanup
add_event_detect = _header.add_event_detect
remove_event_detect = _header.remove_event_detect
add_event_callback = _header.add_event_callback
event_detected = _header.event_detected


def wait_for_edge(channel, edge, timeout=-1):
    _header.wait_for_edge(channel, edge, 0, timeout)
