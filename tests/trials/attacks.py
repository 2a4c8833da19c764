# ruff: noqa: E501
"""Requests that a server of one machine's own site must not fall for, byte by byte."""

from livingpaper.preview.server import EVENTS as PATH

SECRET = b"what nobody may read"
OWN = "Host: 127.0.0.1\r\n"
EVENTS = f"GET {PATH} HTTP/1.1\r\n"


def get(path: str, headers: str = OWN, method: str = "GET", version: str = "HTTP/1.1") -> bytes:
    return f"{method} {path} {version}\r\n{headers}\r\n".encode("latin-1")


OUTSIDE = [
    *("/../secret.txt", "/chapters/../../secret.txt", "/%2e%2e/secret.txt", "/.%2e/secret.txt", "/%2E%2E%2Fsecret.txt"),
    *("/..%2fsecret.txt", "/chapters/..%2f..%2fsecret.txt", "/..%5csecret.txt", "/..\\secret.txt", "/%252e%252e/secret.txt"),
    *("/link.txt", "/out/secret.txt", "/linked/", "/linked", "/loop", "//secret.txt", "///../secret.txt", "/./../secret.txt"),
    *("/index.html%00.txt", "/%00", "/secret.txt%00.html", "/%c0%ae%c0%ae/secret.txt", "/%ff%fe", "/.hidden", "/%2ehidden"),
    *("/.index.html.part", "/fifo", "/bare/", "/bare", "/index.html/", "/chapters/one.html/../../../secret.txt"),
    *("/" + "a" * 5000, "/" + "a/" * 3000, "/..;/secret.txt", "/~root", "/chapters/%2e%2e", "/[", "/?/../secret.txt/.."),
]  # fmt: skip
OTHERS = [
    *(f"Host: {name}\r\n" for name in ("evil.example", "127.0.0.1.evil.example", "localhost.", "localhost.evil.example")),
    *(f"Host: {name}\r\n" for name in ("127.0.0.1:99@evil", "evil@127.0.0.1", "127.0.0.1:", "127.0.0.1:99999999")),
    *(f"Host: {name}\r\n" for name in ("127.1", "2130706433", "0x7f.1", "0.0.0.0", "[::]", "::1", "[::1", "[::1%25lo]:80")),
    *(f"Host: {name}\r\n" for name in ("[::ffff:127.0.0.1]", "localhost:8080/evil", "localhost:80 evil", "127.0.0.1, evil")),
    *("", "Host:\r\n", "Host: 127.0.0.1\r\nHost: evil.example\r\n", "Host: evil.example\r\nHost: localhost\r\n"),
    *("Hos: localhost\r\n", "X-Forwarded-Host: localhost\r\n", "Host: localhost\r\n evil.example\r\n", "Host: loc\xe4lhost\r\n"),
]  # fmt: skip
METHODS = [
    "POST",
    "PUT",
    "DELETE",
    "OPTIONS",
    "PATCH",
    "TRACE",
    "CONNECT",
    "PROPFIND",
    "get",
    "GETT",
    "\xe4",
    "send_head",
]
TARGETS = [
    "http://evil.example/",
    "http://127.0.0.1/secret.txt",
    "https://localhost/",
    "*",
    "evil",
    "127.0.0.1:80",
    "\\",
]
BROKEN = [
    *(b"", b"\r\n", b"\r\n\r\n", b"GET\r\n\r\n", b"GET /\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1.1\r\n\r\n"),
    *(b"\x16\x03\x01\x02\x00\x01\x00", b"\0" * 4000, b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", b"PRI * HTTP/2.0\r\n"),
    *(b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: " + b"a" * 70_000, b"GET / HTTP/-1\r\n\r\n"),
]  # fmt: skip
FOREIGN = [
    *("Origin: https://evil.example", "Origin: null", "Origin: http://127.0.0.1.evil", "Origin: http://localhost", "Origin:"),
    *("Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Sec-Fetch-Site: none", "Sec-Fetch-Site: same-origin, x"),
    *("Origin: https://127.0.0.1", "Origin: http://127.0.0.1:1", "Origin: http://127.0.0.1\r\nSec-Fetch-Site: cross-site"),
]  # fmt: skip
