"""CircuitPython's sleep."""
import _twinfleet as _k

wake_alarm = None


class time:
    class TimeAlarm:
        def __init__(self, *, monotonic_time=None, epoch_time=None):
            import time as t
            self.s = monotonic_time - t.monotonic() if monotonic_time is not None else epoch_time - t.time()


def exit_and_deep_sleep_until_alarms(*alarms, **_):
    _k.end("sleep", str(int(max(0, min(a.s for a in alarms)) * 1000)))


def light_sleep_until_alarms(*alarms):
    _k.ask_ok("rest", "light")
    _k.sleep_ns(int(max(0, min(a.s for a in alarms)) * 1e9))
    _k.ask_ok("rest", "awake")
    return alarms[0]
