"""What open pages are told: which printing is new, and whether something is wrong."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum


class Mood(StrEnum):
    """How the preview stands."""

    READY = "ready"
    BUILDING = "building"
    WAITING = "waiting"  # for another build
    FAILED = "failed"


@dataclass(frozen=True)
class News:
    """What a page needs to know."""

    mood: Mood = Mood.BUILDING
    says: str = ""  # one line, for the reader
    printed: Mapping[str, str] = field(default_factory=dict)  # mark of each printing, by its folder in the site

    def folder(self, page: str) -> str:
        """The folder of the printing that a page (a path in the site) belongs to."""
        return max((each for each in self.printed if not each or page.startswith(f"{each}/")), key=len, default="")


class Channel:
    """The latest news, for any number of listeners."""

    def __init__(self, printed: Mapping[str, str] | None = None) -> None:
        self._latest = 0, News(printed=dict(printed or {}))

    @property
    def latest(self) -> tuple[int, News]:
        """The latest news, and the number that tells them from those before."""
        return self._latest

    @property
    def news(self) -> News:
        """The latest news."""
        return self._latest[1]

    def tell(self, mood: Mood, says: str = "") -> None:
        """Say how the preview stands."""
        self._put(replace(self.news, mood=mood, says=says))

    def printed(self, folder: str, mark: str) -> None:
        """Say which printing lies in a folder of the site; pages of another mark reload."""
        self._put(replace(self.news, printed={**self.news.printed, folder: mark}))

    def _put(self, news: News) -> None:
        """Only one thread tells; what listeners see changes in one step."""
        number, before = self._latest
        if news != before:
            self._latest = number + 1, news
