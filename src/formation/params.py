"""Parameters of a run: frozen models of what a preset may say, section by section.

`formation.presets` finds presets and reads them; here stands what a value may be, and what decides a trained run. The
sections of training and of the record are fields of `Params`. An analysis that comes after them brings its own: section
`features` is class `Section` of `formation.features.params`, looked up by name when presets are read, so that a new
analysis changes no code of what was computed before it.
"""

import hashlib
import importlib
import json
import re
from collections.abc import Iterable
from enum import StrEnum
from functools import cache
from importlib.util import find_spec
from typing import Annotated, Any, Literal, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

from formation.errors import ParamsError, shown
from formation.press import tell_section

PRESET_NAME = re.compile(r"[a-z0-9][a-z0-9_]*(?:-[a-z0-9_]+)*")
IDENTITY = ("benchmark", "model", "training")  # the sections that decide a trained model's bytes

MOST_SEEDS = 1000  # runs of a preset
LONGEST_NAME = 80  # characters of a preset's name: run names end in names of files, with more behind

PositiveInt = Annotated[int, Field(ge=1, le=10**12)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]  # what every generator takes
Fraction = Annotated[float, Field(gt=0, lt=1)]


class Frozen(BaseModel):
    """Base of all parameter models: immutable, unknown keys are errors, no silent conversion of types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


AnySection = TypeVar("AnySection", bound=Frozen)


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
        if name in _fields(type(self)):
            tell_section(name)
        return super().__getattribute__(name)

    def of(self, kind: type[AnySection]) -> AnySection:
        """The section of an analysis, by its class; `ParamsError` if `params/base.yml` has none."""
        name = section_of(kind)
        found = getattr(self, name, None)
        if not isinstance(found, kind):
            raise ParamsError(
                f"params/base.yml: {name}: missing; expected a section with {', '.join(kind.model_fields)}"
            )
        return found

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


@cache
def _fields(model: type[Params]) -> frozenset[str]:
    return frozenset(model.model_fields)


# --- sections of analyses --------------------------------------------------------------------------------------------


def with_sections(names: Iterable[object]) -> type[Params]:
    """`Params` that has, beside its own sections, those of the named analyses; a name that is none adds nothing."""
    return _with_sections(frozenset(names) - _fields(Params))


@cache
def _with_sections(names: frozenset[object]) -> type[Params]:
    kinds: dict[str, Any] = {
        str(name): (kind, ...) for name in sorted(names, key=str) if (kind := _section_class(name))
    }
    return create_model("Params", __base__=Params, **kinds) if kinds else Params


def section_of(kind: type[Frozen]) -> str:
    """The name of an analysis' section: that of the package its class is from."""
    return kind.__module__.split(".")[-2]


def _section_class(name: object) -> type[Frozen] | None:
    """`Section` of `formation.<name>.params`, `None` where there is no such module."""
    package = find_spec(f"formation.{name}") if isinstance(name, str) and name.isidentifier() else None
    if package is None or package.submodule_search_locations is None or find_spec(f"{package.name}.params") is None:
        return None
    return cast(type[Frozen], importlib.import_module(f"{package.name}.params").Section)


def digest(data: Any) -> str:
    """SHA-256 (hex) of JSON data, independent of key order."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
