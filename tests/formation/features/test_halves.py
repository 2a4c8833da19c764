"""Some streams of a split's material: what is kept is what stood there, numbered anew."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from formation.benchmark.streams import SplitName
from formation.components.ablation import resample
from formation.components.clean import clean_pass
from formation.features.halves import part_of
from tests.formation.components.small import material, random_model

WHOLE = material()[SplitName.TEST_IID]


def test_all_streams_are_the_same_material() -> None:
    part = part_of(WHOLE, np.ones(WHOLE.streams, bool))
    for name in ("tokens", "kinds", "stream", "position", "answer"):
        assert torch.equal(getattr(part, name), getattr(WHOLE, name))
    for kind, twin in part.twins.items():
        assert torch.equal(twin.first, WHOLE.twins[kind].first)


@given(st.lists(st.booleans(), min_size=60, max_size=60).filter(any))
@settings(max_examples=20)
def test_every_read_keeps_its_place_and_answer(chosen: list[bool]) -> None:
    part = part_of(WHOLE, np.array(chosen))
    old = np.flatnonzero(chosen)[part.stream.numpy()]
    reads = np.flatnonzero(np.array(chosen)[WHOLE.stream.numpy()])
    assert np.array_equal(old, WHOLE.stream.numpy()[reads])
    assert torch.equal(part.answer, WHOLE.answer[reads])
    assert np.array_equal(part.split.answer_tokens(), part.answer.numpy())
    assert np.array_equal(part.split.reads.position, part.position.numpy())
    for kind, twin in part.twins.items():
        whole = WHOLE.twins[kind]
        assert set(reads[twin.first.numpy()]) == {f for f in whole.first.tolist() if chosen[int(WHOLE.stream[f])]}
        assert bool(twin.affected[twin.first].all())


def test_an_ablation_of_a_part_is_the_part_of_an_ablation() -> None:
    chosen = np.arange(60) % 3 == 0
    part, model = part_of(WHOLE, chosen), random_model()
    kind = next(iter(WHOLE.twins))
    own = resample(model, clean_pass(model, part, 16), part, kind, 16)
    whole = resample(model, clean_pass(model, WHOLE, 16), WHOLE, kind, 16)
    reads = np.flatnonzero(chosen[WHOLE.stream.numpy()])
    for component, ablated in own.items():
        there = dict(zip(whole[component].rows.tolist(), whole[component].logits, strict=True))
        for row, logits in zip(ablated.rows.tolist(), ablated.logits, strict=True):
            torch.testing.assert_close(logits, there[int(reads[row])], rtol=1e-4, atol=1e-4)
