"""Activations of a run: the places, the checkpoints, their moments, and what is refused."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from formation.artifacts import Run
from formation.benchmark.stage import load_for_run
from formation.benchmark.streams import SplitName
from formation.errors import ArtifactError, MeasureError
from formation.features.bases.activations import Places, activations, draw_places
from formation.features.bases.samples import check_samples
from formation.features.choices import Positions
from formation.training import checkpoints
from tests.formation import projects
from tests.formation.projects import project
from tests.planted import Plan, formation_run

STEPS = [0, 10, 20]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Three planted checkpoints; the middle one is as the last but for the retrieval head's strength."""
    with projects.own_artifacts():
        yield formation_run(
            project(tmp_path_factory.mktemp("planted")), Plan(), (0.1, 0.5, 1.0), evaluation=32, probe=8
        )


def places(run: Run, positions: Positions = Positions.ANSWERS, streams: int = 12) -> Places:
    return draw_places(load_for_run(run).splits[SplitName.TRAIN], positions, streams, seed=3)


@pytest.mark.parametrize("stage", ["last_post_mlp", "layer_0_post_mlp", "final_norm"])
@pytest.mark.parametrize("positions", Positions)
def test_they_are_those_of_whole_passes_at_the_places(run: Run, stage: str, positions: Positions) -> None:
    where = places(run, positions)
    for sample in activations(run, stage, STEPS, where):
        assert sample.stage == stage.replace("last", "layer_1")
        model = checkpoints.load_model(run, sample.step)
        with torch.inference_mode():
            _, kept = model.run(where.tokens, keep=[sample.stage])
        torch.testing.assert_close(sample.x, kept[sample.stage][where.stream, where.position], rtol=1e-5, atol=1e-5)
        assert torch.equal(sample.tokens, where.tokens[where.stream, where.position])


def test_answer_positions_are_those_of_the_reads_and_all_positions_are_the_tokens(run: Run) -> None:
    split = load_for_run(run).splits[SplitName.TRAIN]
    answers, every = places(run, streams=10**6), places(run, Positions.ALL, 10**6)
    assert np.array_equal(answers.stream, split.reads.stream)
    assert np.array_equal(answers.position, split.reads.position)
    assert len(every.stream) == split.length.sum()


def test_streams_are_drawn_by_the_seed(run: Run) -> None:
    split = load_for_run(run).splits[SplitName.TRAIN]
    first, again, other = (draw_places(split, Positions.ANSWERS, 12, seed) for seed in (3, 3, 4))
    assert torch.equal(first.tokens, again.tokens)
    assert first.tokens.shape[0] == 12
    assert not torch.equal(first.tokens[:, :20], other.tokens[:, :20])


def test_they_are_samples_of_a_fit(run: Run) -> None:
    check_samples(list(activations(run, "final_norm", STEPS, places(run))))


# --- bad input -------------------------------------------------------------------------------------------------------


def test_a_missing_checkpoint_is_named_before_any_is_run(run: Run) -> None:
    with pytest.raises(ArtifactError, match=r"step_000015\.safetensors: no checkpoint of step 15"):
        activations(run, "final_norm", [0, 15], places(run))


@pytest.mark.parametrize("steps", [[], [10], [10, 10]])
def test_fewer_than_two_checkpoints_are_refused(run: Run, steps: list[int]) -> None:
    with pytest.raises(MeasureError, match="expected at least two different ones"):
        activations(run, "final_norm", steps, places(run))


def test_a_stage_that_is_none_is_refused(run: Run) -> None:
    with pytest.raises(MeasureError, match="no residual stage"):
        activations(run, "layer_9_post_mlp", STEPS, places(run))


def test_what_is_not_finite_is_named_by_checkpoint_and_stage(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(one: Run, step: int) -> torch.nn.Module:
        model = checkpoints.load_model(one, step)
        if step == 10:
            model.token.data[:] = torch.nan
        return model

    monkeypatch.setattr("formation.features.bases.activations.load_replayed", broken)
    samples = activations(run, "final_norm", STEPS, places(run))
    assert next(samples).step == 0
    with pytest.raises(MeasureError, match=r"final_norm of the checkpoint of step 10: .* not finite"):
        next(samples)
