"""Patterns of artifact files in `paper/workflow.yml`: what they mean, what they match, and when two can meet.

| written | means files of |
|---|---|
| `analysis/*.json` | the folder of the run (in a stage per study: of the study) |
| `study:reference.json` | the folder of the study |
| `runs:training.json` | the folders of all runs of the study |
| `shared:benchmarks/{benchmark.json#/digest}/**` | `artifacts/` itself; the braces: what a pointer leads to |

`*` and `?` stay within one folder, `**` goes through any number of them. Hidden files are never matched. Resolved
patterns, "globs" below, are relative to `artifacts/`.
"""

import glob as globbing
import re
from functools import lru_cache
from pathlib import Path

from livingpaper.errors import PointerError, WorkflowError, shown
from livingpaper.files import LONGEST as LONGEST_NAME
from livingpaper.pointers import LONGEST, follow, parse_pointer, read_artifact

PREFIXES = ("run", "study", "runs", "shared")
_HOLE = re.compile(r"\{([^{}]*)\}")
_KEPT = 1 << 17  # globs: more than a study of a thousand runs has
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def check(pattern: str) -> str:
    """`pattern` itself if it is well formed; otherwise `ValueError` says what is allowed."""
    prefix, sign, rest = pattern.partition(":")
    body = rest if sign else pattern
    if sign and prefix not in PREFIXES:
        raise ValueError(f"unknown prefix {prefix!r}; allowed: {', '.join(f'{name}:' for name in PREFIXES)} or none")
    outside_holes = _HOLE.sub("x", body)
    parts = outside_holes.split("/")
    if len(pattern) > LONGEST or any(len(part.encode()) > LONGEST_NAME for part in parts):
        raise ValueError(f"expected at most {LONGEST} characters, and {LONGEST_NAME} bytes between slashes")
    if not body or any(part in ("", ".", "..") for part in parts) or re.search(r"[\\\x00-\x1f{}\[\]]", outside_holes):
        raise ValueError("expected a path of plain names, '*', '?' and '**', without '..', '[' or a leading '/'")
    if any("**" in part and part != "**" for part in parts):
        raise ValueError("'**' stands alone between slashes")
    if parts.count("**") > 2 or any(part != "**" and part.count("*") > 3 for part in parts):
        raise ValueError("expected at most two '**', and three '*' between slashes: more takes ages to match")
    for hole in _HOLE.findall(body):
        try:
            parse_pointer(hole)
        except PointerError as error:
            raise ValueError(str(error)) from None
    return pattern


def resolve(pattern: str, home: str, study: str, runs: tuple[str, ...]) -> list[str]:
    """Globs of a pattern for a stage whose own folder is `home` (`runs/<run>` or `studies/<study>`)."""
    prefix, sign, rest = pattern.partition(":")
    if not sign:
        return [_below(home, pattern)]
    if prefix == "run":
        return [_below(home, rest)]
    if prefix == "study":
        return [_below(f"studies/{study}", rest)]
    if prefix == "runs":
        return [_below(f"runs/{run}", rest) for run in runs]
    return [_HOLE.sub(lambda hole: "{" + f"{home}/{hole[1]}" + "}", rest)]


def expand(artifacts: Path, glob: str) -> list[str]:
    """Files that a glob matches now, sorted, relative to `artifacts`; none while its pointers lead nowhere."""
    filled = _fill(artifacts, glob)
    if filled is None:
        return []
    if not wild(filled):
        return [filled] if (artifacts / filled).is_file() else []
    found = globbing.glob(filled, root_dir=artifacts, recursive=True)
    return sorted({name for name in found if not name.endswith("/") and (artifacts / name).is_file()})


def wild(glob: str) -> bool:
    """Whether a glob can match more than one name."""
    return "*" in glob or "?" in glob


def matches(glob: str, path: str) -> bool:
    """Whether a path relative to `artifacts` is one that the glob declares, whatever its pointers lead to."""
    return _regex(glob).fullmatch(path) is not None if wild(glob) or "{" in glob else glob == path


def can_meet(one: str, other: str) -> bool:
    """Whether some path could be matched by both globs (never wrongly false)."""
    a, b = _literal(one), _literal(other)
    return (a.startswith(b) or b.startswith(a)) and _meet(
        tuple(_plain(one).split("/")), tuple(_plain(other).split("/"))
    )


def _below(home: str, rest: str) -> str:
    return f"{home}/" + _HOLE.sub(lambda hole: "{" + f"{home}/{hole[1]}" + "}", rest)


def _fill(artifacts: Path, glob: str) -> str | None:
    """The glob with each pointer replaced by what it leads to: a plain name, or `None`."""
    for hole in _HOLE.findall(glob):
        try:
            pointer = parse_pointer(hole)
            value = follow(read_artifact(artifacts / pointer.file, pointer.file), pointer, pointer.file)
        except PointerError:
            return None
        if not isinstance(value, str) or not _SAFE.fullmatch(value):
            raise WorkflowError(
                f"artifacts/{hole} = {shown(value)}: expected a plain folder name, as paper/workflow.yml uses it"
            )
        glob = glob.replace("{" + hole + "}", value)
    return glob


@lru_cache(maxsize=_KEPT)
def _plain(glob: str) -> str:
    return _HOLE.sub("*", glob)


@lru_cache(maxsize=_KEPT)
def _literal(glob: str) -> str:
    """What every match begins with."""
    return re.split(r"[*?]", _plain(glob), maxsplit=1)[0]


@lru_cache(maxsize=_KEPT)
def _regex(glob: str) -> re.Pattern[str]:
    parts = _plain(glob).split("/")
    text = ""
    for position, part in enumerate(parts):
        last = position == len(parts) - 1
        if part == "**":
            text += r"(?:[^/.][^/]*/)*[^/.][^/]*" if last else r"(?:[^/.][^/]*/)*"
        else:
            name = re.escape(part).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
            text += ("(?![.])" if part[0] in "*?" else "") + name + ("" if last else "/")
    return re.compile(text)


@lru_cache(maxsize=_KEPT)
def _meet(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    if not one or not other:
        return all(part == "**" for part in one or other)
    if one[0] == "**":
        return _meet(one[1:], other) or _meet(one, other[1:])
    if other[0] == "**":
        return _meet(other, one)
    return _names_meet(one[0], other[0]) and _meet(one[1:], other[1:])


def _names_meet(one: str, other: str) -> bool:
    """Whether two name patterns can match the same name (exact where at most one has wildcards)."""
    if not wild(one):
        one, other = other, one
    if not wild(other):
        return _regex(one).fullmatch(other) is not None if wild(one) else one == other
    heads, tails = (
        (re.split(r"[*?]", text)[0] for text in (one, other)),
        (re.split(r"[*?]", t)[-1] for t in (one, other)),
    )
    (a, b), (c, d) = heads, tails
    return (a.startswith(b) or b.startswith(a)) and (c.endswith(d) or d.endswith(c))
