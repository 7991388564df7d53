"""CircuitPython's clock, which `time` goes by."""
import calendar as _calendar
import time as _t

import _twinfleet as _k


class RTC:
    calibration = 0

    @property
    def datetime(self):
        return _t.localtime()

    @datetime.setter
    def datetime(self, to):
        _k.epoch_ns = _calendar.timegm((*to[:6], 0, 0, 0)) * 1_000_000_000 - _k.now_ns()
        # It goes on through a sleep and a reset.
        _k.ask_ok("keep", "clock", _k.epoch_ns)


def set_time_source(source):
    """`time` goes by the board's own clock, whatever else is named."""
