# MQTT, with the names that boards' firmware gives it.
import socket
import struct


class MQTTException(Exception):
    pass


def _bytes(text):
    return text.encode() if isinstance(text, str) else bytes(text)


def _field(text):
    text = _bytes(text)
    return struct.pack("!H", len(text)) + text


class MQTTClient:
    def __init__(self, client_id, server, port=0, user=None, password=None, keepalive=0, ssl=None, ssl_params=None):
        self.client_id, self.server, self.ssl, self.ssl_params = client_id, server, ssl, ssl_params
        self.port = port or (8883 if ssl else 1883)
        self.user, self.pswd, self.keepalive = user, password, keepalive
        self.sock, self.cb, self.pid = None, None, 0
        self.lw_topic, self.lw_msg, self.lw_qos, self.lw_retain = None, None, 0, False

    # What the package calls its own, and programs that build on it call too.

    def _send_str(self, s):
        self.sock.write(_field(s))

    def _recv_len(self):
        n, shift = 0, 0
        while True:
            b = self.sock.read(1)[0]
            n |= (b & 127) << shift
            if not b & 128:
                return n
            shift += 7

    def set_callback(self, f):
        self.cb = f

    def set_last_will(self, topic, msg, retain=False, qos=0):
        assert 0 <= qos <= 2
        assert topic
        self.lw_topic, self.lw_msg, self.lw_qos, self.lw_retain = topic, msg, qos, retain

    def _send(self, kind, body):
        head, n = bytearray([kind]), len(body)
        while True:
            low, n = n & 127, n >> 7
            head.append(low | 128 if n else low)
            if not n:
                break
        self.sock.write(bytes(head) + body)

    def connect(self, clean_session=True, timeout=None):
        self.sock = socket.socket()
        self.sock.settimeout(timeout)
        self.sock.connect(socket.getaddrinfo(self.server, self.port)[0][-1])
        if self.ssl is True:
            # As versions before 1.22 had it.
            import ssl

            self.sock = ssl.wrap_socket(self.sock, **(self.ssl_params or {}))
        elif self.ssl:
            self.sock = self.ssl.wrap_socket(self.sock, server_hostname=self.server)
        flags, body = (2 if clean_session else 0), _field(self.client_id)
        if self.lw_topic:
            flags |= 4 | self.lw_qos << 3 | (32 if self.lw_retain else 0)
            body += _field(self.lw_topic) + _field(self.lw_msg)
        if self.user is not None:
            flags |= 0xC0
            body += _field(self.user) + _field(self.pswd or "")
        self._send(0x10, b"\0\4MQTT\4" + bytes([flags]) + struct.pack("!H", self.keepalive) + body)
        answer = self.sock.read(4)
        if answer[3]:
            raise MQTTException(answer[3])
        return answer[2] & 1

    def disconnect(self):
        self._send(0xE0, b"")
        self.sock.close()

    def ping(self):
        self._send(0xC0, b"")

    def _next(self):
        self.pid = self.pid % 65535 + 1
        return self.pid

    def publish(self, topic, msg, retain=False, qos=0):
        body = _field(topic)
        pid = 0
        if qos:
            pid = self._next()
            body += struct.pack("!H", pid)
        self._send(0x30 | qos << 1 | (1 if retain else 0), body + _bytes(msg))
        while qos == 1:
            if self.wait_msg() == 0x40 and self._last == pid:
                return

    def subscribe(self, topic, qos=0):
        assert self.cb is not None, "Subscribe callback is not set"
        pid = self._next()
        self._send(0x82, struct.pack("!H", pid) + _field(topic) + bytes([qos]))
        while self.wait_msg() != 0x90:
            pass

    _last = 0

    def wait_msg(self):
        first = self.sock.read(1)
        self.sock.setblocking(True)
        if first is None:
            return None
        if first == b"":
            raise OSError(-1)
        op, n = first[0], self._recv_len()
        body = self.sock.read(n) if n else b""
        if op == 0xD0:
            return None
        if op & 0xF0 != 0x30:
            if len(body) >= 2:
                self._last = body[0] << 8 | body[1]
            if op == 0x90 and body[2] == 128:
                raise MQTTException(128)
            return op
        at = 2 + (body[0] << 8 | body[1])
        topic, pid = body[2:at], None
        if op & 6:
            pid = body[at:at + 2]
            at += 2
        self.cb(topic, body[at:])
        if op & 6 == 2:
            self.sock.write(b"\x40\2" + pid)
        return op

    def check_msg(self):
        self.sock.setblocking(False)
        return self.wait_msg()
