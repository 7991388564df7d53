"""Looks at a script without running it: whether it can be read, and whether its pins are the board's. JSON in, JSON out."""
import ast
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


def look(tree):
    text = asked["source"]
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
