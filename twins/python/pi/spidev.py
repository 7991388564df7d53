"""spidev on the virtual header."""
import _twinfleet as _k


class SpiDev:
    def __init__(self, bus=None, device=None):
        self.max_speed_hz, self.mode, self.bits_per_word = 500000, 0, 8
        self.lsbfirst = self.cshigh = self.no_cs = self.threewire = self.loop = False
        self._select = "-"
        if bus is not None:
            self.open(bus, device)

    def open(self, bus, device):
        if bus != 0 or device not in (0, 1):
            raise FileNotFoundError(2, "No such file or directory")
        self._select = "GPIO8" if device == 0 else "GPIO7"

    def close(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def xfer(self, data, speed_hz=0, delay_usec=0, bits_per_word=8):
        words = _k.ask_ok("spi", self._select, speed_hz or self.max_speed_hz, bytes(data).hex() or "-")
        return list(bytes.fromhex(words[0].replace("-", "")))

    xfer2 = xfer3 = xfer

    def readbytes(self, n):
        return self.xfer([0] * n)

    def writebytes(self, data):
        self.xfer(data)

    writebytes2 = writebytes
