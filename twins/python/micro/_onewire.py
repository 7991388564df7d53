# The slots of 1-Wire.
import _twinfleet as _t


def reset(pin):
    return _t.ask_ok("ow %s reset" % pin._pin)[0] == "1"


def readbit(pin):
    return int(_t.ask_ok("ow %s rbit" % pin._pin)[0])


def readbyte(pin):
    return _t.unhex(_t.ask_ok("ow %s r 1" % pin._pin)[0])[0]


def writebit(pin, value):
    _t.ask_ok("ow %s wbit %d" % (pin._pin, 1 if value else 0))


def writebyte(pin, value):
    _t.ask_ok("ow %s w %02x" % (pin._pin, value & 255))


def crc8(data):
    crc = 0
    for byte in data:
        for _ in range(8):
            bit = (byte ^ crc) & 1
            byte >>= 1
            crc >>= 1
            if bit:
                crc ^= 0x8C
    return crc
