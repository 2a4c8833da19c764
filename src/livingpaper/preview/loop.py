"""Preview: build, show, look at the sources, build again, until Ctrl-C."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from livingpaper.preview.channel import Channel, Mood
from livingpaper.preview.rebuild import Options, Rebuilt, printed_before, rebuild
from livingpaper.preview.server import open_preview
from livingpaper.preview.sources import Sources
from livingpaper.project import Project
from livingpaper.serve import HOST

_SHOWN = 3  # changed files, and stale stages, that a line names


def preview(project: Project, options: Options, port: int) -> None:
    """Show the paper and keep it up to date until Ctrl-C or SIGTERM; a port that is taken is an error."""
    channel = Channel(printed_before(project))
    with open_preview(project.site, port, channel) as server, _ended_politely():
        threading.Thread(target=server.serve_forever, daemon=True).start()
        _say(f"preview of {project.site.name} at http://{HOST}:{server.server_port}/ (Ctrl-C ends it)")
        try:
            _keep_up(project, options, channel)
        except KeyboardInterrupt:
            _say("preview ended")
        finally:
            server.shutdown()


def _keep_up(project: Project, options: Options, channel: Channel) -> None:
    """Build now, and after every change; what changes during a build makes another one after it."""
    sources = Sources(project.root)
    held: tuple[str, ...] = ()
    while True:
        seen = sources.look()
        channel.tell(Mood.BUILDING, "Building …")
        rebuilt = rebuild(project, options, lambda told: _pass_on(told, channel))
        if rebuilt.held and rebuilt.held != held:
            _say(_about_held(rebuilt.held))
        held = rebuilt.held
        channel.tell(*_verdict(rebuilt))
        sources.learn()
        changed = sources.changed(seen)
        _say(f"changed: {_some(changed)}")


def _pass_on(told: dict[str, Any], channel: Channel) -> None:
    """Tell the pages what a build says on its way."""
    if "waiting" in told:
        if channel.news.says != told["waiting"]:
            _say(told["waiting"])
        channel.tell(Mood.WAITING, told["waiting"])
    elif channel.news.mood is Mood.WAITING:
        channel.tell(Mood.BUILDING, "Building …")
    if "folder" in told:
        channel.printed(told["folder"], told["mark"])


def _verdict(rebuilt: Rebuilt) -> tuple[Mood, str]:
    """What the pages say of a build that ended: nothing, or its first failure."""
    if not rebuilt.wrong:
        return Mood.READY, ""
    more = len(rebuilt.wrong) - 1
    return Mood.FAILED, rebuilt.wrong[0] + (f" (and {more} more, in the terminal)" if more else "")


def _about_held(held: tuple[str, ...]) -> str:
    return f"not run, and stamped with all that rests on it: {_some(list(held), '; ')} (livingpaper build runs it)"


def _some(names: list[str], between: str = ", ") -> str:
    more = len(names) - _SHOWN
    return between.join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


@contextmanager
def _ended_politely() -> Iterator[None]:
    """Let SIGTERM end the preview as Ctrl-C does."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _say(line: str) -> None:
    print(f"livingpaper: {line}", file=sys.stderr, flush=True)
