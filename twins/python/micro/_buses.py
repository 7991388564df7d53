# The board's buses, as MicroPython's machine module gives them: I2C, SPI and serial ports.
import _twinfleet as _t
import io
import machine


def _size(buf):
    # Bytes of a buffer, whatever its items are: drivers hand in arrays of words and views of them.
    return len(buf) if isinstance(buf, bytearray) else len(bytes(buf))


def _put(buf, data):
    io.BytesIO(data).readinto(buf)


class I2C:
    def __init__(self, id=0, *, scl=None, sda=None, freq=400000, timeout=50000):
        if isinstance(id, int) and id not in (-1, 0, 1):
            raise ValueError("I2C(%d) doesn't exist" % id)
        if scl is None and sda is None and id == 1:
            # The second bus has pins of its own.
            sda, scl = {"rp2": (6, 7), "esp32-devkit": (26, 25)}.get(_t.port if _t.port == "rp2" else _t.board, (None, None))
        wires = "-" if scl is None or sda is None else "%s/%s" % (machine._name(sda), machine._name(scl))
        self._bus = "%s@%d" % (wires, freq)

    def init(self, *_, freq=None, **__):
        if freq is not None:
            self._bus = "%s@%d" % (self._bus.split("@")[0], freq)

    def deinit(self):
        pass

    def _do(self, addr, ops):
        try:
            return _t.unhex(_t.ask_ok("i2c %s %d %s" % (self._bus, addr, ops))[0])
        except OSError as e:
            # The RP2's own controller has one error for all that nobody acknowledges.
            if e.errno == 19 and _t.port == "rp2" and not isinstance(self, SoftI2C):
                raise OSError(5)
            raise

    def scan(self):
        return [a for a in range(8, 120) if _t.ask("i2c %s %d w:-" % (self._bus, a))[0] == "ok"]

    def writeto(self, addr, buf, stop=True):
        if not stop:
            self._held = (addr, "w:" + _t.tohex(buf))
            return len(buf)
        self._do(addr, "w:" + _t.tohex(buf))
        return len(buf)

    _held = None

    def _before(self, addr):
        held, self._held = self._held, None
        return held[1] + " " if held and held[0] == addr else ""

    def readfrom(self, addr, nbytes, stop=True):
        return self._do(addr, self._before(addr) + "r:%d" % nbytes)

    def readfrom_into(self, addr, buf, stop=True):
        _put(buf, self.readfrom(addr, _size(buf)))

    def writevto(self, addr, vector, stop=True):
        return self.writeto(addr, b"".join(bytes(v) for v in vector), stop)

    def _at(self, memaddr, addrsize):
        return "w:" + memaddr.to_bytes(addrsize // 8, "big").hex()

    def readfrom_mem(self, addr, memaddr, nbytes, *, addrsize=8):
        return self._do(addr, "%s r:%d" % (self._at(memaddr, addrsize), nbytes))

    def readfrom_mem_into(self, addr, memaddr, buf, *, addrsize=8):
        _put(buf, self.readfrom_mem(addr, memaddr, _size(buf), addrsize=addrsize))

    def writeto_mem(self, addr, memaddr, buf, *, addrsize=8):
        if isinstance(buf, str):
            buf = buf.encode()
        self._do(addr, self._at(memaddr, addrsize) + bytes(buf).hex())


class SoftI2C(I2C):
    def __init__(self, scl, sda, *, freq=400000, timeout=50000):
        super().__init__(0, scl=scl, sda=sda, freq=freq)
        self._raw = b""

    # What the bus does bit by bit, told to the part as a whole where it ends.

    def start(self):
        self._flush()

    def stop(self):
        self._flush()

    def _flush(self):
        raw, self._raw = self._raw, b""
        if len(raw) > 1 and not raw[0] & 1:
            # Who did not acknowledge was told of by `write`: the bus itself ends as it begins.
            _t.ask("i2c %s %d w:%s" % (self._bus, raw[0] >> 1, raw[1:].hex()))

    def write(self, buf):
        self._raw += bytes(buf)
        there = _t.ask("i2c %s %d w:-" % (self._bus, self._raw[0] >> 1))[0] == "ok" if self._raw else False
        return len(buf) if there else 0

    def readinto(self, buf, nack=True):
        _put(buf, self._do(self._raw[0] >> 1, "r:%d" % _size(buf)))


class SoftOnlyI2C(SoftI2C):
    # An ESP8266's `I2C`: it has no controller in hardware; older firmware took a number before the pins.
    def __init__(self, *args, scl=None, sda=None, freq=400000, timeout=50000):
        if len(args) > 1:
            scl, sda = args[-2:]
        super().__init__(scl, sda, freq=freq)


class SPI:
    MSB, LSB, CONTROLLER, MASTER = 0, 1, 0, 0

    def __init__(self, id=0, baudrate=1000000, *, sck=None, mosi=None, miso=None, **_):
        wires = [machine._name(p) if p is not None else "-" for p in (sck, mosi, miso)]
        self._hz, self._bus = baudrate, "/".join(wires)

    def init(self, baudrate=1000000, **_):
        self._hz = baudrate

    def deinit(self):
        pass

    def _move(self, data):
        return _t.unhex(_t.ask_ok("spi - %d %s %s" % (self._hz, _t.tohex(data), self._bus))[0])

    def write(self, buf):
        self._move(buf)

    def read(self, nbytes, write=0):
        return self._move(bytes([write]) * nbytes)

    def readinto(self, buf, write=0):
        _put(buf, self.read(_size(buf), write))

    def write_readinto(self, out, into):
        _put(into, self._move(out))


SoftSPI = SPI


class UART:
    INV_TX, INV_RX, INV_RTS, INV_CTS, RTS, CTS = 1, 2, 4, 8, 1, 2
    IRQ_RX, IRQ_TXIDLE, IRQ_BREAK, IRQ_RXIDLE = 1, 32, 128, 4096
    # How often one that interrupts is looked at.
    _LOOK_MS = 5

    def __init__(self, id, baudrate=9600, bits=8, parity=None, stop=1, *, timeout=0, tx=None, rx=None, **_):
        self._b, self._port, self._call, self._looks = b"", str(id), None, None
        self._baud, self._timeout = baudrate, timeout
        # When the last byte that was written is out, [ns].
        self._out = 0
        self.init(baudrate, bits, parity, stop, timeout=timeout, tx=tx, rx=rx)

    def init(self, baudrate=None, bits=8, parity=None, stop=1, *, timeout=None, tx=None, rx=None, **_):
        if baudrate is not None:
            self._baud = baudrate
        if timeout is not None:
            self._timeout = timeout
        if tx is not None or rx is not None:
            self._port = "%s/%s" % tuple(machine._name(p) if p is not None else "-" for p in (tx, rx))

    def deinit(self):
        self.irq(None)

    def irq(self, handler=None, trigger=0, hard=False):
        if self._looks:
            self._looks.deinit()
            self._looks = None
        self._call, self._trigger, self._flags, self._seen = handler, trigger, 0, len(self._b)
        if handler is not None and trigger & (UART.IRQ_RX | UART.IRQ_RXIDLE):
            # The port says nothing by itself.
            self._looks = machine.Timer(-1, period=UART._LOOK_MS, callback=self._look)
        return self

    def flags(self):
        return self._flags

    def _look(self, _):
        self._fill()
        n, before = len(self._b), self._seen
        self._seen = n
        if n > before:
            self._busy = True
            flag = UART.IRQ_RX
        elif self._busy:
            self._busy = False
            flag = UART.IRQ_RXIDLE
        else:
            return
        if self._trigger & flag:
            self._flags = flag
            self._call(self)

    _busy = False

    def txdone(self):
        return _t.now_ns() >= self._out

    def sendbreak(self):
        pass

    def _fill(self):
        self._b += _t.unhex(_t.ask_ok("uartr %s %d 1024" % (self._port, self._baud))[0])

    def any(self):
        self._fill()
        return len(self._b)

    def _wait(self, enough):
        until = _t.now_ns() + self._timeout * 1000000
        self._fill()
        while not enough() and _t.now_ns() < until:
            _t.wait(_t.now_ns() + 1000000)
            self._fill()

    def read(self, n=None):
        self._wait(lambda: n is not None and len(self._b) >= n)
        n = len(self._b) if n is None else n
        data, self._b = self._b[:n], self._b[n:]
        self._seen = len(self._b)
        return data or None

    _seen = 0

    def readinto(self, buf, n=None):
        data = self.read(n or _size(buf)) or b""
        _put(buf, data)
        return len(data) or None

    def readline(self):
        self._wait(lambda: b"\n" in self._b)
        at = self._b.find(b"\n")
        n = len(self._b) if at < 0 else at + 1
        data, self._b = self._b[:n], self._b[n:]
        self._seen = len(self._b)
        return data or None

    def write(self, buf):
        if isinstance(buf, str):
            buf = buf.encode()
        _t.ask_ok("uartw %s %d %s" % (self._port, self._baud, _t.tohex(buf)))
        if self._call and self._trigger & UART.IRQ_TXIDLE:
            self._flags = UART.IRQ_TXIDLE
            self._call(self)
        return len(buf)

    def flush(self):
        pass
