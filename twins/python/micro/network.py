# The radio, as MicroPython's network module gives it: the access point is there while the device's link is up, and joined again
# by itself when it comes back. Before the script joins it, and after it has left it, nobody is reached.
import _twinfleet as _t

STA_IF, AP_IF = 0, 1
STAT_IDLE, STAT_CONNECTING, STAT_GOT_IP = 1000, 1001, 1010
STAT_WRONG_PASSWORD, STAT_NO_AP_FOUND, STAT_CONNECT_FAIL = 202, 201, 203
STAT_BEACON_TIMEOUT, STAT_ASSOC_FAIL, STAT_HANDSHAKE_TIMEOUT = 200, 203, 204
AUTH_OPEN, AUTH_WEP, AUTH_WPA_PSK, AUTH_WPA2_PSK, AUTH_WPA_WPA2_PSK = 0, 1, 2, 3, 4
AUTH_WPA2_ENTERPRISE, AUTH_WPA3_PSK, AUTH_WPA2_WPA3_PSK = 5, 6, 7
MODE_11B, MODE_11G, MODE_11N = 1, 2, 4
PHY_LAN8710, PHY_LAN8720, PHY_IP101, PHY_RTL8201, PHY_DP83848, PHY_KSZ8041 = 0, 1, 2, 3, 4, 5
_name, _country, _own = [], ["XX"], {"dns": "10.0.0.1", "prefer": 4}


def hostname(name=None):
    # A device is called as the scenario calls it, until it says otherwise.
    if name is None:
        return _name[0] if _name else _t.device
    if len(name) > 32:
        raise ValueError
    _name[:] = [name]


def country(code=None):
    if code is None:
        return _country[0]
    if len(code) != 2:
        raise ValueError
    _country[0] = code.upper()


def ipconfig(what=None, **kw):
    if what is not None:
        if what not in _own:
            raise ValueError("unknown config param")
        return _own[what]
    _own.update(kw)


# What association and an address take, [ns].
_JOIN = 1500000000
# And how long it looks for its access point before it says that there is none.
_SEARCH = 3000000000
# What whoever asks in a tight loop waits, [ns]: never past the instant at which the answer is another.
_POLL = 10000000
_NONE = ("0.0.0.0", "0.0.0.0", "0.0.0.0", "0.0.0.0")


class _Address:
    # What an interface's address is, or what the script has set it to. The run knows the device by its own all the same.
    def __init__(self, fixed=None):
        self.fixed = fixed

    def set(self, to):
        if to == "dhcp" or to == ("dhcp",):
            self.fixed = None
            return
        if not isinstance(to, (tuple, list)) or len(to) != 4:
            raise ValueError("ifconfig takes address, netmask, gateway and DNS")
        self.fixed = tuple(to)
        _own["dns"] = to[3]

    def get(self, connected):
        if self.fixed:
            return self.fixed
        return (_t.ask_ok("address -")[0], "255.255.255.0", "10.0.0.1", _own["dns"]) if connected else _NONE

    def config(self, connected, what, kw):
        address, mask, gateway, dns = self.get(connected)
        if what == "addr4":
            return (address, mask)
        if what == "gw4":
            return gateway
        if what in ("dhcp4", "has_dhcp4"):
            return self.fixed is None and (what == "dhcp4" or connected)
        if what in ("addr6", "autoconf6"):
            return [] if what == "addr6" else False
        if what is not None:
            raise ValueError("unknown config param")
        for key, to in kw.items():
            if key == "dhcp4":
                if to:
                    self.fixed = None
            elif key == "addr4":
                if isinstance(to, str):
                    at, _, bits = to.partition("/")
                    bits = (1 << 32) - (1 << 32 - int(bits or 32))
                    to = (at, ".".join(str(bits >> s & 255) for s in (24, 16, 8, 0)))
                address, mask = to
                self.fixed = (address, mask, gateway, dns)
            elif key == "gw4":
                gateway = to
                self.fixed = (address, mask, gateway, dns)
            elif key not in ("autoconf6", "addr6", "gw6"):
                raise ValueError("unknown config param")


# One name in old programs, another in new ones.
_ALSO = {"essid": "ssid", "password": "key", "authmode": "security", "dhcp_hostname": "hostname"}


