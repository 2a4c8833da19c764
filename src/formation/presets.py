"""Presets and runs: files of `params/` read, laid over one another, and told apart from mistakes.

`params/base.yml` holds every value with its unit and reason; a preset (`params/quick.yml`) holds overrides only. A
preset that begins with `over: quick` lies over that one instead, so that it can vary one factor of it.
A *run* is a preset and a seed, named `<preset>-s<seed>`. Every mistake is a `ParamsError` naming file, key, value and
what is allowed.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from formation.errors import ParamsError, shown
from formation.params import LONGEST_NAME, PRESET_NAME, Params, with_sections
from formation.yamlfile import plain_yaml, read_yaml

RUN_NAME = re.compile(rf"(?P<preset>{PRESET_NAME.pattern})-s(?P<seed>0|[1-9][0-9]{{0,8}})")
OVER = "over"  # the key of a preset that names the one it lies over
_MOST = 8  # mistakes told at once

Layer = tuple[str, dict[str, Any]]  # a file's name below the project, and what it holds


def project_root(start: Path | None = None) -> Path:
    """The project: `LIVINGPAPER_PROJECT`, else the nearest folder upwards, else the checkout this package is from.

    A project has `params/base.yml`. The last resort lets a chapter run under papermill from any folder.
    """
    given = os.environ.get("LIVINGPAPER_PROJECT")
    here = Path(given) if given else (start or Path.cwd()).resolve()
    checkout = Path(__file__).resolve().parents[2]
    for folder in (here, *(() if given else (*here.parents, checkout))):
        if (folder / "params" / "base.yml").is_file():
            return folder
    raise ParamsError(
        f"{here}: no params/base.yml here or above: change into the project's folder, or set LIVINGPAPER_PROJECT"
    )


def presets(root: Path) -> list[str]:
    """Names of the presets that exist (files of `params/` and, as `factors/<name>`, of `params/factors/`)."""
    folder = root / "params"
    files = [*folder.glob("*.yml"), *folder.glob("factors/*.yml")]
    names = (f.stem for f in files if f != folder / "base.yml")
    return sorted(name for name in names if PRESET_NAME.fullmatch(name) and len(name) <= LONGEST_NAME)


def split_run(run: str, root: Path) -> tuple[str, int]:
    """Preset and seed of a run's name, refused with the list of presets if it names none."""
    match = RUN_NAME.fullmatch(run)
    known = presets(root)
    if match is None or match["preset"] not in known:
        raise ParamsError(
            f"run {run!r}: expected <preset>-s<seed>, such as quick-s1, with a preset of: {', '.join(known)}"
        )
    return match["preset"], int(match["seed"])


def load(preset: str, root: Path, overrides: Sequence[str] = ()) -> Params:
    """Resolved parameters of a preset; `overrides` are `section.key=value` strings with YAML values."""
    if preset not in presets(root):
        raise ParamsError(f"params {preset!r}: no such preset in params/; there are: {', '.join(presets(root))}")
    layers = [*_layers(preset, root), ("--set", _parse_overrides(overrides))]
    merged: dict[str, Any] = {}
    for _, layer in layers:
        merged = merge(merged, layer)
    try:
        return with_sections(merged).model_validate(merged)
    except ValidationError as error:
        raise ParamsError(_explain(error, layers)) from None


def lies_over(preset: str, root: Path) -> str | None:
    """The preset that another lies over; `None` of one that lies over `base.yml` alone."""
    return _under(preset, root, _layer(_preset_file(preset, root), root))


def base_values(root: Path) -> dict[str, Any]:
    """What `params/base.yml` says, unchecked."""
    return read_yaml(root / "params" / "base.yml")


def factor_of(preset: str, root: Path) -> str | None:
    """The factor that a preset's own file names, read without resolving the preset; `None` if it names none."""
    about = _layer(_preset_file(preset, root), root)[1].get("factor")
    name = about.get("name") if isinstance(about, dict) else None
    return name if isinstance(name, str) else None


def merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """`below` with `above` laid over it: mappings merge, everything else is replaced."""
    out = dict(below)
    for key, value in above.items():
        old = out.get(key)
        out[key] = merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return out


