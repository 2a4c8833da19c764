"""Directions in which rows lie together: planted bundles are found, from whatever rows one begins."""

import torch
from torch.nn import functional as F

from formation.features.bases.directions import common_directions
from formation.features.bases.stability import matched_cosines
from tests.formation.features.planted_dictionary import WIDTH, noise_samples


def draw(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def bundles(noise: float = 0.05) -> tuple[torch.Tensor, torch.Tensor]:
    """Eight directions and their opposites, each with rows of its own, of any length."""
    half = F.normalize(torch.randn(8, WIDTH, generator=draw(0)), dim=1)
    truth = torch.cat([half, -half])
    which = torch.randint(16, (3000,), generator=draw(1))
    rows = (0.5 + torch.rand(3000, 1, generator=draw(2))) * truth[which]
    return truth, rows + noise * torch.randn(3000, WIDTH, generator=draw(3))


def test_bundles_and_their_opposites_are_found() -> None:
    truth, rows = bundles()
    found = common_directions(rows, 32, draw(4))
    torch.testing.assert_close(found.norm(dim=1), torch.ones(32))
    assert (truth @ found.T).max(1).values.min() > 0.95


def test_from_other_rows_most_bundles_are_found_again_and_in_noise_nothing_is() -> None:
    _, rows = bundles()
    again = matched_cosines(*(common_directions(rows, 32, draw(seed)) for seed in (4, 5)))
    noise = torch.cat([sample.x for sample in noise_samples()])
    nothing = matched_cosines(*(common_directions(noise, 32, draw(seed)) for seed in (4, 5)))
    assert (again > 0.95).sum() >= 14
    assert (nothing > 0.95).sum() <= 2


def test_the_same_draw_gives_the_same_directions() -> None:
    _, rows = bundles()
    assert torch.equal(common_directions(rows, 8, draw(6)), common_directions(rows, 8, draw(6)))


def test_more_directions_than_bundles_are_no_error() -> None:
    rows = torch.zeros(3, 4)
    rows[:, 0] = torch.tensor([1.0, 2.0, -1.0])
    found = common_directions(rows, 6, draw(0))
    assert torch.isfinite(found).all()
    torch.testing.assert_close(found[:, 0].abs(), torch.ones(6))
