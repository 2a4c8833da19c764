"""Parameters of a run: frozen models, read from `params/base.yml` + a preset + overrides.

`params/base.yml` holds every value with its unit and reason; a preset (`params/quick.yml`) holds overrides only. A
preset that begins with `over: quick` lies over that one instead, so that it can vary one factor of it.
A *run* is a preset and a seed, named `<preset>-s<seed>`. Every mistake is a `ParamsError` naming file, key, value and
what is allowed.
"""

import hashlib
import json
import os
import re
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from formation.errors import ParamsError, shown
from formation.press import tell_section
from formation.yamlfile import plain_yaml, read_yaml

PRESET_NAME = re.compile(r"[a-z0-9][a-z0-9_]*(?:-[a-z0-9_]+)*")
RUN_NAME = re.compile(rf"(?P<preset>{PRESET_NAME.pattern})-s(?P<seed>0|[1-9][0-9]{{0,8}})")
OVER = "over"  # the key of a preset that names the one it lies over
IDENTITY = ("benchmark", "model", "training")  # the sections that decide a trained model's bytes

MOST_SEEDS = 1000  # runs of a preset
LONGEST_NAME = 80  # characters of a preset's name: run names end in names of files, with more behind
_MOST = 8  # mistakes told at once

PositiveInt = Annotated[int, Field(ge=1, le=10**12)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]  # what every generator takes
Fraction = Annotated[float, Field(gt=0, lt=1)]


