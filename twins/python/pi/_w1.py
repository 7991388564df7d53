"""The kernel's 1-Wire bus of a Raspberry Pi, at GPIO4: its thermometers as files."""
import _twinfleet as _k

_PIN = "GPIO4"
_SEARCH, _MATCH, _CONVERT, _READ = 0xF0, 0x55, 0x44, 0xBE
_found = None


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


def _measure(rom):
    """Converts, and reads the scratchpad; None where nobody answers."""
    if not _reset():
        return None
    _write([_MATCH, *rom, _CONVERT])
    _k.sleep_ns(750_000_000)
    if not _reset():
        return None
    _write([_MATCH, *rom, _READ])
    return bytes.fromhex(_ask("r", 9))


def _thousandths(data):
    raw = int.from_bytes(data[:2], "little", signed=True)
    return int(raw * 1000 / 16)


def _slave(rom):
    def give():
        data = _measure(rom) or b"\0" * 9
        good = any(data) and _crc(data[:8]) == data[8]
        words = " ".join("%02x" % b for b in data)
        return ("%s : crc=%02x %s\n%s t=%d\n" % (words, data[8], "YES" if good else "NO", words, _thousandths(data))).encode()

    return give


def _temperature(rom):
    def give():
        data = _measure(rom)
        if data is None or not any(data) or _crc(data[:8]) != data[8]:
            raise OSError(5, "Input/output error")
        return b"%d\n" % _thousandths(data)

    return give


def devices():
    """The name of each thermometer and its files."""
    global _found
    if _found is None:
        _found = [rom for rom in _search() if _crc(rom[:7]) == rom[7] and rom[0] in (0x10, 0x22, 0x28, 0x3B, 0x42)]
    named = [("%02x-%s" % (rom[0], rom[6:0:-1].hex()), rom) for rom in _found]
    return [(name, {"w1_slave": _slave(rom), "temperature": _temperature(rom), "resolution": lambda: b"12\n",
                    "name": lambda name=name: name.encode() + b"\n"}) for name, rom in named]
