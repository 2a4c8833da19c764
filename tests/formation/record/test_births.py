"""Births: planted ones are found within a checkpoint, noise gives none, falls are losses, late ones are censored."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formation.record.births import Birth, Outcome, find_birth, find_rise, first_run
from formation.record.series import Series
from formation.statistics import resamples
from tests.formation.record.planted import EVERY, RULE, STREAMS, plant

WEIGHTS = resamples(STREAMS, 200, seed=1)
CHECKPOINTS = 40


def birth(series: Series, rival: float | None = None) -> Birth:
    if rival is not None:
        series = dataclasses.replace(series, rival=rival * series.denominators)
    return find_birth(series, WEIGHTS, RULE, seed=3)


def slow_first_run(above: list[bool], consecutive: int) -> int:
    n = len(above)
    for i in range(1, n):
        if not above[i - 1] and all(above[i : i + consecutive]):
            return i
    return n


@given(st.lists(st.booleans(), min_size=3, max_size=20), st.integers(1, 4))
def test_first_run_is_its_definition(above: list[bool], consecutive: int) -> None:
    assert first_run(np.array(above), consecutive) == slow_first_run(above, consecutive)


@settings(max_examples=60, derandomize=True)  # statistical: the same draws every time
@given(at=st.integers(4, 35), low=st.floats(0.02, 0.3), rise=st.floats(0.25, 0.69), seed=st.integers(0, 10_000))
def test_a_planted_step_is_born_within_one_checkpoint(at: int, low: float, rise: float, seed: int) -> None:
    rate = np.where(np.arange(CHECKPOINTS) < at, low, low + rise)
    found = birth(plant(np.random.default_rng(seed), rate))
    assert found.outcome is Outcome.BORN
    assert abs(found.rise.step - at * EVERY) <= EVERY
    assert found.rise.low <= found.rise.step <= found.rise.high
    assert abs(found.rise.low - at * EVERY) <= 2 * EVERY


@settings(max_examples=30, derandomize=True)
@given(at=st.integers(14, 30), seed=st.integers(0, 10_000))
def test_a_plateau_before_the_rise_does_not_date_it(at: int, seed: int) -> None:
    """A shortcut's plateau at .25 from the fourth checkpoint on, then retrieval at `at`."""
    x = np.arange(CHECKPOINTS)
    rate = np.where(x >= at, 0.95, np.where(x >= 4, 0.25, 0.03))
    found = birth(plant(np.random.default_rng(seed), rate))
    assert abs(found.step - at * EVERY) <= EVERY
    assert found.rise.gate.baseline == pytest.approx(0.25, abs=0.04)


def test_a_gradual_rise_is_dated_a_quarter_of_the_way_up() -> None:
    x = np.arange(CHECKPOINTS)
    rate = np.interp(x, [10, 26], [0.1, 0.9])
    found = birth(plant(np.random.default_rng(0), rate))
    # the change point lies within the ramp, so the baseline is the median of what precedes it: .1
    assert abs(found.step - 14 * EVERY) <= 2 * EVERY


def test_noise_and_shuffled_order_give_no_more_births_than_the_gate_allows() -> None:
    rng = np.random.default_rng(8)
    flat = np.full(CHECKPOINTS, 0.3)
    noise = sum(birth(plant(rng, flat)).outcome is not Outcome.NOT_BORN for _ in range(200))
    risen = plant(rng, np.where(np.arange(CHECKPOINTS) < 20, 0.1, 0.8))
    shuffled = 0
    for _ in range(200):
        order = rng.permutation(CHECKPOINTS)
        mixed = Series(
            risen.metric,
            risen.split,
            risen.steps,
            risen.numerators[:, order],
            risen.denominators,
            risen.placebos,
        )
        shuffled += birth(mixed).outcome is not Outcome.NOT_BORN
    assert birth(risen).outcome is Outcome.BORN
    assert noise <= 10
    assert shuffled <= 10


def test_falls_are_losses_and_never_births() -> None:
    x = np.arange(CHECKPOINTS)
    fallen = birth(plant(np.random.default_rng(1), np.where(x < 20, 0.8, 0.1)))
    assert fallen.outcome is Outcome.NOT_BORN
    assert fallen.step is None
    assert [loss.step for loss in fallen.losses] == [20 * EVERY]
    rise_and_fall = birth(plant(np.random.default_rng(2), np.where((x >= 10) & (x < 28), 0.9, 0.1)))
    assert rise_and_fall.step == 10 * EVERY
    assert [loss.step for loss in rise_and_fall.losses] == [28 * EVERY]


def test_a_loss_soon_after_a_late_birth_is_seen() -> None:
    """Over the whole series the later checkpoints are higher than the earlier ones: no fall, were it dated on that."""
    x = np.arange(CHECKPOINTS)
    found = birth(plant(np.random.default_rng(2), np.where(x < 28, 0.05, np.where(x < 34, 0.95, 0.5))))
    assert found.step == 28 * EVERY
    assert [loss.step for loss in found.losses] == [34 * EVERY]


def test_a_kept_behaviour_has_no_more_losses_than_the_gate_allows() -> None:
    rng = np.random.default_rng(3)
    rate = np.where(np.arange(CHECKPOINTS) < 10, 0.1, 0.9)
    assert sum(len(birth(plant(rng, rate)).losses) for _ in range(200)) <= 10


@pytest.mark.parametrize(("at", "outcome"), [(36, Outcome.BORN), (37, Outcome.CENSORED)])
def test_a_birth_near_the_end_is_censored(at: int, outcome: Outcome) -> None:
    found = birth(plant(np.random.default_rng(4), np.where(np.arange(CHECKPOINTS) < at, 0.1, 0.9)))
    assert found.outcome is outcome
    assert found.rise.step == at * EVERY
    assert (found.step is None) == (outcome is Outcome.CENSORED)


