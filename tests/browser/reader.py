"""What a page owes its reader: functions that return what is wrong, for tests that choose the pages."""

from collections.abc import Iterator
from itertools import product

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page

WIDTHS = {"desktop": (1400, 900), "phone": (390, 844)}
SCHEMES = ("light", "dark")
LOOKS = list(product(WIDTHS, SCHEMES))

_SCREEN = (".bar", ".sidebar", ".margin", ".turn", ".copy", ".enlarge", ".anchor", ".skip", "dialog")
_OPEN = "document.querySelectorAll('details').forEach(each => each.open = true)"
_CUT_OFF = """all => all.filter(each => getComputedStyle(each).overflowX !== 'visible'
  && each.scrollWidth > each.clientWidth + 1).map(each => each.className || each.tagName)"""
# what a keyboard must reach: it is shown, and in no closed dialog
_STOPS = """() => {
  const shown = each => each.checkVisibility({visibilityProperty: true}) && !each.closest('dialog:not([open])');
  const all = document.querySelectorAll('a[href], button, input, summary, [tabindex="0"]');
  const stops = Array.from(all).filter(each => shown(each) && !each.disabled);
  stops.forEach((each, number) => each.dataset.stop = number);
  return stops.map(each => (each.getAttribute('aria-label') || each.textContent).trim().slice(0, 50));
}"""
_FOCUSED = """() => {
  const each = document.activeElement;
  if (!each || each === document.body) return null;
  const style = getComputedStyle(each), box = each.getBoundingClientRect(), bar = document.querySelector('.bar');
  const covered = !each.closest('.bar, .skip, dialog') && box.bottom <= bar.getBoundingClientRect().bottom;
  const seen = box.bottom > 0 && box.top < innerHeight && !covered;
  return {stop: each.dataset.stop, seen, outline: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2};
}"""


def accessible(page: Page) -> list[str]:
    """Violations that axe-core finds, folded parts opened."""
    page.evaluate(_OPEN)
    found = Axe().run(page).response["violations"]
    return [f"{each['id']}: {node['html'][:160]}" for each in found for node in each["nodes"]]


def only_down(page: Page) -> list[str]:
    """Whether the page has to be scrolled sideways."""
    page.evaluate(_OPEN)
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return [f"{wide} px too wide"] if wide > 0 else []


def reachable(page: Page) -> list[str]:
    """What the Tab key does not reach, or reaches without a visible sign."""
    names, reached, wrong = page.evaluate(_STOPS), set(), []
    page.evaluate("document.documentElement.style.scrollBehavior = 'auto'")
    for _ in range(len(names) + 5):
        page.keyboard.press("Tab")
        at = page.evaluate(_FOCUSED)
        if at is None or at.get("stop") is None or int(at["stop"]) in reached:
            break
        reached.add(int(at["stop"]))
        name = names[int(at["stop"])]
        wrong += [f"{name}: focused without an outline"] * (not at["outline"])
        wrong += [f"{name}: focused out of sight"] * (not at["seen"])
    return wrong + [f"{name}: not reached" for number, name in enumerate(names) if number not in reached]


def figures(page: Page) -> list[str]:
    """What is wrong with enlarging figures by keyboard: each opens, is labelled, holds the focus and gives it back."""
    return [fault for opener in page.locator("button.enlarge").all() for fault in _enlarging(page, opener)]


def _enlarging(page: Page, opener: Locator) -> Iterator[str]:
    name = str(opener.get_attribute("aria-label"))
    opener.focus()
    page.keyboard.press("Enter")
    dialog = page.locator("dialog.zoom[open]")
    if dialog.count() != 1:
        yield f"{name}: opens nothing"
        return
    if f"Enlarge {dialog.get_attribute('aria-label')}" != name:
        yield f"{name}: the dialog is called {dialog.get_attribute('aria-label')}"
    if not dialog.locator("img").get_attribute("alt"):
        yield f"{name}: has no description"
    for _ in range(4):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement !== document.body && !document.activeElement.closest('dialog.zoom')"):
            yield f"{name}: the focus left the dialog"
    small = opener.locator("xpath=..").locator("img").bounding_box()
    large = dialog.locator("img").bounding_box()
    if not (small and large and large["width"] > 1.2 * small["width"]):
        yield f"{name}: not larger ({large and large['width']:.0f} px)"
    page.keyboard.press("Escape")
    if dialog.count():
        yield f"{name}: Escape does not close it"
    if not opener.evaluate("each => each === document.activeElement"):
        yield f"{name}: the focus is not given back"


