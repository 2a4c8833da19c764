"""Features at one checkpoint and over many: sums by hand, halves, placebos, births of a planted formation."""

from functools import cache

import numpy as np
import pytest
import torch

from formation.benchmark.streams import SplitName
from formation.components.material import SCORED
from formation.components.roles import NOWHERE, Role
from formation.components.states import states_at
from formation.errors import MeasureError
from formation.features.bases.activations import Activations
from formation.features.basis import Basis
from formation.features.choices import Kind
from formation.features.measures.placebos import draw_placebos
from formation.features.measures.trajectories import Frame, correlation, measure_features, trajectory_frame
from formation.features.measures.usefulness import Worth
from formation.features.snapshots import (
    FeatureMetric,
    Firing,
    Half,
    Snapshot,
    feature_series,
    from_arrays,
    split_in_half,
    to_arrays,
)
from formation.model import Transformer
from formation.record.births import Outcome, find_birth
from formation.statistics import resamples
from tests.formation.components.small import CONTEXT, material, random_model
from tests.formation.features.drawn import random_basis
from tests.formation.record import planted
from tests.planted import Plan, plant

IID, LAST = SplitName.TEST_IID, "layer_1_post_mlp"
STREAMS = material()[IID]
RULE = planted.RULE.model_copy(update={"permutations": 200, "seed": 1})


def answers(model: Transformer, stage: str) -> torch.Tensor:
    """The stage at the answer positions of IID streams."""
    return states_at(model, STREAMS.tokens, [stage], STREAMS.stream, STREAMS.position, 30)[stage].clone()


def frame(basis: Basis, states: torch.Tensor, placebos: int = 20) -> Frame:
    none = torch.zeros(len(states)).long()
    drawn = draw_placebos(basis, [Activations(basis.stage, 0, states, none, none)], placebos, 6, seed=0)
    return trajectory_frame(basis, drawn, material(), batch=30, seed=0)


@cache
def measured(stage: str = LAST) -> tuple[Transformer, Frame, Snapshot]:
    model, basis = random_model(), random_basis(stage).to(torch.float32)
    found = frame(basis, answers(model, stage))
    return model, found, measure_features(model, 40, found)


@pytest.mark.parametrize("split", SCORED)
def test_sums_are_those_of_each_streams_reads(split: SplitName) -> None:
    model, found, snapshot = measured()
    streams, one = material()[split], snapshot.splits[split]
    x = states_at(model, streams.tokens, [LAST], streams.stream, streams.position, 30)[LAST]
    activation = found.basis.encode(x)
    for stream in (0, 7):
        rows = streams.stream == stream
        np.testing.assert_allclose(
            one.tracks[Firing.ACTIVATION].sums[:, stream], activation[rows].sum(0), rtol=1e-4, atol=1e-5
        )
        assert one.reads[stream] == int(rows.sum())
    np.testing.assert_allclose(one.values(Firing.ACTIVE), (activation > 0).float().mean(0), atol=1e-6)
    np.testing.assert_allclose(one.values(Firing.SCORE), found.basis.scores(x).mean(0), rtol=1e-4, atol=1e-6)
    on = [activation[:, f][activation[:, f] > 0].mean() for f in range(found.basis.latents)]
    np.testing.assert_allclose(one.when_active(), on, rtol=1e-4)


def test_the_role_that_answers_has_the_profile_of_the_answers() -> None:
    _, _, snapshot = measured()
    one = snapshot.splits[IID]
    row = list(Role).index(Role.QUERY_KEY)
    np.testing.assert_allclose(one.roles.active[row], one.values(Firing.ACTIVE), atol=1e-6)
    np.testing.assert_allclose(one.roles.activation[row], one.values(Firing.ACTIVATION), rtol=1e-4)
    assert one.roles.places[list(Role).index(Role.STALE_VALUE)] == int(
        (STREAMS.roles[Role.STALE_VALUE] != NOWHERE).sum()
    )


def test_halves_are_halves_and_add_up() -> None:
    one = measured()[2].splits[IID]
    assert one.halves[Half.SELECTION].sum() == len(one.reads) // 2
    share = {half: one.reads[one.halves[half]].sum() / one.reads.sum() for half in Half}
    for metric in (Firing.ACTIVATION, Worth.USEFULNESS):
        whole = sum(share[half] * one.values(metric, half) for half in Half)
        np.testing.assert_allclose(whole, one.values(metric), rtol=1e-5, atol=1e-7)
        assert not np.allclose(one.values(metric, Half.SELECTION), one.values(metric, Half.REPORT))
    again, other = (split_in_half(20, [seed, 0]) for seed in (0, 1))
    assert np.array_equal(again[Half.SELECTION], split_in_half(20, [0, 0])[Half.SELECTION])
    assert not np.array_equal(again[Half.SELECTION], other[Half.SELECTION])


