"""Discriminant analysis: against scikit-learn's, and its own laws."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from formation.components import lda

SHRINKAGE = 0.05
pytestmark = pytest.mark.filterwarnings("ignore:Only one sample available")  # a class of one row is meant


def clusters(classes: int, width: int, rows: int, spread: float, seed: int, problems: int = 1) -> tuple[Tensor, Tensor]:
    """Gaussian classes with a common covariance that is no multiple of the identity; the last class has one row."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes - 1, rows - classes)])
    centres = rng.normal(size=(problems, classes, width))
    axes = np.linalg.qr(rng.normal(size=(problems, width, width)))[0] * rng.uniform(0.3, 2, (problems, width, 1))
    noise = rng.normal(size=(problems, rows, width)) @ axes
    return torch.from_numpy(centres[:, labels] + spread * noise), torch.from_numpy(labels)


def peer(x: Tensor, labels: Tensor, shrinkage: float = SHRINKAGE) -> LinearDiscriminantAnalysis:
    return LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(x.numpy(), labels.numpy())


@given(
    st.integers(3, 9), st.integers(1, 30), st.integers(27, 60),
    st.floats(0.3, 3), st.floats(0.01, 1), st.integers(0, 99),
)  # fmt: skip
def test_decision_values_are_those_of_scikit_learn(
    classes: int, width: int, rows: int, spread: float, shrinkage: float, seed: int
) -> None:
    """Also with more dimensions than rows, and with a class of one row."""
    x, labels = clusters(classes, width, rows, spread, seed)
    theirs = peer(x[0], labels, shrinkage).decision_function(x[0].numpy())
    ours = lda.fit(x, labels, classes, shrinkage).scores(x)[0].numpy()
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6 * max(1, np.abs(theirs).max()))


@pytest.mark.parametrize("spread", [0.05, 0.7, 1.5])
def test_new_rows_are_labelled_as_well_as_by_logistic_regression(spread: float) -> None:
    """Within 0.02 on separable, noisy and very noisy classes."""
    x, labels = clusters(8, 10, 3000, spread, seed=3)
    fitted, fresh = slice(0, 1500), slice(1500, None)
    logistic = LogisticRegression(C=100, max_iter=2000).fit(x[0, fitted], labels[fitted])
    theirs = logistic.score(x[0, fresh], labels[fresh])
    said = lda.fit(x[:, fitted], labels[fitted], 8, 1e-3).predict(x[:, fresh])[0]
    ours = float((said == labels[fresh]).double().mean())
    assert abs(ours - theirs) < 0.02
    assert (ours == 1.0) == (theirs == 1.0) == (spread == 0.05)


def test_many_values_with_few_rows_each() -> None:
    """The size of the largest probe: 128 classes, 5,000 rows; scikit-learn's labels in float32 too."""
    x, labels = clusters(128, 64, 5000, 3.0, seed=5)
    ours = lda.fit(x.float(), labels, 128, 1e-3).predict(x.float())[0]
    theirs = torch.from_numpy(peer(x[0], labels, 1e-3).predict(x[0].numpy()))
    assert (ours == theirs).double().mean() > 0.999
    assert 0.3 < (ours == labels).double().mean() < 1.0


def test_random_labels_are_told_no_better_than_by_chance() -> None:
    x, _ = clusters(5, 10, 4000, 0.5, seed=4)
    labels = torch.from_numpy(np.random.default_rng(0).integers(0, 5, 4000))
    said = lda.fit(x[:, :2000], labels[:2000], 5, SHRINKAGE).predict(x[:, 2000:])[0]
    assert abs(float((said == labels[2000:]).double().mean()) - 0.2) < 0.04


@given(st.integers(0, 99))
def test_problems_do_not_touch_each_other(seed: int) -> None:
    x, labels = clusters(4, 6, 40, 0.7, seed, problems=3)
    together = lda.fit(x, labels, 4, SHRINKAGE)
    for at in range(3):
        alone = lda.fit(x[at : at + 1], labels, 4, SHRINKAGE)
        torch.testing.assert_close(together.scores(x)[at], alone.scores(x[at : at + 1])[0], rtol=1e-9, atol=1e-9)


