# The board, as MicroPython's machine module gives it.
import _twinfleet as _t

PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = 1, 2, 3, 4, 5
_CAUSES = {"power_on": 1, "wdt": 3, "deepsleep": 4, "deepsleep_pin": 4, "soft": 5}
PIN_WAKE, EXT0_WAKE, EXT1_WAKE, TIMER_WAKE, TOUCHPAD_WAKE, ULP_WAKE = 2, 2, 3, 4, 5, 6
IDLE, SLEEP, DEEPSLEEP = 0, 2, 4


def reset_cause():
    return _CAUSES.get(_t.reset_cause, 1)


# What ended a light sleep.
_woke = None


def wake_reason():
    if _woke is not None:
        return _woke
    return {"deepsleep": TIMER_WAKE, "deepsleep_pin": EXT0_WAKE}.get(_t.reset_cause, 0)


def unique_id():
    # As long as each port has it.
    if _t.port == "esp8266":
        return _t.mac[2:]
    return b"\xe6\x61" + _t.mac if _t.port == "rp2" else _t.mac


def freq(hz=None):
    # A script is told what it has set; it computes as fast as before.
    if hz is None:
        return _t.hz
    _t.hz = int(hz)


def idle():
    pass


def disable_irq():
    before, _t.masked = _t.masked, True
    return before


def enable_irq(state=False):
    _t.masked = bool(state)


def _end(kind, text):
    _t.end(kind, text)


def reset():
    _end("reset", "machine.reset()")


soft_reset = reset


# What ends a deep sleep besides time: pins and their levels.
_wakes = {}


def deepsleep(ms=None):
    _t.watchdog = None
    if ms is None and RTC._alarm is not None:
        ms = max(0, RTC._alarm - _t.now_ns()) // 1000000
    # For ever is longer than any run.
    words = [str(1 << 62 if ms is None else int(ms))]
    _end("sleep", " ".join(words + ["%s:%d" % wake for wake in _wakes.items()]))


def lightsleep(ms=None):
    global _woke
    until = _t.now_ns() + (1 << 60 if ms is None else int(ms) * 1000000)
    _t.ask_ok("rest light")
    _woke = EXT0_WAKE if _rests(until) else TIMER_WAKE
    _t.ask_ok("rest awake")


def _rests(until):
    # Until a time, or until a pin ends it: one that wakes at its level, and on the RP2 port any that interrupts. Whether a pin did.
    wakes, before, came = dict(_wakes), {}, []
    if _t.port == "rp2":
        for pin in _t.on_edge:
            wakes.setdefault(pin, None)

    def at_level():
        return any(level is not None and int(_t.ask_ok("in %s -" % pin)[0]) == level for pin, level in wakes.items())

    def watch(pin):
        call = before[pin] = _t.on_edge.get(pin)

        def edge(high):
            came.append(pin)
            _t.nudged = True
            if call:
                call(high)

        _t.on_edge[pin] = edge
        if not call:
            _t.ask_ok("watch %s -" % pin)

    if not wakes:
        _t.wait(until)
        return False
    for pin in wakes:
        watch(pin)
    try:
        while not at_level():
            if any(wakes[pin] is None for pin in came):
                return True
            if _t.now_ns() >= until:
                return False
            _t.nudged = False
            _t.wait(until, False, True)
        return True
    finally:
        for pin, call in before.items():
            if call:
                _t.on_edge[pin] = call
            else:
                _t.on_edge.pop(pin, None)
                _t.ask_ok("unwatch %s" % pin)


sleep = lightsleep


def _name(id):
    if isinstance(id, Pin):
        return id._pin
    return _t.ask_ok("pin %s" % str(id).replace(" ", "_"))[0]


# Pins that are outputs.
_driven = set()


def _drives(pin):
    _t.ask_ok("drives %s" % pin)
    _driven.add(pin)


# The numbers that a port has for a pin's modes, pulls and edges, and what they are here, where they are those of the ESP32.
_modes, _pulls, _edges = {}, {}, {}
_PORTS = {
    "rp2": ({0: 1, 1: 3, 2: 7}, {1: 2, 2: 1}, {8: 1, 4: 2, 12: 3}),
    "esp8266": ({0: 1, 1: 3, 2: 7}, {1: 2}, {}),
}


