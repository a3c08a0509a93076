"""What libmicrohttpd 0.9.75 would take and two servers could read in two ways is refused, and nothing behind it runs.

Each case is sent byte for byte, followed by a second request on the same connection. A refused request gets exactly one
answer, the connection is closed, and the second request was not run."""
import os, re, socket, sys, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import Logd, run

SECOND = b"GET /healthz?second HTTP/1.1\r\nHost: x\r\n\r\n"
GET = b"GET /healthz HTTP/1.1\r\n"
POST = b"POST /v1/events HTTP/1.1\r\nHost: x\r\n"
SMUGGLED = b"GET /healthz?smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNK = b"1\r\nx\r\n0\r\n\r\n"

ONCE = "a header that may stand once stands twice"
LAYOUT = "a line of the header is folded, holds a NUL or a doubled blank, or does not end in CRLF"
CONTROL = "a header value holds a control character"
NAME = "a header name holds a character that is not allowed in a name"
TARGET = "request target: a blank, control character or '#' must be percent-encoded"
ENCODED = "request target: an encoded control character is not allowed"
DIGITS = "request target: '%' must be followed by two hexadecimal digits"
PATH = "request target: expected a path that begins with '/'"
TE = "Transfer-Encoding: expected exactly \\\"chunked\\\""
BOTH = "Content-Length and Transfer-Encoding exclude each other"

