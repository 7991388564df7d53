"""The pigpio daemon of a virtual Raspberry Pi: what answers at port 8888.

The protocol is the daemon's own socket interface: a command of four words of 32 bits (command, two parameters, length of
what follows) is answered by the same words with the result in the last; notifications are reports of twelve bytes (sequence,
flags, microseconds, levels of the bank). Not there: stored scripts, files, the slave controller, serial waves.
"""
import struct

import _twinfleet as _k

VERSION = 79
BAD_GPIO, BAD_MODE, BAD_PULSEWIDTH, BAD_HANDLE, UNKNOWN_COMMAND = -3, -4, -7, -25, -88
I2C_OPEN_FAILED, I2C_WRITE_FAILED, I2C_READ_FAILED, SPI_OPEN_FAILED = -71, -82, -83, -73
NOT_PWM_GPIO, NOT_SERVO_GPIO, BAD_WAVE_ID, SERIAL_READ_NO_DATA, BAD_DUTYCYCLE = -92, -93, -66, -87, -8
INPUT, OUTPUT = 0, 1
# At its sample time of 5 µs.
FREQUENCIES = (8000, 4000, 2000, 1600, 1000, 800, 500, 400, 320, 250, 200, 160, 100, 80, 50, 40, 20, 10)
HEADER = range(28)
_PULLS = {0: "-", 1: "down", 2: "up"}


class Pin:
    def __init__(self, number):
        self.number, self.mode, self.pull, self.level = number, INPUT, "-", 0
        self.hz, self.range, self.duty, self.pulse_us = 800, 255, None, None
        self.watchdog = None  # [timeout_ns, since_ns]


class Daemon:
    """The state that all connections share."""

    def __init__(self):
        words = set(_k.ask_ok("board")[1:])
        self.pins = {n: Pin(n) for n in HEADER if "GPIO%d" % n in words}
        self.notes = {}  # handle: [connection, monitored bits, sequence]
        self.handles = {}
        self.next_handle = 0
        self.waves, self.pulses, self.next_wave = {}, [], 0
        self.playing = None
        self.bank = 0
        _k.threads.pollers.append(self.news)

    # Pins.

    def pin(self, number):
        pin = self.pins.get(number)
        if pin is None:
            raise Refused(BAD_GPIO)
        return pin

    def read(self, pin):
        if pin.mode == INPUT:
            self.changed(pin, _k.level(pin.number, pin.pull))
        return pin.level

    def write(self, pin, level):
        pin.mode, pin.duty, pin.pulse_us = OUTPUT, None, None
        _k.drive(pin.number, 1 if level else 0)
        self.changed(pin, 1 if level else 0)

    def changed(self, pin, level, at_ns=None):
        pin.level = level
        bit = 1 << pin.number
        before, self.bank = self.bank, self.bank | bit if level else self.bank & ~bit
        if pin.watchdog:
            pin.watchdog[1] = _k.now_ns()
        if before != self.bank:
            # Of an input everybody is told, or a client that begins to watch it later would go by its level of before.
            self.report(0, at_ns, bit if pin.mode != INPUT else -1)

    def report(self, flags, at_ns=None, bits=-1):
        at_us = (_k.now_ns() if at_ns is None else at_ns) // 1000
        for note in self.notes.values():
            if bits == -1 or note[1] & bits:
                note[0].put(struct.pack("<HHII", note[2] & 0xFFFF, flags, at_us & 0xFFFFFFFF, self.bank))
                note[2] += 1

    def news(self, what):
        if what.startswith("edge:"):
            words = what.split(":")
            pin = self.pins.get(int(words[1].lstrip("GPIO")))
            if pin is not None and pin.mode == INPUT:
                self.changed(pin, int(words[2]), int(words[3]) if len(words) > 3 else None)

    def watch(self):
        monitored = 0
        for note in self.notes.values():
            monitored |= note[1]
        for pin in self.pins.values():
            if pin.mode == INPUT and monitored >> pin.number & 1:
                _k.ask_ok("watch", pin.number, pin.pull)

    def read_all(self):
        for pin in self.pins.values():
            self.read(pin)
        return self.bank

    def guard(self, pin, timeout_ms):
        """Tells whoever listens when a pin has not changed for so long."""
        if not timeout_ms:
            pin.watchdog = None
            return
        mine = pin.watchdog = [timeout_ms * 1_000_000, _k.now_ns()]

        def look():
            while pin.watchdog is mine:
                until = mine[0] + mine[1]
                _k.threads.wait(until)
                if pin.watchdog is mine and _k.now_ns() >= mine[0] + mine[1]:
                    mine[1] = _k.now_ns()
                    self.report(32 | pin.number)

        _k.locks.start_new_thread(look, ())

    # Handles.

    def open(self, what):
        self.next_handle += 1
        self.handles[self.next_handle - 1] = what
        return self.next_handle - 1

    def handle(self, number):
        if number not in self.handles:
            raise Refused(BAD_HANDLE)
        return self.handles[number]

    # Waves.

    def play(self, wave, again):
        mine = self.playing = object()

        def go():
            while self.playing is mine:
                for on, off, us in wave:
                    for pin in self.pins.values():
                        if (on | off) >> pin.number & 1:
                            self.write(pin, on >> pin.number & 1)
                    _k.sleep_ns(us * 1000)
                    if self.playing is not mine:
                        return
                if not again:
                    self.playing = None

        _k.locks.start_new_thread(go, ())


