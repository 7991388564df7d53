"""What `socket` has besides sockets: its numbers, names and addresses, and what goes wrong with those."""
import enum as _enum

import _twinfleet as _k

# Scripts know what stands here as that module's, and tracebacks name it so.
__name__ = "socket"


class AddressFamily(_enum.IntEnum):
    AF_UNSPEC, AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_CAN, AF_BLUETOOTH = 0, 1, 2, 10, 16, 17, 29, 31


class SocketKind(_enum.IntEnum):
    SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_NONBLOCK, SOCK_CLOEXEC = 1, 2, 3, 2048, 524288


globals().update(AddressFamily.__members__)
globals().update(SocketKind.__members__)
SOL_SOCKET, SO_REUSEADDR, SO_KEEPALIVE, SO_ERROR, SO_BINDTODEVICE = 1, 2, 9, 4, 25
SO_BROADCAST, SO_TYPE, SO_SNDBUF, SO_RCVBUF, SO_LINGER, SO_REUSEPORT, SO_RCVTIMEO, SO_SNDTIMEO = 6, 3, 7, 8, 13, 15, 20, 21
SOL_IP, SOL_TCP, SOL_UDP, IPPROTO_ICMP, IP_TOS, IP_TTL = 0, 6, 17, 1, 1, 2
TCP_MAXSEG, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_USER_TIMEOUT = 2, 4, 5, 6, 18
INADDR_LOOPBACK, INADDR_NONE, MSG_WAITALL, MSG_NOSIGNAL, MSG_TRUNC = 0x7F000001, 0xFFFFFFFF, 256, 16384, 32
EAI_AGAIN, EAI_FAIL, EAI_FAMILY, NI_NAMEREQD, NI_DGRAM = -3, -4, -6, 8, 16
IPPROTO_TCP, IPPROTO_UDP, IPPROTO_IP, IPPROTO_IPV6, TCP_NODELAY = 6, 17, 0, 41, 1
IP_ADD_MEMBERSHIP, IP_DROP_MEMBERSHIP, IP_MULTICAST_IF, IP_MULTICAST_TTL, IP_MULTICAST_LOOP, IP_RECVERR = 35, 36, 32, 33, 34, 11
IPV6_JOIN_GROUP, IPV6_LEAVE_GROUP, IPV6_V6ONLY, IPV6_RECVERR, IPV6_RECVPKTINFO, IPV6_PKTINFO = 20, 21, 26, 25, 49, 50
IPV6_MULTICAST_HOPS, IPV6_UNICAST_HOPS = 18, 16
MSG_PEEK, MSG_DONTWAIT, MSG_ERRQUEUE = 2, 64, 8192
SHUT_RD, SHUT_WR, SHUT_RDWR = 0, 1, 2
AI_PASSIVE, AI_CANONNAME, AI_NUMERICHOST, AI_V4MAPPED, AI_ADDRCONFIG, AI_NUMERICSERV = 1, 2, 4, 8, 32, 1024
NI_NUMERICHOST, NI_NUMERICSERV = 1, 2
EAI_NONAME = -2
INADDR_ANY, INADDR_BROADCAST = 0, 0xFFFFFFFF
SOMAXCONN = 4096


class gaierror(OSError):
    pass


class herror(OSError):
    pass


def gethostname():
    return _k.settings["device"]


getfqdn = lambda name="": name or gethostname()


_known = {"localhost": "127.0.0.1", "": "0.0.0.0", "0.0.0.0": "0.0.0.0", "::": "0.0.0.0", "::1": "127.0.0.1"}


def _is_address(name):
    return name.count(".") == 3 and name.replace(".", "").isdigit()


def gethostbyname(name):
    """A device's address by its id; any other name is the broker's."""
    name = str(name)
    plain = name[7:] if name.lower().startswith("::ffff:") else name
    if _is_address(plain):
        return plain
    if ":" in plain and plain not in _known:
        return inet_ntop(AF_INET6, inet_pton(AF_INET6, plain))
    if plain not in _known:
        words = _k.ask("address", plain.replace(" ", "_"))
        if words[0] == "err":
            raise gaierror(-3, "Temporary failure in name resolution")
        _known[plain] = words[1]
    return _known[plain]


def own_address():
    return gethostbyname("-")


def gethostbyname_ex(name):
    return name, [], [gethostbyname(name)]


def gethostbyaddr(address):
    return address, [], [address]


def getnameinfo(address, flags=0):
    return str(address[0]), str(address[1])


def getservbyname(name, *_):
    known = {"mqtt": 1883, "secure-mqtt": 8883, "coap": 5683, "ntp": 123, "http": 80, "https": 443}
    if name not in known:
        raise OSError("service/proto not found")
    return known[name]


def getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
    host = host.decode() if isinstance(host, (bytes, bytearray)) else host
    address = gethostbyname(host) if host else ("0.0.0.0" if flags & AI_PASSIVE else "127.0.0.1")
    if isinstance(port, (str, bytes)) and not str(port).isdigit():
        port = getservbyname(port if isinstance(port, str) else port.decode())
    port = int(port or 0)
    # A pair of kind and protocol for each that is asked for.
    kinds = [(k, p) for k, p in ((SOCK_STREAM, 6), (SOCK_DGRAM, 17)) if type in (0, k) and proto in (0, p)]
    if family == AF_INET6 or ":" in address:
        return [(AF_INET6, k, p, "", _dressed(address, port)) for k, p in kinds]
    return [(AF_INET, k, p, "", (address, port)) for k, p in kinds]


def _dressed(address, port):
    if address in ("0.0.0.0", "127.0.0.1"):
        return ({"0.0.0.0": "::", "127.0.0.1": "::1"}[address], port, 0, 0)
    return (address if ":" in address else "::ffff:" + address, port, 0, 0)


def inet_aton(text):
    parts = text.split(".")
    if len(parts) != 4 or not all(p.isdigit() and int(p) < 256 for p in parts):
        raise OSError("illegal IP address string passed to inet_aton")
    return bytes(int(p) for p in parts)


def inet_ntoa(data):
    return ".".join(str(b) for b in data)


def inet_pton(family, text):
    if family == AF_INET:
        return inet_aton(text)
    import ipaddress
    try:
        return ipaddress.IPv6Address(text.partition("%")[0]).packed
    except ValueError as error:
        raise OSError("illegal IP address string passed to inet_pton") from error


def inet_ntop(family, data):
    if family == AF_INET:
        return inet_ntoa(data)
    import ipaddress
    address = ipaddress.IPv6Address(bytes(data))
    return str(address) if address.ipv4_mapped is None else "::ffff:%s" % address.ipv4_mapped


def if_nameindex():
    return [(1, "lo"), (2, "wlan0")]


def if_nametoindex(name):
    for number, known in if_nameindex():
        if name == known:
            return number
    raise OSError(19, "no interface with this name")


def if_indextoname(number):
    for known, name in if_nameindex():
        if number == known:
            return name
    raise OSError(6, "no interface with this index")


def htons(x):
    return (x & 255) << 8 | x >> 8


ntohs = htons


def htonl(x):
    return int.from_bytes(x.to_bytes(4, "little"), "big")


ntohl = htonl

# A class may keep these, as it may those of C.
for _name in ("gethostname", "gethostbyname", "gethostbyname_ex", "gethostbyaddr", "inet_aton", "inet_ntoa", "inet_pton", "inet_ntop",
              "htons", "ntohs", "htonl", "ntohl", "if_nameindex", "if_nametoindex", "if_indextoname"):
    globals()[_name] = _k.unbound(globals()[_name])
