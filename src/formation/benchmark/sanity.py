"""The sanity report of a dataset (`sanity/1`): everything that must hold, computed from the tokens, never assumed."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import numpy as np
from jaxtyping import Bool

from formation.benchmark import oracle
from formation.benchmark.events import twin_split
from formation.benchmark.generate import Dataset
from formation.benchmark.heuristics import Heuristic
from formation.benchmark.overlap import overlaps
from formation.benchmark.rules import Rule, broken_by_streams
from formation.benchmark.shortcut_scores import LIMIT, flip_rates, over_limit, split_scores, worst
from formation.benchmark.streams import Split, SplitName
from formation.errors import BenchmarkError

SCHEMA = "sanity/1"
_NEVER_RIGHT = (Heuristic.FIRST_VALUE, Heuristic.NTH_1, Heuristic.LAG_0)  # in `source`, by construction


class Verdict(StrEnum):
    """Whether a dataset keeps every rule of its setting."""

    PASSED = "passed"
    VIOLATED = "violated"


def sanity_report(dataset: Dataset) -> dict[str, Any]:
    """The report as JSON data: overlaps, leakage, oracle, heuristics, distributions, and the verdict with its reasons.

    Scores and shares are fractions in [0, 1]; lengths are in tokens, lags in writes.
    """
    everything = with_twins(dataset)
    report: dict[str, Any] = {
        "schema": SCHEMA,
        "setting": dataset.params.setting,
        "heldout": _heldout(dataset.heldout),
        "overlap": overlaps(everything),
        "leakage": {name: _leakage(split, dataset.heldout) for name, split in everything.items()},
        "oracle": {name: _oracle(split) for name, split in everything.items()},
        "heuristics": {name: split_scores(split) for name, split in dataset.splits.items()},
        "twin_flips": {f"{name}/{kind}_twin": flip_rates(dataset, name, kind) for name, kind in dataset.twins},
        "splits": {name: _distributions(split) for name, split in dataset.splits.items()},
        "generation": dict(dataset.statistics),
    }
    violated = _violations(dataset, everything, report)
    return report | {
        "worst_heuristic": worst(report["heuristics"]),
        "worst_limited": worst(report["heuristics"], limited=True),
        "limit": LIMIT,
        "rules": [rule for rule in Rule if rule.applies(dataset.params.setting)],
        "violated": violated,
        "verdict": Verdict.VIOLATED if violated else Verdict.PASSED,
    }


def with_twins(dataset: Dataset) -> dict[str, Split]:
    """Every split by name, and every twin as `<split>/<kind>_twin`, with the events of its own tokens."""
    twins = {
        f"{name}/{kind}_twin": twin_split(dataset.splits[name], twin) for (name, kind), twin in dataset.twins.items()
    }
    return {str(name): split for name, split in dataset.splits.items()} | twins


def refuse_violations(report: Mapping[str, Any]) -> None:
    """Raise `BenchmarkError` naming each violated rule, what was found, and what to change."""
    if report["verdict"] == Verdict.PASSED:
        return
    found = "; ".join(f"{rule} ({what})" for rule, what in report["violated"].items())
    advice = ""
    if Rule.SHORTCUT_LIMIT in report["violated"]:
        advice = (
            "; widen benchmark.iid and benchmark.ood (active_keys, overwrites, lags), "
            "or set benchmark.setting=source if shortcuts are wanted"
        )
    raise BenchmarkError(f"benchmark.setting = {report['setting']}: the streams would break its rules: {found}{advice}")


def _violations(dataset: Dataset, everything: Mapping[str, Split], report: Mapping[str, Any]) -> dict[str, str]:
    """The violated rules of the dataset's setting, each with what was found where."""
    found: dict[Rule, list[str]] = {rule: [] for rule in Rule}
    for rule, kind in ((Rule.SEQUENCE_OVERLAP, "sequences"), (Rule.PROGRAM_OVERLAP, "programs")):
        found[rule] = [f"{pair}: {count}" for pair, count in report["overlap"][kind].items() if count]
    found[Rule.ORACLE] = [f"{name}: {o['score']:.4f}" for name, o in report["oracle"].items() if o["score"] != 1.0]
    found[Rule.TWINS] = _broken_twins(dataset)
    for name, split in everything.items():
        base, _, twin = name.partition("/")
        found[Rule.HELDOUT_LEAKAGE] += _leaks(dataset, name, report["leakage"][name])
        shape = dataset.params.ood if base == SplitName.STRUCTURAL_OOD else dataset.params.iid
        for rule, what in broken_by_streams(split, shape, dataset.params.setting, bool(twin)).items():
            found[rule].append(f"{name}: {what}")
    for name, scores in report["heuristics"].items():
        found[Rule.SHORTCUT_LIMIT] += [f"{name}: {what}" for what in over_limit(scores)]
        found[Rule.FIRST_AND_LAST] += [f"{name}: {h}" for h in _NEVER_RIGHT if scores[h]["all"]["value"] > 0]
    return {rule: ", ".join(what) for rule, what in found.items() if what and rule.applies(dataset.params.setting)}


