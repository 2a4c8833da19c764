"""The site as a reader has it: looks, search, runs, figures, keyboard, phone, no foreign request."""

import re
from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import Site, Visit

pytestmark = pytest.mark.browser

Open = Callable[..., Visit]
BACKGROUND = "getComputedStyle(document.body).backgroundColor"


def background(page: Page) -> str:
    return str(page.evaluate(BACKGROUND))


def test_no_page_complains_or_asks_another_host(site: Site, visit: Open) -> None:
    window = visit()
    for name in site.pages:
        window.open(site.url + name).wait_for_load_state("networkidle")
    assert window.complaints == []
    assert [url for url in window.requests if not url.startswith((site.url, "data:"))] == []
    assert len(window.requests) > len(site.pages) * 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390])
def test_axe_finds_nothing(site: Site, visit: Open, scheme: str, width: int) -> None:
    window, axe = visit(width, color_scheme=scheme), Axe()
    for name in site.pages:
        page = window.open(site.url + name)
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        found = axe.run(page).response["violations"]
        assert [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found] == [], name


def test_axe_finds_nothing_in_open_dialogs(site: Site, visit: Open) -> None:
    page = visit().open(site.url + "chapters/one.html")
    page.keyboard.press("/")
    page.get_by_role("searchbox").fill("retrieval")
    expect(page.locator(".search-results a").first).to_be_visible()
    assert Axe().run(page).response["violations"] == []
    page.keyboard.press("Escape")
    page.locator("figure.float-fig img").first.click()
    assert Axe().run(page).response["violations"] == []


def test_the_system_decides_the_theme_until_the_reader_does(site: Site, visit: Open) -> None:
    light = background(visit(color_scheme="light").open(site.url + "index.html"))
    window = visit(color_scheme="dark")
    page = window.open(site.url + "index.html")
    dark = background(page)
    assert light != dark
    toggle = page.get_by_role("button", name="Dark theme")
    expect(toggle).to_have_attribute("aria-pressed", "true")
    toggle.click()
    assert background(page) == light
    page = window.open(site.url + "chapters/two.html")  # remembered, on another page
    assert background(page) == light
    expect(page.get_by_role("button", name="Dark theme")).to_have_attribute("aria-pressed", "false")


def test_figures_keep_a_light_ground_in_the_dark(site: Site, visit: Open) -> None:
    page = visit(color_scheme="dark").open(site.url + "chapters/one.html")
    image = page.locator("#fig-curve img")
    assert image.evaluate("each => getComputedStyle(each).backgroundColor") == "rgb(255, 255, 255)"
    image.scroll_into_view_if_needed()
    assert image.evaluate("each => each.decode().then(() => each.naturalWidth)") == 400


def test_statuses_of_claims_differ_in_colour_sign_and_word(site: Site, visit: Open) -> None:
    page = visit().open(site.url + "index.html")
    seen = page.locator(".claim > .callout-title").evaluate_all(
        "all => all.map(each => "
        "[getComputedStyle(each).color, getComputedStyle(each, '::before').content, each.textContent])"
    )
    assert len(seen) == 5
    for each in zip(*seen, strict=True):
        assert len(set(each)) == 5


@pytest.mark.parametrize("script", [True, False])
def test_a_phone_scrolls_only_down(site: Site, visit: Open, script: bool) -> None:
    window = visit(390, 844, java_script_enabled=script)
    for name in site.pages:
        page = window.open(site.url + name)
        box = page.locator("body").bounding_box()
        assert box is not None
        assert box["width"] <= 390, name
        if script:
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, name


def test_the_menu_of_a_phone(site: Site, visit: Open) -> None:
    page = visit(390, 844).open(site.url + "index.html")
    menu, sidebar = page.get_by_role("button", name="Chapters"), page.locator("#sidebar")
    expect(sidebar).to_be_hidden()
    menu.press("Enter")
    expect(sidebar).to_be_visible()
    expect(menu).to_have_attribute("aria-expanded", "true")
    box = sidebar.bounding_box()
    assert box is not None
    assert (box["x"], box["width"], box["y"] + box["height"]) == (0, 390, 844)  # nothing of the page shows beside it
    page.keyboard.press("Escape")
    expect(sidebar).to_be_hidden()
    expect(menu).to_be_focused()
    menu.click()
    sidebar.get_by_role("link", name="The second").click()
    expect(page).to_have_url(site.url + "chapters/two.html")


def test_search_finds_a_word_with_the_keyboard_alone(site: Site, visit: Open) -> None:
    window = visit()
    page = window.open(site.url + "chapters/two.html")
    page.keyboard.press("/")
    field = page.get_by_role("searchbox")
    expect(field).to_be_focused()
    field.fill("zymurgy")
    first = page.locator(".search-results a").first
    expect(first).to_contain_text("zymurgy")
    expect(page.locator(".search-state")).to_have_text("1 page")
    page.keyboard.press("ArrowDown")
    expect(first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(re.escape(site.url) + r"(index\.html)?(#how-to-read)?$"))
    assert window.complaints == []
    assert [url for url in window.requests if not url.startswith(site.url)] == []


