"""RPi.GPIO on the virtual header."""
import _twinfleet as _k

VERSION = "0.7.1"
RPI_INFO = {"P1_REVISION": 3, "REVISION": "a02082", "TYPE": "Pi 3 Model B", "MANUFACTURER": "Sony", "PROCESSOR": "BCM2837", "RAM": "1G"}
RPI_REVISION = 3
BOARD, BCM = 10, 11
OUT, IN = 0, 1
LOW, HIGH = 0, 1
PUD_OFF, PUD_DOWN, PUD_UP = 20, 21, 22
RISING, FALLING, BOTH = 31, 32, 33
SERIAL, SPI, I2C, HARD_PWM, UNKNOWN = 40, 41, 42, 43, -1

_HEADER = {3: 2, 5: 3, 7: 4, 8: 14, 10: 15, 11: 17, 12: 18, 13: 27, 15: 22, 16: 23, 18: 24, 19: 10, 21: 9, 22: 25, 23: 11,
           24: 8, 26: 7, 29: 5, 31: 6, 32: 12, 33: 13, 35: 19, 36: 16, 37: 26, 38: 20, 40: 21}
_PULL = {PUD_OFF: "-", PUD_UP: "up", PUD_DOWN: "down"}
_mode = None
_pins = {}  # bcm -> [direction, pull]
_edges = {}  # bcm -> [edge, callbacks, bouncetime_ms, happened, last_ns]
_place = object()


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


def _bcm(channel):
    if _mode is None:
        raise RuntimeError("Please set pin numbering mode using GPIO.setmode(GPIO.BOARD) or GPIO.setmode(GPIO.BCM)")
    pin = _HEADER.get(channel) if _mode == BOARD else channel
    if pin not in _HEADER.values():
        raise ValueError("The channel sent is invalid on a Raspberry Pi")
    return pin


def _channel(bcm):
    return bcm if _mode == BCM else next(b for b, g in _HEADER.items() if g == bcm)


def _list(of):
    return list(of) if isinstance(of, (list, tuple)) else [of]


def setup(channel, direction, pull_up_down=PUD_OFF, initial=-1):
    if direction not in (IN, OUT):
        raise ValueError("An invalid direction was passed to setup()")
    for c in _list(channel):
        bcm = _bcm(c)
        _pins[bcm] = [direction, _PULL[pull_up_down]]
        if direction == IN:
            _k.ask_ok("in", bcm, _PULL[pull_up_down])
        elif initial != -1:
            _k.ask_ok("out", bcm, 1 if initial else 0)


def _set_up(bcm, direction=None):
    if bcm not in _pins:
        raise RuntimeError("You must setup() the GPIO channel first")
    if direction is not None and _pins[bcm][0] != direction:
        raise RuntimeError("The GPIO channel has not been set up as an OUTPUT")


def output(channel, value):
    channels = _list(channel)
    values = _list(value)
    for i, c in enumerate(channels):
        bcm = _bcm(c)
        _set_up(bcm, OUT)
        _k.ask_ok("out", bcm, 1 if values[i % len(values)] else 0)
        _pins[bcm].append(1)
        _level[bcm] = 1 if values[i % len(values)] else 0


_level = {}


def input(channel):
    bcm = _bcm(channel)
    _set_up(bcm)
    if _pins[bcm][0] == OUT:
        return _level.get(bcm, 0)
    return int(_k.ask_ok("in", bcm, _pins[bcm][1])[0])


def gpio_function(channel):
    bcm = _bcm(channel)
    return _pins[bcm][0] if bcm in _pins else IN


def cleanup(channel=None):
    global _mode
    for bcm in [_bcm(c) for c in _list(channel)] if channel is not None else list(_pins):
        remove = _pins.pop(bcm, None)
        if remove and remove[0] == OUT:
            _k.ask_ok("out", bcm, 0)
    if channel is None:
        _mode = None


def add_event_detect(channel, edge, callback=None, bouncetime=0):
    bcm = _bcm(channel)
    if bcm in _edges:
        raise RuntimeError("Conflicting edge detection already enabled for this GPIO channel")
    _set_up(bcm)
    _edges[bcm] = [edge, [callback] if callback else [], bouncetime or 0, False, -(1 << 62)]
    _k.ask_ok("watch", bcm, _pins[bcm][1])


def remove_event_detect(channel):
    bcm = _bcm(channel)
    _edges.pop(bcm, None)
    _k.ask_ok("unwatch", bcm)


def add_event_callback(channel, callback):
    _edges[_bcm(channel)][1].append(callback)


def event_detected(channel):
    edge = _edges.get(_bcm(channel))
    if edge is None:
        return False
    happened, edge[3] = edge[3], False
    return happened


def wait_for_edge(channel, edge, bouncetime=0, timeout=-1):
    bcm = _bcm(channel)
    mine = bcm not in _edges
    if mine:
        add_event_detect(channel, edge, None, bouncetime)
    until = None if timeout is None or timeout < 0 else _k.now_ns() + int(timeout * 1e6)
    happened = False
    while not happened:
        happened = event_detected(channel)
        if happened or (until is not None and _k.now_ns() >= until):
            break
        _k.threads.wait(until, _place)
    if mine:
        remove_event_detect(channel)
    return channel if happened else None


def _news(what):
    if not what.startswith("edge:"):
        return
    pin, level = what.split(":")[1:3]
    bcm = int(pin.lstrip("GPIO"))
    edge = _edges.get(bcm)
    if edge is None or (edge[0] == RISING and level == "0") or (edge[0] == FALLING and level == "1"):
        return
    if _k.now_ns() - edge[4] < edge[2] * 1_000_000:
        return
    edge[3], edge[4] = True, _k.now_ns()
    _k.threads.wake(_place, 1 << 30)
    if edge[1]:
        def call(callbacks=list(edge[1]), channel=_channel(bcm)):
            for callback in callbacks:
                callback(channel)
        _k.start_new_thread(call, ())


_k.threads.pollers.append(_news)


class PWM:
    def __init__(self, channel, frequency):
        self._bcm, self._hz, self._duty, self._on = _bcm(channel), frequency, 0.0, False
        _set_up(self._bcm, OUT)

    def _set(self):
        _k.ask_ok("pwm", self._bcm, self._hz, self._duty / 100 if self._on else 0)

    def start(self, dutycycle):
        self._duty, self._on = dutycycle, True
        self._set()

    def ChangeDutyCycle(self, dutycycle):
        if not 0.0 <= dutycycle <= 100.0:
            raise ValueError("dutycycle must have a value from 0.0 to 100.0")
        self._duty = dutycycle
        self._set()

    def ChangeFrequency(self, frequency):
        self._hz = frequency
        self._set()

    def stop(self):
        self._on = False
        self._set()