class Refused(Exception):
    """A result below zero."""


_daemon = None


def connect(put):
    global _daemon
    if _daemon is None:
        _daemon = Daemon()
    return Connection(_daemon, put)


def _set_pwm(pin):
    duty = 0 if pin.duty is None else pin.duty / pin.range
    _k.ask_ok("pwm", pin.number, pin.hz, duty)


def _i2c(of, failed, *operations):
    answer = _k.ask("i2c", "-", of[1], *operations)
    if answer[0] == "err":
        raise Refused(failed)
    return b"" if answer[1] == "-" else bytes.fromhex(answer[1])


def _w(*data):
    return "w:" + (b"".join(bytes([d]) if isinstance(d, int) else bytes(d) for d in data).hex() or "-")


def _word(extra, at=0):
    return struct.unpack_from("<I", extra, at)[0]


class Connection:
    """One client."""

    def __init__(self, daemon, put):
        self.daemon, self.put, self._bytes = daemon, put, b""

    def take(self, data):
        self._bytes += data
        while len(self._bytes) >= 16:
            command, one, two, more = struct.unpack_from("<IIII", self._bytes)
            if len(self._bytes) < 16 + more:
                return
            extra, self._bytes = self._bytes[16 : 16 + more], self._bytes[16 + more :]
            result, data = self.run(command, one, two, extra)
            self.put(struct.pack("<IIII", command, one, two, result & 0xFFFFFFFF) + data)

    def closed(self):
        for handle in [h for h, note in self.daemon.notes.items() if note[0] is self]:
            del self.daemon.notes[handle]

    def run(self, command, one, two, extra):
        call = COMMANDS.get(command)
        if call is None:
            return UNKNOWN_COMMAND, b""
        try:
            result = call(self, self.daemon, one, two, extra)
        except Refused as refused:
            return refused.args[0], b""
        if isinstance(result, bytes):
            return len(result), result
        return result or 0, b""


def _modes(c, d, gpio, mode, extra):
    pin = d.pin(gpio)
    if mode > 7:
        return BAD_MODE
    before, pin.mode = pin.mode, mode
    if mode == INPUT:
        pin.duty = pin.pulse_us = None
        if before == OUTPUT:
            _k.ask_ok("free", pin.number, pin.pull)
        d.read(pin)
    d.watch()


def _pull(c, d, gpio, pull, extra):
    pin = d.pin(gpio)
    pin.pull = _PULLS.get(pull, "-")
    d.read(pin)
    d.watch()


def _duty(c, d, gpio, duty, extra):
    pin = d.pin(gpio)
    if duty > pin.range:
        return BAD_DUTYCYCLE
    pin.mode, pin.duty, pin.pulse_us = OUTPUT, duty, None
    _set_pwm(pin)


def _range(c, d, gpio, range_, extra):
    pin = d.pin(gpio)
    if pin.duty is not None:
        pin.duty = pin.duty * range_ // pin.range
    pin.range = range_
    return 200_000 // pin.hz


def _frequency(c, d, gpio, hz, extra):
    pin = d.pin(gpio)
    pin.hz = min(FREQUENCIES, key=lambda f: (abs(f - hz), f))
    if pin.duty is not None:
        _set_pwm(pin)
    return pin.hz


def _servo(c, d, gpio, pulse_us, extra):
    pin = d.pin(gpio)
    if pulse_us and not 500 <= pulse_us <= 2500:
        return BAD_PULSEWIDTH
    pin.mode, pin.duty, pin.pulse_us = OUTPUT, None, pulse_us
    _k.ask_ok("pwm", gpio, 50, pulse_us * 50 / 1e6)


def _hardware_pwm(c, d, gpio, hz, extra):
    pin = d.pin(gpio)
    pin.mode, pin.hz, pin.range, pin.duty = OUTPUT, hz, 1_000_000, _word(extra)
    _k.ask_ok("pwm", gpio, hz, pin.duty / 1e6)


