"""Candidates are tested on the planted runs of the features' tests."""

from tests.formation.features.conftest import random_weights, rising

__all__ = ["random_weights", "rising"]
