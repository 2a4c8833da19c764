"""The inside of a formation window, replayed: what the model says and its carrying heads do, every few steps.

Nothing is written: the models are measured as they pass by. Dates inside the window (`t50`) are as fine as the replay;
their intervals are over streams, and all series of one split share the draws of streams, so that they can be compared.
"""

import copy
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from formation.artifacts import Run
from formation.benchmark.streams import SplitName, TwinKind
from formation.components.ablation import Component
from formation.components.clean import clean_pass, rows_of
from formation.components.direct import attribution, final_state, head_rows, margin_effect, wrong_answers
from formation.components.material import SCORED, Material, Measured, measured
from formation.components.roles import Role
from formation.errors import TrainingError
from formation.model import Transformer
from formation.params import WindowParams
from formation.record.resumable import one_thread
from formation.statistics import interval, ratio_draws
from formation.training import checkpoints
from formation.training.execution import choose_execution
from formation.training.replay import Taken, replay
from formation.training.state import Streams, TrainingState

BEHAVIOUR = "behaviour"
_FLIPPED = (SplitName.TEST_IID, SplitName.HELDOUT_PAIRS)
_BASE = SplitName.TEST_IID
LOOKS = {"attention_matching_value": Role.MATCHING_VALUE, "attention_next_key": Role.NEXT_KEY}
UNITS = {"accuracy": "", "key_twin_flip": "", **dict.fromkeys(LOOKS, ""), "direct_effect": "nats"}
DIGITS = 4

Points = dict[int, list[Measured]]


@dataclass(frozen=True)
class Stretch:
    """The steps of a window that are replayed: all, or where test_iid accuracy rises most."""

    first: int
    last: int
    whole: bool


# --- which steps -----------------------------------------------------------------------------------------------------


def choose_stretch(run: Run, first: int, last: int, materials: Mapping[SplitName, Material]) -> Stretch:
    """The window, or its `record.replay_steps` of largest rise from a checkpoint on, where a replay can begin."""
    most = run.params.record.replay_steps
    if last - first <= most:
        return Stretch(first, last, whole=True)
    there = [step for step in checkpoints.steps(run) if first <= step <= last]
    accuracy = [_accuracy(checkpoints.load_model(run, step), materials[_BASE], run) for step in there]
    begin = steepest(there, accuracy, most)
    return Stretch(begin, begin + most, whole=False)


def steepest(steps: Sequence[int], values: Sequence[float], length: int) -> int:
    """The step from which on the values rise most within `length` steps, interpolated between them."""
    starts = [step for step in steps if step + length <= steps[-1]]
    ends = np.interp([step + length for step in starts], steps, values)
    return starts[int(np.argmax(ends - np.interp(starts, steps, values)))]


def _accuracy(model: Transformer, material: Material, run: Run) -> float:
    right = _logits(model, material, material.tokens, run.params.record.batch).argmax(-1) == material.answer
    return float(right.double().mean())


# --- replaying -------------------------------------------------------------------------------------------------------


class Watch:
    """A watcher that measures a copy of the model behind each of the steps `due`."""

    def __init__(
        self,
        materials: Mapping[SplitName, Material],
        heads: Sequence[Component],
        due: Collection[int],
        batch: int,
    ) -> None:
        self.materials, self.heads, self.due, self.batch = materials, heads, frozenset(due), batch
        self.points: Points = {}

    def before(self, state: TrainingState) -> None:
        """Measure what the window begins from."""
        if not self.points:
            self._look(state)

    def after(self, state: TrainingState, taken: Taken) -> None:
        """Measure where it is due."""
        if state.step in self.due:
            self._look(state)

    def _look(self, state: TrainingState) -> None:
        model = copy.deepcopy(state.model).cpu().eval()
        with one_thread():
            self.points[state.step] = measure_point(model, self.materials, self.heads, self.batch)


def measure_window(
    run: Run,
    at: Stretch,
    materials: Mapping[SplitName, Material],
    heads: Sequence[Component],
    streams: Streams,
) -> tuple[Points, tuple[int, ...]]:
    """Measured points by step, and the checkpoints the replay was found equal to, bit for bit.

    Raises `TrainingError` where the run cannot be replayed here.
    """
    record = run.params.record
    due = {*range(at.first, at.last, record.replay_every), at.last}
    watch = Watch(materials, heads, due, record.batch)
    found = replay(run, at.first, at.last, [watch], streams)
    return watch.points, found.compared


def why_not_here(run: Run, step: int) -> str | None:
    """Why this machine would not give the run's bytes, null if it would."""
    then = checkpoints.load_checkpoint(run, step).about["execution"]
    try:
        now = choose_execution(run.params.training, then["device"]).as_dict()
    except TrainingError as error:
        return str(error)
    differing = [field for field in now if then.get(field) != now[field]]
    apart = [f"{field} was {then.get(field)!r}, here it is {now[field]!r}" for field in differing]
    return "; ".join(apart) or None


# --- one point -------------------------------------------------------------------------------------------------------


