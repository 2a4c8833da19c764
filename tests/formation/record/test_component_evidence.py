"""Evidence on the order in which a mechanism forms: dates of the retrieval head, and why one is missing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from formation import presets
from formation.benchmark.streams import SplitName
from formation.record.analysis import Analysis, Key
from formation.record.assemble import Table
from formation.record.births import find_birth
from formation.record.component_evidence import NOT_MEASURED, RETRIEVAL, component_evidence, first_carrier
from formation.record.decision import decision_json
from formation.record.evidence import Entry
from formation.record.series import ComponentMetric, Metric
from formation.statistics import resamples
from tests.formation.record.planted import EVERY, RULE, STREAMS, plant

PARAMS = presets.load("smoke", Path(__file__).resolve().parents[3])
PARAMS = PARAMS.model_copy(update={"windows": RULE})
IID = SplitName.TEST_IID
STEP = np.arange(16)
STEADY = np.full(16, 0.2)


def rising(born: int) -> np.ndarray:
    return np.where(born > STEP, 0.05, 0.9)


def analysis(rates: dict[Key, np.ndarray]) -> Analysis:
    """Series that are right as often as told, with their births."""
    rng, weights = np.random.default_rng(0), resamples(STREAMS, 100, 0)
    table: Table = {key: replace(plant(rng, rate), metric=key[1], split=key[0]) for key, rate in rates.items()}
    births = {key: find_birth(series, weights, RULE, 0) for key, series in table.items()}
    return Analysis(table, [EVERY * int(s) for s in STEP], {IID: weights}, births, [], [], 0, [])


def head(layer: int) -> dict[Key, np.ndarray]:
    """A retrieval head that attends from checkpoint 5 on and writes from 8 on."""
    rates = {"attention_matching_any": rising(5), "direct_effect": rising(8), "drop_resample_key": rising(8)}
    return {(IID, ComponentMetric(f"layer_{layer}.head_0", metric)): rate for metric, rate in rates.items()}


def evidence_of(rates: dict[Key, np.ndarray]) -> dict[str, Entry]:
    return component_evidence(PARAMS, analysis(rates))


def test_dates_are_those_planted_and_their_distance() -> None:
    below = {(IID, ComponentMetric("layer_0_post_mlp/matching_value", "probe_query_key")): rising(4)}
    found = evidence_of(head(1) | below)
    dates = [found[f"{name}_birth_step"]["value"] for name in ("scaffold", "routing", "write")]
    assert dates == [4 * EVERY, 5 * EVERY, 8 * EVERY]
    assert found["scaffold_precedes_write"]["value"] == 4 * EVERY
    assert all("reason" not in found[f"{name}_birth_step"] for name in ("scaffold", "routing", "write"))


@pytest.mark.parametrize(
    ("rates", "reason"),
    [
        ({(IID, Metric.ACCURACY): STEADY}, NOT_MEASURED),
        (head(0), "the retrieval head is in layer 0"),
        (head(1), "test_iid has no dated layer_0_post_mlp/matching_value:probe_query_key"),
    ],
)
def test_why_there_is_no_scaffold(rates: dict[Key, np.ndarray], reason: str) -> None:
    found = evidence_of(rates)
    for name in ("scaffold_birth_step", "scaffold_precedes_write"):
        assert (found[name]["value"], found[name]["n"], found[name]["reason"]) == (None, 0, reason)


def test_a_behaviour_that_no_read_shows_is_not_blamed_on_the_head() -> None:
    found = evidence_of(head(0))["routing_precedes_heldout"]
    assert (found["value"], found["reason"]) == (None, "no read of heldout_pairs can show it")


def test_what_does_not_rise_was_not_born_by_the_last_step() -> None:
    never = dict.fromkeys(head(1), STEADY)
    assert evidence_of(never)["routing_birth_step"]["reason"] == f"not born by step {15 * EVERY}"


def test_a_test_without_reads_fails_and_says_so() -> None:
    tests = decision_json(PARAMS, analysis({(IID, Metric.ACCURACY): rising(5)}))["tests"]
    reasons = {test["test"]: test.get("reason") for test in tests}
    assert reasons["held-out above chance"] == "no read of heldout_pairs can show it"
    assert reasons["behaviour present"] is None


def test_a_head_that_reads_the_value_where_it_was_moved_to_is_dated_there() -> None:
    """It attends to the key token behind the matching value; another looks at values, and costs nothing."""
    name = "layer_1.head_0"
    rates = {
        "attention_matching_any": STEADY,
        "attention_next_key": rising(6),
        "direct_effect": rising(8),
        "drop_resample_key": rising(8),
    }
    other = {"attention_matching_any": rising(3), "attention_next_key": STEADY, "drop_resample_key": STEADY}
    found = evidence_of(
        {(IID, ComponentMetric(name, metric)): rate for metric, rate in rates.items()}
        | {(IID, ComponentMetric("layer_1.head_1", metric)): rate for metric, rate in other.items()}
        | {(IID, ComponentMetric("layer_0_post_mlp/next_key", "probe_query_key")): rising(4)}
    )
    assert found["routing_birth_step"]["value"] == 6 * EVERY
    assert found["scaffold_birth_step"]["value"] == 4 * EVERY
    assert "key token behind the matching value" in found["routing_birth_step"]["what"]
    preferred = found["value_place_preferred"]
    assert preferred["high"] < 0
    assert preferred["value"] == pytest.approx(0.2 - 0.9, abs=0.1)


def test_a_head_that_reads_the_value_in_place_prefers_it() -> None:
    behind = {(IID, ComponentMetric("layer_1.head_0", "attention_next_key")): STEADY}
    assert evidence_of(head(1) | behind)["value_place_preferred"]["low"] > 0
    absent = evidence_of(head(1))["value_place_preferred"]
    assert absent["value"] is None
    assert absent["reason"] == "test_iid has no dated layer_1.head_0:attention_next_key"


def test_the_head_in_which_retrieval_is_born_may_be_another_than_the_last() -> None:
    """`layer_2.head_0` looks at the matching key first, `layer_1.head_0` at the value later; a scaffold at neither."""
    rates = {
        ("layer_2.head_0", "attention_matching_key"): rising(6),
        ("layer_2.head_0", "attention_matching_any"): STEADY / 20,
        ("layer_2.head_0", "drop_resample_key"): np.where((STEP >= 6) & (STEP <= 10), 0.8, 0.1),
        ("layer_0.head_0", "attention_matching_any"): STEADY / 20,
        ("layer_0.head_0", "drop_resample_key"): rising(6),
        ("layer_1.head_0", "attention_matching_any"): rising(11),
        ("layer_1.head_0", "drop_resample_key"): rising(11),
    }
    found = analysis(
        {(IID, ComponentMetric(*name)): rate for name, rate in rates.items()} | {RETRIEVAL: rising(7)},
    )
    assert first_carrier(found) == "layer_2.head_0"
    entries = component_evidence(PARAMS, found)
    assert entries["first_carrier_birth_step"]["value"] == 6 * EVERY
    share = entries["first_carrier_share"]
    assert share["low"] < share["value"] < share["high"] < 1
    assert share["value"] == pytest.approx(0.1 / 0.9, abs=0.05)


def test_the_head_in_which_retrieval_is_born_is_mostly_the_last_one() -> None:
    found = evidence_of(head(1) | {RETRIEVAL: rising(8)})
    assert found["first_carrier_birth_step"]["value"] == found["routing_birth_step"]["value"]
    assert found["first_carrier_share"]["value"] == 1
    never = evidence_of(head(1) | {RETRIEVAL: STEADY})
    assert never["first_carrier_share"]["reason"] == "retrieval was not born, or not seen to last"