def test_correlation_is_pearsons_and_nan_where_nothing_varies() -> None:
    draw = torch.Generator().manual_seed(0)
    x, right = torch.rand(40, 3, generator=draw), torch.rand(40, generator=draw) > 0.5
    x[:, 2] = 0.5
    found = correlation(x, right)
    for feature in range(2):
        assert found[feature] == pytest.approx(np.corrcoef(x[:, feature], right)[0, 1])
    assert np.isnan(found[2])
    assert np.isnan(correlation(x, torch.ones(40, dtype=torch.bool))).all()


def test_a_snapshot_reads_back_as_it_was() -> None:
    snapshot = measured()[2]
    again = from_arrays(40, to_arrays(snapshot))
    assert list(again.splits) == [split for split in SplitName if split in SCORED]
    one, two = snapshot.splits[IID], again.splits[IID]
    assert set(two.tracks) == {*Firing, *Worth}
    for metric, track in one.tracks.items():
        assert np.array_equal(track.sums, two.tracks[metric].sums)
        assert np.array_equal(one.values(metric, Half.REPORT), two.values(metric, Half.REPORT))
    assert two.tracks[Worth.ZERO].placebos is None


def test_only_iid_streams_have_placebos_and_other_metrics_are_refused() -> None:
    snapshot = measured()[2]
    with pytest.raises(MeasureError, match="feature 1: usefulness on heldout_pairs has no placebos"):
        feature_series([snapshot], SplitName.HELDOUT_PAIRS, Worth.USEFULNESS, 1, np.arange(60), 60)


def test_nan_names_checkpoint_and_stage() -> None:
    _, found, _ = measured()
    broken = random_model()
    with torch.no_grad():
        broken.token[4] = torch.nan
    with pytest.raises(MeasureError, match="layer_1_post_mlp of the checkpoint of step 80"):
        measure_features(broken, 80, found)


def test_a_basis_of_another_width_is_refused() -> None:
    model, found, _ = measured()
    wide = Frame(random_basis(LAST, width=20), found.placebos, found.materials, found.halves, 30)
    with pytest.raises(MeasureError, match="16 dimensions; the basis was fit on layer_1_post_mlp with 20"):
        measure_features(model, 0, wide)


# --- over checkpoints ------------------------------------------------------------------------------------------------

STRENGTHS = [0.05, 0.1, 0.05, 0.1, 0.05, 0.4, 0.7, 1.0, 1.0, 1.0, 1.0]


@cache
def formation() -> tuple[Frame, tuple[Snapshot, ...]]:
    """A planted formation; features: the directions of the four commonest answers, and two nobody reads."""
    vocabulary = STREAMS.split.vocabulary
    models = [plant(Plan().with_strength(strength), vocabulary, CONTEXT) for strength in STRENGTHS]
    token = models[-1].token.detach()
    values = token[torch.bincount(STREAMS.answer).argsort(descending=True)[:4]]
    noise = torch.linalg.qr(token.T, mode="complete")[0][:, len(token) + 30 : len(token) + 32].T
    rows = torch.cat([values / values.norm(dim=1, keepdim=True), noise])
    zeros, bias = torch.zeros(rows.shape[1]), torch.tensor([-0.5] * 4 + [0.0] * 2)
    basis = Basis(LAST, Kind.TOPK, len(rows), rows, bias, rows, zeros, zeros, 1.0, 0.0)
    states = torch.cat([answers(model, LAST) for model in models[::3]])
    found = frame(basis, states, placebos=60)
    return found, tuple(measure_features(model, 10 * step, found) for step, model in enumerate(models))


@pytest.mark.parametrize("metric", [Firing.ACTIVATION, Worth.USEFULNESS])
@pytest.mark.parametrize("half", [None, Half.REPORT])
def test_a_formed_feature_is_born_when_it_forms_and_noise_never(half: Half | None, metric: FeatureMetric) -> None:
    _, snapshots = formation()
    weights = resamples(60, 100, 1)
    births = [
        find_birth(feature_series(snapshots, IID, metric, f, np.arange(60), 60, half), weights, RULE, 1)
        for f in range(6)
    ]
    for birth in births[:4]:
        assert birth.outcome is Outcome.BORN
        assert birth.step in (50, 60)
    assert all(birth.outcome is Outcome.NOT_BORN for birth in births[4:])


def test_series_are_numbered_as_in_the_full_split() -> None:
    _, snapshots = formation()
    at = 2 * np.arange(60) + 1
    series = feature_series(snapshots, IID, Firing.ACTIVATION, 0, at, 130)
    assert series.numerators.shape == (130, len(STRENGTHS))
    assert series.numerators[::2].sum() == 0
    values = [one.splits[IID].values(Firing.ACTIVATION)[0] for one in snapshots]
    np.testing.assert_allclose(series.values(), values, rtol=1e-6)
    assert series.name == "test_iid/feature_0:mean_activation"
