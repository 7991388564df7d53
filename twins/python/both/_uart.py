"""The virtual port's buffer, which every module for serial ports reads from."""
import _twinfleet as _k


class Port:
    def __init__(self, baudrate, wires="any"):
        """`wires` are `TX/RX`, the board's pins, `-` for one that is not used; `any`: whatever is wired."""
        self.baudrate, self.wires, self.bytes = baudrate, wires, b""

    def waiting(self):
        """Takes in what has arrived. How many bytes there are, [bytes]."""
        data = _k.listen(self.wires, self.baudrate, 4096)
        self.bytes += b"" if data == "-" else bytes.fromhex(data)
        return len(self.bytes)

    def until(self, enough, until_ns):
        """Waits until `enough()` or a time (None: for ever), a byte's time at a time."""
        while True:
            self.waiting()
            if enough() or (until_ns is not None and _k.now_ns() >= until_ns):
                return
            # Two bytes' time at the port's rate.
            pause_ns = 20_000_000_000 // self.baudrate
            _k.sleep_ns(pause_ns if until_ns is None else min(pause_ns, until_ns - _k.now_ns()))

    def until_line(self, until_ns):
        self.until(lambda: b"\n" in self.bytes, until_ns)

    def cut(self, n):
        """The first bytes, as many as there are."""
        data, self.bytes = self.bytes[:n], self.bytes[n:]
        return data

    def take(self, n):
        self.waiting()
        return self.cut(n)

    def cut_line(self, end=b"\n"):
        """Up to the end of the line, or all there is."""
        at = self.bytes.find(end)
        return self.cut(len(self.bytes) if at < 0 else at + len(end))

    def clear(self):
        self.waiting()
        self.bytes = b""

    def write(self, data):
        data = bytes(data)
        for at in range(0, len(data) or 1, 65_536):
            _k.ask_ok("uartw", self.wires, self.baudrate, data[at : at + 65_536].hex() or "-")
        return len(data)


class Ported:
    """What reads and writes a `_port`: its rate is the port's."""

    @property
    def baudrate(self):
        return self._port.baudrate

    @baudrate.setter
    def baudrate(self, to):
        self._port.baudrate = to
