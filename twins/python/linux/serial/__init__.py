"""pyserial on the virtual port."""
import io as _io
import sys as _sys

import _twinfleet as _k
import _uart

PARITY_NONE, PARITY_EVEN, PARITY_ODD = "N", "E", "O"
STOPBITS_ONE, STOPBITS_TWO = 1, 2
FIVEBITS, SIXBITS, SEVENBITS, EIGHTBITS = 5, 6, 7, 8


STOPBITS_ONE_POINT_FIVE = 1.5
PARITY_MARK, PARITY_SPACE = "M", "S"
XON, XOFF, CR, LF = b"\x11", b"\x13", b"\r", b"\n"
__version__ = VERSION = "3.5"
_OWN = ("/dev/serial", "/dev/ttyAMA", "/dev/ttyS", "/dev/ttyO")


class SerialException(OSError):
    pass


class SerialTimeoutException(SerialException):
    pass


portNotOpenError = PortNotOpenError = SerialException


class Serial(_uart.Ported, _io.RawIOBase):
    # A raw stream, so that `io.TextIOWrapper(io.BufferedRWPair(s, s))` reads and writes text.
    is_open = False

    def __init__(self, port=None, baudrate=9600, bytesize=8, parity="N", stopbits=1, timeout=None, xonxoff=False,
                 rtscts=False, write_timeout=None, dsrdtr=False, inter_byte_timeout=None, exclusive=None):
        self.port, self.timeout, self.is_open = port, timeout, False
        self.bytesize, self.parity, self.stopbits = bytesize, parity, stopbits
        self.xonxoff, self.rtscts, self.dsrdtr, self.exclusive = xonxoff, rtscts, dsrdtr, exclusive
        self.write_timeout, self.inter_byte_timeout = write_timeout, inter_byte_timeout
        self.dtr = self.rts = True
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
        # Without the stream's own: it can be opened again.
        self.is_open = False

    isOpen = lambda self: self.is_open

    def __repr__(self):
        return "Serial<open=%s>(port=%r, baudrate=%r, bytesize=%r, parity=%r, stopbits=%r, timeout=%r)" % (
            self.is_open, self.port, self.baudrate, self.bytesize, self.parity, self.stopbits, self.timeout)

    def readable(self):
        return True

    writable = readable

    def seekable(self):
        return False

    def setDTR(self, to=True):
        self.dtr = to

    def setRTS(self, to=True):
        self.rts = to

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

    def readinto(self, buffer):
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

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


def serial_for_url(url, *args, do_not_open=False, **named):
    made = Serial(None, *args, **named)
    made.port = made.name = url
    if not do_not_open:
        made.open()
    return made


# Where pyserial itself has them.
serialutil = serialposix = _sys.modules[__name__]
_sys.modules.setdefault(__name__ + ".serialutil", serialutil)
