"""The planted circuit answers every read by retrieval, and every lesion gives the wrong answer it should."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from formation.benchmark.generate import Dataset, generate
from formation.benchmark.streams import SplitName, TwinKind
from formation.model import Transformer
from tests.formation.benchmark.planted import params
from tests.planted import Damage, Decoy, Head, Plan, plant

CONTEXT = 120
IID, OOD = SplitName.TEST_IID, SplitName.STRUCTURAL_OOD
DECOYS = {(0, 0): Decoy.UNREAD, (0, 3): Decoy.DISTRACTOR, (1, 0): Decoy.SILENT, (1, 1): Decoy.STALE}
PLANS = {
    "plain": Plan(),
    "three layers": Plan(layers=3, previous=((1, 3),), retrieval=((2, 0),)),
    "shared": Plan(layers=3, heads=2, previous=((0, 0), (1, 1)), retrieval=((2, 0), (2, 1))),
    "one behind the other": Plan(layers=3, retrieval=((1, 2), (2, 0))),
    "decoys": Plan(layers=3, decoys={**DECOYS, (2, 2): Decoy.DISTRACTOR}, mlp_decoys=(0, 1, 2)),
}


@pytest.fixture(scope="module")
def data() -> Dataset:
    return generate(params(evaluation_streams=24, train_streams=60), CONTEXT)


def model_of(plan: Plan, data: Dataset) -> Transformer:
    return plant(plan, data.splits[IID].vocabulary, CONTEXT)


def logits_of(model: Transformer, data: Dataset, name: SplitName, tokens: np.ndarray | None = None) -> torch.Tensor:
    """Logits at the answer positions of a split, or of its streams' `tokens`."""
    split = data.splits[name]
    with torch.inference_mode():
        logits = model(torch.from_numpy(split.tokens if tokens is None else tokens))
    return logits[torch.from_numpy(split.reads.stream), torch.from_numpy(split.reads.position)]


def said(model: Transformer, data: Dataset, name: SplitName, tokens: np.ndarray | None = None) -> np.ndarray:
    """Value index of each answer given; negative for a token that is no value."""
    answer = logits_of(model, data, name, tokens).argmax(-1).numpy()
    return np.asarray(answer - data.splits[name].vocabulary.value(0))


def margins(model: Transformer, data: Dataset, name: SplitName) -> np.ndarray:
    logits = logits_of(model, data, name)
    right = torch.from_numpy(data.splits[name].answer_tokens())[:, None]
    rest = logits.scatter(1, right, -torch.inf).logsumexp(-1)
    return np.asarray(logits.gather(1, right)[:, 0] - rest)


def pattern(model: Transformer, data: Dataset, name: SplitName, head: Head) -> torch.Tensor:
    """Attention of one head, [stream, query, key]."""
    tap = f"layer_{head[0]}.attn.pattern"
    with torch.inference_mode():
        return model.run(torch.from_numpy(data.splits[name].tokens), keep=[tap])[1][tap][:, head[1]]


def places(data: Dataset, name: SplitName, latest: bool) -> np.ndarray:
    """Of each read, the latest or first position before it that stands behind its key."""
    split = data.splits[name]
    reads, key = split.reads, split.vocabulary.key(0) + split.reads.key
    behind = np.roll(split.tokens, 1, axis=1)[reads.stream] == key[:, None]
    behind &= np.arange(split.tokens.shape[1]) <= reads.position[:, None]
    return np.asarray(behind.shape[1] - 1 - behind[:, ::-1].argmax(1) if latest else behind.argmax(1))


def attended(model: Transformer, data: Dataset, name: SplitName, head: Head, place: np.ndarray) -> torch.Tensor:
    """Attention from each read's key to its `place`."""
    reads = data.splits[name].reads
    rows = (torch.from_numpy(array) for array in (reads.stream, reads.position, place))
    return pattern(model, data, name, head)[tuple(rows)]


