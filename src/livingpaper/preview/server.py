"""The site as `serve` shows it, with a script in every page that reloads it; no file of the site is touched."""

import functools
import io
import json
import select
import time
from dataclasses import asdict
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO

from livingpaper.preview.channel import Channel
from livingpaper.serve import SiteHandler, SiteServer, listen

EVENTS, SCRIPT = "/_preview/events", "/_preview/reload.js"
_HEAD = b"</head>"
_CODE = Path(__file__).with_name("reload.js").read_bytes()
_LOOK = 0.1  # seconds between looks for news
_BEAT = 15.0  # seconds between signs of life on a quiet stream
_NOT_YET = (
    b'<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"><title>Preview</title></head>\n<body><main>'
    b"<h1>No such page yet</h1>\n<p>It appears here as soon as it is printed.</p></main></body>\n</html>\n"
)


def open_preview(site: Path, port: int, channel: Channel) -> SiteServer:
    """A server of a site that may not be printed yet; port 0 takes a free one."""
    return listen(site, port, functools.partial(PreviewHandler, channel=channel))


class PreviewHandler(SiteHandler):
    """Serves the site with the reloading script in its pages, and the stream of news that the script listens to."""

    def __init__(self, *arguments: Any, channel: Channel, **named: Any) -> None:
        self._channel = channel
        super().__init__(*arguments, **named)

    def do_GET(self) -> None:
        """A file of the site, or the stream of news."""
        if self.path == EVENTS and self._from_here():
            self._stream()
        else:
            super().do_GET()

    def send_head(self) -> Any:
        """The file asked for, the script, or an error; what is for the site's own pages is refused to others."""
        way = self.path.partition("?")[0]
        if way.startswith("/_preview/") and not self._from_here():
            self.send_error(HTTPStatus.FORBIDDEN, "only pages of the preview may ask for this")
            return None
        if way == SCRIPT:
            return self._made(HTTPStatus.OK, "text/javascript; charset=utf-8", _CODE)
        if way.endswith((".html", "/")) and self.located() is None:
            return self._made(HTTPStatus.NOT_FOUND, "text/html; charset=utf-8", self._with_script(_NOT_YET, ""))
        return super().send_head()

    def content(self, path: Path, kind: str) -> BinaryIO:
        """A file of the site, a page with the script in it."""
        if not kind.startswith("text/html"):
            return super().content(path, kind)
        # the mark before the page: a page printed in between reloads once more, none is missed
        news = self._channel.news
        folder = news.folder(path.relative_to(self.directory).as_posix())
        return io.BytesIO(self._with_script(path.read_bytes(), news.printed.get(folder, ""), folder))

    def _with_script(self, page: bytes, mark: str, folder: str = "") -> bytes:
        about = f'data-printing="{folder}" data-mark="{mark}"'
        script = f'<script src="{SCRIPT}" {about} defer></script>\n'.encode()
        before, head, after = page.partition(_HEAD)
        return before + script + head + after if head else page + script

    def _made(self, status: HTTPStatus, kind: str, data: bytes) -> BinaryIO:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        return io.BytesIO(data)

    def _from_here(self) -> bool:
        """Whether the request comes from a page of this very server, as far as the browser tells."""
        site = self.headers.get("Sec-Fetch-Site", "same-origin")
        origin = self.headers.get("Origin")
        return site == "same-origin" and origin in (None, f"http://{self.headers['Host'].strip()}")

    def _stream(self) -> None:
        """News as they come, until the listener is gone."""
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        seen, beat = -1, time.monotonic()
        while not select.select([self.connection], [], [], _LOOK)[0]:  # a listener says nothing: it has gone
            number, news = self._channel.latest
            if number != seen:
                self.wfile.write(f"data: {json.dumps(asdict(news))}\n\n".encode())
            elif time.monotonic() - beat > _BEAT:
                self.wfile.write(b":\n\n")
            else:
                continue
            seen, beat = number, time.monotonic()