def switching(page: Page) -> list[str]:
    """What is wrong with going to the same page of each other run and back, by keyboard alone."""
    here, wrong = page.url, []
    names = page.locator("details.runs a").all_text_contents()
    current = page.locator("details.runs b").first.text_content()
    for name in names:
        if name == current:
            continue
        _choose(page, name)
        if page.locator("details.runs b").first.text_content() != name:
            wrong.append(f"{name}: not shown after it was chosen")
        if page.locator(".sidebar [aria-current=page]").get_attribute("href") != _own_link(page):
            wrong.append(f"{name}: another chapter")
        _choose(page, str(current))
        if page.url != here:
            wrong.append(f"{name}: leads back to {page.url}")
            page.goto(here)
    return wrong if len(names) > 1 else ["no other run to go to"]


def _choose(page: Page, name: str) -> None:
    """Open the switcher with Enter and go through its links with Tab."""
    menu = page.get_by_role("button", name="Chapters")
    if menu.is_visible():
        menu.press("Enter")
    page.locator("details.runs summary").press("Enter")
    before = page.url
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent.trim()") == name:
            page.keyboard.press("Enter")
            page.wait_for_url(lambda url: url != before, wait_until="load")
            return
    raise AssertionError(f"{name}: Tab does not reach it in the run switcher of {page.url}")


def _own_link(page: Page) -> str:
    """How a page of the site links to itself."""
    return page.url.partition("#")[0].rpartition("/")[2] or "index.html"


def found(page: Page) -> list[str]:
    """What is wrong with searching for the page's last heading from the page itself, by keyboard alone."""
    heading = page.locator("article :is(h1, h2)").last
    words = heading.evaluate("""each => Array.from(each.childNodes)
      .filter(node => !(node.classList && (node.classList.contains('anchor') ||
                                           node.classList.contains('section-number'))))
      .map(node => node.textContent).join('').trim()""")
    page.keyboard.press("/")
    page.keyboard.type(words)
    first = page.locator("dialog.search .search-results a").first
    first.wait_for()
    links = page.locator("dialog.search .search-results a").evaluate_all("all => all.map(each => each.href)")
    base = page.evaluate("new URL(document.body.dataset.up || './', location.href).href")
    if not all(link.startswith(base) for link in links):
        return [f"{words}: a result of another run"]
    page.keyboard.press("ArrowDown")
    with page.expect_event("framenavigated"):
        page.keyboard.press("Enter")
    page.wait_for_load_state()
    return [] if words in (page.locator("article").text_content() or "") else [f"{words}: leads to {page.url}"]


def printable(page: Page) -> list[str]:
    """What is wrong on paper: tools of the screen, parts that are left out, light ink, things wider than the sheet."""
    page.evaluate("document.documentElement.dataset.theme = 'dark'")  # as a reader may have chosen
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 718, "height": 1040})  # A4 without its margins, in CSS pixels
    wrong = [f"{tool} is printed" for tool in _SCREEN if page.locator(tool).first.is_visible()]
    wrong += [f"{part} is not printed" for part in ("article", "h1") if not page.locator(part).first.is_visible()]
    ink = page.evaluate("""() => {
      const grey = colour => { const [r, g, b] = colour.match(/[\\d.]+/g).map(Number); return (r + g + b) / 3; };
      const parts = document.querySelectorAll('article :is(h1, h2, p, td, li, figcaption, .callout-title)');
      return Math.max(...Array.from(parts).map(each => grey(getComputedStyle(each).color)));
    }""")
    wrong += [f"ink of grey {ink:.0f} of 255"] * (ink > 140)
    cut = page.locator("article :not(.visually-hidden)").evaluate_all(_CUT_OFF)
    return [*wrong, *(f"{each} is cut off" for each in cut), *(f"on paper {each}" for each in only_down(page))]
