# The ESP32's own.
import _twinfleet as _t

WAKEUP_ALL_LOW, WAKEUP_ANY_HIGH = False, True


class NVS:
    def __init__(self, namespace):
        self._n = "nvs." + namespace + "."

    def _get(self, key):
        value = _t.ask_ok("kept " + self._n + key)[0]
        if value == "-":
            raise OSError(-4354, "ESP_ERR_NVS_NOT_FOUND")
        return _t.unhex(value)

    def set_i32(self, key, value):
        _t.ask_ok("keep %s%s %s" % (self._n, key, str(value).encode().hex()))

    def get_i32(self, key):
        return int(self._get(key))

    def set_blob(self, key, value):
        _t.ask_ok("keep %s%s %s" % (self._n, key, b"=".hex() + bytes(value).hex()))

    def get_blob(self, key, buf):
        data = self._get(key)[1:]
        buf[: len(data)] = data
        return len(data)

    def erase_key(self, key):
        self._get(key)
        _t.ask_ok("forget " + self._n + key)

    def commit(self):
        pass


def wake_on_ext0(pin=None, level=True):
    import machine

    machine._wakes.clear()
    if pin is not None:
        machine._wakes[pin._pin] = 1 if level else 0


def wake_on_ext1(pins=None, level=True):
    # Any of them high; all of them low is taken for any of them low.
    import machine

    machine._wakes.clear()
    for pin in pins or ():
        machine._wakes[pin._pin] = 1 if level else 0


def wake_on_gpio(pins=None, level=True):
    wake_on_ext1(pins, level)


def gpio_deep_sleep_hold(enable):
    # What a pin was set to it keeps in any case.
    pass


HEAP_DATA, HEAP_EXEC = 4, 1


def idf_heap_info(capabilities):
    # One region: what is left of it, its largest piece, and the least that was ever left, [bytes].
    import gc

    free = gc.mem_free()
    return [(free + gc.mem_alloc(), free, free, free)]


class _Absent:
    def __init__(self, *_, **__):
        raise OSError(19, "esp32.%s is not simulated" % type(self).__name__)


class RMT(_Absent):
    PULSE_MAX = 32767


class PCNT(_Absent):
    RISING, FALLING, INCREMENT, DECREMENT, IGNORE, HOLD, REVERSE = 1, 2, 1, 2, 0, 0, 2


class ULP(_Absent):
    pass


class Partition(_Absent):
    BOOT, RUNNING, TYPE_APP, TYPE_DATA = 0, 1, 0, 1

    @classmethod
    def mark_app_valid_cancel_rollback(cls):
        # There is one program, and it runs.
        pass


def wake_on_touch(wake):
    # No board of the run is touched.
    pass


def mcu_temperature():
    return round(_t.core_c())


def raw_temperature():
    # In degrees Fahrenheit; 100 where the scenario has no thermometer within the processor.
    try:
        return round(32 + 1.8 * _t.core_c())
    except OSError:
        return 100