def _bank(level):
    def set_(c, d, bits, two, extra):
        for pin in d.pins.values():
            if bits >> pin.number & 1:
                d.write(pin, level)

    return set_


def _trigger(c, d, gpio, us, extra):
    pin = d.pin(gpio)
    level = _word(extra)
    d.write(pin, level)
    _k.sleep_ns(us * 1000)
    d.write(pin, not level)


def _notify(c, d, one, two, extra):
    handle = d.open("notify")
    d.notes[handle] = [c, 0, 0]
    return handle


def _monitor(c, d, handle, bits, extra):
    if handle not in d.notes:
        return BAD_HANDLE
    d.notes[handle][1] = bits
    d.watch()


def _forget(c, d, handle, two, extra):
    d.notes.pop(handle, None)
    d.handles.pop(handle, None)


def _close(c, d, handle, two, extra):
    d.handle(handle)
    del d.handles[handle]


def _i2c_open(c, d, bus, address, extra):
    return d.open(("i2c", address)) if bus in (1, 2) and address < 128 else I2C_OPEN_FAILED


def _i2c_register(n):
    def read(c, d, handle, register, extra):
        data = _i2c(d.handle(handle), I2C_READ_FAILED, _w(register & 255), "r:%d" % n)
        return int.from_bytes(data, "little")

    return read


def _i2c_put(pack):
    def write(c, d, handle, register, extra):
        _i2c(d.handle(handle), I2C_WRITE_FAILED, pack(register & 255, extra))

    return write


def _i2c_call(c, d, handle, register, extra):
    data = _i2c(d.handle(handle), I2C_READ_FAILED, _w(register & 255, extra[:2]), "r:2")
    return int.from_bytes(data, "little")


def _i2c_zip(c, d, handle, two, extra):
    of, operations, at, flags = list(d.handle(handle)), [], 0, 0
    read = b""
    words = list(extra)

    def count():
        nonlocal at, flags
        if flags & 2:
            flags &= ~2
            at += 2
            return words[at - 2] | words[at - 1] << 8
        at += 1
        return words[at - 1]

    combined = False

    def go():
        nonlocal read
        if operations:
            read += _i2c(of, I2C_READ_FAILED, *operations)
            operations.clear()

    while at < len(words):
        code, at = words[at], at + 1
        if code == 0:
            break
        if code == 1:
            flags |= 2
        elif code in (2, 3):
            go()
            combined = code == 2
        elif code == 4:
            go()
            of[1], at = words[at], at + 1
        elif code == 5:
            count()
        elif code == 6:
            operations.append("r:%d" % count())
        elif code == 7:
            n = count()
            operations.append(_w(bytes(words[at : at + n])))
            at += n
        if not combined:
            go()
    go()
    return read


def _spi_open(c, d, channel, hz, extra):
    flags = _word(extra) if extra else 0
    if channel > (2 if flags >> 8 & 1 else 1):
        return SPI_OPEN_FAILED
    select = ("GPIO18", "GPIO17", "GPIO16") if flags >> 8 & 1 else ("GPIO8", "GPIO7")
    # What nobody selects answers nothing.
    return d.open(("spi", select[channel], max(1, hz)))


def _spi(c, d, handle, data):
    kind, select, hz = d.handle(handle)
    words = _k.ask_ok("spi", select, hz, bytes(data).hex() or "-")
    return bytes.fromhex(words[0].replace("-", ""))


def _spi_write(c, d, handle, two, extra):
    return len(_spi(c, d, handle, extra))


def _soft_spi_open(c, d, select, two, extra):
    d.handles["spi%d" % select] = ("spi", "GPIO%d" % select, max(1, _word(extra, 12)))


def _soft_spi_close(c, d, select, two, extra):
    d.handles.pop("spi%d" % select, None)


def _serial_open(c, d, baud, flags, extra):
    import _uart

    return d.open(_uart.Port(baud))


def _serial_byte(c, d, handle, two, extra):
    data = d.handle(handle).take(1)
    return data[0] if data else SERIAL_READ_NO_DATA


def _serial_write(c, d, handle, two, extra):
    d.handle(handle).write(extra)


def _wave_add(c, d, one, two, extra):
    d.pulses += [struct.unpack_from("<III", extra, i) for i in range(0, len(extra) - 11, 12)]
    return len(d.pulses)


def _wave_new(c, d, one, two, extra):
    d.pulses = []


def _wave_clear(c, d, one, two, extra):
    d.waves, d.pulses, d.playing, d.next_wave = {}, [], None, 0


def _wave_create(c, d, one, two, extra):
    d.next_wave += 1
    d.waves[d.next_wave - 1], d.pulses = d.pulses, []
    return d.next_wave - 1


def _wave_send(again):
    def send(c, d, wave, two, extra):
        if wave not in d.waves:
            return BAD_WAVE_ID
        d.play(d.waves[wave], again)
        return 2 * len(d.waves[wave])

    return send


