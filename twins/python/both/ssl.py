"""TLS of the simulation: the link is as good as encrypted, and nobody listens in."""
PROTOCOL_TLS_CLIENT = PROTOCOL_TLS = PROTOCOL_TLSv1_2 = 2
CERT_NONE, CERT_OPTIONAL, CERT_REQUIRED = 0, 1, 2
OP_NO_TLSv1 = OP_NO_TLSv1_1 = OP_NO_SSLv2 = OP_NO_SSLv3 = 0
HAS_SNI = True


class SSLError(OSError):
    pass


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
OPENSSL_VERSION = "none: simulated"


class MemoryBIO:
    pass


class SSLObject:
    pass


class Purpose:
    SERVER_AUTH, CLIENT_AUTH = 1, 2


class SSLContext:
    def __init__(self, protocol=None):
        self.verify_mode, self.check_hostname, self.options = CERT_NONE, False, 0
        self.post_handshake_auth = None

    def load_cert_chain(self, *_, **__):
        pass

    load_verify_locations = load_default_certs = set_ciphers = set_alpn_protocols = load_cert_chain

    def wrap_socket(self, sock, **_):
        return sock


SSLSocket = SSLContext


def create_default_context(*_, **__):
    return SSLContext()


_create_default_https_context = _create_unverified_context = create_default_context


def wrap_socket(sock, **_):
    return sock
