"""Shows the printed site on this machine only: static files, the loopback address, nothing outside the site.

A page of another host that gets a browser of this machine to ask here must learn nothing: only this machine's own names
are answered (a rebound DNS name is not), and other origins may embed nothing.
"""

import contextlib
import functools
import re
import socket
import sys
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote

from livingpaper.errors import ProjectError

HOST = "127.0.0.1"
MOST = 64  # connections at a time; a new one ends the oldest
_PATIENCE = 10.0  # seconds a client may take over each read and write
_NAMES = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
_METHODS = ("GET", "HEAD")
_ENCODED = re.compile(r"%(2f|5c)", re.IGNORECASE)  # a slash that would only later be one
_UTF8 = "; charset=utf-8"
_SVG_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"  # opened by itself it is a page


def serve(site: Path, port: int) -> None:
    """Serve a site until Ctrl-C; a site that is not there, or a port that is taken, is an error."""
    with open_server(site, port) as server:
        print(f"{site.name} at http://{HOST}:{server.server_port}/ (Ctrl-C ends it)", file=sys.stderr, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


def open_server(site: Path, port: int) -> "SiteServer":
    """A server of a site on a port of the loopback address; port 0 takes a free one."""
    if not (site / "index.html").is_file():
        raise ProjectError(f"{site.name}/index.html: not found; run: livingpaper build")
    return listen(site, port, SiteHandler)


def listen(site: Path, port: int, handler: Callable[..., Any]) -> "SiteServer":
    """A server whose requests a handler answers; the site may be there later."""
    try:
        return SiteServer((HOST, port), functools.partial(handler, directory=str(site.resolve())))
    except (OSError, OverflowError) as error:
        raise ProjectError(
            f"--port {port}: cannot be used ({error}); try --port {port + 1 if port else 8080}"
        ) from None


class SiteServer(ThreadingHTTPServer):
    """A thread for each connection, but never more than twice `MOST`: silent connections cannot keep others out."""

    request_queue_size = MOST

    def __init__(self, *arguments: Any) -> None:
        self._open: dict[socket.socket, bool] = {}  # in the order they came; whether they were asked to end
        self._guard = threading.Lock()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give a connection its thread; where there are too many, end the oldest, or refuse this one."""
        with self._guard:
            waiting = [each for each, ending in self._open.items() if not ending]
            if len(waiting) >= MOST:
                self._open[waiting[0]] = True
                with contextlib.suppress(OSError):
                    waiting[0].shutdown(socket.SHUT_RDWR)
            full = len(self._open) >= 2 * MOST
            if not full:
                self._open[request] = False
        if full:
            super().shutdown_request(request)
        else:
            super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """A connection has ended."""
        with self._guard:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class SiteHandler(SimpleHTTPRequestHandler):
    """Serves files of the site; other hosts' names, other methods, folders' lists and outside files are refused."""

    server_version, sys_version = "livingpaper", ""
    error_message_format, error_content_type = "%(code)d: %(message)s\n", "text/plain" + _UTF8
    timeout = _PATIENCE
    extensions_map = {  # noqa: RUF012  what the standard library declares; nothing is left to the system's own list
        **SimpleHTTPRequestHandler.extensions_map,
        **{f".{kind}": f"text/{kind}{_UTF8}" for kind in ("html", "css")},
        **dict.fromkeys((".js", ".mjs"), "text/javascript" + _UTF8),
        **dict.fromkeys((".txt", ".md", ".qmd", ".yml", ".yaml", ".bib", ".py", ".lua", ".lock"), "text/plain" + _UTF8),
        **dict.fromkeys((".json", ".ipynb"), "application/json"),
        ".jsonl": "application/x-ndjson",
        ".svg": "image/svg+xml",
        ".wasm": "application/wasm",
        ".pdf": "application/pdf",
    }

    def parse_request(self) -> bool:
        """Whether the request is one to be answered; if not, it has its refusal."""
        if not super().parse_request():
            return False
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or not _NAMES.fullmatch(hosts[0].strip()):
            self.send_error(HTTPStatus.FORBIDDEN, "this host name is not served")
        elif self.command not in _METHODS:
            self.send_error(HTTPStatus.METHOD_NOT_ALLOWED, "only GET and HEAD are answered")
        elif not self.path.startswith("/"):
            self.send_error(HTTPStatus.BAD_REQUEST, "expected a path")
        else:
            return True
        return False

    def send_head(self) -> Any:
        """The file asked for, or an error."""
        path = self.located()
        if path is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        if path.is_dir():
            return self._redirect()
        kind = self.guess_type(str(path))
        try:
            file = self.content(path, kind)
        except OSError:  # it is being replaced, or may not be read
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(file.seek(0, 2)))
        if kind == "image/svg+xml":
            self.send_header("Content-Security-Policy", _SVG_POLICY)
        self.end_headers()
        file.seek(0)
        return file

    def _redirect(self) -> None:
        """Lead to the same folder with the slash its page's own links need."""
        way, mark, query = self.path.partition("?")
        self.send_response(HTTPStatus.FOUND)
        self.send_header("Location", f"{way}/{mark}{query}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def content(self, path: Path, kind: str) -> BinaryIO:
        """What is sent for a file of the site."""
        return path.open("rb")

    def located(self) -> Path | None:
        """The file of the site that is asked for, a folder that wants a slash behind it, or nothing.

        Hidden names are none of the site: they are scratch files of a printing under way.
        """
        asked = self.path.partition("?")[0].partition("#")[0]
        try:
            name = unquote(asked, errors="strict")
            if _ENCODED.search(asked) or "\\" in name or any(part.startswith(".") for part in name.split("/")):
                return None
            site = Path(self.directory)
            below = name.lstrip("/") + ("index.html" if name.endswith("/") else "")
            path = (site / below).resolve(strict=True)
            page = (path / "index.html").resolve(strict=True) if path.is_dir() else path
        except (OSError, RuntimeError, ValueError):  # not there, a loop of links, no text, a NUL
            return None
        return path if page.is_file() and page.is_relative_to(site) and path.is_relative_to(site) else None

    def list_directory(self, path: Any) -> None:
        """Refuse: folders are not listed."""
        self.send_error(HTTPStatus.NOT_FOUND)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing about what went well."""

    def end_headers(self) -> None:
        """A page just printed is seen at the next reload; no other host's page gets at it, nothing is guessed."""
        if self.command not in _METHODS:
            self.send_header("Allow", ", ".join(_METHODS))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Referrer-Policy", "no-referrer")
        super().end_headers()