def _ports(of, own):
    # The port's number for one of here.
    for number, here in of.items():
        if here == own:
            return number
    return own


def _port(name):
    global _modes, _pulls, _edges, I2C
    if name == "esp8266":
        I2C = SoftOnlyI2C
    _modes, _pulls, _edges = _PORTS.get(name, ({}, {}, {}))
    for names, of in ((("IN", "OUT", "OPEN_DRAIN"), _modes), (("PULL_UP", "PULL_DOWN"), _pulls), (("IRQ_RISING", "IRQ_FALLING"), _edges)):
        for word in names:
            setattr(Pin, word, _ports(of, getattr(Pin, word)))


class _Irq:
    # What a pin's interrupt is known by.
    def __init__(self, pin, trigger):
        self._pin, self._trigger, self._flags = pin, trigger, 0

    def flags(self):
        return _ports(_edges, self._flags)

    def trigger(self, to=None):
        before = self._trigger
        if to is not None:
            self._trigger = _edges.get(to, to)
        return _ports(_edges, before)

    def __call__(self):
        call = _t.on_edge.get(self._pin._pin)
        if call:
            call(self._trigger & 1 != 0)


class Pin:
    IN, OUT, OPEN_DRAIN = 1, 3, 7
    PULL_UP, PULL_DOWN, PULL_HOLD = 2, 1, 4
    IRQ_RISING, IRQ_FALLING, IRQ_LOW_LEVEL, IRQ_HIGH_LEVEL = 1, 2, 4, 5
    WAKE_LOW, WAKE_HIGH = 4, 5
    DRIVE_0, DRIVE_1, DRIVE_2, DRIVE_3 = 0, 1, 2, 3

    def __init__(self, id, mode=-1, pull=-1, *, value=None, drive=None, alt=None, hold=None):
        self._pin = _name(id)
        self._mode, self._pull, self._value, self._call = 1, "-", 0, None
        self.init(mode, pull, value=value)

    def init(self, mode=-1, pull=-1, *, value=None, drive=None, alt=None, hold=None):
        mode, pull = _modes.get(mode, mode), _pulls.get(pull, pull)
        if pull is None:
            self._pull = "-"
        elif pull != -1:
            self._pull = "up" if pull == 2 else "down"
        if mode in (3, 7):
            _drives(self._pin)
        if mode != -1:
            self._mode = mode
        if value is not None:
            self.value(value)
        elif self._mode == 1 and mode != -1:
            if self._pin in _driven:
                _driven.remove(self._pin)
                _t.ask_ok("free %s %s" % (self._pin, self._pull))
            else:
                self.value()

    def value(self, x=None):
        if x is None:
            if self._mode == 3:
                return self._value
            return int(_t.ask_ok("in %s %s" % (self._pin, self._pull))[0])
        self._value = 1 if x else 0
        if self._mode != 1:
            _t.ask_ok("out %s %d" % (self._pin, self._value))

    __call__ = value

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)

    high, low = on, off

    def toggle(self):
        self.value(not self.value())

    def mode(self, mode=None):
        if mode is None:
            return _ports(_modes, self._mode)
        self._mode = _modes.get(mode, mode)

    def pull(self, pull=None):
        return self._pull

    def irq(self, handler=None, trigger=3, *, priority=1, wake=None, hard=False):
        irq = _Irq(self, _edges.get(trigger, trigger))
        if handler is None:
            if _t.on_edge.pop(self._pin, None):
                _t.ask_ok("unwatch %s" % self._pin)
            return irq

        def edge(high):
            flag = 1 if high else 2
            if irq._trigger & flag:
                irq._flags = flag
                handler(self)

        _t.on_edge[self._pin] = edge
        _t.ask_ok("watch %s %s" % (self._pin, self._pull))
        return irq

    def __repr__(self):
        # As each port writes it.
        name = self._pin
        if _t.port == "rp2":
            name = "GPIO" + name[2:] if name.startswith("GP") else name
            return "Pin(%s, mode=%s)" % (name, "OUT" if self._mode == 3 else "IN")
        return "Pin(%s)" % (name[4:] if name.startswith("GPIO") else name)


