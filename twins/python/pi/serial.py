"""pyserial on the virtual port."""
import _twinfleet as _k

PARITY_NONE, PARITY_EVEN, PARITY_ODD = "N", "E", "O"
STOPBITS_ONE, STOPBITS_TWO = 1, 2
FIVEBITS, SIXBITS, SEVENBITS, EIGHTBITS = 5, 6, 7, 8


class SerialException(OSError):
    pass


class SerialTimeoutException(SerialException):
    pass


class Serial:
    def __init__(self, port=None, baudrate=9600, bytesize=8, parity="N", stopbits=1, timeout=None, **_):
        self.port, self.baudrate, self.timeout, self.is_open, self._bytes = port, baudrate, timeout, port is not None, b""
        self.name = port

    def open(self):
        self.is_open = True

    def close(self):
        self.is_open = False

    isOpen = lambda self: self.is_open

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _fill(self):
        if not self.is_open:
            raise SerialException("Attempting to use a port that is not open")
        data = _k.ask_ok("uartr", 0, 4096)[0]
        self._bytes += b"" if data == "-" else bytes.fromhex(data)

    @property
    def in_waiting(self):
        self._fill()
        return len(self._bytes)

    inWaiting = lambda self: self.in_waiting

    def reset_input_buffer(self):
        self._fill()
        self._bytes = b""

    flushInput = reset_input_buffer

    def _until(self, enough):
        until = None if self.timeout is None else _k.now_ns() + int(self.timeout * 1e9)
        while True:
            self._fill()
            if enough() or (until is not None and _k.now_ns() >= until):
                return
            # Two bytes' time at the port's rate.
            _k.sleep_ns(20_000_000_000 // self.baudrate)

    def read(self, size=1):
        self._until(lambda: len(self._bytes) >= size)
        data, self._bytes = self._bytes[:size], self._bytes[size:]
        return data

    def read_until(self, expected=b"\n", size=None):
        self._until(lambda: expected in self._bytes or (size is not None and len(self._bytes) >= size))
        at = self._bytes.find(expected)
        n = len(self._bytes) if at < 0 else at + len(expected)
        data, self._bytes = self._bytes[:n], self._bytes[n:]
        return data

    def readline(self, size=-1):
        return self.read_until(b"\n")

    def __iter__(self):
        return self

    def __next__(self):
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def read_all(self):
        return self.read(self.in_waiting)

    def write(self, data):
        _k.ask_ok("uartw", 0, self.baudrate, bytes(data).hex() or "-")
        return len(data)

    def flush(self):
        pass
