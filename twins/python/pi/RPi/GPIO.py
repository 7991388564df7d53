"""RPi.GPIO on the virtual header."""
import _header as _h
import _twinfleet as _k

VERSION = "0.7.1"
_BOARDS = {"raspberry-pi-3b": ("a02082", "Pi 3 Model B", "BCM2837", "1G"),
           "raspberry-pi-3b-plus": ("a020d3", "Pi 3 Model B+", "BCM2837", "1G"),
           "raspberry-pi-4b": ("c03112", "Pi 4 Model B", "BCM2711", "4G"),
           "raspberry-pi-5": ("c04170", "Pi 5 Model B", "BCM2712", "4G"),
           "raspberry-pi-zero-2w": ("902120", "Zero 2 W", "BCM2837", "512M")}
_revision, _type, _processor, _ram = _BOARDS.get(_k.settings["board"], _BOARDS["raspberry-pi-3b"])
RPI_INFO = {"P1_REVISION": 3, "REVISION": _revision, "TYPE": _type, "MANUFACTURER": "Sony", "PROCESSOR": _processor, "RAM": _ram}
RPI_REVISION = 3
BOARD, BCM = 10, 11
OUT, IN = 0, 1
LOW, HIGH = 0, 1
PUD_OFF, PUD_DOWN, PUD_UP = 20, 21, 22
RISING, FALLING, BOTH = 31, 32, 33
SERIAL, SPI, I2C, HARD_PWM, UNKNOWN = 40, 41, 42, 43, -1

_HEADER = {3: 2, 5: 3, 7: 4, 8: 14, 10: 15, 11: 17, 12: 18, 13: 27, 15: 22, 16: 23, 18: 24, 19: 10, 21: 9, 22: 25, 23: 11,
           24: 8, 26: 7, 29: 5, 31: 6, 32: 12, 33: 13, 35: 19, 36: 16, 37: 26, 38: 20, 40: 21}
_mode = None


def setwarnings(on):
    pass


def setmode(mode):
    global _mode
    if mode not in (BOARD, BCM):
        raise ValueError("An invalid mode was passed to setmode()")
    if _mode is not None and _mode != mode:
        raise ValueError("A different mode has already been set!")
    _mode = mode


def getmode():
    return _mode


def _name_of(channel):
    if _mode is None:
        raise RuntimeError("Please set pin numbering mode using GPIO.setmode(GPIO.BOARD) or GPIO.setmode(GPIO.BCM)")
    pin = _HEADER.get(channel) if _mode == BOARD else channel
    if pin not in _HEADER.values():
        raise ValueError("The channel sent is invalid on a Raspberry Pi")
    return "GPIO%d" % pin


def _channel_of(name):
    bcm = int(name[4:])
    return bcm if _mode == BCM else next(b for b, g in _HEADER.items() if g == bcm)


_header = _h.Header(_name_of, _channel_of, RISING, FALLING, IN, OUT, {PUD_OFF: "-", PUD_UP: "up", PUD_DOWN: "down"})


def setup(channel, direction, pull_up_down=PUD_OFF, initial=-1):
    _header.setup(channel, direction, pull_up_down, initial)


output = _header.output
input = _header.input
gpio_function = _header.function
add_event_detect = _header.add_event_detect
remove_event_detect = _header.remove_event_detect
add_event_callback = _header.add_event_callback
event_detected = _header.event_detected
wait_for_edge = _header.wait_for_edge


def cleanup(channel=None):
    global _mode
    _header.cleanup(channel)
    if channel is None:
        _mode = None


class PWM:
    def __init__(self, channel, frequency):
        self._pwm = _h.Pwm(_header.known(channel, OUT), frequency)

    def start(self, dutycycle):
        self._pwm.set(duty=dutycycle, on=True)

    def ChangeDutyCycle(self, dutycycle):
        self._pwm.set(duty=dutycycle)

    def ChangeFrequency(self, frequency):
        self._pwm.set(hz=frequency)

    def stop(self):
        self._pwm.set(on=False)
