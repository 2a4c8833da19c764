"""Families of two runs: found again under other names, alike to themselves, and by chance where there is nothing."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from formation.artifacts import Run
from formation.candidates.matching import Features, Grouped, compare_candidates, match, profiles, similarities
from formation.errors import ArtifactError
from tests.formation.features.family_files import prepared
from tests.formation.features.swept_planted import copied
from tests.formation.features.test_family_stages import chained
from tests.formation.projects import own_artifacts

EACH = 6  # members of a family


def planted(seed: int, order: tuple[int, ...] = (0, 1, 2), spread: float = 0.3) -> Grouped:
    """Three kinds of family in the given order: active on a split and a role, useful and born each in its own way."""
    draw, kinds = np.random.default_rng(seed), np.repeat(order, EACH)
    count = len(kinds)

    def peaked(parts: int) -> np.ndarray:
        return np.asarray(np.eye(parts)[kinds] + spread * draw.random((count, parts)))

    features = Features(
        splits=peaked(3),
        roles=peaked(10),
        useful_splits=peaked(3) * (1 + kinds[:, None]),
        born=(kinds > 0).astype(np.float64),
        order=np.where(kinds > 0, kinds / 2, np.nan),
    )
    names = [f"kind_{kind}" for kind in order]
    return Grouped(f"run_{seed}", names, np.arange(count), np.repeat(np.arange(3), EACH), features)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_families_are_found_again_under_other_names(order: tuple[int, ...]) -> None:
    found = match(planted(0), planted(1, order))
    assert all(pair["one"] == pair["other"] for pair in found["families"])
    assert found["likeness"] > 0.9 > found["by_chance"]
    assert found["p"] < 0.01


def test_a_run_is_wholly_like_itself() -> None:
    own = profiles(planted(0), planted(0).group)
    np.testing.assert_allclose(np.diag(similarities(own, own)), 1)
    assert match(planted(0), planted(0))["likeness"] == pytest.approx(1)


def test_a_run_without_families_has_no_profile() -> None:
    none = np.zeros(0, np.int64)
    empty = Grouped("empty", [], none, none, planted(0).features)
    assert all(len(values) == 0 for values in profiles(empty, none).values())


def test_parts_lie_between_nothing_and_all() -> None:
    own, other = (profiles(planted(seed), planted(seed).group) for seed in (0, 1))
    found = similarities(own, other)
    assert ((found >= 0) & (found <= 1)).all()
    for name in ("splits", "roles", "useful_splits"):
        np.testing.assert_allclose(own[name].sum(1), 1)


def test_families_without_a_function_of_their_own_are_no_more_alike_than_by_chance() -> None:
    """Negative control: members drawn at random into families."""
    p = []
    for seed in range(8):
        one, other = planted(seed), planted(seed + 100)
        order = np.random.default_rng(seed).permutation(other.group)
        p.append(match(one, Grouped("x", other.names, other.members, order, other.features))["p"])
    assert sum(value <= 0.05 for value in p) <= 2


# --- the stage -------------------------------------------------------------------------------------------------------


@pytest.fixture
def _own_artifacts() -> Iterator[None]:
    with own_artifacts():
        yield


def opened(run: Run, monkeypatch: pytest.MonkeyPatch, also: str = "") -> None:
    """The study's only run is `run`, whatever the parameters of its preset, and perhaps one of another seed."""

    def open_run(name: str, _: Path) -> Run:
        if name not in (run.name, also):
            raise ArtifactError(f"{name}: not found; run: formation train --run {name}")
        return run

    monkeypatch.setattr("formation.artifacts.open_run", open_run)


@pytest.mark.usefixtures("_own_artifacts")
def test_runs_are_laid_side_by_side_and_missing_ones_are_named(
    rising: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = chained(copied(rising, tmp_path))
    opened(run, monkeypatch)
    data = json.loads(compare_candidates("smoke", run.root).read_text())
    assert [one["run"] for one in data["missing"]] == ["smoke-s2", "smoke-s3"]
    assert data["families_alike"]["value"] is None
    assert data["runs"][0]["strongest"]["id"].startswith("family_0.top")
    opened(run, monkeypatch, also="smoke-s2")
    data = json.loads(compare_candidates("smoke", run.root).read_text())
    assert data["matches"][0]["likeness"] == pytest.approx(1)
    assert data["families_alike"]["n"] == 1


@pytest.mark.usefixtures("_own_artifacts")
def test_a_study_without_a_run_is_refused(rising: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = prepared(copied(rising, tmp_path))
    opened(run, monkeypatch)
    with pytest.raises(
        ArtifactError, match=r"preset smoke: no run has candidates: .*run: formation train --run smoke-s3"
    ):
        compare_candidates("smoke", run.root)
