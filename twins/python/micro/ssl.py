# TLS of the simulation: the link is as good as encrypted, and nobody listens in. What a board's clock makes of it is real:
# who checks certificates with a clock that nobody has set is refused.
import _twinfleet as _t

PROTOCOL_TLS_CLIENT, PROTOCOL_TLS_SERVER, PROTOCOL_DTLS_CLIENT, PROTOCOL_DTLS_SERVER = 0, 1, 2, 3
CERT_NONE, CERT_OPTIONAL, CERT_REQUIRED = 0, 1, 2
MBEDTLS_VERSION = "none: simulated"
# No certificate in use today is older: 2024-01-01, in Unix time [s].
_OLDEST = 1704067200


class SSLContext:
    def __init__(self, protocol):
        if protocol not in (0, 1, 2, 3):
            raise ValueError("invalid protocol")
        self.verify_mode = CERT_NONE if protocol & 1 else CERT_REQUIRED
        self.verify_callback = None

    def load_cert_chain(self, certfile, keyfile=None):
        if keyfile is not None:
            _valid(keyfile, "invalid key")
        if certfile is None:
            raise TypeError("can't convert 'NoneType' object to str implicitly")
        _valid(certfile, "invalid cert")

    def load_verify_locations(self, cafile=None, cadata=None):
        _valid(cadata if cafile is None else cafile, "invalid cert")

    def set_ciphers(self, ciphers):
        pass

    def get_ciphers(self):
        return []

    def wrap_socket(self, sock, *, server_side=False, do_handshake_on_connect=True, server_hostname=None, client_id=None):
        if self.verify_mode == CERT_REQUIRED and not server_side and _t.unix_ns() < _OLDEST * 1000000000:
            sock.close()
            raise ValueError("The certificate validity starts in the future")
        return sock


def _valid(what, otherwise):
    # The thing itself, in DER or PEM, or a path to it.
    if isinstance(what, str) and "-----" not in what:
        with open(what, "rb") as file:
            what = file.read()
    head = bytes(what[:5], "utf-8") if isinstance(what, str) else bytes(what[:5])
    if head[:1] != b"0" and head != b"-----":
        raise ValueError(otherwise)


def wrap_socket(
    sock, server_side=False, key=None, cert=None, cert_reqs=CERT_NONE, cadata=None, server_hostname=None, do_handshake=True
):
    context = SSLContext(PROTOCOL_TLS_SERVER if server_side else PROTOCOL_TLS_CLIENT)
    if cert or key:
        context.load_cert_chain(cert, key)
    if cadata:
        context.load_verify_locations(cadata=cadata)
    context.verify_mode = cert_reqs
    return context.wrap_socket(sock, server_side=server_side, server_hostname=server_hostname)
