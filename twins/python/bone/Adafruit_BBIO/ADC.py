"""Adafruit_BBIO's analogue inputs: 0 to 1.8 V."""
import _twinfleet as _k
from Adafruit_BBIO import _pins

_ready = False


def setup():
    global _ready
    _ready = True


def cleanup():
    global _ready
    _ready = False


def _read(channel):
    if not _ready:
        raise RuntimeError("ADC has not been set up. Call ADC.setup() first.")
    code, bits, *_ = _k.convert(_pins.name_of(channel))
    return int(code), (1 << int(bits)) - 1


def read(channel):
    """As a share of the whole range, 0 to 1."""
    code, most = _read(channel)
    return code / most


def read_raw(channel):
    """As the converter's code."""
    return float(_read(channel)[0])
