# HTTP over a stream of the run: what MicroPython's package of that name offers, in few words.
import socket


class Response:
    def __init__(self, status, reason, headers, content):
        self.status_code, self.reason, self.headers, self.content = status, reason, headers, content
        self.encoding = "utf-8"

    @property
    def text(self):
        return str(self.content, self.encoding)

    def json(self):
        import json

        return json.loads(self.content)

    def close(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _body(s, headers):
    if headers.get("transfer-encoding") == "chunked":
        content = b""
        while True:
            n = int(s.readline().split(b";")[0], 16)
            content += s.read(n) if n else b""
            s.readline()
            if not n:
                return content
    length = headers.get("content-length")
    return s.read() if length is None else s.read(int(length))


def request(method, url, data=None, json=None, headers=None, stream=None, auth=None, timeout=None, parse_headers=True):
    scheme, _, host, path = (url.split("/", 3) + [""])[:4]
    if scheme not in ("http:", "https:"):
        raise ValueError("Unsupported protocol: " + scheme)
    host, _, port = host.partition(":")
    send = dict(headers or {})
    if json is not None:
        import json as j

        data = j.dumps(json)
        send.setdefault("Content-Type", "application/json")
    if auth is not None:
        import binascii

        word = binascii.b2a_base64(("%s:%s" % auth).encode()).strip().decode()
        send.setdefault("Authorization", "Basic " + word)
    data = data.encode() if isinstance(data, str) else data
    send.setdefault("Host", host)
    send["Connection"] = "close"
    if data is not None:
        send["Content-Length"] = str(len(data))
    s = socket.socket()
    try:
        if timeout is not None:
            s.settimeout(timeout)
        s.connect(socket.getaddrinfo(host, int(port or (443 if scheme == "https:" else 80)))[0][-1])
        if scheme == "https:":
            import ssl

            s = ssl.wrap_socket(s, server_hostname=host)
        lines = ["%s /%s HTTP/1.1" % (method, path)] + ["%s: %s" % h for h in send.items()]
        s.write("\r\n".join(lines).encode() + b"\r\n\r\n" + (data or b""))
        words = s.readline().split(None, 2)
        if len(words) < 2:
            raise ValueError("HTTP error: BadStatusLine")
        got = {}
        while True:
            line = s.readline().strip()
            if not line:
                break
            name, _, value = line.decode().partition(":")
            got[name.strip().lower()] = value.strip()
        content = b"" if method == "HEAD" else _body(s, got)
    finally:
        s.close()
    return Response(int(words[1]), words[2].strip() if len(words) > 2 else b"", got, content)


def get(url, **kw):
    return request("GET", url, **kw)


def head(url, **kw):
    return request("HEAD", url, **kw)


def post(url, **kw):
    return request("POST", url, **kw)


def put(url, **kw):
    return request("PUT", url, **kw)


def patch(url, **kw):
    return request("PATCH", url, **kw)


def delete(url, **kw):
    return request("DELETE", url, **kw)