@torch.inference_mode()
def measure_point(
    model: Transformer, materials: Mapping[SplitName, Material], heads: Sequence[Component], batch: int
) -> list[Measured]:
    """Accuracy of every split, key-twin flips, and where some heads look and what they write, on test_iid."""
    out: list[Measured] = []
    for split in SCORED:
        material = materials[split]
        if split is _BASE and heads:
            clean = clean_pass(model, material, batch)
            logits = clean.logits
            x, p = final_state(clean, material), wrong_answers(logits, material.answer)
            for head in heads:
                index = head.head or 0
                pattern = clean.answers[head.layer].pattern[:, index]
                for metric, role in LOOKS.items():
                    seen = pattern.gather(1, material.roles[role][:, None])[:, 0]
                    out.append(measured(head.name, metric, material, seen))
                added = attribution(model, x, head_rows(model, clean, material, head.layer, index))
                effect = margin_effect(added, p, material.answer)
                out.append(measured(head.name, "direct_effect", material, effect))
        else:
            logits = _logits(model, material, material.tokens, batch)
        right = logits.argmax(-1) == material.answer
        out.append(measured(BEHAVIOUR, "accuracy", material, right.double()))
        if split in _FLIPPED:
            out.append(_flips(model, material, right, batch))
    return out


def _flips(model: Transformer, material: Material, right: Tensor, batch: int) -> Measured:
    """Affected reads that are right in the stream and in its key twin."""
    twin = material.twins[TwinKind.KEY]
    rows = twin.affected.nonzero()[:, 0]
    both = right & (_logits(model, material, twin.tokens, batch).argmax(-1) == twin.answer)
    return measured(BEHAVIOUR, "key_twin_flip", material, both[rows].double(), rows)


@torch.inference_mode()
def _logits(
    model: Transformer, material: Material, tokens: Int[Tensor, "stream pos"], batch: int
) -> Float[Tensor, "read vocab"]:
    """Logits at all answers of streams aligned with the material's."""
    starts = range(0, material.streams, batch)
    return torch.cat([model(tokens[at : at + batch])[rows_of(material, at, batch)] for at in starts])


# --- dates -----------------------------------------------------------------------------------------------------------


def crossings(
    steps: Float[np.ndarray, "point"], series: Float[np.ndarray, "draw point"], consecutive: int
) -> Float[np.ndarray, "draw"]:
    """Where each series first comes above half-way between its ends for `consecutive` points in a row, interpolated.

    A run of points that reaches the end counts; +∞ where a series does not rise from its first point to its last.
    """
    level = (series[:, :1] + series[:, -1:]) / 2
    above = series > level
    lasting = above.copy()
    for offset in range(1, consecutive):
        lasting[:, :-offset] &= above[:, offset:]
    index = lasting.argmax(1).clip(min=1)
    draw = np.arange(len(series))
    before, after = series[draw, index - 1], series[draw, index]
    with np.errstate(invalid="ignore", divide="ignore"):
        part = (level[:, 0] - before) / (after - before)
    found = steps[index - 1] + part * (steps[index] - steps[index - 1])
    return np.asarray(np.where(series[:, -1] > series[:, 0], found, np.inf))


def series_json(points: Points, weights: Mapping[SplitName, np.ndarray], rule: WindowParams) -> list[dict[str, Any]]:
    """Every metric over the replayed steps with bounds, and its date `t50`."""
    steps = sorted(points)
    columns = zip(*(points[step] for step in steps), strict=True)
    return [_series(np.array(steps, float), column, weights[column[0].split], rule) for column in columns]


def _series(
    steps: Float[np.ndarray, "point"], column: Sequence[Measured], weights: np.ndarray, rule: WindowParams
) -> dict[str, Any]:
    one, counts = column[0], column[0].counts
    sums = np.stack([point.sums for point in column], axis=1)
    draws = ratio_draws(weights, sums, counts)
    low, high = interval(draws, rule.confidence)
    value = sums.sum(0) / counts.sum()
    return {
        "component": one.component,
        "metric": one.metric,
        "split": one.split.value,
        "unit": UNITS[one.metric],
        "n": round(counts.sum()),
        "value": np.round(value, DIGITS),
        "low": np.round(low, DIGITS),
        "high": np.round(high, DIGITS),
        "t50": date_json(steps, value, draws, rule),
    }


def date_json(
    steps: Float[np.ndarray, "point"],
    value: Float[np.ndarray, "point"],
    draws: Float[np.ndarray, "draw point"],
    rule: WindowParams,
) -> dict[str, Any]:
    """When a series is half-way between its ends, rising or falling; without a date where its ends do not differ."""
    low, high = interval(draws[:, -1] - draws[:, 0], rule.confidence)
    if low <= 0 <= high:
        return {"step": None, "low": None, "high": None, "undated_share": None, "reason": "its ends do not differ"}
    sign = 1.0 if value[-1] > value[0] else -1.0
    dates = crossings(steps, sign * draws, rule.consecutive)
    bounds = interval(dates, rule.confidence)
    return {
        "step": round(float(crossings(steps, sign * value[None], rule.consecutive)[0]), 1),
        **{name: _finite(bound) for name, bound in zip(("low", "high"), bounds, strict=True)},
        "undated_share": round(float(np.isinf(dates).mean()), DIGITS),
        "reason": None,
    }


def _finite(bound: np.ndarray) -> float | None:
    return round(float(bound), 1) if np.isfinite(bound) else None
