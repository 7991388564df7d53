"""SHT31, single shots of high repeatability."""
import struct
import time


class SHT31:
    def __init__(self, i2c, address=0x44):
        self.i2c, self.address = i2c, address

    def measure(self):
        self.i2c.writeto(self.address, b"\x24\x00")
        time.sleep_ms(16)
        data = self.i2c.readfrom(self.address, 6)
        t, _, h = struct.unpack(">HBH", data[:5])
        return round(-45 + 175 * t / 65535, 3), round(100 * h / 65535, 3)