class WLAN:
    IF_STA, IF_AP = 0, 1
    PM_NONE, PM_PERFORMANCE, PM_POWERSAVE = 0, 1, 2
    SEC_OPEN, SEC_WEP, SEC_WPA, SEC_WPA2, SEC_WPA_WPA2, SEC_WPA3, SEC_WPA2_WPA3 = 0, 1, 2, 3, 4, 6, 7
    _on = [False, False]
    _since = None
    # What is set, by interface.
    _set = (
        {"ssid": "", "channel": 6, "reconnects": -1, "txpower": 20, "pm": 1, "protocol": 7},
        {"ssid": None, "channel": 1, "security": 0, "hidden": False, "max_clients": 4, "txpower": 20, "pm": 1, "protocol": 7},
    )
    _addresses = (_Address(), _Address(("192.168.4.1", "255.255.255.0", "192.168.4.1", "0.0.0.0")))

    def __init__(self, interface=0):
        if interface not in (STA_IF, AP_IF):
            raise ValueError("invalid WLAN interface identifier")
        self._if = interface

    def active(self, on=None):
        if on is not None:
            WLAN._on[self._if] = bool(on)
            if self._if == AP_IF:
                _t.joins = True
                _t.ask("serves %d" % bool(on))
            elif not on:
                self.disconnect()
            _t.ask("radio %d" % (WLAN._on[0] or WLAN._on[1]))
        return WLAN._on[self._if]

    def connect(self, ssid=None, key=None, **_):
        if not WLAN._on[STA_IF]:
            raise OSError("Wifi Internal State Error")
        if ssid is not None:
            WLAN._set[STA_IF]["ssid"] = ssid if isinstance(ssid, str) else ssid.decode()
        WLAN._since = _t.now_ns()
        _t.joins = True
        _t.ask_ok("join %d %d" % (WLAN._since, _JOIN))

    def disconnect(self):
        WLAN._since = None
        _t.ask_ok("leave")

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
        if what == "stations":
            # Nobody of the run joins it.
            return []
        if what is not None:
            raise ValueError("unknown status param")
        if self._if == AP_IF:
            return STAT_GOT_IP if WLAN._on[AP_IF] else STAT_IDLE
        if WLAN._since is None:
            return STAT_IDLE
        then, now = self._wait(), _t.now_ns()
        if then is not None and now >= then:
            return STAT_GOT_IP
        _t.wait(now + _POLL if then is None else min(now + _POLL, then))
        return STAT_CONNECTING if then is not None or now < WLAN._since + _SEARCH else STAT_NO_AP_FOUND

    def _has(self):
        return self._if == AP_IF or self.isconnected()

    def ifconfig(self, to=None):
        address = WLAN._addresses[self._if]
        if to is not None:
            return address.set(to)
        return address.get(address.fixed or self._has())

    def ipconfig(self, what=None, **kw):
        return WLAN._addresses[self._if].config(self._has(), what, kw)

    def config(self, what=None, **kw):
        own = WLAN._set[self._if]
        for key, to in kw.items():
            key = _ALSO.get(key, key)
            if key == "hostname":
                hostname(to)
            elif key in own or key in ("key", "security", "bssid", "mac", "bandwidth", "reconnects"):
                own[key] = to
            else:
                raise ValueError("unknown config param")
        if what is None:
            return None
        what = _ALSO.get(what, what)
        if what == "hostname":
            return hostname()
        if what == "mac" and what not in own:
            # The access point's is the next one.
            return _t.mac if self._if == STA_IF else _t.mac[:-1] + bytes([_t.mac[-1] + 1 & 255])
        if what == "ssid" and own["ssid"] is None:
            return {"rp2": "PICO", "esp8266": "MicroPython-"}.get(_t.port, "ESP_") + "".join("%02X" % b for b in _t.mac[3:])
        if what not in own or what == "key":
            raise ValueError("unknown config param")
        return own[what]

    def scan(self):
        return [] if _t.linked_ns() is None else [(b"simulated", b"\x02\0\0\0\0\xfe", 6, -60, 3, False)]


class LAN:
    # A cable: who switches it on is in the network.
    def __init__(self, *_, **__):
        self._on, self._address = False, _Address()

    def active(self, on=None):
        if on is not None and bool(on) != self._on:
            self._on = bool(on)
            _t.joins = True
            _t.ask_ok("join %d 0" % _t.now_ns() if on else "leave")
        return self._on

    def isconnected(self):
        return self._on and _t.linked_ns() is not None

    def status(self, *_):
        return STAT_GOT_IP if self.isconnected() else STAT_IDLE

    def ifconfig(self, to=None):
        return self._address.set(to) if to is not None else self._address.get(self.isconnected())

    def ipconfig(self, what=None, **kw):
        return self._address.config(self.isconnected(), what, kw)

    def config(self, what=None, **kw):
        if "hostname" in kw:
            hostname(kw["hostname"])
        return _t.mac if what == "mac" else hostname() if what == "hostname" else None


# Each port has numbers of its own: idle, connecting, wrong password, no access point, failed, connected.
_CODES = {"rp2": (0, 1, -3, -2, -1, 3), "esp8266": (0, 1, 2, 3, 4, 5)}
_NAMES = ("STAT_IDLE", "STAT_CONNECTING", "STAT_WRONG_PASSWORD", "STAT_NO_AP_FOUND", "STAT_CONNECT_FAIL", "STAT_GOT_IP")


def _port(name):
    for of, code in zip(_NAMES, _CODES.get(name, ())):
        globals()[of] = code
