# Simulated time, as MicroPython's time module gives it.
import _twinfleet as _t

# MicroPython's own, which the run answers; of the second it takes the microseconds for milliseconds.
from utime import ticks_ms, time as _unix_ms

_PERIOD = 1 << 30
_HALF = 1 << 29


# Boards count from 2000, those of the RP2 port from 1970; in Unix time, [s].
_EPOCH = 946684800


def _port(name):
    global _EPOCH
    _EPOCH = 0 if name == "rp2" else 946684800


class _Clock:
    # What stands for functions of C: kept in a class, they do not become its methods, nor do methods of this one.
    def sleep(self, s):
        _t.wait(_t.now_ns() + int(s * 1000000000))

    def sleep_ms(self, ms):
        if ms > 0:
            _t.wait(_t.now_ns() + int(ms) * 1000000)

    def sleep_us(self, us):
        if us > 0:
            _t.wait(_t.now_ns() + int(us) * 1000)

    def ticks_us(self):
        return (_t.look_ns() - _t.born_ns) // 1000 & _PERIOD - 1

    def ticks_add(self, ticks, delta):
        return ticks + delta & _PERIOD - 1

    def ticks_diff(self, a, b):
        return (a - b + _HALF & _PERIOD - 1) - _HALF

    def time(self):
        return int(_unix_ms() / 1000 + _t.ahead_s - _EPOCH)

    def time_ns(self):
        return _t.unix_ns() - _EPOCH * 1000000000


_clock = _Clock()
sleep, sleep_ms, sleep_us = _clock.sleep, _clock.sleep_ms, _clock.sleep_us
ticks_us, ticks_add, ticks_diff = _clock.ticks_us, _clock.ticks_add, _clock.ticks_diff
ticks_cpu, time, time_ns = ticks_us, _clock.time, _clock.time_ns


_MONTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def gmtime(secs=None):
    secs = time() if secs is None else int(secs)
    if secs < 0:
        raise OverflowError("time before the epoch")
    days, rest = divmod(secs + _EPOCH, 86400)
    weekday, year = (days + 3) % 7, 1970
    if days >= 10957:
        days, year = days - 10957, 2000
    while True:
        length = 366 if year % 4 == 0 and (year % 100 or year % 400 == 0) else 365
        if days < length:
            break
        days -= length
        year += 1
    yearday, month = days + 1, 0
    while True:
        length = _MONTHS[month] + (1 if month == 1 and (year % 4 == 0 and (year % 100 or year % 400 == 0)) else 0)
        if days < length:
            break
        days -= length
        month += 1
    return (year, month + 1, days + 1, rest // 3600, rest // 60 % 60, rest % 60, weekday, yearday)


localtime = gmtime


def mktime(t):
    year, month, day, hour, minute, second = t[:6]
    days = -_EPOCH // 86400
    for y in range(1970, year):
        days += 366 if y % 4 == 0 and (y % 100 or y % 400 == 0) else 365
    for m in range(month - 1):
        days += _MONTHS[m] + (1 if m == 1 and year % 4 == 0 and (year % 100 or year % 400 == 0) else 0)
    return ((days + day - 1) * 24 + hour) * 3600 + minute * 60 + second
