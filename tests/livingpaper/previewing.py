"""A running `livingpaper preview`, and what tests do with it."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.livingpaper.conftest import Paper

COMMAND = [sys.executable, "-m", "livingpaper.cli", "preview", "--preset", "tiny", "--port", "0"]
RENDERER = ("--renderer", "embedded")
PATIENCE = 240.0  # seconds; the machine is shared


def until(what: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """What a call gives, as soon as it is something."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.02)
    return found


class Preview:
    """A preview in a process of its own."""

    def __init__(self, paper: Paper, *options: str) -> None:
        self.paper = paper
        self._log = paper.root.parent / f"{paper.root.name}.log"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LIVINGPAPER_")}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*COMMAND, *RENDERER, *options], cwd=paper.root, env=environment, stderr=log
            )
        found = until(lambda: re.search(r"http://127\.0\.0\.1:(\d+)/", self.said) or self.process.poll() is not None)
        assert isinstance(found, re.Match), self.said
        self.port = int(found[1])
        self.url = found[0]

    @property
    def said(self) -> str:
        """What it wrote to the terminal."""
        return self._log.read_text()

    def news(self) -> dict[str, Any]:
        """What a page that opens now is told first."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", "/_preview/events")
        line = connection.getresponse().readline().decode()
        connection.close()
        news: dict[str, Any] = json.loads(line.removeprefix("data: "))
        return news

    def mood(self, mood: str) -> dict[str, Any]:
        """The news, once its mood is the one given."""
        return dict(until(lambda: news if (news := self.news())["mood"] == mood else None))

    def page(self, name: str = "") -> str:
        """A page as it is served."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", f"/{name}")
        text = connection.getresponse().read().decode()
        connection.close()
        return text

    def end(self, number: int = signal.SIGINT) -> int:
        """Send a signal; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)


@contextmanager
def previewing(paper: Paper, *options: str) -> Iterator[Preview]:
    """A preview that is killed at the end, if it did not end before."""
    preview = Preview(paper, *options)
    try:
        yield preview
    finally:
        preview.process.kill()
        preview.process.wait()


def printed(root: Path, name: str = "index.html") -> str:
    """A page as it lies in the site."""
    return (root / "_site" / name).read_text()