def test_search_says_when_there_is_nothing(site: Site, visit: Open) -> None:
    page = visit().open(site.url + "index.html")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("searchbox").fill("xyzzyplugh")
    expect(page.locator(".search-state")).to_have_text("Nothing found")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_phrase_comes_before_its_words_here_and_there(site: Site, visit: Open) -> None:
    page = visit().open(site.url + "chapters/two.html")
    page.keyboard.press("/")
    page.get_by_role("searchbox").fill("words to be searched for")
    expect(page.locator(".search-results a", has_text="Formation windows").first).to_be_visible()
    expect(page.locator(".search-results a").first).to_contain_text("zymurgy")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"#how-to-read$"))


def test_search_shows_a_formula_once(site: Site, visit: Open) -> None:
    page = visit().open(site.url + "index.html")
    page.keyboard.press("/")
    page.get_by_role("searchbox").fill("when is retrieval born")
    excerpt = page.locator(".search-results a", has_text="Formation windows").first
    expect(excerpt).to_contain_text("ℓ")
    expect(excerpt).not_to_contain_text("\\ell")


def test_search_of_a_run_stays_in_its_printing(site: Site, visit: Open) -> None:
    page = visit().open(site.url + "runs/quick-s2/index.html")
    page.keyboard.press("/")
    page.get_by_role("searchbox").fill("retrieval")
    expect(page.locator(".search-results a").first).to_be_visible()
    links = page.locator(".search-results a").evaluate_all("all => all.map(each => each.href)")
    assert all(link.startswith(site.url + "runs/quick-s2/") for link in links)


def test_the_run_switcher_keeps_the_chapter(site: Site, visit: Open) -> None:
    page = visit().open(site.url + "chapters/one.html")
    page.locator("details.runs summary").press("Enter")
    page.get_by_role("link", name="quick-s2").click()
    expect(page).to_have_url(site.url + "runs/quick-s2/chapters/one.html")
    expect(page.locator("#tbl-runs")).to_contain_text("quick-s2")
    expect(page.locator(".banner-stale")).to_contain_text("cell 4 raised ValueError")
    page.locator("details.runs summary").click()
    page.get_by_role("link", name="quick-s1").click()
    expect(page).to_have_url(site.url + "chapters/one.html")


def test_a_figure_opens_large_and_closes(site: Site, visit: Open) -> None:
    page = visit().open(site.url + "chapters/one.html")
    small = page.locator("#fig-curve img").bounding_box()
    opener = page.get_by_role("button", name="Enlarge Figure 1.1")
    opener.press("Enter")
    dialog = page.get_by_role("dialog", name="Figure 1.1")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("img", name="Three rising curves")).to_be_visible()
    expect(dialog).to_contain_text("Accuracy of three seeds")
    large = dialog.locator("img").bounding_box()
    assert small is not None
    assert large is not None
    assert large["width"] > small["width"]
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(opener).to_be_focused()
    page.locator("#fig-curve img").click()
    expect(dialog).to_be_visible()


def test_code_is_copied(site: Site, visit: Open) -> None:
    window = visit(permissions=["clipboard-read", "clipboard-write"])
    page = window.open(site.url + "chapters/one.html")
    page.get_by_text("How this was made").click()
    page.locator(".copyable", has_text="draw").get_by_role("button", name="Copy").press("Enter")
    assert page.evaluate("navigator.clipboard.readText()") == 'draw("curve")'


def test_the_ledger_sorts_numbers_as_numbers(site: Site, visit: Open) -> None:
    page = visit().open(site.url + "index.html")
    cells = page.locator(".claims-ledger tbody tr td:last-child")
    expect(cells).to_have_text(["10", "9"])
    heading = page.get_by_role("button", name="value")
    heading.press("Enter")
    expect(cells).to_have_text(["9", "10"])
    expect(page.get_by_role("columnheader", name="value")).to_have_attribute("aria-sort", "ascending")
    heading.click()
    expect(cells).to_have_text(["10", "9"])


def test_the_keyboard_reaches_everything(site: Site, visit: Open) -> None:
    page = visit().open(site.url + "chapters/one.html")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.reload()
    reached = set()
    for _ in range(120):
        page.keyboard.press("Tab")
        outline, name = page.evaluate(
            "(() => { const e = document.activeElement; const s = getComputedStyle(e);"
            " const name = e === document.body ? '' : e.textContent.trim().slice(0, 40);"
            " return [s.outlineStyle + s.outlineWidth, name]; })()"
        )
        if not name and page.evaluate("document.activeElement === document.body"):
            break
        assert outline != "none0px", name
        reached.add(name)
    assert {"Skip to the content", "Copy", "⤢", "1.1 Learning curves"} <= reached


def test_without_scripts_the_paper_can_be_read(site: Site, visit: Open) -> None:
    page = visit(390, 844, java_script_enabled=False).open(site.url + "chapters/one.html")
    expect(page.locator("#sidebar")).to_be_visible()
    expect(page.locator("#fig-curve img")).to_be_visible()
    expect(page.get_by_role("button", name="Search")).to_have_count(0)


def test_it_reads_from_a_folder_too(site: Site, visit: Open) -> None:
    window = visit()
    page = window.open((site.folder / "chapters/one.html").as_uri())
    assert background(page) != "rgba(0, 0, 0, 0)"  # the style sheet is there
    page.get_by_role("link", name="The second").first.click()
    expect(page).to_have_url((site.folder / "chapters/two.html").as_uri())
    assert window.complaints == []
