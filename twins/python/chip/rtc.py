"""CircuitPython's clock."""
import time as _t


class RTC:
    @property
    def datetime(self):
        return _t.gmtime()

    @datetime.setter
    def datetime(self, to):
        pass
