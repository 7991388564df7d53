"""CircuitPython's sleep."""
import _twinfleet as _k
import microcontroller as _m

# Longer than any run, [ms].
_FOR_EVER = 10**15


class time:
    class TimeAlarm:
        def __init__(self, *, monotonic_time=None, epoch_time=None):
            import time as t

            if (monotonic_time is None) == (epoch_time is None):
                raise ValueError("Supply one of monotonic_time or epoch_time")
            self._s = monotonic_time - t.monotonic() if monotonic_time is not None else epoch_time - t.time()
            if self._s < 0:
                raise ValueError("Time is in the past")
            self.monotonic_time = t.monotonic() + self._s
            self._until = _k.now_ns() + round(self._s * 1e9)


class pin:
    class PinAlarm:
        def __init__(self, pin, value, edge=False, pull=False):  # noqa
            if not isinstance(pin, _m.Pin):
                raise TypeError("pin must be of type Pin")
            self.pin, self.value, self._edge = pin, bool(value), edge
            self._pull = ("down" if value else "up") if pull else "-"

        def _has_come(self):
            return (_k.ask_ok("in", self.pin._name, self._pull)[0] == "1") == self.value


class touch:
    class TouchAlarm:
        def __init__(self, pin):  # noqa
            raise NotImplementedError("the simulated board has no pins to touch")


def _told(alarms):
    if not alarms or not all(isinstance(a, (time.TimeAlarm, pin.PinAlarm)) for a in alarms):
        raise TypeError("Expected an alarm")
    times = [a for a in alarms if isinstance(a, time.TimeAlarm)]
    if len(times) > 1:
        raise ValueError("Only one alarm.time alarm can be set.")
    return times, [a for a in alarms if isinstance(a, pin.PinAlarm)]


def _woken():
    """What ended the deep sleep before this start, as an alarm of its kind."""
    how = _k.settings["reset_cause"]
    if how == "deepsleep":
        made = object.__new__(time.TimeAlarm)
        made.monotonic_time = 0.0
        return made
    if how == "deepsleep_pin":
        words = _k.ask_ok("kept", "wakes")[0]
        for name, level, pull in (word.split(":") for word in words.split("+") if word != "-"):
            if _k.ask_ok("in", name, pull)[0] == level:
                return pin.PinAlarm(_m.Pin(name), level == "1", pull=pull != "-")
    return None


wake_alarm = _woken()
# It outlives a sleep and a reset, and not the loss of power.
sleep_memory = _m._Kept("rtc", 4096)


def exit_and_deep_sleep_until_alarms(*alarms, preserve_dios=()):
    times, pins = _told(alarms)
    ms = max(0, times[0]._until - _k.now_ns()) // 1_000_000 if times else _FOR_EVER
    wakes = ["%s:%d:%s" % (a.pin._name, a.value, a._pull) for a in pins]
    _k.ask_ok("keep", "wakes", "+".join(wakes) or "-")
    _k.end("sleep", " ".join([str(ms), *wakes]))


def light_sleep_until_alarms(*alarms):
    global wake_alarm
    times, pins = _told(alarms)
    _k.ask_ok("rest", "light")
    try:
        while True:
            woken = next((a for a in pins if a._has_come()), None)
            if woken is None and times and _k.now_ns() >= times[0]._until:
                woken = times[0]
            if woken is not None:
                wake_alarm = woken
                return woken
            left = times[0]._until - _k.now_ns() if times else _FOR_EVER
            # A pin is looked at as often as a person may press it.
            _k.sleep_ns(min(left, 20_000_000) if pins else left)
    finally:
        _k.ask_ok("rest", "awake")
