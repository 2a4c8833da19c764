"""When a behaviour was born: the first step of a lasting, gated rise, with a bootstrap interval over streams.

Definition: `docs/measures.md` §4. The caller hands in a series without its warm-up checkpoints. Where the definition
leaves a choice, this is the choice:

- *Born* is a crossing: the first of `consecutive` checkpoints above the level, each with a paired bootstrap that
  excludes the baseline, and behind a checkpoint that is not. A series that starts above its level was not seen rising.
- The level is baseline + `birth_fraction` × (peak − baseline). For a series with a rival (the best heuristic on
  the same reads) it is the rival's score, and the paired bootstrap must exclude that: a birth of what the rival cannot
  explain.
- A run of such checkpoints that reaches the end of training counts, however short, but a birth among the last
  `censor_last` checkpoints, or in a run cut short by the end, is *censored*: nobody saw it last.
- The interval repeats the whole rule on every bootstrap draw of streams, with the draw's own change point, baseline,
  peak and level, and the point estimate's distance between value and lower bound in place of a bootstrap within the
  bootstrap. Draws without a birth rank last, so an upper bound may not exist; their share is kept.
- *Losses* are falls: the rule on the negated series from its birth on, or on all of it if nothing was born. Starting at
  the peak instead would select its noise: whatever follows the largest of many values is smaller.

A series that rises twice, to a shortcut's plateau and then to retrieval, has one change point and so one birth here:
that of the larger, more lasting rise. `formation.record.plateaus` looks at what came before it.
"""

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from jaxtyping import Bool, Float, Int

from formation.params import WindowParams
from formation.record.gate import Gate, baseline_and_peak, cusum, gate
from formation.record.series import Series
from formation.statistics import interval

Draws = Float[np.ndarray, "draw checkpoint"]


class Outcome(StrEnum):
    """What became of a behaviour within the training budget."""

    BORN = "born"
    CENSORED = "censored"  # rose, but too close to the end to be seen lasting
    NOT_BORN = "not_born"


@dataclass(frozen=True)
class Change:
    """A dated rise (or, in a negated series, fall). Steps are null where nothing was dated or no bound exists."""

    outcome: Outcome
    gate: Gate
    change_step: int  # first step behind the gate's change point
    level: float
    step: int | None
    low: int | None
    high: int | None
    draws: Float[np.ndarray, "draw"] = field(repr=False)  # step in every bootstrap draw; infinite: not in this draw
    index: int | None = None  # checkpoint index of `step` in the series

    @property
    def undated_share(self) -> float:
        """Share of bootstrap draws without the change."""
        return float(np.isinf(self.draws).mean())


@dataclass(frozen=True)
class Birth:
    """The birth of a behaviour and what was lost of it later."""

    rise: Change
    losses: tuple[Change, ...]  # of the negated series: gate and level have the opposite sign

    @property
    def outcome(self) -> Outcome:
        """Outcome of the rise."""
        return self.rise.outcome

    @property
    def step(self) -> int | None:
        """Step of the birth, null if there was none or it is censored."""
        return self.rise.step if self.outcome is Outcome.BORN else None


def find_birth(
    series: Series,
    weights: Float[np.ndarray, "draw stream"],
    rule: WindowParams,
    seed: int,
) -> Birth:
    """The birth of a behaviour (steps), with its losses.

    `weights` are bootstrap counts of streams. Raises `MeasureError` if there are too few checkpoints for a gate.
    """
    rise = find_rise(series, weights, rule, seed)
    rest = series.between(rise.index or 0).negated()
    if len(rest.steps) < 2 * rule.min_segment:
        return Birth(rise, ())
    loss = find_rise(rest, weights, rule, seed + 1)
    return Birth(rise, () if loss.outcome is Outcome.NOT_BORN else (loss,))