def _leaks(dataset: Dataset, name: str, counts: Mapping[str, int]) -> list[str]:
    """Pairs of one split on the wrong side: held-out ones outside `heldout_pairs`, others that count inside it."""
    kinds = ("writes", "answers") if dataset.params.heldout_scope == "write" else ("answers",)
    inside = name.split("/")[0] == SplitName.HELDOUT_PAIRS
    wrong = {kind: counts[kind] - counts[f"heldout_{kind}"] if inside else counts[f"heldout_{kind}"] for kind in kinds}
    return [f"{name}: {count} {kind}" for kind, count in wrong.items() if count]


def _broken_twins(dataset: Dataset) -> list[str]:
    """Twins whose recorded answers are not those of their own writes, or whose target keeps its answer."""
    out = []
    for (name, kind), twin in dataset.twins.items():
        base = dataset.splits[name]
        own = twin_split(base, twin).reads
        wrong = (own.value != twin.value).sum() + (twin.affected != (twin.value != base.reads.value)).sum()
        wrong += (~twin.affected[twin.target]).sum() + (
            base.reads.stream[twin.target] != np.arange(len(base.tokens))
        ).sum()
        if wrong:
            out.append(f"{name}/{kind}_twin: {wrong}")
    return out


def _leakage(split: Split, heldout: Bool[np.ndarray, "key value"]) -> dict[str, int]:
    """How many writes and answers of a split are held-out pairs, and how many there are."""
    writes, reads = split.writes, split.reads
    return {
        "heldout_writes": int(heldout[writes.key, writes.value].sum()),
        "writes": len(writes.key),
        "heldout_answers": int(heldout[reads.key, reads.value].sum()),
        "answers": len(reads.key),
    }


def _oracle(split: Split) -> dict[str, Any]:
    right, total = oracle.score(split.tokens)
    return {"right": right, "answers": total, "score": right / max(total, 1)}


def _heldout(heldout: Bool[np.ndarray, "key value"]) -> dict[str, Any]:
    return {
        "pairs": int(heldout.sum()),
        "fraction": float(heldout.mean()),
        "values_a_key": [int(count) for count in heldout.sum(axis=1)],
        "most_keys_a_value": int(heldout.sum(axis=0).max()),
    }


def _distributions(split: Split) -> dict[str, Any]:
    """Counts of lags, stale counts, and both together; lengths; share of targets that are answers."""
    reads = split.reads
    table = np.zeros((reads.stale.max() + 1, reads.lag.max() + 1), np.int64)
    np.add.at(table, (reads.stale, reads.lag), 1)
    return {
        "streams": len(split.tokens),
        "reads": len(reads.key),
        "stale_reads": int((reads.stale > 0).sum()),
        "mean_length": float(split.length.mean()),
        "longest": int(split.length.max()),
        "answer_share": len(reads.key) / int((split.length - 1).sum()),
        "lag": table.sum(axis=0),
        "stale": table.sum(axis=1),
        "stale_by_lag": table,
    }
