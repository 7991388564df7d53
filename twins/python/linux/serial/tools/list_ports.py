"""The ports that the board has."""
import re as _re

import _twinfleet as _k


class ListPortInfo:
    description = hwid = "n/a"
    vid = pid = serial_number = location = manufacturer = product = interface = None

    def __init__(self, device):
        self.device, self.name = device, device.rpartition("/")[2]

    def __str__(self):
        return "%s - %s" % (self.device, self.description)

    def __getitem__(self, index):
        return (self.device, self.description, self.hwid)[index]

    def __eq__(self, other):
        return isinstance(other, ListPortInfo) and self.device == other.device

    def __lt__(self, other):
        return self.device < other.device

    def __hash__(self):
        return hash(self.device)


def comports(include_links=False):
    """The board's own port, and that of an adapter where the thing has a part that one may be for."""
    own = "/dev/ttyO1" if "bone" in _k.settings["modules"] else "/dev/ttyAMA0"
    adapter = ["/dev/ttyUSB0"] if _k.ask_ok("uart")[0] == "1" else []
    return [ListPortInfo(device) for device in [own, *adapter]]


def grep(regexp, include_links=False):
    wanted = _re.compile(regexp, _re.I)
    return (port for port in comports(include_links) if any(wanted.search(word) for word in port))