class _Board:
    # Pins by what the board calls them.
    def __getattr__(self, name):
        try:
            return Pin(name)
        except ValueError:
            raise AttributeError(name)


Pin.board = Pin.cpu = _Board()


class Signal:
    def __init__(self, pin, *args, invert=False, **kw):
        self._p = pin if isinstance(pin, Pin) else Pin(pin, *args, **kw)
        self._i = invert

    def value(self, x=None):
        if x is None:
            return self._p.value() ^ self._i
        self._p.value(bool(x) ^ self._i)

    __call__ = value

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)


class ADC:
    ATTN_0DB, ATTN_2_5DB, ATTN_6DB, ATTN_11DB = 0, 1, 2, 3
    WIDTH_9BIT, WIDTH_10BIT, WIDTH_11BIT, WIDTH_12BIT = 9, 10, 11, 12
    _RANGES = ("0dB", "2.5dB", "6dB", "11dB")

    # Of the RP2 port: the converter's channel of the thermometer within the processor.
    CORE_TEMP = 4

    def __init__(self, pin, *, atten=ATTN_0DB, **_):
        self._of = pin
        if _t.port == "rp2" and isinstance(pin, int) and pin < 5:
            # Channels have numbers too.
            pin = None if pin == 4 else 26 + pin
        if pin is None:
            self._pin = None
        elif isinstance(pin, int) and pin == 0:
            try:
                self._pin = _name("A0")
            except ValueError:
                self._pin = _name(pin)
        else:
            self._pin = _name(pin)
        # A board without an attenuator has no such range and takes no notice of it.
        self.atten(atten)
        self._read()

    def init(self, *, atten=None, **_):
        if atten is not None:
            self.atten(atten)

    def block(self):
        return ADCBlock(1)

    def __repr__(self):
        return "ADC(%s)" % (self._of,)

    def _read(self):
        if self._pin is None:
            # RP2040 datasheet, 4.9.5: 0.706 V at 27 °C, 1.721 mV less for each degree.
            volts = 0.706 - (_t.core_c() - 27) * 0.001721
            return round(volts / 3.3 * 4095), 12, round(volts * 1000000)
        code, bits, _, uv = _t.ask_ok("adc %s %s" % (self._pin, self._range))
        code, bits = int(code), int(bits)
        if self._bits and self._bits < bits:
            code, bits = code >> bits - self._bits, self._bits
        return code, bits, int(uv)

    def read(self):
        return self._read()[0]

    def read_u16(self):
        code, bits, _ = self._read()
        code <<= 16 - bits
        return code | code >> bits

    def read_uv(self):
        return self._read()[2]

    def atten(self, atten=ATTN_0DB):
        self._range = self._RANGES[atten]

    def width(self, bits=None):
        if bits not in (9, 10, 11, 12):
            raise ValueError("invalid bit width")
        self._bits = bits

    _bits = None


class ADCBlock:
    # A converter's channels, by the pins that they are at on an ESP32.
    _PINS = ((36, 37, 38, 39, 32, 33, 34, 35), (4, 0, 2, 15, 13, 12, 14, 27, 25, 26))

    def __init__(self, id=1, *, bits=None):
        if id not in (1, 2):
            raise ValueError("invalid block id")
        self._id, self._width = id, bits

    def init(self, *, bits=None):
        self._width = bits

    def connect(self, channel=None, source=None, **kw):
        if source is None and isinstance(channel, Pin):
            source = channel
        adc = ADC(self._PINS[self._id - 1][channel] if source is None else source, **kw)
        if self._width is not None:
            adc.width(self._width)
        return adc


