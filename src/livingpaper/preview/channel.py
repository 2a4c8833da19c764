"""What open pages are told: which printing is new, and whether something is wrong."""

import threading
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
        self._changed = threading.Condition()
        self._number = 0
        self._news = News(printed=dict(printed or {}))

    @property
    def news(self) -> News:
        """The latest news."""
        return self._news

    def tell(self, mood: Mood, says: str = "") -> None:
        """Say how the preview stands."""
        self._put(replace(self._news, mood=mood, says=says))

    def printed(self, folder: str, mark: str) -> None:
        """Say which printing lies in a folder of the site; pages of another mark reload."""
        self._put(replace(self._news, printed={**self._news.printed, folder: mark}))

    def after(self, number: int, seconds: float) -> tuple[int, News]:
        """The latest news and its number, as soon as it is later than `number` or the time is up."""
        with self._changed:
            self._changed.wait_for(lambda: self._number > number, seconds)
            return self._number, self._news

    def _put(self, news: News) -> None:
        with self._changed:
            if news != self._news:
                self._news = news
                self._number += 1
                self._changed.notify_all()
