"""Indexes the printed pages, so that search runs in the reader's browser on files of the site alone.

Pagefind numbers pages as they come, and left to find them itself it takes them as the file system lists them: other
bytes on another disk. So it is started as a service that is handed the pages in order and hands back the files. It
touches no disk, and ends when nobody speaks to it any more.
"""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

from livingpaper.files import inside, write_bytes
from livingpaper.render.errors import RenderError

# the site has its own search field; these are Pagefind's
_UNUSED = ("pagefind-ui.", "pagefind-modular-ui.", "pagefind-component-ui.", "pagefind-highlight.js")


def index(site: Path) -> None:
    """Write `pagefind/` into `site`, over the pages that lie there now."""
    pages = {page.relative_to(site).as_posix(): page.read_text(encoding="utf-8") for page in site.rglob("*.html")}
    for name, data in _files(pages).items():
        if not name.startswith(_UNUSED):
            write_bytes(inside(site / "pagefind", name), data, lasting=False)


def _files(pages: dict[str, str]) -> dict[str, bytes]:
    """The files of the index of some pages, by name."""
    command = [sys.executable, "-m", "pagefind", "--service"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as service:
        try:
            number = _ask(service, type="NewIndex", config={})["index_id"]
            for name in sorted(pages):
                _ask(service, type="AddFile", index_id=number, file_path=name, url=None, file_contents=pages[name])
            files = _ask(service, type="GetFiles", index_id=number)["files"]
        except BaseException:
            service.kill()
            raise
    return {str(file["path"]): base64.b64decode(file["content"]) for file in files}


def _ask(service: "subprocess.Popen[bytes]", **request: Any) -> dict[str, Any]:
    """Pagefind's answer to a request; messages are JSON in base64, each ended by a comma."""
    assert service.stdin is not None
    assert service.stdout is not None
    try:
        service.stdin.write(base64.b64encode(json.dumps({"message_id": 1, "payload": request}).encode()) + b",")
        service.stdin.flush()
        payload = json.loads(base64.b64decode(_message(service.stdout)))["payload"]
    except (OSError, ValueError, KeyError):
        raise RenderError(f"pagefind: ended without an answer to {request['type']}") from None
    if payload["type"] == "Error":
        raise RenderError(f"pagefind: {' '.join(str(payload.get('message')).split())}")
    return dict(payload)


def _message(stream: IO[bytes]) -> bytes:
    """The bytes up to the next comma."""
    parts = []
    while (part := stream.read1(1 << 16)) and not part.endswith(b","):  # type: ignore[attr-defined]
        parts.append(part)  # nothing follows an answer before the next question
    return b"".join([*parts, part]).rstrip(b",")