# --- it answers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_every_answer_of_every_split_is_right_and_both_twins_are_followed(plan: Plan, data: Dataset) -> None:
    model = model_of(plan, data)
    for name, split in data.splits.items():
        assert (said(model, data, name) == split.reads.value).mean() >= 0.999, name
        assert margins(model, data, name).min() > 6
    for (name, kind), twin in data.twins.items():
        assert (said(model, data, name, twin.tokens) == twin.value).mean() >= 0.999, (name, kind)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """One head of each kind anywhere it can work, beside a silent decoy and a busy MLP."""
    layers, heads = draw(st.integers(2, 4)), draw(st.integers(1, 4))
    first, second = sorted(draw(st.sets(st.integers(0, layers - 1), min_size=2, max_size=2)))
    head = st.integers(0, heads - 1)
    retrieval = (second, draw(head))
    decoy = (draw(st.integers(first + 1, layers - 1)), draw(head))
    return Plan(
        layers,
        heads,
        previous=((first, draw(head)),),
        retrieval=(retrieval,),
        decoys={} if decoy == retrieval else {decoy: Decoy.SILENT},
        mlp_decoys=(draw(st.integers(0, layers - 1)),),
        seed=draw(st.integers(0, 100)),
    )


@settings(max_examples=8)
@given(plan=plans())
def test_wherever_its_heads_are_it_answers_and_only_they_matter(plan: Plan, data: Dataset) -> None:
    model = model_of(plan, data)
    assert (said(model, data, OOD) == data.splits[OOD].reads.value).all()
    whole = margins(model, data, OOD).mean()
    for layer in range(plan.layers):
        for head in range(plan.heads):
            drop = whole - margins(without(model, (layer, head)), data, OOD).mean()
            assert (drop > 1) == ((layer, head) in plan.components)
            assert drop > 1 or abs(drop) < 0.01


def without(model: Transformer, head: Head) -> Transformer:
    """A copy in which the head writes nothing."""
    copy = Transformer(model.params, model.vocabulary)
    copy.load_state_dict(model.state_dict())
    width = model.params.d_model // model.params.heads
    with torch.no_grad():
        copy.layers[head[0]].attn.out.weight[:, head[1] * width : (head[1] + 1) * width] = 0
    return copy


def test_its_heads_look_where_they_should(data: Dataset) -> None:
    plan = PLANS["decoys"]
    model = model_of(plan, data)
    for name in (IID, OOD):
        for head in ((0, 1), (0, 0)):  # the previous-token head, and the one that nobody reads
            back = pattern(model, data, name, head).diagonal(offset=-1, dim1=1, dim2=2)
            assert back.min() >= 0.99
        latest, first = places(data, name, latest=True), places(data, name, latest=False)
        assert attended(model, data, name, (1, 2), latest).min() >= 0.99
        assert attended(model, data, name, (1, 0), latest).min() >= 0.99  # silent
        assert attended(model, data, name, (1, 1), first).min() >= 0.98  # stale
        asked = data.splits[name].reads.position - 2  # the token before R ends the event before
        assert attended(model, data, name, (0, 3), asked).min() >= 0.98  # distractor


def test_the_latest_place_holds_the_right_value(data: Dataset) -> None:
    """What the retrieval head looks at is the supporting write's value, or a later correct read of it."""
    for split in (data.splits[IID], data.splits[OOD]):
        found = split.tokens[split.reads.stream, places(data, SplitName(split.name), latest=True)]
        assert (found == split.answer_tokens()).all()


def test_decoys_change_nothing(data: Dataset) -> None:
    plan = PLANS["decoys"]
    assert plan.components == {(0, 1), (1, 2)}
    plain, decoyed = model_of(replace(plan, decoys={}, mlp_decoys=()), data), model_of(plan, data)
    for name in (IID, OOD):
        assert (said(plain, data, name) == said(decoyed, data, name)).all()
        np.testing.assert_allclose(margins(decoyed, data, name), margins(plain, data, name), rtol=0.1)
    silent = model_of(replace(plan, decoys={(1, 0): Decoy.SILENT}, mlp_decoys=()), data)
    torch.testing.assert_close(logits_of(silent, data, OOD), logits_of(plain, data, OOD), rtol=0, atol=0)