class DAC:
    def __init__(self, pin, bits=8):
        self._pin = _name(pin)
        if _t.board != "esp32-devkit" or self._pin not in ("GPIO25", "GPIO26"):
            raise ValueError("invalid Pin for DAC")

    def write(self, value):
        if not 0 <= value <= 255:
            raise ValueError("value out of range")
        _t.ask_ok("pwm %s 0 %s" % (self._pin, value / 255))


class PWM:
    def __init__(self, pin, freq=5000, duty=None, *, duty_u16=None, duty_ns=None, invert=None):
        # The ESP32's begins with half of its duty.
        self._pin, self._hz, self._invert = _name(pin), freq, False
        self._d = 0.5 if _t.port == "esp32" else 0.0
        _drives(self._pin)
        self.init(duty=duty, duty_u16=duty_u16, duty_ns=duty_ns, invert=invert)

    def _set(self):
        if not 0 < self._hz <= 40000000:
            raise ValueError("frequency out of range")
        if not 0 <= self._d <= 1:
            raise ValueError("duty out of range")
        _t.ask_ok("pwm %s %s %s" % (self._pin, self._hz, 1 - self._d if self._invert else self._d))

    def __repr__(self):
        return "PWM(%s, freq=%d, duty_u16=%d)" % (self._pin, self._hz, self.duty_u16())

    def init(self, *, freq=None, duty=None, duty_u16=None, duty_ns=None, invert=None):
        if invert is not None:
            self._invert = bool(invert)
        if freq is not None:
            self._hz = freq
        if duty is not None:
            self._d = duty / 1023
        if duty_u16 is not None:
            self._d = duty_u16 / 65535
        if duty_ns is not None:
            self._d = duty_ns * self._hz / 1000000000
        self._set()

    def freq(self, hz=None):
        if hz is None:
            return self._hz
        self._hz = hz
        self._set()

    def duty(self, d=None):
        if d is None:
            return round(self._d * 1023)
        self.init(duty=d)

    def duty_u16(self, d=None):
        if d is None:
            return round(self._d * 65535)
        self.init(duty_u16=d)

    def duty_ns(self, ns=None):
        if ns is None:
            return round(self._d * 1000000000 / self._hz)
        self.init(duty_ns=ns)

    def deinit(self):
        self._d, self._invert = 0, False
        self._set()


class Timer:
    ONE_SHOT, PERIODIC = 0, 1

    def __init__(self, id=-1, **kw):
        self._call, self._id = None, id
        if kw:
            self.init(**kw)

    def init(self, *, mode=1, freq=-1, period=-1, tick_hz=1000, callback=None, hard=False):
        self._every = int(1000000000 / freq) if freq != -1 else int(period) * 1000000000 // tick_hz
        self._call, self._once = callback, mode == 0
        self._next = _t.now_ns() + self._every
        # There is one of each number.
        _t.timers[:] = [t for t in _t.timers if t is not self and (t._id != self._id or self._id == -1)]
        _t.timers.append(self)
        _t.arm()

    def _fire(self, _):
        if self._once:
            self.deinit()
        else:
            # Calls that come while one is served wait in a queue of eight; what overflows it is lost.
            every = max(self._every, 1000)
            self._next = max(self._next + every, _t.now_ns() - 7 * every)
        if self._call:
            self._call(self)

    def value(self):
        # How far its period is, [ms].
        return max(0, _t.now_ns() - self._next + self._every) // 1000000 if self in _t.timers else 0

    def deinit(self):
        if self in _t.timers:
            _t.timers.remove(self)
            _t.arm()


class WDT:
    def __init__(self, id=0, timeout=5000):
        # An RP2040 counts 24 bits, two for each microsecond.
        if _t.port == "rp2" and not 0 <= timeout <= 8388:
            raise ValueError("timeout exceeds 8388")
        self._ms, self._timer = timeout, Timer(-1)
        self.feed()

    def feed(self):
        bites = lambda _: _end("reset", "by the watchdog")
        _t.watchdog = self._timer
        self._timer.init(period=self._ms, mode=Timer.ONE_SHOT, callback=bites)


