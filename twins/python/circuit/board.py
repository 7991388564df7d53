"""The board's pins by the names that CircuitPython gives them."""
import _twinfleet as _k
import microcontroller as _m

_words = _k.ask_ok("board")
board_id = _words[0].replace("-", "_")
for _name in _words[1:]:
    _pin = _m.Pin(_name)
    globals()[_name] = _pin
    _number = _name.lstrip("GPIODA")
    if _name.startswith("GPIO"):
        globals().setdefault("IO" + _number, _pin)
        globals().setdefault("D" + _number, _pin)
        globals().setdefault("GP" + _number, _pin)
_bus = _k.ask_ok("wires")
SDA, SCL, MOSI, MISO, SCK, TX, RX = [None if w == "-" else _m.Pin(w) for w in _bus[:7]]
CE0, CE1 = globals().get("D8"), globals().get("D7")
# Its light, and what its maker calls it by; a board without one has no name for it.
_LIGHTS = {"raspberry_pi_pico": ("WL_GPIO0", "GP25"), "esp32_devkit": ("GPIO2",), "esp8266": ("GPIO2",), "arduino_mkr": ("D6",),
           "arduino": ("D13",)}
_light = next((pins for start, pins in _LIGHTS.items() if board_id.startswith(start)), ())
for _name in _light:
    if _name in _words:
        LED = _m.Pin(_name)
        break
if board_id.startswith("raspberry_pi_pico"):
    for _number, _name in enumerate(("GP26", "GP27", "GP28", "GP29")):
        if _name in _words:
            globals()["A%d" % _number] = globals()["GP%d_A%d" % (26 + _number, _number)] = _m.Pin(_name)
_made = {}


def I2C():
    import busio
    if "i2c" not in _made:
        _made["i2c"] = busio.I2C(SCL, SDA)
    return _made["i2c"]


STEMMA_I2C = I2C


def SPI():
    import busio
    if "spi" not in _made:
        _made["spi"] = busio.SPI(SCK, MOSI, MISO)
    return _made["spi"]


def UART():
    import busio
    if "uart" not in _made:
        _made["uart"] = busio.UART(TX, RX)
    return _made["uart"]
