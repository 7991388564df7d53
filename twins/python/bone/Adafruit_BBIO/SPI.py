"""Adafruit_BBIO's SPI."""
import spidev as _s


class SPI(_s.SpiDev):
    @property
    def msh(self):
        return self.max_speed_hz

    @msh.setter
    def msh(self, to):
        self.max_speed_hz = to

    @property
    def bpw(self):
        return self.bits_per_word

    @bpw.setter
    def bpw(self, to):
        self.bits_per_word = to