class RTC:
    ALARM0 = 0
    # When the alarm is due, [ns].
    _alarm = None

    def __init__(self, id=0):
        pass

    def datetime(self, to=None):
        import time

        if to is None:
            t = time.gmtime()
            return (t[0], t[1], t[2], t[6], t[3], t[4], t[5], 0)
        year, month, day, _, hour, minute, second = to[:7]
        _t.set_clock(time.mktime((year, month, day, hour, minute, second, 0, 0)) + time._EPOCH)

    def init(self, to):
        if len(to) == 8 and _t.port == "esp32":
            # There it is the same as `datetime`.
            self.datetime(to)
            return
        year, month, day, hour, minute, second = (tuple(to) + (0,) * 6)[:6]
        self.datetime((year, month, day, 0, hour, minute, second))

    def irq(self, *, trigger=0, handler=None, wake=IDLE):
        return None

    def alarm(self, id, time=None, *, repeat=False):
        RTC._alarm = _t.now_ns() + int(time) * 1000000

    def alarm_left(self, id=0):
        return 0 if RTC._alarm is None else max(0, RTC._alarm - _t.now_ns()) // 1000000

    def cancel(self, id=0):
        RTC._alarm = None

    def memory(self, data=None):
        if data is None:
            return _t.unhex(_t.ask_ok("kept rtc")[0])
        data = data.encode() if isinstance(data, str) else data
        if len(data) > (492 if _t.port == "esp8266" else 2048):
            raise ValueError("buffer too long")
        _t.ask_ok("keep rtc %s" % _t.tohex(data))


def time_pulse_us(pin, level, timeout=1000000):
    words = _t.ask("pulse %s %d %d" % (pin._pin, 1 if level else 0, timeout))
    return int(words[1]) if words[0] == "ok" else _pulse(pin, level, timeout)


def _pulse(pin, level, timeout):
    # What the world moves, such as a button, is waited for by its edges.
    until, came = _t.now_ns() + timeout * 1000, None

    def edge(high):
        _t.nudged = True

    before = _t.on_edge.get(pin._pin)
    _t.on_edge[pin._pin] = edge
    _t.ask_ok("watch %s %s" % (pin._pin, pin._pull))
    try:
        while True:
            now, is_at = _t.now_ns(), pin.value() == (1 if level else 0)
            if is_at and came is None:
                # From here on the time counts anew.
                came, until = now, now + timeout * 1000
            elif came is not None and not is_at:
                return (now - came) // 1000
            if now >= until:
                return -2 if came is None else -1
            _t.nudged = False
            _t.wait(until, False, True)
    finally:
        if before:
            _t.on_edge[pin._pin] = before
        else:
            _t.on_edge.pop(pin._pin, None)
            _t.ask_ok("unwatch %s" % pin._pin)


def bitstream(pin, encoding, timing, buf):
    _t.ask_ok("neo %s %s" % (pin._pin, _t.tohex(buf)))


def dht_readinto(pin, buf):
    answer = _t.ask("dht %s" % pin._pin)
    if answer[0] == "err":
        raise OSError(110)
    buf[:] = _t.unhex(answer[1])


class _Absent:
    def __init__(self, *_, **__):
        raise OSError(19, "machine.%s is not simulated" % type(self).__name__)


class I2S(_Absent):
    RX, TX, STEREO, MONO = 0, 1, 0, 1


class SDCard(_Absent):
    pass


class Counter:
    # Edges at a pin.
    RISING, FALLING, UP, DOWN = 1, 2, 1, -1

    def __init__(self, id, src=None, **kw):
        self._n, self._src = 0, None
        if src is not None:
            self.init(src, **kw)

    def init(self, src, *, edge=1, direction=1, **_):
        self._src, self._by = src if isinstance(src, Pin) else Pin(src, Pin.IN), direction
        self._src.irq(self._count, edge)

    def _count(self, _):
        self._n += self._by

    def value(self, to=None):
        before = self._n
        if to is not None:
            self._n = to
        return before

    def deinit(self):
        if self._src:
            self._src.irq(None)


# They stand on what is above.
from _buses import I2C, SPI, UART, SoftI2C, SoftOnlyI2C, SoftSPI
