"""A Raspberry Pi with a BME280: smbus2, RPi.GPIO and a socket, as on the board."""
import json
import socket
import struct
import sys
import time

import RPi.GPIO as GPIO
from smbus2 import SMBus

LAMP, ADDRESS = 17, 0x76
name = sys.argv[1]


class Bme280:
    """Bosch's own compensation, in floating point (datasheet, 8.1)."""

    def __init__(self, bus):
        self.bus = bus
        low = bytes(bus.read_i2c_block_data(ADDRESS, 0x88, 24))
        self.t = struct.unpack("<Hhh", low[:6])
        self.p = struct.unpack("<Hhhhhhhhh", low[6:])
        bus.write_byte_data(ADDRESS, 0xF2, 1)
        bus.write_byte_data(ADDRESS, 0xF4, 0x27)

    def read(self):
        d = self.bus.read_i2c_block_data(ADDRESS, 0xF7, 6)
        raw_p, raw_t = d[0] << 12 | d[1] << 4 | d[2] >> 4, d[3] << 12 | d[4] << 4 | d[5] >> 4
        t1, t2, t3 = self.t
        a = (raw_t / 16384 - t1 / 1024) * t2
        fine = a + (raw_t / 131072 - t1 / 8192) ** 2 * t3
        p1, p2, p3, p4, p5, p6, p7, p8, p9 = self.p
        b = fine / 2 - 64000
        c = b * b * p6 / 32768 + b * p5 * 2
        c = c / 4 + p4 * 65536
        b1 = (p3 * b * b / 524288 + p2 * b) / 524288
        b1 = (1 + b1 / 32768) * p1
        p = (1048576 - raw_p - c / 4096) * 6250 / b1
        p += (p9 * p * p / 2147483648 + p * p8 / 32768 + p7) / 16
        return fine / 5120, p / 100


GPIO.setmode(GPIO.BCM)
GPIO.setup(LAMP, GPIO.OUT)
bus = SMBus(1)
sensor = Bme280(bus)
time.sleep(0.1)  # the first conversion


def packet(kind, body):
    return bytes([kind, len(body)]) + body


def field(text):
    return struct.pack("!H", len(text)) + text.encode()


line = socket.create_connection(("broker.local", 1883))
line.sendall(packet(0x10, b"\0\4MQTT\4\2\0\x3c" + field(name)))
assert line.recv(4)[3] == 0
lit = False
while True:
    celsius, hpa = sensor.read()
    body = json.dumps({"air.temperature": round(celsius, 2), "air.pressure": round(hpa, 2)})
    line.sendall(packet(0x30, field(f"plants/{name}/air") + body.encode()))
    lit = not lit
    GPIO.output(LAMP, lit)
    time.sleep(10)