def _layers(preset: str, root: Path) -> list[Layer]:
    """What a preset is made of, from below: `base.yml`, the preset it lies over, itself."""
    own = _layer(_preset_file(preset, root), root)
    under = _under(preset, root, own)
    below = [] if under is None else [_layer(_preset_file(under, root), root)]
    own[1].pop(OVER, None)
    return [_layer(root / "params" / "base.yml", root), *below, own]


def _under(preset: str, root: Path, own: Layer) -> str | None:
    """The preset that `own` says it lies over: one that lies over `base.yml` alone, so that no chain forms."""
    name, data = own
    if OVER not in data:
        return None
    under, known = data[OVER], [one for one in presets(root) if one != preset]
    if under not in known:
        raise ParamsError(f"{name}: {OVER} = {shown(under)}: expected another preset, one of: {', '.join(known)}")
    if OVER in _layer(_preset_file(under, root), root)[1]:
        raise ParamsError(
            f"{name}: {OVER} = {shown(under)}: lies over another preset itself; expected one without {OVER!r}"
        )
    return str(under)


def _layer(path: Path, root: Path) -> Layer:
    return path.relative_to(root).as_posix(), read_yaml(path)


def _preset_file(preset: str, root: Path) -> Path:
    plain = root / "params" / f"{preset}.yml"
    return plain if plain.is_file() else root / "params" / "factors" / f"{preset}.yml"


def _parse_overrides(overrides: Sequence[str]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for item in overrides:
        path, sign, text = item.partition("=")
        if not sign or not all(path.strip().split(".")):
            raise ParamsError(f"--set {shown(item)}: expected section.key=value, such as training.steps=500")
        try:
            value = plain_yaml(text)
        except (yaml.YAMLError, ValueError, TypeError) as error:
            said = " ".join(str(error).split())[:200]
            raise ParamsError(f"--set {shown(item)}: the value is not valid YAML: {said}") from None
        for name in reversed(path.strip().split(".")):
            value = {name: value}
        out = merge(out, value)
    return out


def _explain(error: ValidationError, layers: Sequence[Layer]) -> str:
    """One line per mistake: where the value was set, its key, the value, what is allowed."""
    lines = []
    for mistake in error.errors():
        path = [p for p in mistake["loc"] if not (isinstance(p, str) and p.startswith("function-"))]
        key = ".".join(str(part)[:80] for part in path) or "(whole file)"
        origin = next((name for name, layer in reversed(layers) if _holds(layer, path)), layers[-2][0])
        message = mistake["msg"].removeprefix("Value error, ")
        if mistake["type"] == "extra_forbidden":
            message = f"unknown key; allowed here: {', '.join(_allowed(path[:-1], layers))}"
        if mistake["type"] == "missing":
            lines.append(f"{origin}: {key}: missing")
            continue
        value = mistake["input"]
        said = "" if isinstance(value, dict) and mistake["type"] != "extra_forbidden" else f" = {shown(value)}"
        lines.append(f"{origin}: {key}{said}: {message}")
    return "; ".join([*lines[:_MOST], *([f"and {len(lines) - _MOST} more"] if len(lines) > _MOST else [])])


def _holds(layer: Any, path: Sequence[int | str]) -> bool:
    """Whether the key at `path` was set in this layer."""
    for name in path:
        inside = layer if isinstance(layer, dict) else dict(enumerate(layer)) if isinstance(layer, list) else {}
        if name not in inside:
            return False
        layer = inside[name]
    return bool(path)


def _allowed(path: Sequence[int | str], layers: Sequence[Layer]) -> list[str]:
    """Keys of the model at `path` below `Params`."""
    model: type[BaseModel] = with_sections(name for _, layer in layers for name in layer)
    for name in path:
        annotation = model.model_fields[str(name)].annotation
        arms = [arm for arm in (annotation, *get_args(annotation)) if isinstance(arm, type)]
        inside = next((arm for arm in arms if issubclass(arm, BaseModel)), None)
        if inside is None:
            return []
        model = inside
    return list(model.model_fields)
