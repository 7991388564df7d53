"""Python's clocks, which show simulated time."""
import datetime
import time
import types

import _twinfleet as _k


def install():
    time.tzset()
    real = types.SimpleNamespace(gmtime=time.gmtime, strftime=time.strftime, ctime=time.ctime)
    look, boot_ns, epoch_ns = _k.look, _k.BOOT_NS, _k.epoch_ns

    def wall():
        return (epoch_ns + look()) / 1e9

    def sleep(seconds):
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        _k.sleep_ns(round(seconds * 1e9))

    def computed_ns():
        look()
        return _k.n * _k.LINE_NS

    time.sleep = sleep
    time.time = wall
    time.time_ns = lambda: epoch_ns + look()
    time.monotonic = time.perf_counter = lambda: (boot_ns + look()) / 1e9
    time.monotonic_ns = time.perf_counter_ns = lambda: boot_ns + look()
    time.process_time = time.thread_time = lambda: computed_ns() / 1e9
    time.process_time_ns = time.thread_time_ns = computed_ns
    time.gmtime = lambda s=None: real.gmtime(wall() if s is None else s)
    # Devices live in UTC.
    time.localtime = time.gmtime
    time.ctime = lambda s=None: real.ctime(wall() if s is None else s)
    time.asctime = lambda t=None: time.strftime("%a %b %e %H:%M:%S %Y", t)
    time.strftime = lambda f, t=None: real.strftime(f, time.gmtime() if t is None else t)
    time.clock_gettime = lambda clock: wall() if clock == time.CLOCK_REALTIME else time.monotonic()
    time.clock_gettime_ns = lambda clock: time.time_ns() if clock == time.CLOCK_REALTIME else time.monotonic_ns()

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
