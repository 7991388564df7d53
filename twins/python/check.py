"""Looks at a script without running it: whether it can be read, and whether its pins are the board's. JSON in, JSON out."""
import ast
import importlib.util
import json
import sys


def digits(pin):
    return int("".join(c for c in pin if c.isdigit()) or -1)


asked = json.load(sys.stdin)
found = []
pins = set(asked["pins"])
numbers = {int(d) for d in ("".join(c for c in p if c.isdigit()) for p in pins) if d}
inner = {digits(pin) for pin in asked["inner"]}
listed = ", ".join(asked["pins"])
# What MicroPython has built in.
BUILT_IN = set(
    "array asyncio base64 binascii builtins cmath collections copy datetime deflate errno fnmatch framebuf functools gc gzip hashlib"
    " heapq hmac html inspect io itertools json locale logging math micropython operator os pathlib platform random re select stat"
    " string struct sys tarfile time types uctypes unittest uu vfs zlib".split()
)
HEADER = {3, 5, 7, 8, 10, 11, 12, 13, 15, 16, 18, 19, 21, 22, 23, 24, 26, 29, 31, 32, 33, 35, 36, 37, 38, 40}


def tell(node, message, help, warning=False):
    found.append({"line": node.lineno, "column": node.col_offset + 1, "message": message, "help": help, "warning": warning})


def name_of(f):
    return f.attr if isinstance(f, ast.Attribute) else f.id if isinstance(f, ast.Name) else ""


def number_of(node):
    """The number of a pin as it stands there: `Pin(21)` or `21`; None: it is no such thing."""
    if isinstance(node, ast.Call) and name_of(node.func) == "Pin" and node.args:
        node = node.args[0]
    return node.value if isinstance(node, ast.Constant) and type(node.value) is int else None


def look_at_bus(node):
    """The simulation's parts on I2C hang on the pins that the board's file lists: on others a script finds nobody."""
    for word in node.keywords:
        wired = asked.get(word.arg or "", []) if word.arg in ("sda", "scl") else []
        said = number_of(word.value)
        if wired and said is not None and said not in [digits(pin) for pin in wired]:
            text = "nothing is wired to pin %d as %s: parts on I2C are on %s" % (said, word.arg.upper(), " or ".join(wired))
            tell(word.value, text, "name that pin: the simulated bus is there", warning=True)


def is_there(name, beside, modules):
    if name in modules or name in beside:
        return True
    if asked["runtime"] == "MicroPython":
        return name in BUILT_IN or name[:1] == "u" and (name[1:] in BUILT_IN or name[1:] in modules)
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return True


def look_at_imports(tree):
    """What a script imports in any case has to be somewhere."""
    if asked["beside"] is None or "sys.path" in asked["source"]:
        return
    micro = asked["runtime"] == "MicroPython"
    files = [path[4:] if path.startswith("lib/") else path for path in asked["beside"]]
    beside = {path.split("/")[0].rsplit(".", 1)[0] for path in files if "/" in path or path.endswith(".py") or micro}
    modules = {name.split(".")[0] for name in asked["modules"]}
    for node in tree.body:
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module]
        for name in {n.split(".")[0]: None for n in names}:
            if is_there(name, beside, modules):
                continue
            if name + ".mpy" in files:
                help = "`%s.mpy` is compiled for a board: put its `%s.py` there" % (name, name)
            elif micro:
                help = "put its file beside the script, or into `lib` there: nothing is downloaded"
            else:
                help = "install the package that has it: `%s -m pip install …`, or put its file beside the script" % sys.executable
            tell(node, "there is no module `%s`: the script would end here" % name, help, warning=True)


def look(tree):
    text = asked["source"]
    look_at_imports(tree)
    by_board_numbers = "GPIO.BOARD" in text
    for node in ast.walk(tree):
        if asked["runtime"] == "MicroPython" and isinstance(node, ast.Call) and name_of(node.func) == "Pin" and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and type(first.value) is int and first.value in inner:
                text = "pin %d of `%s` leads to no header: what is set there nobody sees" % (first.value, asked["board"])
                help = "its light hangs on the radio's chip: `Pin(\"LED\")`" if "WL_GPIO0" in pins else "its pins: " + listed
                tell(first, text, help, warning=True)
            elif isinstance(first, ast.Constant) and type(first.value) is int and first.value not in numbers:
                tell(first, "`%s` has no pin %d" % (asked["board"], first.value), "its pins: " + listed)
        if asked["runtime"] == "MicroPython" and isinstance(node, ast.Call) and name_of(node.func) in ("I2C", "SoftI2C"):
            look_at_bus(node)
        if asked["runtime"] == "RaspberryPi" and isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            if node.func.attr == "setup" and isinstance(owner, ast.Name) and owner.id == "GPIO" and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant) and type(first.value) is int:
                    known = HEADER if by_board_numbers else numbers
                    if first.value not in known:
                        tell(first, "`%s` has no pin %d" % (asked["board"], first.value), "its pins: " + listed)
        if asked["runtime"] == "BeagleBone" and isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            call = "%s.%s" % (owner.id, node.func.attr) if isinstance(owner, ast.Name) else ""
            if call in ("GPIO.setup", "ADC.read", "ADC.read_raw", "PWM.start") and node.args:
                first = node.args[0]
                # Pins have further names, by the kernel and by function: those are known where the script runs.
                if isinstance(first, ast.Constant) and str(first.value).startswith(("P8_", "P9_")) and first.value not in pins:
                    tell(first, "`%s` has no pin `%s`" % (asked["board"], first.value), "its pins: " + listed)
        if asked["runtime"] in ("RaspberryPi", "BeagleBone") and isinstance(node, ast.Call) and name_of(node.func) == "SMBus" and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and type(first.value) is int and first.value not in (1, 2):
                tell(first, "nothing is wired to I2C bus %d" % first.value, "the header's bus is 1 (on a BeagleBone 2)")


try:
    look(ast.parse(asked["source"]))
except SyntaxError as e:
    found.append({"line": e.lineno or 1, "column": e.offset or 1, "message": "this is no Python: %s" % e.msg, "help": None})
except ValueError as e:
    found.append({"line": 1, "column": 1, "message": "this is no Python: %s" % e, "help": None})
print(json.dumps(found))