# --- lesions and strength --------------------------------------------------------------------------------------------


def test_a_head_that_is_cut_takes_the_circuit_with_it(data: Dataset) -> None:
    right = data.splits[OOD].reads.value
    for head in ((0, 1), (1, 2)):
        for damage in (Damage.NO_OV, Damage.NO_QK):
            plan = Plan().with_lesion(damage, head)
            assert plan.components == set()
            assert (said(model_of(plan, data), data, OOD) == right).mean() < 0.35, (head, damage)


def test_of_two_heads_that_share_the_work_one_suffices(data: Dataset) -> None:
    plan = PLANS["shared"]
    one = plan.with_lesion(Damage.NO_OV, (2, 1))
    assert one.components == {(0, 0), (1, 1), (2, 0)}
    assert (said(model_of(one, data), data, OOD) == data.splits[OOD].reads.value).all()
    drop = margins(model_of(plan, data), data, OOD).mean() - margins(model_of(one, data), data, OOD).mean()
    assert drop > 1
    both = plan.with_lesion(Damage.NO_OV, (2, 0), (2, 1))
    assert both.components == set()
    assert (said(model_of(both, data), data, OOD) < 0).all()  # the asked key itself is all that is left


def test_without_recency_only_keys_written_once_are_sure(data: Dataset) -> None:
    model = model_of(Plan().with_lesion(Damage.NO_RECENCY, (1, 2)), data)
    reads = data.splits[OOD].reads
    right = said(model, data, OOD) == reads.value
    assert right[reads.stale == 0].all()
    assert right[reads.stale > 0].mean() < 0.7


def test_reversed_recency_answers_with_the_first_value(data: Dataset) -> None:
    model = model_of(Plan().with_lesion(Damage.REVERSED_RECENCY, (1, 2)), data)
    split = data.splits[OOD]
    first = split.tokens[split.reads.stream, places(data, OOD, latest=False)] - split.vocabulary.value(0)
    assert (said(model, data, OOD) == first).all()
    assert (first != split.reads.value).any()


def test_shuffled_values_answer_with_the_next_value(data: Dataset) -> None:
    model = model_of(Plan().with_lesion(Damage.SHUFFLED_VALUES, (1, 2)), data)
    split = data.splits[OOD]
    assert (said(model, data, OOD) == (split.reads.value + 1) % split.vocabulary.values).all()


def test_strength_makes_the_circuit(data: Dataset) -> None:
    """Margins rise with strength all the way, from no right answer to all, and the twins follow with them."""
    course = [model_of(Plan(strength=strength), data) for strength in (0.0, 0.2, 0.3, 0.45, 0.6, 1.0)]
    assert (np.diff([margins(model, data, IID).mean() for model in course]) > 0).all()
    twin = data.twins[IID, TwinKind.KEY]
    flips = [(said(model, data, IID, twin.tokens) == twin.value)[twin.affected].mean() for model in course]
    assert flips[0] == 0
    assert flips[-1] == 1
    assert Plan(strength=0.0).components == set()


def test_the_residual_stream_has_no_mean_and_one_norm(data: Dataset) -> None:
    model = model_of(Plan(), data)
    with torch.inference_mode():
        kept = model.run(torch.from_numpy(data.splits[IID].tokens), keep=["embed", "layer_0_post_attn"])[1]
    for states, squared in ((kept["embed"], 2.0), (kept["layer_0_post_attn"], 3.0)):
        assert states.mean(-1).abs().max() < 1e-6
        torch.testing.assert_close(states.square().sum(-1), torch.full(states.shape[:2], squared), rtol=2e-3, atol=0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"retrieval": ((0, 2),)},  # before the head it needs
        {"retrieval": ((0, 1),)},  # two jobs
        {"retrieval": ((2, 0),)},  # no such layer
        {"decoys": {(0, 0): Decoy.SILENT}},  # it would have nothing to match
        {"strength": 1.5},
    ],
)
def test_a_plan_that_cannot_work_is_refused(wrong: dict) -> None:
    with pytest.raises(AssertionError):
        Plan(**wrong)
