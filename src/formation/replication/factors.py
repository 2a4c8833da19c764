"""`compare-factors`: what one factor changes in the births of a study, `artifacts/studies/factors/<factor>.json`.

A screen (`factor-screen/1`) varies one factor of a preset at a time and lays births and final accuracies of every run
of every level beside those of the preset itself. Levels are compared by ranks, so that a behaviour that was not born
within the budget counts as the latest of all and needs no invented date (`formation.replication.exact`). With three
seeds a level the test can confirm nothing at 5 %; it ranks factors for a study that has more. No p-value is corrected
for the number of levels and measures.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from formation import artifacts, presets
from formation import params as parameters
from formation.errors import ArtifactError, FormationError
from formation.params import IDENTITY
from formation.published import evidence_run, published_home
from formation.record.evidence import FILE as EVIDENCE
from formation.replication.exact import exact_test
from formation.replication.found import MEASURES, Entry, Found, below, find_evidence
from formation.replication.levels import Factor, Level, factor_names, load_factor

SCHEMA = "factor-screen/1"
FOLDER = "studies/factors"


def compare_factor(name: str, root: Path | None = None) -> Path:
    """Write the screen of a factor from the runs there are, and return its path.

    Runs without evidence are listed with the reason. Raises `ArtifactError` if none of the baseline or none of the
    levels has any, or if runs are of different length.
    """
    root = root or presets.project_root()
    factor = load_factor(name, root)
    found: dict[str, list[Found]] = {}
    missing: dict[str, list[Entry]] = {}
    for level in factor.all:
        found[level.preset], missing[level.preset] = _gather(level, name, root)
    _require_comparable(factor, found, missing)
    path = artifacts.artifacts_folder(root) / FOLDER / f"{name}.json"
    artifacts.write_json(path, _screen(factor, found, missing))
    print(_line(factor, found))
    return path


def compare_all(root: Path | None = None) -> list[Path]:
    """Write the screen of every factor of which there are runs; the others are named with what they lack."""
    root, paths = root or presets.project_root(), []
    for name in factor_names(root):
        try:
            paths.append(compare_factor(name, root))
        except ArtifactError as error:
            print(f"not compared: {below(str(error), root)}")
    return paths


def load_screen(name: str, root: Path | None = None) -> dict[str, Any] | None:
    """The screen of a factor, as compared here or as published in `results/factors/`; `None` if there is neither."""
    root = root or presets.project_root()
    home = published_home(FOLDER.rpartition("/")[2], root) or artifacts.artifacts_folder(root)
    path = home / FOLDER / f"{name}.json"
    artifacts.record_read(path)
    return artifacts.read_json(path, SCHEMA, _command(name)) if path.is_file() else None


def compared(values: Sequence[float], baseline: Sequence[float]) -> Entry:
    """Median of a level, how far it lies from the baseline's, and the exact test; infinite values were not dated.

    What has no number is null: a median among undated runs, a test of fewer than two runs a side.
    """
    middle, other = _median(values), _median(baseline)
    out: Entry = {
        "n": len(values),
        "undated": int(np.isinf(np.asarray(values, float)).sum()),
        "median": middle,
        "difference": None if middle is None or other is None else middle - other,
        "p": None,
        "smallest_p": None,
        "later": None,
    }
    if min(len(values), len(baseline)) < 2:
        return out
    test = exact_test(values, baseline)
    return out | {"p": test.p, "smallest_p": test.smallest, "later": test.later}


def values_of(entries: Sequence[Entry]) -> list[float]:
    """Values of one measure over runs: infinite where it was measured and not dated, left out where not measured."""
    return [np.inf if entry["value"] is None else float(entry["value"]) for entry in entries if entry["n"]]


def _gather(level: Level, factor: str, root: Path) -> tuple[list[Found], list[Entry]]:
    """The runs of a level that have evidence, and why the others have none."""
    found, missing = [], []
    for run in level.runs:
        try:
            found.append(_evidence(run, level, root))
        except FormationError as error:
            reason = below(str(error), root)
            missing.append({"run": run, "reason": reason, "command": f"formation screen --factor {factor}"})
    return found, missing


def _evidence(name: str, level: Level, root: Path) -> Found:
    run = artifacts.open_run(name, root)
    if not run.path(EVIDENCE).is_file():  # what a screen computes is less than what a publication has, and goes first
        run = evidence_run(name, root)
    return find_evidence(run, level.params.identity(run.seed))


def _require_comparable(
    factor: Factor, found: Mapping[str, Sequence[Found]], missing: Mapping[str, Sequence[Entry]]
) -> None:
    runs = [one for level in factor.all for one in found[level.preset]]
    if not found[factor.baseline.preset] or len(runs) == len(found[factor.baseline.preset]):
        lacking = [entry["run"] for level in factor.all for entry in missing[level.preset]]
        raise ArtifactError(
            f"factor {factor.name}: needs runs of {factor.baseline.preset} and of a level; without evidence: "
            f"{', '.join(lacking)}; run: formation screen --factor {factor.name}"
        )
    other = next((one for one in runs if one.last_step != runs[0].last_step), None)
    if other is not None:
        raise ArtifactError(
            f"factor {factor.name}: {other.run} ends at step {other.last_step}, {runs[0].run} at {runs[0].last_step}: "
            "births of trainings of different length cannot be ranked"
        )


def _screen(factor: Factor, found: Mapping[str, Sequence[Found]], missing: Mapping[str, Sequence[Entry]]) -> Entry:
    baseline = found[factor.baseline.preset]
    return {
        "schema": SCHEMA,
        "factor": factor.name,
        "baseline": factor.baseline.preset,
        "command": _command(factor.name),
        "last_step": baseline[0].last_step,
        "measures": {name: {"what": what, "unit": _unit(baseline, name)} for name, what in MEASURES.items()},
        "levels": [
            _level_json(level, found[level.preset], missing[level.preset], baseline, level is factor.baseline)
            for level in factor.all
        ],
    }


def _command(name: str) -> str:
    return f"formation compare-factors --factor {name}"


def _unit(found: Sequence[Found], name: str) -> str:
    return str(found[0].entries[name]["unit"])


def _level_json(
    level: Level, found: Sequence[Found], missing: Sequence[Entry], baseline: Sequence[Found], is_baseline: bool
) -> Entry:
    over = [] if is_baseline else baseline
    params = {section: level.params.section(section) for section in IDENTITY}
    return {
        "preset": level.preset,
        "level": level.text,
        "baseline": is_baseline,
        "params": parameters.digest(params),
        "changes": [{"parameter": key, "baseline": then, "level": now} for key, then, now in level.changes],
        "runs": [one.as_json() for one in found],
        "missing": list(missing),
        "compared": {
            name: compared(
                values_of([one.entries[name] for one in found]), values_of([one.entries[name] for one in over])
            )
            for name in MEASURES
        },
    }


def _median(values: Sequence[float]) -> float | None:
    """The median, null where it is no number: without values, or among undated runs."""
    middle = float(np.median(values)) if len(values) else np.inf
    return middle if np.isfinite(middle) else None


def _line(factor: Factor, found: Mapping[str, Sequence[Found]]) -> str:
    """Retrieval's births by level, in one line."""
    parts = []
    for level in factor.all:
        values = values_of([one.entries["retrieval_birth_step"] for one in found[level.preset]])
        dates = ", ".join("–" if np.isinf(value) else f"{value:.0f}" for value in sorted(values))
        parts.append(f"{level.text}: {dates or 'no runs'}")
    return f"{factor.name}: retrieval born at {'; '.join(parts)} (steps)"
