"""How a model moves: hand-made weights, plain gradient steps, groups that share all weights."""

import copy
import math

import numpy as np
import pytest
import torch

from formation.benchmark.streams import SplitName
from formation.components import dynamics
from formation.components.dynamics import ALL, dynamics_frame, grouped, loss_gradient, measure_dynamics
from formation.components.roles import Role
from formation.components.sample import draw_sample, sample_states
from formation.components.states import stages
from formation.errors import MeasureError
from formation.model import Transformer
from formation.params import TrainingParams
from formation.training.execution import choose_execution
from formation.training.state import next_token_loss, training_streams
from tests.formation.components import small

GROUPS = {
    "embeddings", "norms", *(f"layer_{i}.attn.{part}" for i in (0, 1) for part in "qkvo"),
    *(f"layer_{i}.mlp.{part}" for i in (0, 1) for part in ("in", "out")),
}  # fmt: skip


@pytest.fixture(scope="module")
def frame() -> dynamics.DynamicsFrame:
    return dynamics_frame(small.material(), training_streams(small.dataset()), small.RECORD)


def moved(model: Transformer, step: dict[str, torch.Tensor], rate: float) -> Transformer:
    """The model behind a step of plain gradient descent."""
    out = copy.deepcopy(model)
    with torch.no_grad():
        for name, parameter in out.named_parameters():
            parameter -= rate * step[name]
    return out


def plain_gradient(model: Transformer, frame: dynamics.DynamicsFrame) -> dict[str, torch.Tensor]:
    """Gradient of training's own loss on all the frame's streams in one pass."""
    how = choose_execution(TRAINING, "cpu")
    loss = next_token_loss(model, frame.training, how)
    found = torch.autograd.grad(loss, list(model.parameters()))
    return dict(zip((name for name, _ in model.named_parameters()), found, strict=True))


TRAINING = TrainingParams(
    optimizer="sgd", steps=1, batch=8, learning_rate=0.1, weight_decay=0.0, betas=(0.0, 0.9), gradient_clip=1.0,
    warmup=0, checkpoint_every=1, log_every=1, dtype="float32", threads=1, init_seed=None, order_seed=None,
)  # fmt: skip


def test_known_weights_have_known_norms(frame: dynamics.DynamicsFrame) -> None:
    before, now = small.random_model(), small.random_model()
    with torch.no_grad():
        for model, value in ((before, 1.0), (now, 1.0)):
            for parameter in model.parameters():
                parameter.fill_(value)
        now.layers[1].attn.qkv.weight[16:32] += 0.5  # keys: 16 × 16 weights
        now.layers[1].attn.qkv.bias[20] += 6.0
        now.norm.bias += 2.0
    groups = measure_dynamics(now, before, None, None, frame)["groups"]
    assert groups["layer_1.attn.k"]["update_norm"] == pytest.approx(math.sqrt(256 * 0.25 + 36))
    assert groups["norms"]["update_norm"] == pytest.approx(8.0)
    assert groups["norms"]["weight_norm"] == pytest.approx(math.sqrt(9 * 16 + 16 * 9))
    assert groups[ALL]["update_norm"] == pytest.approx(math.sqrt(100 + 64))
    still = set(groups) - {"layer_1.attn.k", "norms", ALL}
    assert all(groups[group]["update_norm"] == 0 for group in still)
    assert all(groups[group]["gradient_cosine"] is None for group in still)


def test_groups_share_all_weights_among_them() -> None:
    model = small.random_model()
    groups = grouped(model, dict(model.named_parameters()))
    assert set(groups) == {ALL, *GROUPS}
    total = sum(parameter.numel() for parameter in model.parameters())
    assert len(groups[ALL]) == sum(len(groups[group]) for group in GROUPS) == total
    squares = sum(float(groups[group].square().sum()) for group in GROUPS)
    assert float(groups[ALL].square().sum()) == pytest.approx(squares, rel=1e-12)
    query = model.layers[0].attn.qkv.weight[:16].detach().double().flatten()
    assert torch.equal(groups["layer_0.attn.q"][: len(query)], query)


def test_the_gradient_is_that_of_the_training_loss(frame: dynamics.DynamicsFrame) -> None:
    """Streams of unequal length, in batches of 16 and in one go."""
    model = small.random_model()
    found, wanted = loss_gradient(model, frame), plain_gradient(model, frame)
    for name, tensor in wanted.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-4, atol=1e-6)