def test_a_series_that_starts_high_was_not_seen_rising() -> None:
    x = np.arange(CHECKPOINTS)
    series = plant(np.random.default_rng(5), np.where(x < 4, 0.9, np.where(x < 24, 0.1, 0.9)))
    assert birth(series).step == 24 * EVERY


def test_a_rise_in_a_few_streams_that_the_bootstrap_cannot_tell_from_none_is_not_born() -> None:
    """One stream of 128 turns right at step 800: an ordered rise, far above zero placebos, and no evidence."""
    right = np.zeros((STREAMS, CHECKPOINTS))
    right[0, 20:] = 9
    series = plant(np.random.default_rng(0), np.full(CHECKPOINTS, 0.1))
    lone = Series(series.metric, series.split, series.steps, right, series.denominators, np.zeros_like(series.placebos))
    found = birth(lone)
    assert found.rise.gate.opened
    assert found.outcome is Outcome.NOT_BORN


def test_a_rival_replaces_the_level() -> None:
    x = np.arange(CHECKPOINTS)
    rate = np.interp(x, [10, 30], [0.1, 0.9])
    series = plant(np.random.default_rng(6), rate)
    early, late = birth(series, rival=0.3), birth(series, rival=0.7)
    # the bootstrap must exclude the rival, so the birth comes a little after the rate crosses it, never before
    assert 0 <= early.step - 15 * EVERY <= 2 * EVERY
    assert 0 <= late.step - 25 * EVERY <= 2 * EVERY
    assert birth(series, rival=0.99).outcome is Outcome.NOT_BORN


def test_a_rival_is_paired_with_the_series_stream_by_stream() -> None:
    """Always .04 above a rival that varies by stream: only against the same streams is that beyond doubt."""
    rng = np.random.default_rng(12)
    ease = 9 * rng.beta(0.5, 0.5, STREAMS)
    right = np.where(np.arange(CHECKPOINTS) < 20, 0.1 * ease[:, None], ease[:, None] + 0.36)
    plain = plant(rng, np.full(CHECKPOINTS, 0.3))
    series = dataclasses.replace(plain, numerators=right, rival=ease)
    assert birth(series).step == 20 * EVERY
    apart = dataclasses.replace(series, rival=rng.permutation(ease))
    assert birth(apart).outcome is Outcome.NOT_BORN


def test_a_rise_to_the_rivals_score_is_no_birth() -> None:
    rng = np.random.default_rng(13)
    worlds = [plant(rng, np.where(np.arange(CHECKPOINTS) < 20, 0.02, 0.4)) for _ in range(60)]
    assert all(birth(series).step == 20 * EVERY for series in worlds)
    assert sum(birth(series, rival=0.4).outcome is Outcome.BORN for series in worlds) <= 3


def test_wobble_around_the_level_widens_the_interval() -> None:
    x = np.arange(CHECKPOINTS)
    sharp = birth(plant(np.random.default_rng(7), np.where(x < 20, 0.1, 0.9)))
    slow = birth(plant(np.random.default_rng(7), np.interp(x, [5, 35], [0.1, 0.3])))
    assert sharp.rise.low == sharp.rise.high == 20 * EVERY
    assert slow.outcome is Outcome.BORN
    assert slow.rise.high - slow.rise.low >= 2 * EVERY


def test_intervals_hold_the_date_that_endless_data_would_give() -> None:
    """The 95 % interval of a gradual rise covers the birth of the noise-free series in at least 85 % of 60 worlds."""
    x = np.arange(CHECKPOINTS)
    rate = np.interp(x, [8, 32], [0.1, 0.6])
    rng = np.random.default_rng(9)
    many = plant(rng, rate, streams=20_000)
    target = find_rise(many, np.ones((1, 20_000)), RULE, seed=3).step
    covered = 0
    for _ in range(60):
        rise = birth(plant(rng, rate)).rise
        covered += rise.low <= target <= (rise.high or np.inf)
    assert covered >= 51


def test_every_draw_is_dated_by_the_whole_rule() -> None:
    """The dates of the draws against the rule in plain Python, one draw at a time."""
    series = plant(np.random.default_rng(11), np.interp(np.arange(CHECKPOINTS), [8, 30], [0.2, 0.4]), streams=24)
    weights = resamples(24, 40, seed=2)
    found = find_rise(series, weights, RULE, seed=3)
    values, draws = series.values(), series.draws(weights)
    change = found.gate.change
    excess = np.sort(draws - np.median(draws[:, :change], axis=1, keepdims=True), axis=0)
    low = excess[int(0.025 * 39)]
    slack = values - found.gate.baseline - low
    for draw, date in zip(draws, found.draws, strict=True):
        change = max(range(3, 38), key=lambda k: (k * (40 - k)) ** 0.5 * (draw[k:].mean() - draw[:k].mean()))
        baseline = float(np.median(draw[:change]))
        peak = max(float(np.median(draw[i : i + 3])) for i in range(change, 38))
        level = baseline + RULE.birth_fraction * (peak - baseline)
        above = [x > level and x - baseline > s for x, s in zip(draw.tolist(), slack.tolist(), strict=True)]
        index = slow_first_run(above, RULE.consecutive)
        assert date == (series.steps[index] if index < CHECKPOINTS else np.inf)
    assert len(set(found.draws.tolist())) > 3
    assert found.undated_share == np.isinf(found.draws).mean()


def test_the_same_seed_gives_the_same_birth() -> None:
    series = plant(np.random.default_rng(10), np.linspace(0.2, 0.4, CHECKPOINTS))
    a, b = birth(series).rise, birth(series).rise
    assert (a.step, a.low, a.high, a.gate) == (b.step, b.low, b.high, b.gate)
