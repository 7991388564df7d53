"""CircuitPython's microcontroller."""
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


class Processor:
    frequency = round(_k.settings["clock_mhz"] * 1e6)
    uid = bytes.fromhex(_k.settings["mac"].replace(":", ""))
    reset_reason = None
    voltage = None

    @property
    def temperature(self):
        """By the processor's own part; None where the thing has none."""
        try:
            return _k.files.inside("temperature")
        except OSError:
            return None


class ResetReason:
    POWER_ON, BROWNOUT, SOFTWARE, DEEP_SLEEP_ALARM, RESET_PIN, WATCHDOG, UNKNOWN, RESCUE_DEBUG = range(8)


class RunMode:
    NORMAL, SAFE_MODE, UF2, BOOTLOADER = range(4)


cpu = Processor()
cpus = (cpu,)


class _Nvm:
    def _all(self):
        kept = _k.ask_ok("kept", "nvm")[0]
        return bytearray(4096) if kept == "-" else bytearray.fromhex(kept)

    def __len__(self):
        return 4096

    def __getitem__(self, i):
        part = self._all()[i]
        return bytes(part) if isinstance(i, slice) else part

    def __setitem__(self, i, value):
        every = self._all()
        every[i] = value
        _k.ask_ok("keep", "nvm", every.hex())


nvm = _Nvm()
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
