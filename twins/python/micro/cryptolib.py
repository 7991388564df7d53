# AES as FIPS 197 has it, which boards compute in hardware or in their TLS library.
_ECB, _CBC, _CTR = 1, 2, 6


def _boxes():
    # The S-box from the inverses in the field of 2^8 elements and the affine map (5.1.1), and its inverse.
    box, back = bytearray(256), bytearray(256)
    p = q = 1
    while True:
        # p times 3, q by 3.
        p ^= p << 1 & 255 ^ (27 if p & 128 else 0)
        q ^= q << 1
        q ^= q << 2
        q ^= q << 4
        q &= 255
        if q & 128:
            q ^= 9
        x = q
        for n in range(1, 5):
            x ^= q << n & 255 | q >> 8 - n
        box[p] = x ^ 99
        if p == 1:
            break
    box[0] = 99
    for i in range(256):
        back[box[i]] = i
    return bytes(box), bytes(back)


_BOX, _BACK = _boxes()


def _twice(x):
    return x << 1 & 255 ^ (27 if x & 128 else 0)


class aes:
    def __init__(self, key, mode, iv=None):
        if len(key) not in (16, 32):
            raise ValueError("key")
        if mode not in (_ECB, _CBC, _CTR):
            raise ValueError("mode")
        if mode != _ECB and (iv is None or len(iv) != 16):
            raise ValueError("IV")
        self._mode, self._last, self._used, self._way = mode, bytes(iv or b""), 16, None
        self._keys = self._expanded(bytes(key))

    @staticmethod
    def _expanded(key):
        words, n = [key[i:i + 4] for i in range(0, len(key), 4)], len(key) // 4
        power = 1
        for i in range(n, 4 * (n + 7)):
            w = words[-1]
            if i % n == 0:
                w = bytes((_BOX[w[1]] ^ power, _BOX[w[2]], _BOX[w[3]], _BOX[w[0]]))
                power = _twice(power)
            elif n == 8 and i % n == 4:
                w = bytes(_BOX[b] for b in w)
            words.append(bytes(a ^ b for a, b in zip(words[i - n], w)))
        return [b"".join(words[i:i + 4]) for i in range(0, len(words), 4)]

    def _block(self, block):
        s = bytes(a ^ b for a, b in zip(block, self._keys[0]))
        for key in self._keys[1:]:
            # The rows shifted, each byte replaced.
            s = bytes(_BOX[s[(i + 4 * (i & 3)) & 15]] for i in range(16))
            if key is not self._keys[-1]:
                s = self._mixed(s)
            s = bytes(a ^ b for a, b in zip(s, key))
        return s

    @staticmethod
    def _mixed(s):
        out = bytearray(16)
        for c in range(0, 16, 4):
            a = s[c:c + 4]
            every = a[0] ^ a[1] ^ a[2] ^ a[3]
            for r in range(4):
                out[c + r] = a[r] ^ every ^ _twice(a[r] ^ a[(r + 1) & 3])
        return bytes(out)

    def _unblock(self, block):
        s = block
        for key in reversed(self._keys[1:]):
            s = bytes(a ^ b for a, b in zip(s, key))
            if key is not self._keys[-1]:
                # Mixed four times the columns are as they were.
                s = self._mixed(self._mixed(self._mixed(s)))
            s = bytes(_BACK[s[(i - 4 * (i & 3)) & 15]] for i in range(16))
        return bytes(a ^ b for a, b in zip(s, self._keys[0]))

    def _stream(self, data):
        out = bytearray(len(data))
        for i in range(len(data)):
            if self._used == 16:
                self._ahead, self._used = self._block(self._last), 0
                n = int.from_bytes(self._last, "big") + 1
                self._last = (n & (1 << 128) - 1).to_bytes(16, "big")
            out[i] = data[i] ^ self._ahead[self._used]
            self._used += 1
        return bytes(out)

    def _do(self, way, data, into):
        if self._way not in (None, way):
            raise ValueError("can't encrypt & decrypt")
        self._way, data = way, bytes(data)
        if into is not None and len(into) < len(data):
            raise ValueError("output too small")
        if self._mode == _CTR:
            out = self._stream(data)
        elif len(data) & 15:
            raise ValueError("blksize % 16")
        else:
            out = b"".join(self._one(way, data[i:i + 16]) for i in range(0, len(data), 16))
        if into is None:
            return out
        into[: len(out)] = out
        return into

    def _one(self, way, block):
        chained = self._mode == _CBC
        if way == "encrypt":
            if chained:
                block = bytes(a ^ b for a, b in zip(block, self._last))
            self._last = self._block(block)
            return self._last
        out = self._unblock(block)
        if chained:
            out, self._last = bytes(a ^ b for a, b in zip(out, self._last)), block
        return out

    def encrypt(self, data, into=None):
        return self._do("encrypt", data, into)

    def decrypt(self, data, into=None):
        return self._do("decrypt", data, into)
