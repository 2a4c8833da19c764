"""Relation matrix, identity classes and distractors by hand."""

import numpy as np
import pytest

from formation.benchmark.streams import SplitName
from formation.geometry.relation import distractors, identity_classes, relation_matrix

from ..benchmark import planted


def test_pairs_by_hand() -> None:
    streams = planted.split("a1 b2 a3 a?3 a?3", "a1 a4 b0 a?4")
    names = (SplitName.TRAIN, SplitName.HELDOUT_PAIRS, SplitName.STRUCTURAL_OOD)
    heldout = np.zeros((4, 10), bool)
    found = relation_matrix(dict.fromkeys(names, streams), heldout)
    writes, answers = found["writes"]["train"], found["answers"]["structural_ood"]
    assert {(int(k), int(v)): int(writes[k, v]) for k, v in zip(*np.nonzero(writes), strict=True)} == {
        (0, 1): 2,
        (0, 3): 1,
        (0, 4): 1,
        (1, 2): 1,
        (1, 0): 1,
    }
    assert answers[0, 3] == 2
    assert answers[0, 4] == 1
    assert answers.sum() == 3


def test_identity_classes_by_hand() -> None:
    found = identity_classes({SplitName.TRAIN: planted.split("a1 b2 a3 a?3 b?2 a?3")})
    assert found["key_writes"].tolist() == [2, 1, 0, 0]
    assert found["key_reads"].tolist() == [2, 1, 0, 0]
    assert found["value_reads"][:4].tolist() == [0, 0, 1, 2]


def test_distractors_by_hand() -> None:
    """At the first read: a1 is stale, b5 and c4 are current, b2 is stale and of another key; lag 2."""
    found = distractors(planted.split("a1 b2 a3 b5 c4 a?3"))
    assert found == pytest.approx({"stale": 1, "other_current": 2, "other_stale": 1, "later": 2})
