"""A printed site behind a loopback server, and a browser that notes every request and complaint."""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from livingpaper.render import render
from tests.livingpaper.render import tiny

FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@dataclass
class Site:
    """A printed site: where it lies, where it is served, its pages."""

    folder: Path
    url: str
    pages: list[str] = field(default_factory=list)


@dataclass
class Visit:
    """A page open in the browser, and what went wrong or was asked for meanwhile."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def open(self, url: str) -> Page:
        """Go to a URL and wait until everything its page names has loaded."""
        self.page.goto(url)
        return self.page


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The tiny book, printed for two runs and served on the loopback address."""
    root = tiny.make_book(tmp_path_factory.mktemp("site"))
    wide = tiny.chapter_one()
    wide["cells"].append(tiny.markdown(WIDE))
    tiny.write(root, "build/chapters/quick-s1/one.ipynb", wide)
    for run, _ in tiny.RUNS:
        stale = {"chapters/one.ipynb": "cell 4 raised ValueError"} if run == "quick-s2" else {}
        render(root, tiny.printing(root, run, stale=stale), "embedded")
    with serving(root / "_site") as served:
        yield served
    shutil.rmtree(root)


@contextmanager
def serving(folder: Path) -> Iterator[Site]:
    """A printed site, served as any static host would."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    pages = sorted(path.relative_to(folder).as_posix() for path in folder.glob("**/*.html"))
    yield Site(folder, f"http://127.0.0.1:{server.server_port}/", pages)
    server.shutdown()
    server.server_close()


WIDE = """## Wide things

| {heads} |
|{rule}|
| {cells} |

: A table wider than a phone. {{#tbl-wide}}

```python
{code}
```

{scattered}

A_very_long_word_{word} and `a_long_name_{word}` and $$\\sum_{{i=1}}^N x_i + {sum}$$
""".format(
    heads=" | ".join(f"column {i}" for i in range(14)),
    rule="---|" * 14,
    cells=" | ".join(["0.12345"] * 14),
    scattered="Words searched; be words to words; for searched words, to be words, searched for words. " * 8,
    code="value = " + " + ".join(f"argument_{i}" for i in range(30)),
    word="without_a_break_" * 8,
    sum=" + ".join(f"x_{{{i}}}" for i in range(60)),
)


_open: list[Browser] = []  # Playwright runs once in a process, and tests of other folders ask for this fixture, too


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    """Headless Chromium."""
    if _open:
        yield _open[0]
        return
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        _open.append(opened)
        yield opened
        _open.clear()
        opened.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visit]]:
    """Opens a browser window of its own: `visit(width=390, color_scheme="dark", …)`."""
    contexts = []

    def open_window(width: int = 1400, height: int = 900, **options: Any) -> Visit:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        context.set_default_timeout(10_000)
        new = Visit(context.new_page())
        new.page.on("request", lambda request: new.requests.append(request.url))
        new.page.on("requestfailed", lambda request: new.complaints.append(f"failed: {request.url}"))
        new.page.on("pageerror", lambda error: new.complaints.append(f"error: {error}"))
        new.page.on("console", lambda said: new.complaints.append(said.text) if said.type == "error" else None)
        return new

    yield open_window
    for context in contexts:
        context.close()
