"""A page of a preview in the browser: it reloads where the reader was, and says what is wrong until it is mended."""

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from livingpaper.preview.channel import Channel, Mood
from livingpaper.preview.server import EVENTS, open_preview
from tests.browser.conftest import Site, Visit

pytestmark = pytest.mark.browser

Open = Callable[..., Visit]


@dataclass
class Shown:
    """A printed site in a preview, and the channel that a build would tell."""

    folder: Path
    url: str
    channel: Channel

    def print(self, name: str, old: str, new: str, mark: str, folder: str = "") -> None:
        """Print a page anew."""
        path = self.folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))
        self.channel.printed(folder, mark)


@pytest.fixture
def shown(site: Site, tmp_path: Path) -> Iterator[Shown]:
    folder = Path(shutil.copytree(site.folder, tmp_path / "_site"))
    channel = Channel({"": "first", "runs/quick-s2": "first"})
    channel.tell(Mood.READY)
    with open_preview(folder, 0, channel) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield Shown(folder, f"http://127.0.0.1:{server.server_port}/", channel)
        server.shutdown()


def bar(page: Page) -> Locator:
    return page.get_by_role("complementary", name="Preview")


def complaints(window: Visit) -> list[str]:
    """What went wrong, apart from the stream of news that a page ends when it is left."""
    return [each for each in window.complaints if not (each.startswith("failed: ") and each.endswith(EVENTS))]


def top(page: Page, selector: str) -> float:
    return float(page.evaluate(f"document.querySelector('{selector}').getBoundingClientRect().top"))


@pytest.mark.parametrize("width", [1400, 390])
def test_a_page_reloads_where_the_reader_was(shown: Shown, visit: Open, width: int) -> None:
    window = visit(width)
    page = window.open(shown.url + "chapters/one.html")
    page.locator("#wide-things").wait_for()
    page.get_by_text("How this was made").click()
    page.evaluate("document.querySelector('#wide-things').scrollIntoView({behavior: 'instant'}); scrollBy(0, 3)")
    before = top(page, "#wide-things")
    assert page.evaluate("scrollY") > 200
    # more stands above the reader's place than before
    shown.print("chapters/one.html", "When is retrieval born?", "Zymurgy? " * 400, "second")
    expect(page.locator("article")).to_contain_text("Zymurgy?")
    expect(page.locator("details.code-fold[open]")).to_have_count(1)
    page.wait_for_load_state()
    assert abs(top(page, "#wide-things") - before) <= 2
    assert complaints(window) == []
    assert [url for url in window.requests if not url.startswith((shown.url, "data:"))] == []


def test_only_pages_of_the_printing_reload(shown: Shown, visit: Open) -> None:
    main, other = visit().open(shown.url + "index.html"), visit().open(shown.url + "runs/quick-s2/index.html")
    for page in (main, other):
        page.evaluate("window.stayed = true")
    shown.print("runs/quick-s2/index.html", "How to read", "How to see", "second", "runs/quick-s2")
    expect(other.locator("article")).to_contain_text("How to see")
    assert other.evaluate("window.stayed") is None
    assert main.evaluate("window.stayed") is True


def test_what_is_wrong_is_said_until_it_is_mended(shown: Shown, visit: Open) -> None:
    window = visit()
    page = window.open(shown.url + "index.html")
    expect(bar(page)).to_be_hidden()
    says = "paper/claims.yml:4: 0.chapter = 'maen' <b>not bold</b>"
    shown.channel.tell(Mood.FAILED, says)
    expect(bar(page)).to_have_text(says)
    expect(page.locator("h1")).to_be_visible()
    assert Axe().run(page).response["violations"] == []
    shown.channel.tell(Mood.BUILDING, "Building …")
    page.wait_for_timeout(1500)
    expect(bar(page)).to_have_text(says)  # until it is known to be mended
    shown.channel.tell(Mood.READY)
    expect(bar(page)).to_be_hidden()
    shown.channel.tell(Mood.BUILDING, "Building …")
    expect(bar(page)).to_have_text("Building …")  # one that takes its time
    shown.channel.tell(Mood.WAITING, "build/lock: another build is at work here")
    expect(bar(page)).to_contain_text("another build")
    page.emulate_media(media="print")
    expect(bar(page)).to_be_hidden()
    assert complaints(window) == []


def test_a_page_that_is_not_there_yet_appears(shown: Shown, visit: Open) -> None:
    page = visit().open(shown.url + "chapters/three.html")
    expect(page.locator("h1")).to_have_text("No such page yet")
    (shown.folder / "chapters/three.html").write_text((shown.folder / "chapters/two.html").read_text())
    shown.channel.printed("", "second")
    expect(page.locator("h1")).to_contain_text("The second")


def test_search_and_the_run_switcher_work_in_it(shown: Shown, visit: Open) -> None:
    window = visit()
    page = window.open(shown.url + "chapters/two.html")
    page.keyboard.press("/")
    page.get_by_role("searchbox").fill("zymurgy")
    expect(page.locator(".search-results a").first).to_contain_text("zymurgy")
    page.keyboard.press("Escape")
    page.locator("details.runs summary").press("Enter")
    page.get_by_role("link", name="quick-s2").click()
    expect(page).to_have_url(shown.url + "runs/quick-s2/chapters/two.html")
    assert complaints(window) == []
