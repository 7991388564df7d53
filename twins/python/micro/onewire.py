# 1-Wire, with the names that boards' firmware gives it.
import _onewire as _ow


class OneWireError(Exception):
    pass


class OneWire:
    SEARCH_ROM, MATCH_ROM, SKIP_ROM = 0xF0, 0x55, 0xCC

    def __init__(self, pin):
        self.pin = pin

    def reset(self, required=False):
        there = _ow.reset(self.pin)
        if required and not there:
            raise OneWireError
        return there

    def readbit(self):
        return _ow.readbit(self.pin)

    def readbyte(self):
        return _ow.readbyte(self.pin)

    def readinto(self, buf):
        for i in range(len(buf)):
            buf[i] = _ow.readbyte(self.pin)

    def writebit(self, value):
        _ow.writebit(self.pin, value)

    def writebyte(self, value):
        _ow.writebyte(self.pin, value)

    def write(self, buf):
        for byte in buf:
            _ow.writebyte(self.pin, byte)

    def select_rom(self, rom):
        self.reset()
        self.writebyte(self.MATCH_ROM)
        self.write(rom)

    def crc8(self, data):
        return _ow.crc8(data)

    def scan(self):
        # The search of Maxim's application note 187.
        found, last, rom = [], 0, bytearray(8)
        while len(found) < 64:
            if not self.reset():
                break
            self.writebyte(self.SEARCH_ROM)
            branch = 0
            for i in range(64):
                one, zero = self.readbit(), self.readbit()
                if one and zero:
                    return found
                if one != zero:
                    bit = one
                elif i + 1 < last:
                    bit = rom[i >> 3] >> (i & 7) & 1
                else:
                    bit = 1 if i + 1 == last else 0
                if one == zero and not bit:
                    branch = i + 1
                self.writebit(bit)
                if bit:
                    rom[i >> 3] |= 1 << (i & 7)
                else:
                    rom[i >> 3] &= ~(1 << (i & 7)) & 255
            found.append(bytearray(rom))
            last = branch
            if not last:
                break
        return found
