"""The kernel's 1-Wire bus of a Raspberry Pi, at GPIO4: its thermometers as files."""
import _twinfleet as _k

_PIN = "GPIO4"
_SEARCH, _MATCH, _CONVERT, _READ, _WRITE, _COPY = 0xF0, 0x55, 0x44, 0xBE, 0x4E, 0x48
_found = None
_bits = {}  # address: the resolution that was set, 12 where none was


def _ask(*words):
    return _k.ask_ok("ow", _PIN, *words)[0]


def _reset():
    return _ask("reset") == "1"


def _write(data):
    _k.ask_ok("ow", _PIN, "w", bytes(data).hex())


def _crc(data):
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x8C if crc & 1 else 0)
    return crc


def _search():
    """The addresses on the bus, by halves: where both answers come, the lower one first and the other the next time."""
    found, path = [], []
    while len(found) < 64 and _reset():
        _write([_SEARCH])
        bits = []
        for i in range(64):
            bit, other = _ask("rbit") == "1", _ask("rbit") == "1"
            if bit and other:
                return found
            if not bit and not other:
                bit = path[i] if i < len(path) else False
                bits.append((bit, True))
            else:
                bits.append((bit, False))
            _k.ask_ok("ow", _PIN, "wbit", 1 if bit else 0)
        found.append(bytes(sum(bits[8 * i + k][0] << k for k in range(8)) for i in range(8)))
        forks = [i for i, (bit, fork) in enumerate(bits) if fork and not bit]
        if not forks:
            break
        path = [bit for bit, _ in bits[: forks[-1]]] + [True]
    return found


def _scratchpad(rom):
    """None where nobody answers."""
    if not _reset():
        return None
    _write([_MATCH, *rom, _READ])
    return bytes.fromhex(_ask("r", 9))


def _measure(rom):
    """Converts, and reads the scratchpad; None where nobody answers."""
    if not _reset():
        return None
    _write([_MATCH, *rom, _CONVERT])
    _k.sleep_ns(750_000_000 >> 12 - _bits.get(rom, 12))
    return _scratchpad(rom)


def _good(data):
    return data is not None and any(data) and _crc(data[:8]) == data[8]


def _resolution(rom):
    def give():
        data = _scratchpad(rom)
        if not _good(data):
            raise OSError(5, "Input/output error")
        return b"%d\n" % (9 + (data[4] >> 5 & 3))

    return give


def _set(rom):
    """What the kernel does with a number that is written: 9 to 12 are bits of resolution, 0 keeps them in the part's EEPROM."""
    def take(data):
        try:
            number = int(data)
        except ValueError:
            number = -1
        pad = _scratchpad(rom) if number == 0 or 9 <= number <= 12 else b""
        if pad == b"":
            raise OSError(22, "Invalid argument")
        if not _good(pad) or not _reset():
            raise OSError(5, "Input/output error")
        if number == 0:
            _write([_MATCH, *rom, _COPY])
            _k.sleep_ns(10_000_000)
        else:
            _write([_MATCH, *rom, _WRITE, pad[2], pad[3], number - 9 << 5 | 0x1F])
            _bits[rom] = number

    return take


def _thousandths(data):
    raw = int.from_bytes(data[:2], "little", signed=True)
    return int(raw * 1000 / 16)


def _slave(rom):
    def give():
        data = _measure(rom) or b"\0" * 9
        good = _good(data)
        words = " ".join("%02x" % b for b in data)
        return ("%s : crc=%02x %s\n%s t=%d\n" % (words, data[8], "YES" if good else "NO", words, _thousandths(data))).encode()

    return give


def _temperature(rom):
    def give():
        data = _measure(rom)
        if not _good(data):
            raise OSError(5, "Input/output error")
        return b"%d\n" % _thousandths(data)

    return give


def devices():
    """The name of each thermometer, what gives its files, and what takes what is written to them."""
    global _found
    if _found is None:
        _found = [rom for rom in _search() if _crc(rom[:7]) == rom[7] and rom[0] in (0x10, 0x22, 0x28, 0x3B, 0x42)]
    named = [("%02x-%s" % (rom[0], rom[6:0:-1].hex()), rom) for rom in _found]
    return [(name, {"w1_slave": _slave(rom), "temperature": _temperature(rom), "resolution": _resolution(rom),
                    "name": lambda name=name: name.encode() + b"\n"},
             {"w1_slave": _set(rom), "resolution": _set(rom)}) for name, rom in named]
