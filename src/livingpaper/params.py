"""Presets and runs: `params/<preset>.yml` laid over `params/base.yml`, and the runs its seeds name.

A preset that begins with `over: quick` lies over that preset, which lies over `base.yml`. Beside that key the press
knows no parameter but `seeds`; what the others mean is the business of the project's own code.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from livingpaper.errors import ParamsError, shown
from livingpaper.files import digest
from livingpaper.validation import nearest
from livingpaper.yamlfile import Document, KeyPath, read_yaml

PRESET_NAME = re.compile(r"[a-z0-9][a-z0-9_]*(?:-[a-z0-9_]+)*")
LONGEST_NAME = 80  # characters of a preset's name: run names end in names of files, with more behind
OVER = "over"  # the key of a preset that names the one it lies over
MOST_SEEDS = 1000  # runs of a preset
RUN_NAME = re.compile(rf"(?P<preset>{PRESET_NAME.pattern})-s(?P<seed>0|[1-9][0-9]{{0,8}})")


@dataclass(frozen=True)
class Study:
    """All runs of a preset, with its resolved parameters."""

    preset: str
    params: dict[str, Any]
    runs: tuple[str, ...]
    unpublished: tuple[str, ...] = ()  # of a published study: the runs its seeds name beside these

    def sections(self, names: tuple[str, ...]) -> dict[str, str]:
        """Digest of each named section; a study published before a section was added does not have it."""
        return {name: digest(self.params[name]) if name in self.params else "absent" for name in names}


def load_study(root: Path, preset: str) -> Study:
    """The study of a preset; an unknown preset is refused with the list of those that exist."""
    known = presets(root)
    if preset not in known:
        raise ParamsError(
            f"params {preset!r}: no such preset in params/; there are: {', '.join(known)}{nearest(preset, known)}"
        )
    params = _resolved(root, preset)
    seeds = params.get("seeds")
    seeds = seeds if isinstance(seeds, list) else []
    plain = all(type(seed) is int and 0 <= seed < 10**9 for seed in seeds)
    if not plain or not 0 < len(seeds) <= MOST_SEEDS or len(set(seeds)) < len(seeds):
        name = _preset_file(root, preset).relative_to(root).as_posix()
        raise ParamsError(
            f"{name}: seeds = {shown(params.get('seeds'))}: expected different whole numbers, at most {MOST_SEEDS}, "
            "such as [1, 2, 3]"
        )
    return Study(preset, params, tuple(f"{preset}-s{seed}" for seed in seeds))


def presets(root: Path) -> list[str]:
    """Names of the presets that exist in `params/` and `params/factors/`."""
    folder = root / "params"
    files = [*folder.glob("*.yml"), *folder.glob("factors/*.yml")]
    names = (f.stem for f in files if f != folder / "base.yml")
    return sorted(name for name in names if PRESET_NAME.fullmatch(name) and len(name) <= LONGEST_NAME)


def split_run(root: Path, run: str) -> tuple[str, int]:
    """Preset and seed of a run's name; anything else, path separators included, is refused."""
    match = RUN_NAME.fullmatch(run)
    known = presets(root)
    if match is None or match["preset"] not in known:
        raise ParamsError(
            f"run {run!r}: expected <preset>-s<seed>, such as {known[0] if known else 'quick'}-s1, "
            f"with a preset of: {', '.join(known)}"
        )
    return match["preset"], int(match["seed"])


def merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """`below` with `above` laid over it: mappings merge, everything else is replaced."""
    out = dict(below)
    for key, value in above.items():
        old = out.get(key)
        out[key] = merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return out


def _resolved(root: Path, preset: str) -> dict[str, Any]:
    """A preset over what it lies over: `base.yml`, and the preset it names, if it names one."""
    base, own = _layer(root / "params" / "base.yml", root), _layer(_preset_file(root, preset), root)
    if OVER in base:
        raise ParamsError(f"params/base.yml: {OVER}: unknown key; only a preset lies over another")
    if OVER not in own:
        return merge(base, own)
    under, name = own.pop(OVER), _preset_file(root, preset).relative_to(root).as_posix()
    known = [one for one in presets(root) if one != preset]
    if under not in known:
        raise ParamsError(f"{name}: {OVER} = {shown(under)}: expected another preset, one of: {', '.join(known)}")
    below = _layer(_preset_file(root, under), root)
    if OVER in below:
        raise ParamsError(
            f"{name}: {OVER} = {shown(under)}: lies over another preset itself; expected one without {OVER!r}"
        )
    return merge(merge(base, below), own)


def _layer(path: Path, root: Path) -> dict[str, Any]:
    name = path.relative_to(root).as_posix()
    document = read_yaml(path, name, ParamsError)
    data = document.data
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ParamsError(f"{name}: expected a mapping of sections, found {type(data).__name__}")
    _check_json(data, (), document)
    return data


def _check_json(data: Any, path: KeyPath, document: Document) -> None:
    """Refuse what JSON has no form for: parameters are digested, stored and published as JSON."""
    if isinstance(data, dict | list):
        for key, value in data.items() if isinstance(data, dict) else enumerate(data):
            _check_json(value, (*path, key), document)
    elif not isinstance(data, str | int | float | None) or (isinstance(data, float) and not math.isfinite(data)):
        kind = "number that is not finite" if isinstance(data, float) else f"{type(data).__name__}; put it in quotes"
        raise ParamsError(
            f"{document.place(path)}: {'.'.join(map(str, path))} = {shown(str(data))}: "
            f"expected a number, text, true, false, null, list or mapping, found a {kind}"
        )


def _preset_file(root: Path, preset: str) -> Path:
    plain = root / "params" / f"{preset}.yml"
    return plain if plain.is_file() else root / "params" / "factors" / f"{preset}.yml"
