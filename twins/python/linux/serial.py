"""pyserial on the virtual port."""
import _twinfleet as _k
import _uart

PARITY_NONE, PARITY_EVEN, PARITY_ODD = "N", "E", "O"
STOPBITS_ONE, STOPBITS_TWO = 1, 2
FIVEBITS, SIXBITS, SEVENBITS, EIGHTBITS = 5, 6, 7, 8


_OWN = ("/dev/serial", "/dev/ttyAMA", "/dev/ttyS", "/dev/ttyO")


class SerialException(OSError):
    pass


class SerialTimeoutException(SerialException):
    pass


class Serial(_uart.Ported):
    def __init__(self, port=None, baudrate=9600, bytesize=8, parity="N", stopbits=1, timeout=None, **_):
        self.port, self.timeout, self.is_open = port, timeout, False
        self.name, self._port = port, _uart.Port(baudrate)
        if port is not None:
            self.open()

    def open(self):
        if self.port is None:
            raise SerialException("Port must be configured before it can be used.")
        if self.is_open:
            raise SerialException("Port is already open.")
        # The board's own ports are there whatever is wired to them; an adapter is where the thing has a part for it.
        adapter = self.port.startswith(("/dev/ttyUSB", "/dev/ttyACM"))
        if not self.port.startswith(_OWN) and not (adapter and _k.ask_ok("uart")[0] == "1"):
            why = "[Errno 2] No such file or directory: %r" % self.port
            raise SerialException(2, "could not open port %s: %s" % (self.port, why))
        self.is_open = True

    def close(self):
        self.is_open = False

    isOpen = lambda self: self.is_open

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _opened(self):
        if not self.is_open:
            raise SerialException("Attempting to use a port that is not open")
        return self._port

    @property
    def in_waiting(self):
        return self._opened().waiting()

    inWaiting = lambda self: self.in_waiting

    def reset_input_buffer(self):
        self._opened().clear()

    flushInput = reset_input_buffer

    def _until(self, enough):
        self._opened().until(enough, None if self.timeout is None else _k.now_ns() + int(self.timeout * 1e9))

    def read(self, size=1):
        port = self._port
        self._until(lambda: len(port.bytes) >= size)
        return port.cut(size)

    def read_until(self, expected=b"\n", size=None):
        port = self._port
        self._until(lambda: expected in port.bytes or (size is not None and len(port.bytes) >= size))
        return port.cut_line(expected)

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
        return self._opened().write(data)

    def flush(self):
        pass

    def reset_output_buffer(self):
        pass
