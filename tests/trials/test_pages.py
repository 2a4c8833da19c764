# ruff: noqa: F811  (fixtures of other folders are imported, then asked for by name)
"""Every page of a built paper as its readers have it: on a desk and a phone, in light and dark, by keyboard alone.

In full on this very paper with every run of the smoke preset, otherwise on some pages of a tiny book.
"""

import random
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser import reader
from tests.browser.conftest import Site, Visit, browser, serving, site, visit  # noqa: F401  (fixtures)
from tests.livingpaper.conftest import Paper
from tests.livingpaper.previewing import previewing, until
from tests.paper.conftest import Paper as WholePaper
from tests.paper.conftest import smoke_paper  # noqa: F401  (fixture)
from tests.trials.conftest import Trial

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("reader")]  # one build serves all of them

AREA = "Reader"
WORDS = ("watches retrieval ", "follows accuracy ")  # once on the home page, and in a chapter
DESK_AND_PHONE = [(width, "light") for width in reader.WIDTHS]
Open = Callable[..., Visit]
Check = Callable[[Page], list[str]]


@pytest.fixture
def printed(request: pytest.FixtureRequest, trial: Trial) -> Iterator[Site]:
    """The printed site whose pages are read."""
    if not trial.full:
        yield request.getfixturevalue("site")
        return
    paper: WholePaper = request.getfixturevalue("smoke_paper")
    assert paper.code == 0, paper.log[:3000]
    with serving(paper.site) as served:
        yield served


def cases(trial: Trial, site: Site, looks: list[tuple[str, str]], short: int = 3) -> list[tuple[str, str, str]]:
    """Pages with the width and scheme each is looked at in; a few of them in a plain test run."""
    every = [(page, *look) for look in looks for page in site.pages]
    return every if trial.full else random.Random(len(looks)).sample(every, short)


def read(
    trial: Trial, site: Site, visit: Open, looks: list[tuple[str, str]], **checks: Check
) -> dict[str, tuple[int, list[str]]]:
    """For each check how many pages were read, and what was wrong on which."""
    windows: dict[tuple[str, str], Visit] = {}
    out: dict[str, tuple[int, list[str]]] = {}
    for page, width, scheme in cases(trial, site, looks):
        size = dict(zip(("width", "height"), reader.WIDTHS[width], strict=True))
        window = windows.setdefault((width, scheme), windows.get((width, scheme)) or visit(**size, color_scheme=scheme))
        for name, check in checks.items():
            faults = check(window.open(site.url + page))
            tried, wrong = out.get(name, (0, []))
            out[name] = tried + 1, wrong + ([f"{page} ({width}, {scheme}): {'; '.join(faults)}"] if faults else [])
    return out


def tell(trial: Trial, read: dict[str, tuple[int, list[str]]], on: str) -> None:
    for what, (tried, wrong) in read.items():
        trial.row(AREA, f"{what.replace('_', ' ')}: {on}", tried, tried - len(wrong), " | ".join(wrong[:3]))


def test_pages_are_accessible_and_scroll_only_down(printed: Site, visit: Open, trial: Trial) -> None:
    found = read(
        trial,
        printed,
        visit,
        reader.LOOKS,
        **{"axe-core finds nothing": reader.accessible, "nothing is wider than the screen": reader.only_down},
    )
    tell(trial, found, "pages × desk and phone × light and dark")


def test_the_keyboard_is_enough(printed: Site, visit: Open, trial: Trial) -> None:
    checks = {
        "Tab reaches everything, visibly": reader.reachable,
        "figures open larger, hold the focus, give it back": reader.figures,
        "the run switcher leads to the same chapter and back": reader.switching,
        "search finds the page's last heading": reader.found,
    }
    tell(trial, read(trial, printed, visit, DESK_AND_PHONE, **checks), "pages × desk and phone, by keyboard")


def test_pages_print_dark_on_white(printed: Site, visit: Open, trial: Trial) -> None:
    window = visit(color_scheme="dark")
    wrong, chosen = [], cases(trial, printed, [("desktop", "dark")])
    for page, _, _ in chosen:
        faults = reader.printable(window.open(printed.url + page))
        wrong += [f"{page}: {'; '.join(faults)}"] if faults else []
        window.page.emulate_media(media="screen")
        window.page.set_viewport_size({"width": 1400, "height": 900})
    tell(trial, {"on paper dark on white, nothing cut off": (len(chosen), wrong)}, "pages, dark theme")