@given(st.integers(0, 99))
def test_rotation_shift_and_scale_change_no_score(seed: int) -> None:
    x, labels = clusters(4, 6, 60, 0.7, seed)
    rotation = torch.linalg.qr(torch.from_numpy(np.random.default_rng(seed).normal(size=(6, 6))))[0]
    moved = 3 * x @ rotation + torch.arange(6.0)
    scores = [lda.fit(side, labels, 4, SHRINKAGE).scores(side) for side in (x, moved)]
    relative = [side - side.mean(-1, keepdim=True) for side in scores]
    torch.testing.assert_close(relative[0], relative[1], rtol=1e-7, atol=1e-7)


def test_rows_without_a_label_are_left_out() -> None:
    x, labels = clusters(4, 6, 60, 0.7, seed=1)
    holes = labels.clone()
    holes[::3] = -1
    known = holes >= 0
    ours, wanted = lda.fit(x, holes, 4, SHRINKAGE), lda.fit(x[:, known], labels[known], 4, SHRINKAGE)
    assert torch.equal(ours.weight, wanted.weight)
    assert torch.equal(ours.bias, wanted.bias)


def test_products_given_are_used() -> None:
    x, labels = clusters(4, 6, 60, 0.7, seed=1)
    parts = lda.gram(x[:, :20]) + lda.gram(x[:, 20:])
    torch.testing.assert_close(
        lda.fit(x, labels, 4, SHRINKAGE, parts).scores(x), lda.fit(x, labels, 4, SHRINKAGE).scores(x)
    )


def test_a_class_never_seen_is_never_predicted() -> None:
    x, labels = clusters(4, 6, 60, 0.7, seed=2)
    fitted = lda.fit(x, labels, 9, SHRINKAGE)
    assert torch.isneginf(fitted.bias[0, 4:]).all()
    assert fitted.predict(torch.randn(1, 500, 6, dtype=torch.float64) * 50).max() < 4


def test_rows_that_are_all_the_same_give_the_most_frequent_class() -> None:
    labels = torch.tensor([2, 1, 2, 0, 2, 1])
    x = torch.full((1, 6, 3), 7.0)
    assert (lda.fit(x, labels, 4, SHRINKAGE).predict(x) == 2).all()


def test_classes_that_explain_everything_are_told_apart() -> None:
    """No variance within any class: only the floor keeps the covariance invertible."""
    labels = torch.arange(40) % 4
    x = torch.eye(4)[labels][None]
    assert torch.equal(lda.fit(x, labels, 4, SHRINKAGE).predict(x)[0], labels)


def test_without_rows_nothing_is_known() -> None:
    fitted = lda.fit(torch.zeros(2, 0, 3), torch.zeros(0, dtype=torch.int64), 4, SHRINKAGE)
    assert torch.isneginf(fitted.bias).all()
    assert not fitted.weight.any()


@given(st.integers(2, 40), st.integers(1, 16), st.floats(-7, 0), st.integers(0, 99))
def test_rounding_never_stops_a_fit(classes: int, rank: int, exponent: float, seed: int) -> None:
    """Classes that explain all but a millionth of the variance, in float32, in directions of unequal size."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, 2000)
    centres = rng.normal(size=(classes, 16)) * np.logspace(0, -3, 16)
    noise = rng.normal(size=(2000, rank)) @ rng.normal(size=(rank, 16)) * 10.0**exponent
    x = torch.from_numpy(centres[labels] + noise).float()[None]
    said = lda.fit(x - x.mean(1), torch.from_numpy(labels), classes, 1e-4).predict(x - x.mean(1))[0]
    assert exponent > -3 or (said.numpy() == labels).mean() > 0.95
