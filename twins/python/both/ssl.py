"""TLS of the simulation: the link is as good as encrypted, and nobody listens in.

A wrapped socket is the socket itself, which carries plain bytes; what a client asks of its connection and of the peer is
answered as of one with TLS 1.3 whose certificate is good and for the name that was asked for.
"""
import collections as _collections
import enum as _enum

import socket as _s


class _SSLMethod(_enum.IntEnum):
    PROTOCOL_TLS = PROTOCOL_SSLv23 = 2
    PROTOCOL_TLSv1, PROTOCOL_TLSv1_1, PROTOCOL_TLSv1_2 = 3, 4, 5
    PROTOCOL_TLS_CLIENT, PROTOCOL_TLS_SERVER = 16, 17


class VerifyMode(_enum.IntEnum):
    CERT_NONE, CERT_OPTIONAL, CERT_REQUIRED = 0, 1, 2


class TLSVersion(_enum.IntEnum):
    MINIMUM_SUPPORTED, SSLv3, TLSv1, TLSv1_1, TLSv1_2, TLSv1_3, MAXIMUM_SUPPORTED = -2, 768, 769, 770, 771, 772, -1


class Options(_enum.IntFlag):
    OP_ALL, OP_NO_SSLv2, OP_NO_SSLv3 = 0x80000050, 0, 0x2000000
    OP_NO_TLSv1, OP_NO_TLSv1_1, OP_NO_TLSv1_2, OP_NO_TLSv1_3 = 0x4000000, 0x10000000, 0x8000000, 0x20000000
    OP_CIPHER_SERVER_PREFERENCE, OP_SINGLE_DH_USE, OP_SINGLE_ECDH_USE = 0x400000, 0, 0
    OP_NO_COMPRESSION, OP_NO_TICKET, OP_NO_RENEGOTIATION, OP_IGNORE_UNEXPECTED_EOF = 0x20000, 0x4000, 0x40000000, 0x80


class VerifyFlags(_enum.IntFlag):
    VERIFY_DEFAULT, VERIFY_CRL_CHECK_LEAF, VERIFY_CRL_CHECK_CHAIN = 0, 4, 12
    VERIFY_X509_STRICT, VERIFY_X509_TRUSTED_FIRST, VERIFY_X509_PARTIAL_CHAIN = 32, 32768, 0x80000


class AlertDescription(_enum.IntEnum):
    ALERT_DESCRIPTION_CLOSE_NOTIFY = 0


for _of in (_SSLMethod, VerifyMode, Options, VerifyFlags):
    globals().update(_of.__members__)
HAS_SNI = HAS_ALPN = HAS_ECDH = HAS_TLSv1_2 = HAS_TLSv1_3 = True
HAS_NPN = HAS_SSLv2 = HAS_SSLv3 = HAS_TLSv1 = HAS_TLSv1_1 = HAS_NEVER_CHECK_COMMON_NAME = False
# Clients ask whether it is new enough.
OPENSSL_VERSION = "OpenSSL 3.0.0 (none: simulated)"
OPENSSL_VERSION_INFO, OPENSSL_VERSION_NUMBER = (3, 0, 0, 0, 0), 0x30000000
CHANNEL_BINDING_TYPES = ["tls-unique"]
DefaultVerifyPaths = _collections.namedtuple(
    "DefaultVerifyPaths", "cafile capath openssl_cafile_env openssl_cafile openssl_capath_env openssl_capath")
_CIPHER = ("TLS_AES_256_GCM_SHA384", "TLSv1.3", 256)


class SSLError(OSError):
    library = reason = None


class SSLWantReadError(SSLError):
    pass


class SSLWantWriteError(SSLError):
    pass


class SSLSyscallError(SSLError):
    pass


class SSLZeroReturnError(SSLError):
    pass


class SSLEOFError(SSLError):
    pass


class SSLCertVerificationError(SSLError, ValueError):
    pass


CertificateError = SSLCertVerificationError
socket_error = OSError
SSL_ERROR_SSL, SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE, SSL_ERROR_SYSCALL, SSL_ERROR_ZERO_RETURN, SSL_ERROR_EOF = 1, 2, 3, 5, 6, 8


