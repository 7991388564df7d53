"""The SMBus of a Raspberry Pi, as smbus2 and smbus give it."""
import _twinfleet as _k


class I2cFunc:
    I2C = 1


class i2c_msg:
    def __init__(self, address, read, data):
        self.addr, self.flags, self.buf, self.len = address, 1 if read else 0, bytearray(data), len(data)

    @staticmethod
    def read(address, length):
        return i2c_msg(address, True, bytes(length))

    @staticmethod
    def write(address, buf):
        if isinstance(buf, str):
            buf = buf.encode("latin-1")
        return i2c_msg(address, False, bytes(buf))

    def __iter__(self):
        return iter(self.buf)

    def __len__(self):
        return self.len

    def __bytes__(self):
        return bytes(self.buf)


def _hex(data):
    return bytes(data).hex() or "-"


class SMBus:
    def __init__(self, bus=None, force=False):
        self.fd, self.pec, self.funcs = (None if bus is None else 1), 0, 0xFFFFFFFF
        if bus is not None:
            self.open(bus)

    def open(self, bus):
        number = int(str(bus).rpartition("-")[2]) if not isinstance(bus, int) else bus
        if number not in (1, 0, 2):
            raise FileNotFoundError(2, "No such file or directory", "/dev/i2c-%s" % number)
        self._here = number in (1, 2)
        self.fd = 1

    def close(self):
        self.fd = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _do(self, address, *operations):
        if self.fd is None:
            raise TypeError("argument must be an int, or have a fileno() method.")
        if not self._here:
            raise OSError(121, "Remote I/O error")
        words = _k.ask_ok("i2c", "-", address, *operations)
        return b"" if words[0] == "-" else bytes.fromhex(words[0])

    def write_quick(self, i2c_addr, force=None):
        self._do(i2c_addr, "w:-")

    def read_byte(self, i2c_addr, force=None):
        return self._do(i2c_addr, "r:1")[0]

    def write_byte(self, i2c_addr, value, force=None):
        self._do(i2c_addr, "w:" + _hex([value]))

    def read_byte_data(self, i2c_addr, register, force=None):
        return self._do(i2c_addr, "w:" + _hex([register]), "r:1")[0]

    def write_byte_data(self, i2c_addr, register, value, force=None):
        self._do(i2c_addr, "w:" + _hex([register, value & 0xFF]))

    def read_word_data(self, i2c_addr, register, force=None):
        return int.from_bytes(self._do(i2c_addr, "w:" + _hex([register]), "r:2"), "little")

    def write_word_data(self, i2c_addr, register, value, force=None):
        self._do(i2c_addr, "w:" + _hex([register, value & 0xFF, value >> 8 & 0xFF]))

    def process_call(self, i2c_addr, register, value, force=None):
        return int.from_bytes(self._do(i2c_addr, "w:" + _hex([register, value & 0xFF, value >> 8]), "r:2"), "little")

    def read_i2c_block_data(self, i2c_addr, register, length=32, force=None):
        if length > 32:
            raise ValueError("Desired block length over 32 bytes")
        return list(self._do(i2c_addr, "w:" + _hex([register]), "r:%d" % length))

    def write_i2c_block_data(self, i2c_addr, register, data, force=None):
        if len(data) > 32:
            raise ValueError("Data length cannot exceed 32 bytes")
        self._do(i2c_addr, "w:" + _hex([register, *data]))

    read_block_data = read_i2c_block_data
    write_block_data = write_i2c_block_data

    def i2c_rdwr(self, *messages):
        words = ["r:%d" % m.len if m.flags else "w:" + _hex(m.buf) for m in messages]
        data = self._do(messages[0].addr, *words)
        for m in messages:
            if m.flags:
                m.buf[:], data = data[: m.len], data[m.len:]


SMBusWrapper = SMBus