def test_pages_ask_no_other_host_and_do_not_complain(printed: Site, visit: Open, trial: Trial) -> None:
    wrong, chosen = [], cases(trial, printed, DESK_AND_PHONE)
    for page, width, scheme in chosen:
        size = dict(zip(("width", "height"), reader.WIDTHS[width], strict=True))
        window = visit(**size, color_scheme=scheme)
        opened = window.open(printed.url + page)
        opened.evaluate("document.querySelectorAll('img').forEach(each => each.loading = 'eager')")
        opened.wait_for_load_state("networkidle")
        opened.keyboard.press("/")
        opened.keyboard.type("run")
        opened.locator("dialog.search .search-results a").first.wait_for()
        opened.wait_for_load_state("networkidle")
        foreign = [url for url in window.requests if not url.startswith((printed.url, "data:"))]
        assert len(window.requests) > 5
        wrong += [f"{page} ({width}): {fault}" for fault in [*foreign, *window.complaints][:1]]
        opened.context.close()
    tell(trial, {"no other host is asked, search included": (len(chosen), wrong)}, "pages × desk and phone")


def test_pages_can_be_read_without_scripts(printed: Site, visit: Open, trial: Trial) -> None:
    plain = {width: visit(*reader.WIDTHS[width], java_script_enabled=False) for width in reader.WIDTHS}
    scripted = visit()
    wrong, chosen = [], cases(trial, printed, DESK_AND_PHONE)
    for page, width, _ in chosen:
        full = scripted.open(printed.url + page)
        full.evaluate("document.querySelectorAll('.anchor, .copy, .enlarge').forEach(each => each.remove())")
        bare = plain[width].open(printed.url + page)
        same = bare.locator("article").text_content() == full.locator("article").text_content()
        box = bare.locator("body").bounding_box()
        kept = same and bare.locator("article").is_visible() and bare.locator("#sidebar").is_visible()
        fits = box is not None and box["width"] <= reader.WIDTHS[width][0]
        pictures = bare.locator("figure.float-fig img").count() == full.locator("figure.float-fig img").count()
        dead = bare.locator("button:visible").count()  # what only a script could answer
        wrong += [f"{page} ({width})"] if not (kept and fits and pictures and dead == 0) else []
    tell(trial, {"without scripts the same words and figures, no dead button": (len(chosen), wrong)}, "pages × widths")


@pytest.mark.slow
def test_prose_is_soon_on_the_page(request: pytest.FixtureRequest, trial: Trial, tmp_path: Path) -> None:
    """Edits of a page and of a chapter's text, shown by a preview of this paper without executing anything."""
    if not trial.full:
        pytest.skip("needs the built paper: make trials; a tiny one is previewed in tests/livingpaper/test_preview.py")
    built: WholePaper = request.getfixturevalue("smoke_paper")
    paper = Paper(Path(shutil.copytree(built.root, tmp_path / "paper")))
    edits = [("index.qmd", "index.html"), ("chapters/formation-windows.ipynb", "chapters/formation-windows.html")]
    seconds = []
    with previewing(paper, "--preset", "smoke") as preview:
        preview.mood("ready")
        for number in range(6):
            source, page = edits[number % 2]
            began = time.monotonic()
            paper.edit(source, f"edit {number - 2} " if number > 1 else WORDS[number % 2], f"edit {number} ")
            until(lambda page=page, number=number: f"edit {number} " in preview.page(page))  # type: ignore[misc]
            seconds.append(time.monotonic() - began)
            preview.mood("ready")
        assert "began" not in preview.said
    held = sum(each < 20 for each in seconds)
    note = f"{sorted(seconds)[len(seconds) // 2]:.1f} s in the middle, {max(seconds):.1f} s at most; nothing executed"
    trial.row("Preview and serve", "edits of prose of the whole paper are on the page within 20 s", 6, held, note)
