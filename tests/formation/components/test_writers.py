"""One call measures every head and MLP block."""

from itertools import product

import numpy as np

from formation.components.material import SCORED
from formation.components.writers import measure_writers
from tests.formation.components.small import RECORD, material, random_model

DROPS = ("drop_zero", "drop_mean", "drop_resample_value", "drop_resample_key")
DETAIL = tuple(f"{what}_drop_{kind}" for what in ("log_prob", "accuracy") for kind in ("mean", "resample_key"))
ATTENTION = (
    "attention_matching_value", "attention_matching_any", "attention_next_key", "attention_matching_key",
    "attention_stale", "attention_distractor", "prefix_matching",
    "qk_margin", "qk_margin_any", "entropy", "previous_token",
)  # fmt: skip


def test_every_metric_of_every_component_is_there_once_and_the_same_each_time() -> None:
    model = random_model()
    found, plain = measure_writers(model, material(), RECORD)
    heads = [f"layer_{layer}.head_{head}" for layer, head in product(range(2), range(2))]
    blocks = ["layer_0.mlp", "layer_1.mlp"]
    wanted = {*product(heads, (*ATTENTION, *DROPS, *DETAIL, "direct_effect"), SCORED)}
    wanted |= {*product(blocks, ("active_fraction", *DROPS, *DETAIL, "direct_effect"), SCORED)}
    assert len(found) == len(wanted)
    assert {(one.component, one.metric, one.split) for one in found} == wanted
    for one in found:
        assert np.isfinite(one.sums).all()
        assert one.placebos is None or (len(one.placebos) == RECORD.placebos and np.isfinite(one.placebos).all())
    assert plain.keys() == {*heads, *blocks}
    assert plain["layer_0.head_1"].keys() == {"ov_copy", "ov_copy_top"}
    assert plain["layer_1.mlp"]["effective_rank"].keys() == {name.value for name in SCORED}
    again, same = measure_writers(model, material(), RECORD)
    assert same == plain
    assert all(np.array_equal(one.sums, two.sums) for one, two in zip(found, again, strict=True))
