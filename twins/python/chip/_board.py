"""What CircuitPython has in modules that Python has too: the heap as `gc` tells it, `settings.toml`, annotations that nobody
evaluates."""
import __future__
import gc
import importlib.machinery
import os

import _twinfleet as _k


def _annotations():
    """Libraries leave out the import of what only annotations name, where they find CircuitPython."""
    _k.compiles = __future__.annotations.compiler_flag
    loader = importlib.machinery.SourceFileLoader
    plain = loader.get_code

    def get_code(self, name):
        path = self.get_filename(name)
        if "-packages" not in path:
            return plain(self, name)
        return compile(self.get_data(path), path, "exec", _k.compiles, dont_inherit=True)

    loader.get_code = get_code


def install():
    _annotations()
    heap = _k.settings["ram_kb"] * 512
    # An estimate: two of CircuitPython's blocks for each of the script's own objects.
    gc.mem_alloc = lambda: min(heap, len(gc.get_objects()) * 32)
    gc.mem_free = lambda: max(0, heap - gc.mem_alloc())
    plain = os.getenv

    def getenv(key, default=None):
        known = settings().get(key)
        return plain(key, default) if known is None else known

    os.getenv = getenv
    if _k.settings["reset_cause"] != "power_on":
        # A clock that was set goes on through a reset.
        clock = _k.ask_ok("kept", "clock")[0]
        if clock != "-":
            _k.epoch_ns = int(clock)


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
