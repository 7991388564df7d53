"""spidev on the virtual header."""
import _twinfleet as _k

_BONE = ("P9_17",)
# Pins of the selects by the boards.
_SELECTS = {"beaglebone-black": _BONE}


class SpiDev:
    def __init__(self, bus=None, device=None):
        self.max_speed_hz, self.mode, self.bits_per_word = 500000, 0, 8
        self.lsbfirst = self.cshigh = self.no_cs = self.threewire = self.loop = False
        self._select = None
        if bus is not None:
            self.open(bus, device)

    def open(self, bus, device):
        select = _SELECTS.get(_k.settings["board"], ("GPIO8", "GPIO7"))
        # A BeagleBone counts its buses from 0 or from 1, as the kernel has it.
        if bus not in ((0, 1) if select is _BONE else (0,)) or not 0 <= device < len(select):
            raise FileNotFoundError(2, "No such file or directory")
        self._select = select[device]

    def close(self):
        self._select = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def xfer(self, data, speed_hz=0, delay_usec=0, bits_per_word=8):
        if self._select is None:
            raise OSError(9, "Bad file descriptor")
        words = _k.ask_ok("spi", self._select, speed_hz or self.max_speed_hz, bytes(data).hex() or "-")
        return list(bytes.fromhex(words[0].replace("-", "")))

    xfer2 = xfer3 = xfer

    def readbytes(self, n):
        return self.xfer([0] * n)

    def writebytes(self, data):
        self.xfer(data)

    writebytes2 = writebytes
