# The radio, as MicroPython's network module gives it: the access point is there while the device's link is up, and joined again
# by itself when it comes back.
import _twinfleet as _t

STA_IF, AP_IF = 0, 1
STAT_IDLE, STAT_CONNECTING, STAT_GOT_IP = 1000, 1001, 1010
STAT_WRONG_PASSWORD, STAT_NO_AP_FOUND, STAT_CONNECT_FAIL = 202, 201, 203
AUTH_OPEN, AUTH_WEP, AUTH_WPA_PSK, AUTH_WPA2_PSK, AUTH_WPA_WPA2_PSK = 0, 1, 2, 3, 4
_name = []


def hostname(name=None):
    # A device is called as the scenario calls it, until it says otherwise.
    if name is None:
        return _name[0] if _name else _t.device
    _name[:] = [name]


def country(code=None):
    return "XX"


# What association and an address take, [ns].
_JOIN = 1500000000
# And how long it looks for its access point before it says that there is none.
_SEARCH = 3000000000


class WLAN:
    IF_STA, IF_AP = 0, 1
    PM_NONE, PM_PERFORMANCE, PM_POWERSAVE = 0, 1, 2
    _on = [False, False]
    _since = None

    def __init__(self, interface=0):
        self._if = interface

    def active(self, on=None):
        if on is not None:
            WLAN._on[self._if] = bool(on)
            if not on and self._if == STA_IF:
                WLAN._since = None
            _t.ask("radio %d" % (WLAN._on[0] or WLAN._on[1]))
        return WLAN._on[self._if]

    def connect(self, ssid=None, key=None, **_):
        if not WLAN._on[STA_IF]:
            raise OSError("Wifi Internal State Error")
        WLAN._since = _t.now_ns()

    def disconnect(self):
        WLAN._since = None

    def _wait(self):
        # Until when it joins; None: there is nothing to join.
        up = _t.linked_ns()
        return None if up is None else max(up, WLAN._since) + _JOIN

    def isconnected(self):
        if self._if == AP_IF:
            return False
        return self.status() == STAT_GOT_IP

    def status(self, what=None):
        if what == "rssi":
            return -60
        if WLAN._since is None:
            return STAT_IDLE
        then, now = self._wait(), _t.now_ns()
        if then is not None and now >= then:
            return STAT_GOT_IP
        # Whoever asks in a tight loop waits a millisecond, as the radio's own tasks make it.
        _t.wait(now + 1000000)
        return STAT_CONNECTING if then is not None or now < WLAN._since + _SEARCH else STAT_NO_AP_FOUND

    def ifconfig(self, *_):
        if self._if == STA_IF and not self.isconnected():
            return ("0.0.0.0", "0.0.0.0", "0.0.0.0", "0.0.0.0")
        return (_t.ask_ok("address -")[0], "255.255.255.0", "10.0.0.1", "10.0.0.1")

    ipconfig = ifconfig

    def config(self, what=None, **kw):
        if what == "mac":
            return _t.mac
        if what in ("essid", "ssid"):
            return "simulated"
        if what in ("hostname", "dhcp_hostname"):
            return hostname()

    def scan(self):
        return [] if _t.linked_ns() is None else [(b"simulated", b"\x02\0\0\0\0\xfe", 6, -60, 3, False)]


LAN = WLAN

# Each port has numbers of its own: idle, connecting, wrong password, no access point, failed, connected.
_CODES = {"rp2": (0, 1, -3, -2, -1, 3), "esp8266": (0, 1, 2, 3, 4, 5)}
_NAMES = ("STAT_IDLE", "STAT_CONNECTING", "STAT_WRONG_PASSWORD", "STAT_NO_AP_FOUND", "STAT_CONNECT_FAIL", "STAT_GOT_IP")


def _port(name):
    for of, code in zip(_NAMES, _CODES.get(name, ())):
        globals()[of] = code
