"""CircuitPython's watchdog."""
import signal as _signal

import _twinfleet as _k


class WatchDogTimeout(Exception):
    pass


class WatchDogMode:
    RAISE, RESET = "RAISE", "RESET"


def _raise(number, frame):
    raise WatchDogTimeout("timed out")


class WatchDogTimer:
    """Bites `timeout` seconds after it was last fed; its owner is `microcontroller.watchdog`."""

    def __init__(self):
        self._timeout, self._mode, self._since = None, None, None

    @property
    def timeout(self):
        return self._timeout

    @timeout.setter
    def timeout(self, seconds):
        if seconds <= 0:
            raise ValueError("timeout must be >= 0")
        # An RP2040 counts 24 bits, two for each microsecond.
        if _k.settings["board"].startswith("raspberry-pi-pico") and int(seconds * 1000) > 8388:
            raise ValueError("timeout duration exceeded the maximum supported value")
        self._timeout = seconds
        self.feed()

    @property
    def mode(self):
        return self._mode

    @mode.setter
    def mode(self, mode):
        if mode is not None and self._timeout is None:
            raise ValueError("WatchDogTimer.timeout must be greater than 0")
        if mode is None and self._mode == WatchDogMode.RESET:
            raise RuntimeError("WatchDogTimer cannot be deinitialized once mode is set to RESET")
        if mode == WatchDogMode.RAISE:
            _signal.signal(_signal.SIGVTALRM, _raise)
        self._mode = mode
        self.feed()

    def feed(self):
        mine = self._since = object()
        if self._mode is None or self._timeout is None:
            return

        def bite():
            if self._since is not mine:
                return
            if self._mode == WatchDogMode.RESET:
                _k.end("reset", "the watchdog bit")
            self._mode = None
            _k.signals.deliver(_signal.SIGVTALRM)

        _k.threads.at(_k.now_ns() + int(self._timeout * 1e9), bite)

    def deinit(self):
        self.mode = None