class _Purpose(_collections.namedtuple("_ASN1Object", "nid shortname longname oid")):
    pass


class Purpose(_enum.Enum):
    SERVER_AUTH = _Purpose(129, "serverAuth", "TLS Web Server Authentication", "1.3.6.1.5.5.7.3.1")
    CLIENT_AUTH = _Purpose(130, "clientAuth", "TLS Web Client Authentication", "1.3.6.1.5.5.7.3.2")


class SSLSocket(_s.socket):
    """A socket becomes one of these where it is wrapped: it keeps what it was, and its bytes go as they are."""

    def __init__(self, *_, **__):
        raise TypeError("%s does not have a public constructor. Instances are returned by SSLContext.wrap_socket()."
                        % type(self).__name__)

    context = server_hostname = session = None
    server_side = session_reused = False

    def do_handshake(self, block=False):
        if self._id is None and self._pipe is None and self._program is None:
            raise OSError(107, "Transport endpoint is not connected")

    def getpeercert(self, binary_form=False):
        if binary_form:
            # Whoever pins a certificate finds none that fits.
            return b""
        if self.context is not None and self.context.verify_mode == CERT_NONE:
            return {}
        name = self.server_hostname or "simulated"
        return {"subject": ((("commonName", name),),), "issuer": ((("commonName", "simulated"),),), "version": 3,
                "notBefore": "Jan  1 00:00:00 2000 GMT", "notAfter": "Dec 31 23:59:59 2099 GMT", "serialNumber": "01",
                "subjectAltName": (("IP Address" if _s._is_address(name) else "DNS", name),)}

    def cipher(self):
        return _CIPHER

    def shared_ciphers(self):
        return [_CIPHER]

    def version(self):
        return "TLSv1.3"

    def compression(self):
        return None

    def selected_alpn_protocol(self):
        return None

    selected_npn_protocol = selected_alpn_protocol

    def get_channel_binding(self, cb_type="tls-unique"):
        return None

    def pending(self):
        return len(self._bytes)

    def unwrap(self):
        self.__class__ = _s.socket
        return self

    def verify_client_post_handshake(self):
        pass

    def read(self, len=1024, buffer=None):
        return self.recv(len) if buffer is None else self.recv_into(buffer, len)

    def write(self, data):
        return self.send(data)


class MemoryBIO:
    """Bytes on their way between a transport and an `SSLObject`."""

    def __init__(self):
        self._held, self._over = b"", False

    pending = property(lambda self: len(self._held))
    eof = property(lambda self: self._over and not self._held)

    def read(self, n=-1):
        n = len(self._held) if n is None or n < 0 else n
        data, self._held = self._held[:n], self._held[n:]
        return data

    def write(self, data):
        self._held += bytes(data)
        return len(data)

    def write_eof(self):
        self._over = True


class SSLObject:
    """The same over two buffers, as asyncio has it."""

    def __init__(self, *_, **__):
        raise TypeError("SSLObject does not have a public constructor. Instances are returned by SSLContext.wrap_bio().")

    session = None
    session_reused = False
    _bytes, _id, _pipe, _program = b"", 0, None, None

    def read(self, len=1024, buffer=None):
        data = self._in.read(len)
        if not data and not self._in.eof:
            raise SSLWantReadError(SSL_ERROR_WANT_READ, "The operation did not complete (read)")
        if buffer is None:
            return data
        buffer[: data.__len__()] = data
        return data.__len__()

    def write(self, data):
        return self._out.write(data)

    def unwrap(self):
        pass

    def pending(self):
        return self._in.pending


for _name in ("do_handshake", "getpeercert", "cipher", "shared_ciphers", "version", "compression", "selected_alpn_protocol",
              "selected_npn_protocol", "get_channel_binding", "verify_client_post_handshake"):
    setattr(SSLObject, _name, getattr(SSLSocket, _name))


