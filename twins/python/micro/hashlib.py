# Digests: SHA-256 is MicroPython's own, SHA-1 and MD5, which boards have from their TLS library, are computed here.
from struct import pack, unpack

from uhashlib import sha256


def _rotated(x, n):
    return (x << n | x >> 32 - n) & 0xFFFFFFFF


class _Blocks:
    def __init__(self, data=b""):
        self._h, self._rest, self._length = self._START, b"", 0
        self.update(data)

    def _goes_on(self):
        if self._rest is None:
            raise ValueError("hash is final")

    def update(self, data):
        self._goes_on()
        data = self._rest + bytes(data)
        self._length += len(data) - len(self._rest)
        whole = len(data) & ~63
        for at in range(0, whole, 64):
            self._h = self._block(data[at:at + 64], *self._h)
        self._rest = data[whole:]

    def digest(self):
        self._goes_on()
        end = self._rest + b"\x80" + bytes((55 - self._length) % 64) + pack(self._ORDER + "Q", self._length * 8)
        h, self._rest = self._h, None
        for at in range(0, len(end), 64):
            h = self._block(end[at:at + 64], *h)
        return pack(self._ORDER + "%dI" % len(h), *h)


class sha1(_Blocks):
    # FIPS 180-4, 6.1.
    _ORDER = ">"
    _START = 0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0

    def _block(self, block, *h):
        w = list(unpack(">16I", block))
        a, b, c, d, e = h
        for t in range(80):
            if t >= 16:
                w.append(_rotated(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1))
            if t < 20:
                f, k = b & c | ~b & d, 0x5A827999
            elif t < 40:
                f, k = b ^ c ^ d, 0x6ED9EBA1
            elif t < 60:
                f, k = b & c | b & d | c & d, 0x8F1BBCDC
            else:
                f, k = b ^ c ^ d, 0xCA62C1D6
            a, b, c, d, e = (_rotated(a, 5) + (f & 0xFFFFFFFF) + e + k + w[t]) & 0xFFFFFFFF, a, _rotated(b, 30), c, d
        return tuple((x + y) & 0xFFFFFFFF for x, y in zip(h, (a, b, c, d, e)))


class md5(_Blocks):
    # RFC 1321.
    _ORDER = "<"
    _START = 0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476
    _SHIFTS = (7, 12, 17, 22), (5, 9, 14, 20), (4, 11, 16, 23), (6, 10, 15, 21)
    # 2^32 times the sines of 1 to 64: a board's floats are too coarse to compute them.
    _SINES = (
        0xD76AA478, 0xE8C7B756, 0x242070DB, 0xC1BDCEEE, 0xF57C0FAF, 0x4787C62A, 0xA8304613, 0xFD469501,
        0x698098D8, 0x8B44F7AF, 0xFFFF5BB1, 0x895CD7BE, 0x6B901122, 0xFD987193, 0xA679438E, 0x49B40821,
        0xF61E2562, 0xC040B340, 0x265E5A51, 0xE9B6C7AA, 0xD62F105D, 0x02441453, 0xD8A1E681, 0xE7D3FBC8,
        0x21E1CDE6, 0xC33707D6, 0xF4D50D87, 0x455A14ED, 0xA9E3E905, 0xFCEFA3F8, 0x676F02D9, 0x8D2A4C8A,
        0xFFFA3942, 0x8771F681, 0x6D9D6122, 0xFDE5380C, 0xA4BEEA44, 0x4BDECFA9, 0xF6BB4B60, 0xBEBFBC70,
        0x289B7EC6, 0xEAA127FA, 0xD4EF3085, 0x04881D05, 0xD9D4D039, 0xE6DB99E5, 0x1FA27CF8, 0xC4AC5665,
        0xF4292244, 0x432AFF97, 0xAB9423A7, 0xFC93A039, 0x655B59C3, 0x8F0CCC92, 0xFFEFF47D, 0x85845DD1,
        0x6FA87E4F, 0xFE2CE6E0, 0xA3014314, 0x4E0811A1, 0xF7537E82, 0xBD3AF235, 0x2AD7D2BB, 0xEB86D391,
    )

    def _block(self, block, *h):
        x = unpack("<16I", block)
        a, b, c, d = h
        for i in range(64):
            round_ = i // 16
            if round_ == 0:
                f, k = b & c | ~b & d, i
            elif round_ == 1:
                f, k = d & b | ~d & c, (5 * i + 1) % 16
            elif round_ == 2:
                f, k = b ^ c ^ d, (3 * i + 5) % 16
            else:
                f, k = c ^ (b | ~d & 0xFFFFFFFF), 7 * i % 16
            f = (f + a + md5._SINES[i] + x[k]) & 0xFFFFFFFF
            a, d, c, b = d, c, b, (b + _rotated(f, self._SHIFTS[round_][i % 4])) & 0xFFFFFFFF
        return tuple((y + z) & 0xFFFFFFFF for y, z in zip(h, (a, b, c, d)))
