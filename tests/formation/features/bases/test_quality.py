"""Figures of a code against numpy, at their ends, and where there is nothing to explain."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from formation.errors import MeasureError
from formation.features.bases import quality
from formation.features.bases.quality import Coded, Quality, measure_quality, summarise_quality


def draw(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def code(seed: int = 0, rows: int = 60) -> tuple[Coded, Tensor]:
    """Rows around token means, a poor reconstruction, and the tokens."""
    token = torch.randint(10, 14, (rows,), generator=draw(seed))
    x = 3 * torch.randn(20, 5, generator=draw(seed))[token] + torch.randn(rows, 5, generator=draw(seed + 1))
    activations = torch.randn(rows, 8, generator=draw(seed + 2)).clamp(min=0)
    return Coded(x, activations, x + 0.5 * torch.randn(rows, 5, generator=draw(seed + 3))), token


@given(st.integers(0, 50))
def test_explained_variance_is_scikit_learns_r2(seed: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    one, token = code(seed)
    wanted = metrics.r2_score(one.x.numpy(), one.reconstructed.numpy(), multioutput="variance_weighted")
    assert measure_quality(one, 0, token).explained_variance == pytest.approx(wanted, abs=1e-5)


def test_without_token_means_only_what_lies_inside_a_token_counts() -> None:
    one, token = code()
    means = torch.stack([one.x[token == t].mean(0) for t in token])
    only_means = measure_quality(Coded(one.x, one.activations, means), 0, token)
    assert only_means.without_token_means == pytest.approx(0, abs=1e-6)
    assert only_means.explained_variance is not None
    assert only_means.explained_variance > 0.5
    inside = float((one.reconstructed - one.x).square().sum() / (one.x - means).square().sum())
    assert measure_quality(one, 0, token).without_token_means == pytest.approx(1 - inside, abs=1e-5)


def test_over_checkpoints_errors_and_variances_are_summed_before_they_are_divided() -> None:
    every, errors, inside = [], 0.0, 0.0
    for seed in range(3):
        one, token = code(seed)
        every.append(measure_quality(one, seed, token))
        total = float((one.x - one.x.mean(0)).square().sum())
        means = torch.stack([one.x[token == t].mean(0) for t in token])
        errors += float((one.reconstructed - one.x).square().sum()) / total
        inside += float((one.x - means).square().sum()) / total
    found = summarise_quality(every)
    assert found["explained_variance_without_token_means"] == pytest.approx(1 - errors / inside, abs=1e-5)
    assert found["explained_variance"] == pytest.approx(1 - errors / 3, abs=1e-5)


def test_permuted_tokens_have_no_means_to_take_away() -> None:
    one, token = code(rows=4000)
    shuffled = token[torch.randperm(len(token), generator=draw(1))]
    found = measure_quality(one, 0, shuffled)
    assert found.without_token_means == pytest.approx(found.explained_variance, abs=0.01)


def test_a_code_that_gives_everything_back_explains_all_and_the_mean_nothing() -> None:
    one, token = code()
    assert measure_quality(Coded(one.x, one.activations, one.x), 0, token).explained_variance == 1
    mean = one.x.mean(0).expand_as(one.x)
    assert measure_quality(Coded(one.x, one.activations, mean), 0, token).explained_variance == pytest.approx(
        0, abs=1e-6
    )


def test_roles_are_explained_about_their_own_means() -> None:
    one, token = code()
    rows = {"first": token == 10, "all": token > 0, "nowhere": token < 0, "single": torch.arange(len(token)) == 3}
    found = measure_quality(one, 0, token, rows)
    alone = Coded(one.x[token == 10], one.activations[token == 10], one.reconstructed[token == 10])
    assert found.by_role["first"] == measure_quality(alone, 0, token[token == 10]).explained_variance
    assert found.by_role["all"] == found.explained_variance
    assert found.by_role["nowhere"] is None
    assert found.by_role["single"] is None


def test_density_counts_what_is_not_zero() -> None:
    one, token = code()
    found = measure_quality(one, 0, token)
    assert found.l0 == float((one.activations > 0).sum(1).double().mean())
    np.testing.assert_array_equal(found.active, (one.activations > 0).double().mean(0).numpy())


def test_a_feature_is_dead_if_it_is_silent_at_every_checkpoint() -> None:
    def at(step: int, explained: float | None, active: list[float]) -> Quality:
        inside = 0.3 if step == 10 else 0.1
        return Quality(step, explained, step / 10, inside, {"query_key": explained}, sum(active), np.array(active))

    found = summarise_quality([at(10, 0.2, [0.0, 0.5, 0.0, 1.0]), at(20, None, [0.0, 0.0, 0.3, 1.0])])
    assert found == {
        "checkpoints": [10, 20],
        "explained_variance": 0.2,
        "explained_variance_without_token_means": pytest.approx(1.25),  # (0.3 · 1 + 0.1 · 2) / 0.4
        "variance_inside_tokens": pytest.approx(0.2),
        "explained_variance_by_role": {"query_key": 0.2},
        "mean_active_fraction": pytest.approx(0.35),
        "l0": pytest.approx(1.4),
        "dead_fraction": 0.25,
    }
    with pytest.raises(MeasureError, match="no checkpoint"):
        summarise_quality([])


def test_cosines_of_orthogonal_directions_are_0_and_of_one_direction_1() -> None:
    spread = quality.cosine_spread(2 * torch.eye(5))
    assert (spread["mean"], spread["max"]) == (0, 0)
    assert spread["random_rms"] == pytest.approx(5**-0.5)
    line = quality.cosine_spread(torch.tensor([[1.0, 2.0], [-2.0, -4.0]]))
    assert line["q50"] == pytest.approx(1)
    assert quality.cosine_spread(torch.ones(1, 4))["mean"] is None


def test_cosines_of_random_directions_are_as_large_as_they_say() -> None:
    spread = quality.cosine_spread(torch.randn(300, 64, generator=draw(0)))
    root = spread["random_rms"]
    assert root is not None
    # |cosine| is close to normal: mean √(2/π) and 99 % quantile 2.58 of the root mean square
    assert spread["mean"] == pytest.approx(root * (2 / np.pi) ** 0.5, rel=0.02)
    assert spread["q99"] == pytest.approx(root * 2.58, rel=0.05)