# name, bytes, status, error (None: libmicrohttpd's own page, which it sends before we see the request)
REFUSED = [
    # framing
    ("length and chunked", POST + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED, 400, BOTH),
    ("chunked and length", POST + b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n" + SMUGGLED, 400, BOTH),
    ("two different lengths", POST + b"Content-Length: 0\r\nContent-Length: 44\r\n\r\n" + SMUGGLED, 400, "Content-Length: expected at most once"),
    ("two equal lengths", POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400, "Content-Length: expected at most once"),
    ("a list of lengths", POST + b"Content-Length: 1, 1\r\n\r\nx", 400, None),
    ("a signed length", POST + b"Content-Length: +1\r\n\r\nx", 400, None),
    ("a negative length", POST + b"Content-Length: -1\r\n\r\nx", 400, None),
    ("a hexadecimal length", POST + b"Content-Length: 0x1\r\n\r\nx", 400, None),
    ("a length of blanks", POST + b"Content-Length:  \r\n\r\n", 400, None),
    ("a length past 2^64", POST + b"Content-Length: 99999999999999999999\r\n\r\n", 413, None),
    ("a length of 19 digits", POST + b"Content-Length: 1000000000000000000\r\n\r\n", 400, "Content-Length: expected 1 to 18 digits"),
    ("encoding twice", POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + CHUNK, 400, "Transfer-Encoding: expected at most once"),
    ("encoding unknown", POST + b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNK, 400, TE),
    ("encoding list", POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + CHUNK, 400, TE),
    ("encoding identity", POST + b"Transfer-Encoding: identity\r\n\r\n" + CHUNK, 400, TE),
    ("encoding quoted", POST + b"Transfer-Encoding: \"chunked\"\r\n\r\n" + CHUNK, 400, TE),
    ("encoding with a trailing blank", POST + b"Transfer-Encoding: chunked \r\n\r\n" + CHUNK, 400, TE),
    ("encoding empty", POST + b"Transfer-Encoding:\r\n\r\n" + CHUNK, 400, TE),
    ("encoding with a tab inside", POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + CHUNK, 400, CONTROL),
    ("encoding in HTTP/1.0", b"POST /v1/events HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNK, 400, "Transfer-Encoding: not in HTTP/1.0"),
    ("blank before the colon", POST + b"Transfer-Encoding : chunked\r\n\r\n" + CHUNK, 400, NAME),
    ("tab before the colon", POST + b"Content-Length\t: 1\r\n\r\nx", 400, NAME),
    # Host
    ("no host", GET + b"\r\n", 400, "Host: expected once, got none"),
    ("two hosts", GET + b"Host: a\r\nHost: b\r\n\r\n", 400, "Host: expected once"),
    ("two equal hosts", GET + b"Host: a\r\nHost: a\r\n\r\n", 400, "Host: expected once"),
    ("an empty host", GET + b"Host:\r\n\r\n", 400, "Host: expected a name or address and maybe a port, got nothing"),
    ("a host with a user", GET + b"Host: a@b\r\n\r\n", 400, "Host: expected a name or address and maybe a port"),
    ("a host with a path", GET + b"Host: a/b\r\n\r\n", 400, "Host: expected a name or address and maybe a port"),
    ("a list of hosts", GET + b"Host: a, b\r\n\r\n", 400, "Host: expected a name or address and maybe a port"),
    ("two hosts in HTTP/1.0", b"GET /healthz HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400, "Host: expected once"),
    # lines and characters
    ("bare LF behind a header", GET + b"Host: x\nX: y\r\n\r\n", 400, LAYOUT),
    ("bare LF behind the request line", b"GET /healthz HTTP/1.1\nHost: x\r\n\r\n", 400, LAYOUT),
    ("bare LF everywhere", b"GET /healthz HTTP/1.1\nHost: x\n\n", 400, LAYOUT),
    ("bare LF before the end", GET + b"Host: x\r\n\n", 400, LAYOUT),
    ("folded value", GET + b"Host: x\r\nX-A: b\r\n c\r\n\r\n", 400, LAYOUT),
    ("folded with a tab", GET + b"Host: x\r\nX-A: b\r\n\tc: d\r\n\r\n", 400, NAME),
    ("folded length", POST + b"Content-Length:\r\n 1\r\n\r\nx", 400, LAYOUT),
    ("folded first line", GET + b" Host: x\r\nHost: x\r\n\r\n", 400, NAME),
    ("bare CR in a value", GET + b"Host: x\r\nX-A: b\rX-B: c\r\n\r\n", 400, CONTROL),
    ("bare CR in the host", GET + b"Host: x\r\x00\r\n\r\n", 400, CONTROL),
    ("NUL in a value", GET + b"Host: x\r\nX-A: b\x00c\r\n\r\n", 400, LAYOUT),
    ("NUL in the host", GET + b"Host: x\x00y\r\n\r\n", 400, LAYOUT),
    ("NUL in a length", POST + b"Content-Length: 1\x009\r\n\r\nx" + SMUGGLED, 400, LAYOUT),
    ("NUL in a name", GET + b"Host: x\r\nX\x00A: b\r\n\r\n", 400, None),
    ("NUL in the path", b"GET /healthz\x00x HTTP/1.1\r\nHost: x\r\n\r\n", 400, LAYOUT),
    ("NUL in the method", b"GET\x00 /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 400, LAYOUT),
    ("bell in a value", GET + b"Host: x\r\nX-A: \x07\r\n\r\n", 400, CONTROL),
    ("DEL in a value", GET + b"Host: x\r\nX-A: \x7f\r\n\r\n", 400, CONTROL),
    ("no colon", GET + b"Host: x\r\nnonsense\r\n\r\n", 400, None),
    ("empty name", GET + b"Host: x\r\n: y\r\n\r\n", 400, LAYOUT),
    ("name in brackets", GET + b"Host: x\r\n[a]: y\r\n\r\n", 400, NAME),
    ("UTF-8 name", GET + b"Host: x\r\nn\xc3\xa4me: y\r\n\r\n", 400, NAME),
    # request line
    ("two blanks before the path", b"GET  /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 400, LAYOUT),
    ("a tab before the path", b"GET\t/healthz HTTP/1.1\r\nHost: x\r\n\r\n", 400, None),
    ("blank in the path", b"GET /health z HTTP/1.1\r\nHost: x\r\n\r\n", 400, TARGET),
    ("two paths", b"GET /healthz /x HTTP/1.1\r\nHost: x\r\n\r\n", 400, TARGET),
    ("control in the path", b"GET /healthz\x01 HTTP/1.1\r\nHost: x\r\n\r\n", 400, TARGET),
    ("fragment", b"GET /healthz#x HTTP/1.1\r\nHost: x\r\n\r\n", 400, TARGET),
    ("%00 in the path", b"GET /healthz%00x HTTP/1.1\r\nHost: x\r\n\r\n", 400, ENCODED),
    ("%00 in the query", b"GET /healthz?a=%00 HTTP/1.1\r\nHost: x\r\n\r\n", 400, ENCODED),
    ("%0d%0a in the path", b"GET /healthz%0d%0aX:y HTTP/1.1\r\nHost: x\r\n\r\n", 400, ENCODED),
    ("%zz", b"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400, DIGITS),
    ("% at the end", b"GET /x% HTTP/1.1\r\nHost: x\r\n\r\n", 400, DIGITS),
    ("%4 at the end", b"GET /x?y=%4 HTTP/1.1\r\nHost: x\r\n\r\n", 400, DIGITS),
    ("absolute target", b"GET http://x/healthz HTTP/1.1\r\nHost: x\r\n\r\n", 400, PATH),
    ("relative target", b"GET healthz HTTP/1.1\r\nHost: x\r\n\r\n", 400, PATH),
    ("star", b"GET * HTTP/1.1\r\nHost: x\r\n\r\n", 400, PATH),
    ("CONNECT", b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", 400, PATH),
    ("HTTP/1.2", b"GET /healthz HTTP/1.2\r\nHost: x\r\n\r\n", 505, "expected HTTP/1.1 or HTTP/1.0"),
    ("HTTP/2.0", b"GET /healthz HTTP/2.0\r\nHost: x\r\n\r\n", 505, None),
    ("HTTP/0.9", b"GET /healthz\r\n\r\n", 400, None),
    ("version in small letters", b"GET /healthz http/1.1\r\nHost: x\r\n\r\n", 400, None),
    ("method with a bracket", b"G(T /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 400, "the method holds a character that is not allowed in a method"),
    # sizes and doubles
    ("two authorizations", GET + b"Host: x\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n", 400, ONCE),
    ("two origins", GET + b"Host: x\r\nOrigin: http://a\r\nOrigin: http://b\r\n\r\n", 400, ONCE),
    ("two content types", POST + b"Content-Type: a/b\r\nContent-Type: c/d\r\nContent-Length: 0\r\n\r\n", 400, ONCE),
    ("129 headers", GET + b"Host: x\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(128)) + b"\r\n", 431, "expected at most 128 header lines"),
    ("2,000 headers", GET + b"Host: x\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(2000)) + b"\r\n", 431, None),
    ("a header of 64 KiB", GET + b"Host: x\r\nX: " + b"a" * 65536 + b"\r\n\r\n", 431, None),
    ("a path of 64 KiB", b"GET /" + b"a" * 65536 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, None),
    # chunked framing that the library checks
    ("a chunk size that is none", POST + b"Authorization: Bearer KEY\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, None),
    ("a chunk size past 2^64", POST + b"Authorization: Bearer KEY\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 413, None),
    ("a chunk without its end", POST + b"Authorization: Bearer KEY\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n", 400, None),
    ("a negative chunk size", POST + b"Authorization: Bearer KEY\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", 400, None),
]


def answers(got):
    """The replies in what was received: [(status, body)]."""
    out = []
    while got.startswith(b"HTTP/1.1 "):
        head, _, rest = got.partition(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n")[1:]:
            if line.lower().startswith(b"content-length:"):
                length = int(line[15:])
        out.append((int(head[9:12]), rest[:length].decode()))
        got = rest[length:]
    assert got == b"", "bytes that are no reply: %r" % got
    return out


def test_each_case_gets_its_answer_and_no_second_request_runs():
    with Logd() as logd:
        key = logd.key("ingest").encode()
        wrong = []
        for name, data, status, error in REFUSED:
            before = logd_requests(logd)
            began = time.monotonic()
            got, closed = logd.raw(data.replace(b"KEY", key) + SECOND, timeout=5)
            took = time.monotonic() - began
            try:
                assert closed and took < 4, "the connection stays open"
                assert got.startswith(b"HTTP/1.1 %d " % status), "expected %d, got %r" % (status, got)
                if error:
                    assert answers(got) == [(status, '{"error":"%s"}\n' % error)], "got %r" % answers(got)
                else:  # of a bad Content-Length the library sends its head twice
                    assert set(re.findall(rb"HTTP/1.1 (\d+) ", got)) == {b"%d" % status}, "got %r" % got
                assert logd_requests(logd) - before == 1, "a second request ran"
            except AssertionError as e:
                wrong.append("%s: %s" % (name, e))
        assert not wrong, "\n".join(wrong)
        assert len(REFUSED) >= 60


def logd_requests(logd):
    """GET requests that were let through; asking is one."""
    text = logd.get("/metrics").text
    return int([line for line in text.split("\n") if line.startswith('logd_http_requests_total{method="GET"}')][0].split()[1])


def test_good_requests_in_odd_clothes_are_served():
    good = [
        ("HTTP/1.0 without host", b"GET /healthz HTTP/1.0\r\n\r\n"),
        ("lower case names", b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"),
        ("no blank behind the colon", b"GET /healthz HTTP/1.1\r\nHost:x\r\nX-Empty:\r\n\r\n"),
        ("tabs and blanks behind the colon", b"GET /healthz HTTP/1.1\r\nHost: \t x\r\n\r\n"),
        ("empty lines before", b"\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("UTF-8 in a value", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: \xc3\xa4\r\n\r\n"),
        ("tab in a value", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: a\tb\r\n\r\n"),
        ("an IPv6 host", b"GET /healthz HTTP/1.1\r\nHost: [::1]:5080\r\n\r\n"),
        ("a query with everything", b"GET /healthz?q=a%20b%0A+%C3%A4&x=[1]{2}|^`\"<> HTTP/1.1\r\nHost: x\r\n\r\n".replace(b"\"<>", b"")),
        ("127 more headers", b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(127)) + b"\r\n"),
        ("20 KiB of header", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20000 + b"\r\n\r\n"),
    ]
    with Logd() as logd:
        for name, data in good:
            got, _ = logd.raw(data, half_close=True)
            assert [a[0] for a in answers(got)] == [200], "%s: %r" % (name, got)


def test_header_split_at_every_byte_is_the_same_request():
    data = b"POST /v1/events HTTP/1.1\r\nHost: x\r\nX-Logd-Key: KEY\r\nContent-Length: 15\r\nConnection: close\r\n\r\n{\"message\":\"x\"}"
    with Logd() as logd:
        data = data.replace(b"KEY", logd.key("ingest").encode())
        for cut in range(1, len(data), 3):
            with socket.create_connection((logd.host, logd.port), timeout=10) as s:
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                s.sendall(data[:cut])
                time.sleep(0.002)
                s.sendall(data[cut:])
                got = b""
                while piece := s.recv(65536):
                    got += piece
            assert [a[0] for a in answers(got)] == [200], "cut at %d: %r" % (cut, got)


def test_pipelined_requests_are_answered_in_order():
    with Logd() as logd:
        key = logd.key("ingest").encode()
        post = b"POST /v1/events HTTP/1.1\r\nHost: x\r\nX-Logd-Key: " + key + b"\r\nContent-Length: 15\r\n\r\n{\"message\":\"x\"}"
        data = (post + b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n") * 20 + b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        got, closed = logd.raw(data)
        assert closed
        assert [a[0] for a in answers(got)] == [200, 404] * 20 + [200]


def test_a_half_closed_sender_gets_its_answer():
    with Logd() as logd:
        key = logd.key("ingest").encode()
        post = b"POST /v1/events HTTP/1.1\r\nHost: x\r\nX-Logd-Key: " + key + b"\r\nContent-Length: 15\r\n\r\n{\"message\":\"x\"}"
        got, closed = logd.raw(post, half_close=True)
        assert closed and [a[0] for a in answers(got)] == [200], got


if __name__ == "__main__":
    run(globals())
