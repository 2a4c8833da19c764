"""Statistics: agreement with scipy where it has the same thing, known answers and coverage where it has not."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from formation import statistics

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from scipy import stats

WEIGHTS = statistics.resamples(60, 4000, seed=3)

p_values = hnp.arrays(np.float64, st.integers(1, 40), elements=st.floats(0, 1))


@given(p_values)
def test_benjamini_yekutieli_is_scipys(p: np.ndarray) -> None:
    theirs = stats.false_discovery_control(p, method="by")
    np.testing.assert_allclose(statistics.benjamini_yekutieli(p), theirs, atol=1e-12)


@given(st.integers(1, 500), st.data(), st.floats(0.5, 0.999))
def test_wilson_is_scipys(n: int, data: st.DataObject, confidence: float) -> None:
    k = data.draw(st.integers(0, n))
    theirs = stats.binomtest(k, n).proportion_ci(confidence, method="wilson")
    np.testing.assert_allclose(statistics.wilson(k, n, confidence), (theirs.low, theirs.high), atol=1e-9)


def test_resamples_draw_as_many_streams_as_there_are_and_repeat_with_the_seed() -> None:
    assert WEIGHTS.shape == (4000, 60)
    assert (WEIGHTS.sum(1) == 60).all()
    np.testing.assert_array_equal(WEIGHTS, statistics.resamples(60, 4000, seed=3))
    assert (statistics.resamples(60, 4000, seed=4) != WEIGHTS).any()


def test_stream_sums_against_a_loop() -> None:
    rng = np.random.default_rng(0)
    values, stream = rng.normal(size=(50, 3)), rng.integers(0, 7, 50)
    slow = np.zeros((8, 3))
    for row, where in zip(values, stream, strict=True):
        slow[where] += row
    np.testing.assert_allclose(statistics.stream_sums(values, stream, 8), slow)


def test_the_interval_of_a_mean_is_scipys_percentile_bootstrap() -> None:
    data = np.random.default_rng(5).exponential(size=60)
    ours = statistics.ratio(data, np.ones(60), WEIGHTS, 0.95)
    theirs = stats.bootstrap(
        (data,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert ours.value == pytest.approx(data.mean())
    assert ours.n == 60
    width = theirs.high - theirs.low
    assert abs(ours.low - theirs.low) < 0.06 * width
    assert abs(ours.high - theirs.high) < 0.06 * width


def test_clustering_widens_the_interval_as_it_should() -> None:
    """Ten copies of each read add no evidence: the interval over streams stays, one over reads would shrink by √10."""
    rng = np.random.default_rng(6)
    one = (rng.random(60) < 0.5).astype(float)
    alone = statistics.share(one, np.ones(60), WEIGHTS, 0.95)
    copied = statistics.share(10 * one, np.full(60, 10.0), WEIGHTS, 0.95)
    assert (alone.low, alone.high) == (copied.low, copied.high)
    assert copied.n == 600


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    """Clustered shares with unequal cluster sizes: 95 % intervals cover in 92–98 % of 400 worlds."""
    rng = np.random.default_rng(7)
    weights = statistics.resamples(60, 400, seed=1)
    covered = 0
    for _ in range(400):
        sizes = rng.integers(5, 12, 60).astype(float)
        rate = rng.beta(4, 4, 60)
        found = statistics.share(rng.binomial(sizes.astype(int), rate).astype(float), sizes, weights, 0.95)
        covered += found.low <= 0.5 <= found.high
    assert 0.92 <= covered / 400 <= 0.98


def test_a_perfect_share_is_not_certain() -> None:
    found = statistics.share(np.full(60, 9.0), np.full(60, 9.0), WEIGHTS, 0.95)
    assert found.value == found.high == 1.0
    assert found.low == pytest.approx(statistics.wilson(60, 60, 0.95)[0])
    none = statistics.share(np.zeros(60), np.full(60, 9.0), WEIGHTS, 0.95)
    assert none.value == none.low == 0.0
    assert none.high == pytest.approx(1 - found.low)


@pytest.mark.parametrize("differing", [1, 2, 4])
def test_a_share_near_its_boundary_moves_without_a_jump(differing: int) -> None:
    """One stream with one wrong read of nine must not be surer than none at all."""
    right = np.full(60, 9.0)
    perfect = statistics.share(right, np.full(60, 9.0), WEIGHTS, 0.95)
    right[:differing] -= 1
    found = statistics.share(right, np.full(60, 9.0), WEIGHTS, 0.95)
    mirrored = statistics.share(9 - right, np.full(60, 9.0), WEIGHTS, 0.95)
    assert found.low < perfect.low
    assert perfect.low - found.low < 0.01 * differing
    assert found.value < found.high < 1
    assert (mirrored.low, mirrored.high) == pytest.approx((1 - found.high, 1 - found.low))


def test_from_five_differing_streams_on_the_bootstrap_counts() -> None:
    right, trials = np.full(60, 9.0), np.full(60, 9.0)
    right[:5] = 0
    assert statistics.share(right, trials, WEIGHTS, 0.95) == statistics.ratio(right, trials, WEIGHTS, 0.95)


def test_rare_failures_are_covered_where_the_bootstrap_alone_fails() -> None:
    """Of 60 streams 3 % fail on every read: the interval covers in at least 93 % of 400 worlds, the bootstrap not."""
    rng = np.random.default_rng(12)
    weights, trials = statistics.resamples(60, 400, seed=1), np.full(60, 9.0)
    covered = bare = 0
    for _ in range(400):
        right = 9.0 * (rng.random(60) >= 0.03)
        found, alone = (of(right, trials, weights, 0.95) for of in (statistics.share, statistics.ratio))
        covered += found.low <= 0.97 <= found.high
        bare += alone.low <= 0.97 <= alone.high
    assert covered / 400 >= 0.93
    assert bare / 400 < 0.9


def test_pairing_removes_what_both_share() -> None:
    rng = np.random.default_rng(8)
    base = rng.normal(size=60)
    a, b = base + 0.1, base
    draws = [statistics.ratio_draws(WEIGHTS, x, np.ones(60)) for x in (a, b)]
    paired = statistics.difference(draws[0], draws[1], 0.1, 60, 0.95)
    assert paired.low == pytest.approx(0.1)
    assert paired.high == pytest.approx(0.1)
    other = statistics.ratio_draws(statistics.resamples(60, 4000, seed=9), b, np.ones(60))
    assert statistics.difference(draws[0], other, 0.1, 60, 0.95).low < 0 < 0.1


def test_a_draw_with_nothing_to_divide_by_is_left_out() -> None:
    weights = np.array([[2.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    draws = statistics.ratio_draws(weights, np.array([1.0, 0.0]), np.array([4.0, 0.0]))
    np.testing.assert_array_equal(draws, [0.25, np.nan, 0.25])
    assert statistics.interval(draws, 0.95) == (0.25, 0.25)


def test_what_never_happened_ranks_last() -> None:
    low, high = statistics.interval(np.array([1.0] * 90 + [np.inf] * 10), 0.95)
    assert (low, high) == (1.0, np.inf)
    low, high = statistics.interval(np.array([1.0] * 990 + [np.inf] * 10), 0.95)
    assert (low, high) == (1.0, 1.0)


@given(st.integers(1, 200), st.data())
def test_a_permutation_p_counts_the_observed_order_as_one(n: int, data: st.DataObject) -> None:
    null = np.array(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)), dtype=float)
    p = float(statistics.permutation_p(2.0, null))
    assert p == (1 + sum(x >= 2 for x in null)) / (1 + n)


def test_permutation_p_is_uniform_under_the_null() -> None:
    rng = np.random.default_rng(2)
    p = statistics.permutation_p(rng.normal(size=2000), rng.normal(size=(2000, 99)))
    assert stats.kstest(p - rng.random(2000) / 100, "uniform").pvalue > 0.01


def test_rise_p_is_the_one_sided_paired_t_test_in_large_samples() -> None:
    rng = np.random.default_rng(4)
    weights = statistics.resamples(400, 3000, seed=2)
    for shift in (-0.05, 0.0, 0.05, 0.1):
        x = rng.normal(shift, 1, 400)
        p = float(statistics.rise_p(x.mean(), statistics.ratio_draws(weights, x, np.ones(400))))
        assert p == pytest.approx(stats.ttest_1samp(x, 0, alternative="greater").pvalue, abs=0.02)


def test_rise_p_of_no_change_is_one_and_of_a_rise_in_every_stream_is_zero() -> None:
    assert float(statistics.rise_p(0.0, np.zeros(100))) == 1.0
    assert float(statistics.rise_p(1.0, np.ones(100))) == 0.0


@settings(max_examples=30)
@given(hnp.arrays(np.float64, (12, 3), elements=st.floats(-5, 5)))
def test_a_bootstrap_of_equal_streams_has_no_width(values: np.ndarray) -> None:
    weights = statistics.resamples(12, 50, seed=0)
    draws = statistics.ratio_draws(weights, np.tile(values[:1], (12, 1)), np.ones(12))
    np.testing.assert_allclose(draws, np.tile(values[0], (50, 1)), atol=1e-12)
