"""One build of a preview, in a process of its own: today's code of the press, and nothing left behind if it is ended.

`rebuild` starts the process and reads what it tells, one JSON object a line; `main` is what runs in it.
"""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from livingpaper.command import FAILED, open_plan, tell
from livingpaper.errors import BusyError, PressError
from livingpaper.execute.lock import build_lock
from livingpaper.execute.processes import guarded
from livingpaper.files import file_digest
from livingpaper.pageprints import PRINT, PagePrinter
from livingpaper.press import check, prepare
from livingpaper.preview.held import Running, build_some
from livingpaper.printing import Printing
from livingpaper.project import Project, find_project

_AGAIN = 0.5  # seconds between attempts at a lock that another build holds


@dataclass(frozen=True)
class Options:
    """What a preview builds, and how."""

    preset: str
    jobs: int
    renderer: str
    running: str
    published: bool = False


@dataclass(frozen=True)
class Rebuilt:
    """How a build of a preview ended."""

    wrong: tuple[str, ...] = ()  # what failed, one line each
    held: tuple[str, ...] = ()  # what is stale and was not run, with why


Listener = Callable[[dict[str, Any]], None]  # is told {"waiting": why} and {"folder": …, "mark": …} on the way


def rebuild(project: Project, options: Options, listener: Listener) -> Rebuilt:
    """Build once in a child process; it and all its children end with this process, or when it is interrupted."""
    about = json.dumps(dataclasses.asdict(options))
    command = guarded([sys.executable, "-P", "-m", __name__, about])
    environment = {**os.environ, "LIVINGPAPER_PROJECT": str(project.root)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True) as child:
        try:
            assert child.stdout is not None
            for told in _messages(child.stdout):
                if "done" in told:
                    return Rebuilt(tuple(told["wrong"]), tuple(told["held"]))
                listener(told)
            code = child.wait()
        except BaseException:
            child.send_signal(signal.SIGTERM)
            child.wait()
            raise
    return Rebuilt((f"the build ended with exit code {code}; the terminal says more",))


def marks(project: Project, folders: dict[str, str]) -> dict[str, str]:
    """The mark of each printing that lies in a folder of the site: what its manifest says, digested."""
    found = {folder: project.manifest(run, PRINT) for folder, run in folders.items()}
    return {folder: file_digest(path) for folder, path in found.items() if path.is_file()}


def printed_before(project: Project) -> dict[str, str]:
    """The marks of what was printed by builds before."""
    runs = [path.parent.name for path in (project.build / "manifests").glob(f"*/{PRINT}.json")]
    beside = {f"runs/{run}": run for run in runs if (project.site / "runs" / run).is_dir()}
    main = [run for run in runs if run not in beside.values()]
    return marks(project, beside | ({"": main[0]} if len(main) == 1 else {}))


def main() -> int:
    """Build as the options on the command line say, and tell on standard output how it goes."""
    options = Options(**json.loads(sys.argv[1]))
    try:
        rebuilt = _build(options)
    except KeyboardInterrupt:
        return 130
    except PressError as error:
        rebuilt = Rebuilt((str(error),))
        print(f"livingpaper: {error}", file=sys.stderr)
    except OSError as error:
        rebuilt = Rebuilt((f"{error.filename}: {error.strerror}" if error.filename else str(error),))
        print(f"livingpaper: {rebuilt.wrong[0]}", file=sys.stderr)
    _say({"done": True, **dataclasses.asdict(rebuilt)})
    return FAILED if rebuilt.wrong else 0


def _build(options: Options) -> Rebuilt:
    """One whole build, as soon as no other build holds the lock."""
    while True:
        try:
            with build_lock(find_project().build) as lock:
                return _locked_build(options, lock)
        except BusyError as error:
            _say({"waiting": str(error)})
            time.sleep(_AGAIN)


def _locked_build(options: Options, lock: int) -> Rebuilt:
    began = time.monotonic()
    plan = open_plan(options.preset, options.published)
    check(plan.project)
    built, held = build_some(plan, options.jobs, lock, Running(options.running))
    prepared = prepare(built)
    printer = PagePrinter(built, prepared, options.renderer)
    rendered = printer.render(seen=lambda printing: _say_printed(plan.project, printing))
    tell(built, prepared, rendered, time.monotonic() - began)
    return Rebuilt((*built.failures, *prepared.errors), tuple(held))


def _say_printed(project: Project, printing: Printing) -> None:
    """Tell that a printing is up to date; one with errors on its pages has no manifest, and may be new each time."""
    below = (project.root / printing.output).relative_to(project.site).as_posix()
    folder = "" if below == "." else below
    mark = marks(project, {folder: printing.run}).get(folder, str(time.time_ns()))
    _say({"folder": folder, "mark": mark})


def _say(told: dict[str, Any]) -> None:
    print(json.dumps(told), flush=True)


def _messages(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """What the child tells; whatever else a program of the build writes goes to the terminal."""
    for line in lines:
        try:
            told = json.loads(line)
        except ValueError:
            told = None
        if isinstance(told, dict):
            yield told
        else:
            sys.stderr.write(line)


if __name__ == "__main__":
    sys.exit(main())