class Frozen(BaseModel):
    """Base of all parameter models: immutable, unknown keys are errors, no silent conversion of types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Setting(StrEnum):
    """Which stream rules a benchmark follows (`docs/measures.md` §1)."""

    # overwrites balanced over the active keys, only overwritten values are read: positional shortcuts stay open
    SOURCE = "source"
    # overwrites on random active keys, any written key is read, reads stratified by stale count × lag
    HARDENED = "hardened"


class Range(Frozen):
    """An inclusive range of counts."""

    low: Annotated[int, Field(ge=0)]
    high: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _ordered(self) -> "Range":
        if self.low > self.high:
            raise ValueError(f"low ({self.low}) is above high ({self.high})")
        return self


class StreamShape(Frozen):
    """How many active keys, overwrites and reads a stream has, and the lags its reads may have."""

    active_keys: Range
    overwrites: Range
    reads: Range
    lags: Range


class BenchmarkParams(Frozen):
    """One dataset of symbolic key–value streams."""

    setting: Annotated[Setting, Field(strict=False)]
    seed: Seed
    keys: Annotated[int, Field(ge=2, le=1000)]
    values: Annotated[int, Field(ge=2, le=10_000)]
    heldout_fraction: Fraction
    heldout_scope: Literal["write", "answer"]
    iid: StreamShape
    ood: StreamShape
    train_streams: PositiveInt
    evaluation_streams: PositiveInt


class ModelParams(Frozen):
    """A decoder-only transformer."""

    d_model: PositiveInt
    layers: PositiveInt
    heads: PositiveInt
    d_ff: PositiveInt
    context: PositiveInt
    embedding_std: Annotated[float, Field(gt=0)]
    matrix_std: Annotated[float, Field(gt=0)] | None

    @model_validator(mode="after")
    def _heads_divide_width(self) -> "ModelParams":
        if self.d_model % self.heads:
            raise ValueError(f"d_model ({self.d_model}) is not a multiple of heads ({self.heads})")
        return self


class TrainingParams(Frozen):
    """How a model is trained; with the model, the data and the seed this decides every byte of a checkpoint."""

    optimizer: Literal["adamw", "sgd"]
    steps: PositiveInt
    batch: PositiveInt
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    weight_decay: Annotated[float, Field(ge=0, le=10)]
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]]
    gradient_clip: Annotated[float, Field(gt=0)]
    warmup: Annotated[int, Field(ge=0)]
    checkpoint_every: PositiveInt
    log_every: PositiveInt
    dtype: Literal["auto", "float32", "bfloat16"]
    threads: Annotated[int, Field(ge=1, le=256)]
    init_seed: Seed | None
    order_seed: Seed | None

    @model_validator(mode="before")
    @classmethod
    def _betas_from_yaml(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("betas"), list):
            return {**data, "betas": tuple(data["betas"])}
        return data


class Ablation(StrEnum):
    """What stands in for the output of a head or an MLP block (`docs/measures.md` §3)."""

    ZERO = "zero"
    MEAN = "mean"  # its mean over test_iid, by kind of token
    RESAMPLE_VALUE = "resample_value"  # its output in the value twin
    RESAMPLE_KEY = "resample_key"  # its output in the key twin: what it says of the key that is asked for


class RecordParams(Frozen):
    """What is measured at every checkpoint, and on how much."""

    probe_streams: PositiveInt
    probe_seed: Seed
    batch: PositiveInt
    placebos: Annotated[int, Field(ge=20)]
    bootstrap_draws: Annotated[int, Field(ge=100)]
    ablations: Annotated[tuple[Ablation, ...], Field(min_length=1)]
    replay_every: PositiveInt
    replay_steps: PositiveInt

    @model_validator(mode="before")
    @classmethod
    def _kinds_from_yaml(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("ablations"), list):
            known = {kind.value: kind for kind in Ablation}
            return {**data, "ablations": tuple(known.get(one, one) for one in data["ablations"])}
        return data

    @model_validator(mode="after")
    def _key_twin_is_among_them(self) -> "RecordParams":
        if Ablation.RESAMPLE_KEY not in self.ablations:
            raise ValueError("ablations: expected resample_key among them: routing shows under no other")
        if len(set(self.ablations)) < len(self.ablations):
            raise ValueError("ablations: two are the same")
        return self


class WindowParams(Frozen):
    """The gate and the birth rule of `docs/measures.md` §4."""

    min_segment: Annotated[int, Field(ge=2)]
    permutations: Annotated[int, Field(ge=100)]
    p_value: Fraction
    placebo_quantile: Fraction
    birth_fraction: Fraction
    consecutive: PositiveInt
    censor_last: Annotated[int, Field(ge=0)]
    fdr: Fraction
    confidence: Fraction
    seed: Seed


class FactorParams(Frozen):
    """Of a preset that varies one factor of another: the factor, and its level in words. Nothing computes with it."""

    name: Annotated[str, Field(pattern=rf"^{PRESET_NAME.pattern}$", max_length=LONGEST_NAME)]
    level: Annotated[str, Field(min_length=1, max_length=80)]


class DecisionParams(Frozen):
    """When expensive circuit work may start on a run: every bound must hold at its last checkpoints."""

    accuracy: Fraction
    last_checkpoints: PositiveInt
    largest_drop: Fraction
    above_shortcut: Fraction
    heldout_above_chance: Fraction


class Params(Frozen):
    """Everything one preset says, resolved over `base.yml`."""

    purpose: str
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=10**9)]], Field(min_length=1, max_length=MOST_SEEDS)]
    benchmark: BenchmarkParams
    model: ModelParams
    training: TrainingParams
    record: RecordParams
    windows: WindowParams
    decision: DecisionParams
    factor: FactorParams | None = None

    @model_validator(mode="after")
    def _seeds_differ(self) -> "Params":
        seeds = vars(self)["seeds"]
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"seeds = {shown(seeds)}: two are the same")
        return self

    def __getattribute__(self, name: str) -> Any:
        """A section of the parameters; the press is told that it was read, because it holds the workflow to it."""
        if name in _SECTIONS:
            tell_section(name)
        return super().__getattribute__(name)

    def identity(self, seed: int) -> str:
        """SHA-256 (hex) of what decides a trained run: benchmark, model and training parameters, and the seed.

        It only guards against mixing runs, so that the press is told nothing.
        """
        plain = self.model_dump(mode="json")
        return digest({name: plain[name] for name in IDENTITY} | {"seed": seed})

    def section(self, name: str) -> Any:
        """One section as plain JSON data."""
        tell_section(name)
        return self.model_dump(mode="json")[name]


_SECTIONS = frozenset(Params.model_fields)


def digest(data: Any) -> str:
    """SHA-256 (hex) of JSON data, independent of key order."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


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
        return Params.model_validate(merged)
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


Layer = tuple[str, dict[str, Any]]  # a file's name below the project, and what it holds


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
            message = f"unknown key; allowed here: {', '.join(_allowed(path[:-1]))}"
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


def _allowed(path: Sequence[int | str]) -> list[str]:
    """Keys of the model at `path` below `Params`."""
    model: type[BaseModel] = Params
    for name in path:
        annotation = model.model_fields[str(name)].annotation
        arms = [arm for arm in (annotation, *get_args(annotation)) if isinstance(arm, type)]
        inside = next((arm for arm in arms if issubclass(arm, BaseModel)), None)
        if inside is None:
            return []
        model = inside
    return list(model.model_fields)
