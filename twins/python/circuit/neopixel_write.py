"""CircuitPython's NeoPixel writer."""
import _twinfleet as _k


def neopixel_write(pin, buf):
    _k.ask_ok("neo", pin._pin, bytes(buf).hex() or "-")