class SSLContext:
    sslsocket_class, sslobject_class = SSLSocket, SSLObject

    def __init__(self, protocol=None):
        self.protocol = PROTOCOL_TLS if protocol is None else protocol
        client = protocol == PROTOCOL_TLS_CLIENT
        self.verify_mode, self.check_hostname = (CERT_REQUIRED if client else CERT_NONE), client
        self.options, self.verify_flags = OP_ALL, VERIFY_X509_TRUSTED_FIRST
        self.minimum_version, self.maximum_version = TLSVersion.TLSv1_2, TLSVersion.MAXIMUM_SUPPORTED
        self.post_handshake_auth, self.keylog_filename, self.sni_callback = False, None, None
        self.hostname_checks_common_name, self.security_level, self.num_tickets = True, 2, 2

    def load_cert_chain(self, certfile=None, keyfile=None, password=None):
        """A file that is missing is missed, as by the real one; what is in it nobody looks at."""
        for name in (certfile, keyfile):
            if name is not None:
                open(name, "rb").close()

    def load_verify_locations(self, cafile=None, capath=None, cadata=None):
        if cafile is not None:
            open(cafile, "rb").close()

    def load_default_certs(self, *_, **__):
        pass

    set_default_verify_paths = set_ciphers = set_alpn_protocols = set_npn_protocols = load_default_certs
    load_dh_params = set_ecdh_curve = set_servername_callback = load_default_certs

    def get_ciphers(self):
        return [{"name": _CIPHER[0], "protocol": _CIPHER[1], "strength_bits": _CIPHER[2]}]

    def get_ca_certs(self, binary_form=False):
        return []

    def cert_store_stats(self):
        return {"x509": 1, "crl": 0, "x509_ca": 1}

    def session_stats(self):
        return {}

    def wrap_socket(self, sock, server_side=False, do_handshake_on_connect=True, suppress_ragged_eofs=True,
                    server_hostname=None, session=None):
        if self.check_hostname and not server_side and server_hostname is None:
            raise ValueError("check_hostname requires server_hostname")
        if isinstance(sock, _s.socket):
            sock.__class__ = self.sslsocket_class
        sock.context, sock.server_hostname, sock.server_side = self, server_hostname, server_side
        return sock

    def wrap_bio(self, incoming, outgoing, server_side=False, server_hostname=None, session=None):
        made = object.__new__(self.sslobject_class)
        made._in, made._out = incoming, outgoing
        made.context, made.server_side, made.server_hostname = self, server_side, server_hostname
        return made


def create_default_context(purpose=Purpose.SERVER_AUTH, *, cafile=None, capath=None, cadata=None):
    context = SSLContext(PROTOCOL_TLS_SERVER if purpose is Purpose.CLIENT_AUTH else PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cafile)
    return context


_create_default_https_context = create_default_context


def _create_unverified_context(*_, **__):
    return SSLContext()


_create_stdlib_context = _create_unverified_context


def wrap_socket(sock, keyfile=None, certfile=None, server_side=False, **_):
    return SSLContext().wrap_socket(sock, server_side)


def match_hostname(cert, hostname):
    pass


def get_default_verify_paths():
    return DefaultVerifyPaths(None, "/etc/ssl/certs", "SSL_CERT_FILE", "/usr/lib/ssl/cert.pem", "SSL_CERT_DIR", "/usr/lib/ssl/certs")


def get_server_certificate(addr, ssl_version=None, ca_certs=None, timeout=None):
    raise SSLError(1, "the simulation has no certificates to show")


def cert_time_to_seconds(cert_time):
    import calendar
    import time

    return calendar.timegm(time.strptime(cert_time, "%b %d %H:%M:%S %Y GMT"))


def RAND_bytes(n):
    import os

    return os.urandom(n)


def RAND_status():
    return True


def RAND_add(*_):
    pass


def DER_cert_to_PEM_cert(der):
    import base64

    text = base64.standard_b64encode(der).decode()
    lines = [text[i : i + 64] for i in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])


def PEM_cert_to_DER_cert(pem):
    import base64

    return base64.decodebytes("".join(pem.strip().splitlines()[1:-1]).encode())
