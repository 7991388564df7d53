"""CircuitPython's microcontroller."""
import enum as _enum
import sys as _sys
import types as _types

import _twinfleet as _k


class Pin:
    def __init__(self, name):
        self.id = name
        self._name = name

    def __repr__(self):
        return "board." + self._name

    def __eq__(self, other):
        return isinstance(other, Pin) and other._name == self._name

    def __hash__(self):
        return hash(self._name)


_taken = set()


def claim(pin):
    """A pin belongs to whoever has it until that is deinitialised. Returns its name."""
    if not isinstance(pin, Pin):
        raise TypeError("pin must be of type Pin")
    if pin._name in _taken:
        raise ValueError("%s in use" % pin._name)
    _taken.add(pin._name)
    return pin._name


def release(name):
    _taken.discard(name)


class ResetReason(_enum.Enum):
    POWER_ON, BROWNOUT, SOFTWARE, DEEP_SLEEP_ALARM, RESET_PIN, WATCHDOG, UNKNOWN, RESCUE_DEBUG = range(8)

    def __repr__(self):
        return "microcontroller." + str(self)


_RESETS = {"power_on": ResetReason.POWER_ON, "soft": ResetReason.SOFTWARE, "wdt": ResetReason.WATCHDOG,
           "deepsleep": ResetReason.DEEP_SLEEP_ALARM, "deepsleep_pin": ResetReason.DEEP_SLEEP_ALARM}


class Processor:
    frequency = round(_k.settings["clock_mhz"] * 1e6)
    uid = bytes.fromhex(_k.settings["mac"].replace(":", ""))
    reset_reason = _RESETS.get(_k.settings["reset_cause"], ResetReason.UNKNOWN)
    voltage = None

    @property
    def temperature(self):
        """By the processor's own part; None where the thing has none."""
        try:
            return _k.files.inside("temperature")
        except OSError:
            return None


class RunMode:
    NORMAL, SAFE_MODE, UF2, BOOTLOADER = range(4)


cpu = Processor()
cpus = (cpu,)


class _Kept:
    """Bytes that outlive the script."""

    def __init__(self, key, size):
        self._key, self._size = key, size

    def _all(self):
        kept = _k.ask_ok("kept", self._key)[0]
        return bytearray(self._size) if kept == "-" else bytearray.fromhex(kept)

    def __len__(self):
        return self._size

    def __getitem__(self, i):
        part = self._all()[i]
        return bytes(part) if isinstance(i, slice) else part

    def __setitem__(self, i, value):
        every = self._all()
        every[i] = value
        if len(every) != self._size:
            raise ValueError("Slice and value different lengths.")
        _k.ask_ok("keep", self._key, every.hex())


nvm = _Kept("nvm", 4096)
if "chip" in _k.settings["modules"]:
    import watchdog as _watchdog

    watchdog = _watchdog.WatchDogTimer()


def delay_us(us):
    _k.sleep_ns(int(us * 1000))


def reset():
    _k.end("reset", "microcontroller.reset()")


def on_next_reset(mode):
    pass


def disable_interrupts():
    pass


enable_interrupts = disable_interrupts


def __getattr__(name):
    """`pin`: the processor's own names for all of its pins, of which the board's are some."""
    if name != "pin":
        raise AttributeError("module 'microcontroller' has no attribute %r" % name)
    global pin
    pin = _sys.modules["microcontroller.pin"] = _types.ModuleType("microcontroller.pin")
    for one in _k.ask_ok("board")[1:]:
        made = Pin(one)
        setattr(pin, one, made)
        if one.startswith("GP") and one[2:].isdigit():
            setattr(pin, "GPIO" + one[2:], made)
    return pin
