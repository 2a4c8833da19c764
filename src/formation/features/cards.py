"""The `feature-cards` stage: what each useful feature fires on, in a reader's terms (`docs/measures.md` §5 *Cards*).

Cards are of the features that cost most margin on the selecting half of the probe streams; everything on a card is
measured on the other half, at one checkpoint. The basis is fit on answer positions: activations elsewhere say what the
same direction does there, and no more.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from formation import artifacts
from formation.artifacts import Run
from formation.benchmark.streams import Special, Split
from formation.components.material import Material, materials
from formation.components.roles import Role
from formation.components.store import DATED
from formation.features import files
from formation.features.halves import part_of
from formation.features.meaning import meaningful_features, reported_usefulness
from formation.features.measures.above import whole_stage
from formation.features.metrics import Half
from formation.features.moments import schedule
from formation.features.plain import plain
from formation.features.snapshots import SplitSnapshot
from formation.features.source import chosen_stages
from formation.features.store import load_basis, load_snapshots
from formation.record.probe_set import load_probe_set
from formation.record.resumable import one_thread
from formation.training import checkpoints

MOST = 8  # cards
STREAMS = 5  # shown on a card
LISTED = 6  # tokens by which a feature is told, of each kind

Codes = Float[np.ndarray, "read"]


@dataclass(frozen=True, eq=False)
class _Seen:
    """The reported half of the dated split, with every feature's activation there."""

    split: Split
    material: Material
    answers: Float[Tensor, "read feature"]
    whole: Float[Tensor, "stream pos feature"]


def feature_cards(run: Run, stages: Sequence[str] | None = None, step: int | None = None) -> list[Path]:
    """Write `feature_cards.json` of each stage, of the checkpoint of `step` (default: the last one).

    Raises `ArtifactError` where the stage has no basis or the checkpoint was not swept.
    """
    with one_thread():
        return [
            _stage_cards(run, stage, schedule(run)[-1] if step is None else step)
            for stage in chosen_stages(run, stages)
        ]


def _stage_cards(run: Run, stage: str, step: int) -> Path:
    probe = load_probe_set(run)
    stored = load_basis(run, stage, probe.benchmark)
    snapshot = load_snapshots(run, stage, [step], stored.digest)[0]
    chosen = meaningful_features(snapshot, run.params)[:MOST]
    split = snapshot.splits[DATED]
    whole_material = materials(probe, run.params.record)[DATED]
    half = part_of(whole_material, split.halves[Half.REPORT])
    model = checkpoints.load_model(run, step)
    states = stored.basis.encode(whole_stage(model, half, stage, run.params.record.batch, step))
    seen = _Seen(half.split, half, states[half.stream, half.position], states)
    useful = reported_usefulness(snapshot, chosen, run.params)
    cards = [
        {"feature": feature, "usefulness": plain(one), **_card(seen, split, feature)}
        for feature, one in zip(chosen, useful, strict=True)
    ]
    path = run.path(files.place(stage, files.CARDS))
    about = {"run": run.name, "stage": stage, "basis": stored.digest, "step": step, "k": stored.basis.k}
    said = {"split": DATED.value, "selected_on": Half.SELECTION.value, "measured_on": Half.REPORT.value}
    artifacts.write_json(path, {"schema": files.CARDS_SCHEMA, **about, **said, "cards": cards})
    print(f"{run.name}: {stage}: cards of {len(cards)} features at step {step}")
    return path


def _card(seen: _Seen, split: SplitSnapshot, feature: int) -> dict[str, Any]:
    """What one feature fires on."""
    codes = seen.answers[:, feature].double().numpy()
    reads, name = seen.split.reads, seen.split.vocabulary
    card = {
        "active": float((codes > 0).mean()),
        "when_active": float(codes[codes > 0].mean()) if (codes > 0).any() else None,
        "roles": {role.value: float(split.roles.active[i, feature]) for i, role in enumerate(Role)},
        "by_key": _by(codes, reads.key, lambda key: name.name(name.key(key))),
        "by_answer": _by(codes, reads.value, lambda value: name.name(name.value(value))),
        "by_lag": _by(codes, reads.lag, str),
        "streams": _streams(seen, feature, codes),
    }
    return dict(plain(card))


def _by(codes: Codes, label: Int[np.ndarray, "read"], name: Callable[[int], str]) -> list[dict[str, Any]]:
    """The labels at which the feature is strongest: mean activation over all reads with the label."""
    found = [(float(codes[label == one].mean()), int(one)) for one in np.unique(label)]
    strongest = sorted(found, key=lambda pair: (-pair[0], pair[1]))[:LISTED]
    return [
        {
            "label": name(one),
            "activation": mean,
            "active": float((codes[label == one] > 0).mean()),
            "n": int((label == one).sum()),
        }
        for mean, one in strongest
    ]


def _streams(seen: _Seen, feature: int, codes: Codes) -> list[dict[str, Any]]:
    """The streams with the strongest activation at an answer, token by token up to that answer."""
    stream, position = seen.material.stream.numpy(), seen.material.position.numpy()
    shown: list[int] = []
    for read in np.argsort(-codes, kind="stable"):
        if codes[read] > 0 and stream[read] not in stream[shown]:
            shown.append(int(read))
        if len(shown) == STREAMS:
            break
    return [_one_stream(seen, feature, read, int(stream[read]), int(position[read])) for read in shown]


def _one_stream(seen: _Seen, feature: int, read: int, stream: int, end: int) -> dict[str, Any]:
    tokens = seen.split.tokens[stream, : end + 1]
    name = seen.split.vocabulary
    assert Special.PAD not in tokens
    return {
        "tokens": [name.name(int(token)) for token in tokens],
        "activation": seen.whole[stream, : end + 1, feature].double().numpy(),
        "support": int(seen.split.reads.support[read]),
        "answer": name.name(int(seen.material.answer[read])),
    }