def _wave_stop(c, d, one, two, extra):
    d.playing = None


def _nothing(c, d, one, two, extra):
    pass


def _revision(c, d, one, two, extra):
    return _k.identity.REVISIONS.get(_k.settings["board"], 0xA02082)


COMMANDS = {
    0: _modes,
    1: lambda c, d, gpio, two, extra: d.pin(gpio).mode,
    2: _pull,
    3: lambda c, d, gpio, two, extra: d.read(d.pin(gpio)),
    4: lambda c, d, gpio, level, extra: d.write(d.pin(gpio), level),
    5: _duty,
    6: _range,
    7: _frequency,
    8: _servo,
    9: lambda c, d, gpio, ms, extra: d.guard(d.pin(gpio), ms),
    10: lambda c, d, one, two, extra: d.read_all(),
    11: _nothing,
    12: _bank(0),
    13: _nothing,
    14: _bank(1),
    15: _nothing,
    16: lambda c, d, one, two, extra: _k.now_ns() // 1000 & 0xFFFFFFFF,
    17: _revision,
    18: _notify,
    19: _monitor,
    21: _forget,
    22: lambda c, d, gpio, two, extra: d.pin(gpio).range,
    23: lambda c, d, gpio, two, extra: d.pin(gpio).hz,
    24: lambda c, d, gpio, two, extra: 200_000 // d.pin(gpio).hz,
    26: lambda c, d, one, two, extra: VERSION,
    27: _wave_clear,
    28: _wave_add,
    32: lambda c, d, one, two, extra: 1 if d.playing else 0,
    33: _wave_stop,
    37: _trigger,
    46: lambda c, d, us, two, extra: _k.sleep_ns(us * 1000),
    47: lambda c, d, ms, two, extra: _k.sleep_ns(ms * 1_000_000),
    49: _wave_create,
    50: lambda c, d, wave, two, extra: d.waves.pop(wave, None) and 0,
    51: _wave_send(False),
    52: _wave_send(True),
    53: _wave_new,
    54: _i2c_open,
    55: _close,
    56: lambda c, d, handle, n, extra: _i2c(d.handle(handle), I2C_READ_FAILED, "r:%d" % n),
    57: lambda c, d, handle, two, extra: len(_i2c(d.handle(handle), I2C_WRITE_FAILED, _w(extra))),
    58: lambda c, d, handle, two, extra: len(_i2c(d.handle(handle), I2C_WRITE_FAILED, "w:-")),
    59: lambda c, d, handle, two, extra: _i2c(d.handle(handle), I2C_READ_FAILED, "r:1")[0],
    60: lambda c, d, handle, byte, extra: len(_i2c(d.handle(handle), I2C_WRITE_FAILED, _w(byte & 255))),
    61: _i2c_register(1),
    62: _i2c_put(lambda register, extra: _w(register, extra[:1])),
    63: _i2c_register(2),
    64: _i2c_put(lambda register, extra: _w(register, extra[:2])),
    66: _i2c_put(lambda register, extra: _w(register, len(extra), extra)),
    67: lambda c, d, handle, register, extra: _i2c(
        d.handle(handle), I2C_READ_FAILED, _w(register & 255), "r:%d" % _word(extra)),
    68: _i2c_put(lambda register, extra: _w(register, extra)),
    69: _i2c_call,
    71: _spi_open,
    72: _close,
    73: lambda c, d, handle, n, extra: _spi(c, d, handle, bytes(n)),
    74: _spi_write,
    75: lambda c, d, handle, two, extra: _spi(c, d, handle, extra),
    76: _serial_open,
    77: _close,
    78: _serial_byte,
    79: lambda c, d, handle, byte, extra: d.handle(handle).write(bytes([byte & 255])),
    80: lambda c, d, handle, n, extra: d.handle(handle).take(n),
    81: _serial_write,
    82: lambda c, d, handle, two, extra: d.handle(handle).waiting(),
    83: lambda c, d, gpio, two, extra: NOT_PWM_GPIO if d.pin(gpio).duty is None else d.pin(gpio).duty,
    84: lambda c, d, gpio, two, extra: NOT_SERVO_GPIO if d.pin(gpio).pulse_us is None else d.pin(gpio).pulse_us,
    86: _hardware_pwm,
    92: _i2c_zip,
    # Filters of glitches and noise: the simulation's edges are clean.
    97: _nothing,
    98: _nothing,
    99: _notify,
    111: _soft_spi_close,
    112: _soft_spi_open,
    113: lambda c, d, select, two, extra: _spi(c, d, "spi%d" % select, extra),
    115: _nothing,
    116: _nothing,
}
