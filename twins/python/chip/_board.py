"""What CircuitPython has in modules that Python has too: the heap as `gc` tells it, and `settings.toml`."""
import gc
import os

import _twinfleet as _k


def install():
    heap = _k.settings["ram_kb"] * 512
    # An estimate: two of CircuitPython's blocks for each of the script's own objects.
    gc.mem_alloc = lambda: min(heap, len(gc.get_objects()) * 32)
    gc.mem_free = lambda: max(0, heap - gc.mem_alloc())
    plain = os.getenv

    def getenv(key, default=None):
        known = settings().get(key)
        return plain(key, default) if known is None else known

    os.getenv = getenv


def settings():
    """`settings.toml`, of which CircuitPython takes texts and whole numbers, before the first table."""
    found = {}
    try:
        with open("/settings.toml", encoding="utf-8") as file:
            lines = file.read().splitlines()
    except OSError:
        return found
    for line in lines:
        line = line.strip()
        if line.startswith("["):
            break
        key, is_one, value = line.partition("=")
        value = _value(value.strip()) if is_one and not key.startswith("#") else None
        if value is not None:
            found[key.strip().strip('"')] = value
    return found


def _value(text):
    if text.startswith('"'):
        word, escaped = "", False
        for c in text[1:]:
            if escaped:
                word, escaped = word + {"n": "\n", "r": "\r", "t": "\t"}.get(c, c), False
            elif c == "\\":
                escaped = True
            elif c == '"':
                return word
            else:
                word += c
        return None
    try:
        return int(text.partition("#")[0].strip(), 0)
    except ValueError:
        return None
