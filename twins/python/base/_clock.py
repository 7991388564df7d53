"""Python's clocks, which show simulated time."""
import datetime
import sys
import time
import types

import _twinfleet as _k

# What tells a time of the real clock only where none is given.
_TOLD = ("gmtime", "localtime", "ctime", "asctime", "strftime")

# Modules that have a function of the clock's by a name of their own, as `queue` and `threading` do.
_kept = []


def prepare():
    """In the process that all devices are forked from, once all is loaded."""
    for module in list(sys.modules.values()):
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if module is not time and isinstance(value, types.BuiltinFunctionType) and value.__module__ == "time":
                _kept.append((module, name, value.__name__))


def install():
    time.tzset()
    real = types.SimpleNamespace(**{name: getattr(time, name) for name in _TOLD})
    look, boot_ns = _k.look, _k.BOOT_NS

    def wall():
        # A microcontroller's clock may be set.
        return (look() + _k.epoch_ns) / 1e9

    def sleep(seconds):
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        _k.sleep_ns(round(seconds * 1e9))

    def computed_ns():
        look()
        return _k.n * _k.LINE_NS

    def of(now, then):
        """What tells of a time, and without one of now."""
        return lambda s=None: then(now() if s is None else s)

    new = {
        "sleep": sleep,
        "time": wall,
        "time_ns": lambda: look() + _k.epoch_ns,
        "monotonic": lambda: (boot_ns + look()) / 1e9,
        "monotonic_ns": lambda: boot_ns + look(),
        "process_time": lambda: computed_ns() / 1e9,
        "process_time_ns": computed_ns,
        "gmtime": of(wall, real.gmtime),
        # In the zone that the script's `TZ` names; a device without one lives in UTC.
        "localtime": of(wall, real.localtime),
        "ctime": of(wall, real.ctime),
        "asctime": lambda t=None: real.asctime(time.localtime() if t is None else t),
        "strftime": lambda f, t=None: real.strftime(f, time.localtime() if t is None else t),
        "clock_gettime": lambda clock: wall() if clock == time.CLOCK_REALTIME else time.monotonic(),
        "clock_gettime_ns": lambda clock: time.time_ns() if clock == time.CLOCK_REALTIME else time.monotonic_ns(),
    }
    new |= {"perf_counter": new["monotonic"], "perf_counter_ns": new["monotonic_ns"],
            "thread_time": new["process_time"], "thread_time_ns": new["process_time_ns"]}
    for name, function in new.items():
        function.__name__, function.__qualname__, function.__module__ = name, name, "time"
        setattr(time, name, _k.unbound(function))
    for module, name, of in _kept:
        if of in new:
            setattr(module, name, getattr(time, of))

    class Datetime(datetime.datetime):
        def __repr__(self):
            return "datetime." + super().__repr__()

        @classmethod
        def now(cls, tz=None):
            return cls.fromtimestamp(wall(), tz)

        @classmethod
        def utcnow(cls):
            return cls.utcfromtimestamp(wall())

        @classmethod
        def today(cls):
            return cls.fromtimestamp(wall())

    class Date(datetime.date):
        def __repr__(self):
            return "datetime." + super().__repr__()

        @classmethod
        def today(cls):
            return cls.fromtimestamp(wall())

    Datetime.__name__ = Datetime.__qualname__ = "datetime"
    Date.__name__ = Date.__qualname__ = "date"
    Datetime.__module__ = Date.__module__ = "datetime"
    datetime.datetime, datetime.date = Datetime, Date
