"""CircuitPython's radio: the access point is there while the device's link is up."""
import ipaddress as _ipaddress
import os as _os

import _twinfleet as _k

# What association and an address take, and how long it looks for its access point before it says that there is none, [ns].
_JOIN, _SEARCH = 1_500_000_000, 3_000_000_000


class AuthMode:
    OPEN, WEP, WPA, WPA2, WPA3, PSK, ENTERPRISE = range(7)


class PowerManagement:
    MIN, MAX, NONE, UNKNOWN = range(4)


class Packet:
    CH, LEN, RAW, RSSI = range(4)


class Network:
    bssid, rssi, channel, country = b"\x02\0\0\0\0\xfe", -60, 6, ""
    authmode = (AuthMode.WPA2, AuthMode.PSK)

    def __init__(self, ssid):
        self.ssid = ssid

    def __repr__(self):
        return "<Network ssid=%r rssi=%d>" % (self.ssid, self.rssi)


def _linked_ns():
    """Since when its link is up; None: it is not."""
    words = _k.ask_ok("link")
    return int(words[1]) if words[0] == "up" else None


class Radio:
    """One that was told to join joins again by itself when its access point is back."""

    power_management, tx_power = PowerManagement.MIN, 20.0
    ap_active = False
    ipv4_address_ap = ipv4_gateway_ap = ipv4_subnet_ap = None

    def __init__(self):
        self._enabled, self._ssid, self._since = True, None, None
        self.hostname = "cpy-" + _k.settings["mac"].replace(":", "")[-6:]
        self.mac_address = bytes.fromhex(_k.settings["mac"].replace(":", ""))
        self.mac_address_ap = self.mac_address
        ssid = _os.getenv("CIRCUITPY_WIFI_SSID")
        if ssid:
            # It joins before the script begins.
            self._ssid, self._since = ssid, _k.now_ns() - _JOIN
            _k.ask_ok("radio", 1)

    @property
    def enabled(self):
        return self._enabled

    @enabled.setter
    def enabled(self, on):
        self._enabled = bool(on)
        if not on:
            self._since = None
        _k.ask_ok("radio", 1 if on else 0)

    def connect(self, ssid, password="", *, channel=0, bssid=None, timeout=None):
        if not self._enabled:
            raise RuntimeError("WiFi is not enabled")
        ssid = ssid.decode() if isinstance(ssid, (bytes, bytearray)) else ssid
        if not ssid:
            raise ValueError("ssid length must be 1-32")
        _k.ask_ok("radio", 1)
        if self.connected and ssid == self._ssid:
            return
        self._ssid, self._since = ssid, _k.now_ns()
        until = self._since + (round(timeout * 1e9) if timeout else _SEARCH)
        while not self.connected:
            up = _linked_ns()
            if up is None and _k.now_ns() >= until:
                self._since = None
                raise ConnectionError("No network with that ssid")
            _k.sleep_ns(max(1_000_000, (until if up is None else max(up, self._since) + _JOIN) - _k.now_ns()))

    def stop_station(self):
        self._since = None

    start_station = stop_scanning_networks = stop_ap = lambda self: None

    def start_ap(self, *_, **__):
        raise NotImplementedError("the simulated radio opens no access point of its own")

    @property
    def connected(self):
        if self._since is None:
            return False
        up = _linked_ns()
        return up is not None and _k.now_ns() >= max(up, self._since) + _JOIN

    def _told(self, what):
        return _ipaddress.IPv4Address(what()) if self.connected else None

    ipv4_address = property(lambda self: self._told(lambda: _k.ask_ok("address", "-")[0]))
    ipv4_gateway = ipv4_dns = property(lambda self: self._told(lambda: "10.0.0.1"))
    ipv4_subnet = property(lambda self: self._told(lambda: "255.0.0.0"))
    ap_info = property(lambda self: Network(self._ssid) if self.connected else None)
    addresses = property(lambda self: (str(self.ipv4_address),) if self.connected else ())
    dns = property(lambda self: ("10.0.0.1",) if self.connected else ())

    def start_scanning_networks(self, *, start_channel=1, stop_channel=11):
        _k.sleep_ns(_SEARCH)
        return iter([] if _linked_ns() is None else [Network(self._ssid or "simulated")])

    def ping(self, ip, *, timeout=0.5):
        if not self.connected:
            return None
        _k.sleep_ns(5_000_000)
        return 0.005

    def set_ipv4_address(self, **_):
        raise NotImplementedError("the simulated network gives each device its address")

    start_dhcp = stop_dhcp = lambda self, **_: None


radio = Radio()