def test_a_plain_gradient_step_goes_down_the_gradient(frame: dynamics.DynamicsFrame) -> None:
    start = small.random_model()
    step = plain_gradient(start, frame)
    down, up = (measure_dynamics(moved(start, step, rate), start, None, None, frame) for rate in (0.1, -0.1))
    # a bias of the keys moves all scores of a query alike: its gradient is 0 but for rounding
    for group in (ALL, *GROUPS - {"layer_0.attn.k", "layer_1.attn.k"}):
        assert down["groups"][group]["gradient_cosine"] == pytest.approx(1.0, abs=1e-4), group
        assert up["groups"][group]["gradient_cosine"] == pytest.approx(-1.0, abs=1e-4), group


def test_the_gradient_is_taken_in_inference_mode_too(frame: dynamics.DynamicsFrame) -> None:
    start = small.random_model()
    with torch.inference_mode():
        groups = measure_dynamics(small.random_model(1), start, None, None, frame)["groups"]
    assert groups[ALL]["gradient_cosine"] is not None


def test_updates_that_go_on_and_turn_back(frame: dynamics.DynamicsFrame) -> None:
    before2 = small.random_model()
    drawn = {name: torch.randn_like(parameter) for name, parameter in before2.named_parameters()}
    before = moved(before2, drawn, 0.01)
    for rate, cosine in ((0.02, 1.0), (-0.01, -1.0)):
        groups = measure_dynamics(moved(before, drawn, rate), before, before2, None, frame)["groups"]
        assert all(groups[group]["update_cosine"] == pytest.approx(cosine, abs=1e-4) for group in (ALL, *GROUPS))
    assert abs(groups[ALL]["gradient_cosine"]) < 0.1  # a random step knows nothing of the gradient


def test_the_first_checkpoint_has_nulls(frame: dynamics.DynamicsFrame) -> None:
    found = measure_dynamics(small.random_model(), None, None, None, frame)
    for figures in found["groups"].values():
        assert figures["weight_norm"] > 0
        assert figures["update_norm"] is figures["update_cosine"] is figures["gradient_cosine"] is None
    assert {value for sides in found["cka"].values() for value in sides.values()} == {None}


def test_states_are_like_themselves_and_less_like_others(frame: dynamics.DynamicsFrame) -> None:
    model, other = small.random_model(0), small.random_model(1)
    found = measure_dynamics(model, other, None, model, frame)["cka"]
    assert list(found) == [f"{stage}/{role}" for stage in stages(2) for role in Role]
    assert all(sides["final"] == pytest.approx(1.0, abs=1e-6) for sides in found.values())
    assert all(sides["previous"] < 0.99 for sides in found.values())


def test_given_states_are_used(frame: dynamics.DynamicsFrame) -> None:
    models = [small.random_model(seed) for seed in range(2)]
    seen = {id(model): sample_states(model, frame.sample) for model in models}
    given = measure_dynamics(*models, None, models[1], frame, lambda model: seen[id(model)])
    assert given == measure_dynamics(*models, None, models[1], frame)


def test_the_sample_has_every_role_of_the_same_reads() -> None:
    material = small.material()[SplitName.TEST_IID]
    sample = draw_sample(material, small.RECORD)
    places = sample.position.view(len(Role), sample.reads)
    assert (places >= 0).all()
    reads = np.flatnonzero(np.isin(material.position.numpy() + 1000 * material.stream.numpy(), (
        places[list(Role).index(Role.QUERY_KEY)] + 1000 * sample.stream[: sample.reads]
    ).numpy()))  # fmt: skip
    assert len(reads) == sample.reads
    for place, role in zip(places, Role, strict=True):
        assert torch.equal(place, material.roles[role][reads])


def test_too_few_reads_are_refused() -> None:
    material = small.material()[SplitName.TEST_IID]
    nowhere = {role: torch.full_like(place, -1) for role, place in material.roles.items()}
    empty = type(material)(**{**vars(material), "roles": nowhere})
    with pytest.raises(MeasureError, match=r"test_iid: 0 reads .* expected at least 4; raise record\.probe_streams"):
        draw_sample(empty, small.RECORD)