def find_rise(
    series: Series,
    weights: Float[np.ndarray, "draw stream"],
    rule: WindowParams,
    seed: int,
) -> Change:
    """The first lasting rise of a series, if it passes the gate."""
    found = gate(series.values(), series.placebos, rule, seed)
    rival, rivals = series.rival_value(), series.rival_draws(weights)
    level = found.baseline + rule.birth_fraction * found.rise if rival is None else rival
    draws = series.draws(weights)
    empty = np.isnan(draws).any(1)  # a draw of streams without a read to measure on dates nothing
    draws[empty] = series.values()
    if rivals is not None:
        rivals[empty] = level
    if not found.opened:
        return _undated(series, found, level, len(draws))
    low = excess_low(draws, found, rule, rivals)
    above = (series.values() > level) & (low > 0)
    index = int(first_run(above, rule.consecutive))
    if index == len(above):
        return _undated(series, found, level, len(draws))
    excess = series.values() - (found.baseline if rival is None else rival)
    steps = np.where(empty, np.nan, _steps_in_draws(series.steps, draws, excess - low, rule, rivals))
    return _dated(series, found, level, index, steps, rule)


def first_run(above: Bool[np.ndarray, "*batch checkpoint"], consecutive: int) -> Int[np.ndarray, "*batch"]:
    """Index of the first run of `consecutive` true values behind a false one; the series' length if there is none.

    A run that reaches the end counts even if the end cuts it short.
    """
    n = above.shape[-1]
    ending = np.ones((*above.shape[:-1], consecutive - 1), dtype=bool)
    padded = np.concatenate([above, ending], axis=-1)
    runs = np.asarray(np.lib.stride_tricks.sliding_window_view(padded, consecutive, axis=-1).all(-1))
    starts = runs[..., 1:] & ~above[..., :-1]
    return np.asarray(np.where(starts.any(-1), 1 + starts.argmax(-1), n))


def excess_low(
    draws: Draws, found: Gate, rule: WindowParams, rivals: Float[np.ndarray, "draw"] | None = None
) -> Float[np.ndarray, "checkpoint"]:
    """Lower bootstrap bound of each checkpoint's excess over the baseline of the same draw, or over the rival there."""
    floor = np.median(draws[:, : found.change], axis=1) if rivals is None else rivals
    return interval(draws - floor[:, None], rule.confidence)[0]


def _steps_in_draws(
    steps: Int[np.ndarray, "checkpoint"],
    draws: Draws,
    slack: Float[np.ndarray, "checkpoint"],
    rule: WindowParams,
    rivals: Float[np.ndarray, "draw"] | None,
) -> Float[np.ndarray, "draw"]:
    """The birth step of every draw, infinite where it has none; `slack` is how far an excess must be above zero."""
    if rivals is None:
        _, change = cusum(draws, rule.min_segment)
        floor, peak = baseline_and_peak(draws, change)
        level = floor + rule.birth_fraction * (peak - floor)
    else:
        floor = level = rivals
    above = (draws > level[:, None]) & (draws - floor[:, None] > slack)
    return np.asarray(np.append(steps.astype(np.float64), np.inf)[first_run(above, rule.consecutive)])


def _dated(
    series: Series, found: Gate, level: float, index: int, draws: Float[np.ndarray, "draw"], rule: WindowParams
) -> Change:
    checkpoints = len(series.steps)
    late = index >= checkpoints - rule.censor_last or index > checkpoints - rule.consecutive
    step = int(series.steps[index])
    low, high = interval(draws, rule.confidence)
    return Change(
        outcome=Outcome.CENSORED if late else Outcome.BORN,
        gate=found,
        change_step=int(series.steps[found.change]),
        level=level,
        step=step,
        # the point estimate belongs to its interval even where resampling a wobbling series never repeats it
        low=min(step, int(low)) if np.isfinite(low) else step,
        high=max(step, int(high)) if np.isfinite(high) else None,
        draws=draws,
        index=index,
    )


def _undated(series: Series, found: Gate, level: float, draws: int) -> Change:
    change_step = int(series.steps[found.change])
    return Change(Outcome.NOT_BORN, found, change_step, level, None, None, None, np.full(draws, np.inf))
