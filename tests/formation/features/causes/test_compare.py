"""Two checkpoints in one basis: known differences are found and named, none where there is none."""

from dataclasses import replace

import numpy as np
import pytest

from formation.benchmark.streams import SplitName
from formation.components.material import SCORED
from formation.errors import MeasureError
from formation.features.causes.compare import Change, CompareSettings, Ranking, compare, ranked, split_profile
from formation.features.measures.usefulness import Worth
from formation.features.snapshots import Firing, Half, RoleProfile, Snapshot, SplitSnapshot, Track, split_in_half

STREAMS, READS = 80, 6.0
IID = SplitName.TEST_IID
NAMES = ("gained", "lost", "stronger", "more useful", "same", "absent", "moved to held-out")
BEFORE = {
    "active": [0.0, 0.3, 0.3, 0.3, 0.3, 0.0, 0.3],
    "activation": [0.0, 0.5, 0.5, 0.5, 0.5, 0.0, 0.5],
    "usefulness": [0.0, 0.2, 0.2, 0.2, 0.2, 0.0, 0.2],
}
AFTER = {
    "active": [0.3, 0.0, 0.3, 0.3, 0.3, 0.0, 0.3],
    "activation": [0.4, 0.0, 1.5, 0.5, 0.5, 0.0, 0.5],
    "usefulness": [0.2, 0.0, 0.2, 0.9, 0.2, 0.0, 0.2],
}


def snapshot(step: int, means: dict[str, list[float]], seed: int, heldout_share: float = 1.0) -> Snapshot:
    """Sums that scatter around given means; the last feature's activation on held-out pairs is scaled."""
    rng = np.random.default_rng(seed)
    splits = {}
    for name in SCORED:

        def track(values: list[float], scale: float = 1.0) -> Track:
            own = np.array(values)
            own[-1] *= scale
            return Track(READS * own[:, None] * (1 + 0.1 * rng.standard_normal((len(own), STREAMS))), None)

        scale = heldout_share if name is SplitName.HELDOUT_PAIRS else 1.0
        tracks = {
            Firing.ACTIVE: track(means["active"]),
            Firing.ACTIVATION: track(means["activation"], scale),
            Worth.USEFULNESS: track(means["usefulness"]),
        }
        nothing = np.zeros((1, len(NAMES)))
        roles = RoleProfile(np.zeros(1, int), nothing, nothing)
        halves = split_in_half(STREAMS, [0])
        splits[name] = SplitSnapshot(np.full(STREAMS, READS), halves, tracks, roles, np.zeros(len(NAMES)))
    return Snapshot(step, splits)


@pytest.mark.parametrize("half", [None, *Half])
def test_known_changes_are_named(half: Half | None) -> None:
    rows = compare(snapshot(0, BEFORE, 1), snapshot(40, AFTER, 2, heldout_share=4), CompareSettings(), half)
    expected = [
        Change.GAINED,
        Change.LOST,
        Change.CHANGED,
        Change.CHANGED,
        Change.SAME,
        Change.ABSENT,
        Change.SAME,  # on IID streams, where differences are tested
    ]
    assert [row.change for row in rows] == expected
    assert rows[2].activation.value == pytest.approx(1.0, abs=0.1)
    assert rows[3].heldout_usefulness == pytest.approx(0.7, abs=0.1)
    for row in rows:
        assert row.activation.low <= row.activation.value + 1e-12
        assert row.activation.value <= row.activation.high + 1e-12


def test_rankings_put_the_largest_change_first() -> None:
    rows = compare(snapshot(0, BEFORE, 1), snapshot(40, AFTER, 2, heldout_share=4), CompareSettings())
    assert NAMES[ranked(rows, Ranking.ACTIVATION)[0].feature] == "stronger"
    assert NAMES[ranked(rows, Ranking.USEFULNESS)[0].feature] == "more useful"
    by_profile = ranked(rows, Ranking.PROFILE)
    assert NAMES[by_profile[0].feature] == "moved to held-out"
    assert {row.profile for row in by_profile[-3:]} == {None}  # absent at one of the two, or at both


def test_a_profile_is_shares_and_its_distance_is_known() -> None:
    before, after = snapshot(0, BEFORE, 1), snapshot(40, BEFORE, 1, heldout_share=4)
    profile = split_profile(after)
    np.testing.assert_allclose(profile[:, 1].sum(), 1)
    assert np.isnan(profile[:, 0]).all()
    rows = compare(before, after, CompareSettings())
    # shares (1, 1, 1)/3 against (1, 4, 1)/6
    assert rows[-1].profile == pytest.approx(1 / 3, abs=0.02)
    assert rows[4].profile == pytest.approx(0, abs=1e-12)


def test_a_checkpoint_compared_with_itself_is_the_same() -> None:
    one = snapshot(0, AFTER, 3)
    for row in compare(one, replace(one, step=40), CompareSettings()):
        assert row.change in (Change.SAME, Change.ABSENT)
        assert (row.activation.value, row.usefulness.value, row.heldout_usefulness) == (0, 0, 0)
        assert row.activation.p == 1


def test_noise_is_hardly_ever_a_change() -> None:
    changed = 0
    for seed in range(20):
        rows = compare(snapshot(0, BEFORE, 2 * seed), snapshot(40, BEFORE, 2 * seed + 1), CompareSettings(draws=200))
        changed += sum(row.change is Change.CHANGED for row in rows)
    assert changed <= 0.05 * 20 * len(NAMES)


def test_other_streams_or_features_are_refused() -> None:
    one = snapshot(0, BEFORE, 1)
    fewer = {name: values[:3] for name, values in BEFORE.items()}
    with pytest.raises(MeasureError, match="checkpoints 0 and 40 were not measured with the same features"):
        compare(one, snapshot(40, fewer, 1), CompareSettings())


@pytest.mark.parametrize(("name", "value"), [("present", 2.0), ("fdr", -0.1), ("draws", 1)])
def test_settings_that_mean_nothing_are_refused(name: str, value: float) -> None:
    with pytest.raises(MeasureError, match=f"{name} = "):
        CompareSettings(**{name: value})
