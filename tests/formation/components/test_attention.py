"""Where heads look: against loops over the tokens, and on the circuit that is known."""

import math
from functools import cache

import numpy as np
import pytest
import torch

from formation.benchmark.streams import Special, SplitName
from formation.components.attention import Slots, measure_attention, slots
from formation.components.clean import clean_pass
from formation.components.material import Measured
from formation.model import Transformer
from tests.formation.components.small import CONTEXT, RECORD, material, random_model
from tests.planted import Damage, Plan, plant

IID, OOD = SplitName.TEST_IID, SplitName.STRUCTURAL_OOD
Found = dict[tuple[str, str], Measured]


def measured_on(model: Transformer, name: SplitName) -> Found:
    streams = material()[name]
    clean = clean_pass(model, streams, 16)
    return {(one.component, one.metric): one for one in measure_attention(clean, streams, slots(streams, RECORD))}


@cache
def random_found(name: SplitName = IID) -> Found:
    return measured_on(random_model(std=0.3), name)


@cache
def planted_found(recency: bool = True) -> Found:
    plan = Plan() if recency else Plan().with_lesion(Damage.NO_RECENCY, (1, 2))
    return measured_on(plant(plan, material()[IID].split.vocabulary, CONTEXT).eval(), IID)


def by_hand(name: SplitName, layer: int, head: int) -> dict[str, float]:
    """Every metric of one head from its attention matrix, read by read and token by token."""
    streams, model = material()[name], random_model(std=0.3)
    keep = [f"layer_{layer}.attn.pattern", f"layer_{layer}.attn.scores"]
    with torch.inference_mode():
        pattern, scores = (model.run(streams.tokens, keep=keep)[1][one][:, head].numpy() for one in keep)
    tokens, first = streams.tokens.numpy(), streams.split.vocabulary.value(0)
    sums: dict[str, list[float]] = {}
    for number, (stream, answer) in enumerate(zip(streams.stream.tolist(), streams.position.tolist(), strict=True)):
        row, seen, score = tokens[stream], pattern[stream, answer], scores[stream, answer]
        support = int(streams.split.reads.support[number])
        values = [place for place in range(answer) if row[place] >= first]
        own = [place for place in values if row[place - 1] == row[answer]]
        current = [place for place in own if place > support]
        roles = {
            "attention_matching_value": [support + 2],
            "attention_matching_any": current,
            "attention_matching_key": [support + 1],
            "attention_next_key": [place + 2 for place in current],
            "attention_stale": [place for place in own if place < support],
            "attention_distractor": [place for place in values if place not in own],
            "prefix_matching": [place + 1 for place in range(answer) if row[place] == row[answer]],
        }
        for metric, places in roles.items():
            if places:
                sums.setdefault(metric, []).append(sum(seen[place] for place in places))
        for metric, places in (("qk_margin", [support + 2]), ("qk_margin_any", current)):
            rest = [place for place in values if place not in places]
            if rest:
                sums.setdefault(metric, []).append(max(score[places]) - max(score[rest]))
        sums.setdefault("entropy", []).append(-sum(p * math.log(p) for p in seen[: answer + 1]))
    real = tokens != Special.PAD
    sums["previous_token"] = [
        pattern[stream, place, place - 1]
        for stream in range(len(tokens))
        for place in range(1, tokens.shape[1])
        if real[stream, place]
    ]
    return {metric: float(np.mean(found)) for metric, found in sums.items()}


@pytest.mark.parametrize(("name", "layer", "head"), [(IID, 0, 1), (OOD, 1, 0)])
def test_every_metric_is_what_its_name_says(name: SplitName, layer: int, head: int) -> None:
    wanted = by_hand(name, layer, head)
    part = f"layer_{layer}.head_{head}"
    found = {metric: one.value for (component, metric), one in random_found(name).items() if component == part}
    assert found == pytest.approx(wanted, abs=1e-5)


def test_the_planted_heads_look_where_they_should() -> None:
    found = {key: one.value for key, one in planted_found().items()}
    assert found["layer_0.head_1", "previous_token"] > 0.99
    assert found["layer_1.head_2", "attention_matching_any"] > 0.99
    assert found["layer_1.head_2", "prefix_matching"] > 0.99
    assert found["layer_1.head_2", "qk_margin_any"] > 1
    assert found["layer_1.head_2", "entropy"] < 0.1
    assert found["layer_1.head_0", "attention_matching_any"] < 0.5


def test_without_recency_it_looks_at_stale_values_too() -> None:
    stale = [planted_found(recency)["layer_1.head_2", "attention_stale"].value for recency in (True, False)]
    assert stale[0] < 0.01
    assert stale[1] > 0.2
    assert planted_found(recency=False)["layer_1.head_2", "prefix_matching"].value > 0.99


def test_its_placebos_look_elsewhere() -> None:
    for metric in ("attention_matching_any", "prefix_matching", "qk_margin_any"):
        one = planted_found()["layer_1.head_2", metric]
        assert one.placebos is not None
        assert one.value is not None
        assert one.value > one.placebos.max() + 0.3


def test_shares_of_attention_are_shares() -> None:
    """The three kinds of values share at most all attention; per read, so over streams too."""
    roles = ("attention_matching_any", "attention_stale", "attention_distractor")
    for part in ("layer_0.head_0", "layer_1.head_1"):
        sums = sum(random_found()[part, role].sums for role in roles)
        assert (sums <= random_found()[part, "entropy"].counts + 1e-6).all()
        assert all((random_found()[part, role].sums >= 0).all() for role in roles)


def test_moved_slots_are_other_values_as_many_and_as_far_apart() -> None:
    at: Slots = slots(material()[OOD], RECORD)
    for role, member in at.members.items():
        moved = at.moved(role)
        assert torch.equal(moved[0], member)
        for offset in range(1, at.place.shape[1]):
            assert torch.equal(moved[offset].sum(1), member.sum(1))
            assert not (moved[offset] & ~at.valid).any()
    assert ((at.offsets < at.count) | (at.count == 1)).all()
    several = at.count > 1
    assert (at.offsets[:, several] > 0).all()
    matching = at.moved("matching")
    rows = torch.arange(len(at.count))[several]
    assert not (matching[at.offsets[:, several], rows] & at.members["matching"][several]).any()


def test_a_head_that_looks_everywhere_alike_prefers_nothing() -> None:
    """Negative control: with equal scores each role's attention is that of its placebos, and every margin is 0."""
    model = random_model()
    with torch.no_grad():
        for layer in model.layers:
            layer.attn.qkv.weight[: 2 * model.params.d_model] = 0
            layer.attn.qkv.bias[: 2 * model.params.d_model] = 0
    for one in measured_on(model, IID).values():
        if one.metric.startswith("qk"):
            assert one.value == 0
        if one.placebos is not None:
            assert one.placebos == pytest.approx(one.value, abs=2e-3)
