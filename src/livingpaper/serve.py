"""Shows the printed site on this machine only: static files, the loopback address, nothing outside the site."""

import contextlib
import functools
import sys
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from livingpaper.errors import ProjectError

HOST = "127.0.0.1"
_NAMES = ("127.0.0.1", "localhost", "[::1]")


def serve(site: Path, port: int) -> None:
    """Serve a site until Ctrl-C; a site that is not there, or a port that is taken, is an error."""
    with open_server(site, port) as server:
        print(f"{site.name} at http://{HOST}:{server.server_port}/ (Ctrl-C ends it)", file=sys.stderr, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


def open_server(site: Path, port: int) -> ThreadingHTTPServer:
    """A server of a site on a port of the loopback address; port 0 takes a free one."""
    if not (site / "index.html").is_file():
        raise ProjectError(f"{site.name}/index.html: not found; run: livingpaper build")
    try:
        return ThreadingHTTPServer((HOST, port), functools.partial(SiteHandler, directory=str(site.resolve())))
    except (OSError, OverflowError) as error:
        raise ProjectError(
            f"--port {port}: cannot be used ({error}); try --port {port + 1 if port else 8080}"
        ) from None


class SiteHandler(SimpleHTTPRequestHandler):
    """Serves files of the site; other host names (a rebound DNS name), folders' lists and outside files are refused."""

    def send_head(self) -> Any:
        """The file asked for, or an error."""
        host = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        if host not in _NAMES:
            self.send_error(HTTPStatus.FORBIDDEN, "this host name is not served")
            return None
        path = Path(self.translate_path(self.path))
        if not path.resolve().is_relative_to(self.directory):
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        return super().send_head()

    def list_directory(self, path: Any) -> None:
        """Refuse: folders are not listed."""
        self.send_error(HTTPStatus.NOT_FOUND)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing about what went well."""

    def end_headers(self) -> None:
        """A page just printed is seen at the next reload."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()
