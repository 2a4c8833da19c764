"""Factors and their levels: presets of `params/` that name a `factor` and lie over the preset they vary."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from formation import presets
from formation.errors import ParamsError
from formation.params import IDENTITY, Params


@dataclass(frozen=True)
class Level:
    """One setting of a factor: a preset, what it is called, and the parameters that differ from the baseline's."""

    preset: str
    text: str
    params: Params
    changes: tuple[tuple[str, Any, Any], ...]  # parameter, its value in the baseline, its value here

    @property
    def runs(self) -> tuple[str, ...]:
        """Names of its runs."""
        return tuple(f"{self.preset}-s{seed}" for seed in self.params.seeds)


@dataclass(frozen=True)
class Factor:
    """A factor: the preset that is varied, and every level that differs from it."""

    name: str
    baseline: Level
    levels: tuple[Level, ...]

    @property
    def all(self) -> tuple[Level, ...]:
        """The baseline, then the levels."""
        return (self.baseline, *self.levels)


def factor_names(root: Path) -> list[str]:
    """Every factor that some preset varies."""
    named = (presets.factor_of(preset, root) for preset in presets.presets(root))
    return sorted({name for name in named if name is not None})


def load_factor(name: str, root: Path) -> Factor:
    """A factor with its levels in the order of their presets' names; an unknown one is refused with those there are."""
    varying = [preset for preset in presets.presets(root) if presets.factor_of(preset, root) == name]
    if not varying:
        raise ParamsError(f"factor {name!r}: no preset varies it; there are: {', '.join(factor_names(root)) or 'none'}")
    under = {preset: presets.lies_over(preset, root) for preset in varying}
    for preset in varying:
        if under[preset] is None or under[preset] != under[varying[0]]:
            raise ParamsError(
                f"params {preset!r}: over = {under[preset]}: expected the levels of factor {name!r} to lie over one "
                f"preset, such as over: {next((one for one in under.values() if one), 'quick')}"
            )
    below = str(under[varying[0]])
    baseline = Level(below, below, presets.load(below, root), ())
    return Factor(name, baseline, tuple(_level(preset, baseline.params, root) for preset in varying))


def _level(preset: str, baseline: Params, root: Path) -> Level:
    params = presets.load(preset, root)
    text = params.factor.level if params.factor else preset
    changes = []
    for section in IDENTITY:
        then, now = (_leaves(one.section(section), section) for one in (baseline, params))
        changes += [(key, then[key], now[key]) for key in now if now[key] != then.get(key)]
    return Level(preset, text, params, tuple(changes))


def _leaves(data: dict[str, Any], path: str) -> dict[str, Any]:
    """Values by dotted name."""
    out: dict[str, Any] = {}
    for key, value in data.items():
        name = f"{path}.{key}"
        out |= _leaves(value, name) if isinstance(value, dict) else {name: value}
    return out
