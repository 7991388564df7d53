"""CircuitPython's buses."""
import _twinfleet as _k
import _uart


class _Locked:
    _locked = False

    def try_lock(self):
        if self._locked:
            return False
        self._locked = True
        return True

    def _held(self):
        if not self._locked:
            raise RuntimeError("Function requires lock")

    def unlock(self):
        self._locked = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.deinit()

    def deinit(self):
        pass


def _hex(data):
    return bytes(data).hex() or "-"


class I2C(_Locked):
    def __init__(self, scl=None, sda=None, *, frequency=100000, timeout=255):
        self._wires = "%s@%d" % ("-" if scl is None else "%s/%s" % (sda.id, scl.id), frequency)

    def scan(self):
        self._held()
        return [a for a in range(8, 0x78) if _k.ask("i2c", self._wires, a, "w:-")[0] == "ok"]

    def probe(self, address):
        self._held()
        return _k.ask("i2c", self._wires, address, "w:-")[0] == "ok"

    def writeto(self, address, buffer, *, start=0, end=None):
        self._held()
        if isinstance(buffer, str):
            buffer = buffer.encode()
        _k.ask_ok("i2c", self._wires, address, "w:" + _hex(memoryview(buffer)[start:end]))

    def readfrom_into(self, address, buffer, *, start=0, end=None):
        self._held()
        view = memoryview(buffer)[start:end]
        view[:] = bytes.fromhex(_k.ask_ok("i2c", self._wires, address, "r:%d" % len(view))[0])

    def writeto_then_readfrom(self, address, out_buffer, in_buffer, *, out_start=0, out_end=None, in_start=0, in_end=None, stop=False):
        self._held()
        out, into = memoryview(out_buffer)[out_start:out_end], memoryview(in_buffer)[in_start:in_end]
        words = _k.ask_ok("i2c", self._wires, address, "w:" + _hex(out), "r:%d" % len(into))
        into[:] = bytes.fromhex(words[0])


class SPI(_Locked):
    def __init__(self, clock, MOSI=None, MISO=None, half_duplex=False):
        self._hz = 100000

    def configure(self, *, baudrate=100000, polarity=0, phase=0, bits=8):
        self._held()
        self._hz = baudrate

    @property
    def frequency(self):
        return self._hz

    def _move(self, data):
        self._held()
        return bytes.fromhex(_k.ask_ok("spi", "-", self._hz, _hex(data))[0].replace("-", ""))

    def write(self, buffer, *, start=0, end=None):
        self._move(memoryview(buffer)[start:end])

    def readinto(self, buffer, *, start=0, end=None, write_value=0):
        view = memoryview(buffer)[start:end]
        view[:] = self._move(bytes([write_value]) * len(view))

    def write_readinto(self, buffer_out, buffer_in, *, out_start=0, out_end=None, in_start=0, in_end=None):
        view = memoryview(buffer_in)[in_start:in_end]
        view[:] = self._move(memoryview(buffer_out)[out_start:out_end])


class UART(_Locked, _uart.Ported):
    class Parity:
        EVEN, ODD = 0, 1

    def __init__(self, tx=None, rx=None, *, baudrate=9600, bits=8, parity=None, stop=1, timeout=1, receiver_buffer_size=64, **_):
        wires = "/".join(pin.id if pin else "-" for pin in (tx, rx))
        self.timeout, self._port = timeout, _uart.Port(baudrate, wires)

    @property
    def in_waiting(self):
        return self._port.waiting()

    def reset_input_buffer(self):
        self._port.clear()

    def _until(self):
        return _k.now_ns() + int(self.timeout * 1e9)

    def read(self, nbytes=None):
        port = self._port
        port.until(lambda: nbytes is not None and len(port.bytes) >= nbytes, self._until())
        return port.cut(len(port.bytes) if nbytes is None else nbytes) or None

    def readline(self):
        self._port.until_line(self._until())
        return self._port.cut_line() or None

    def readinto(self, buffer):
        data = self.read(len(buffer)) or b""
        buffer[: len(data)] = data
        return len(data) or None

    def write(self, buffer):
        return self._port.write(buffer)


class OneWire(_Locked):
    def __init__(self, pin):
        self._pin = pin.id

    def reset(self):
        return _k.ask_ok("ow", self._pin, "reset")[0] == "0"

    def read_bit(self):
        return _k.ask_ok("ow", self._pin, "rbit")[0] == "1"

    def write_bit(self, value):
        _k.ask_ok("ow", self._pin, "wbit", 1 if value else 0)
