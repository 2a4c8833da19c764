"""The record of components finds the planted circuit, its lesions and its formation, and nothing where nothing is."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from sklearn.metrics import roc_auc_score

from formation.artifacts import Run
from formation.benchmark.generate import Dataset, generate
from formation.benchmark.stage import load_for_run
from formation.benchmark.streams import Split, SplitName, TwinKind
from formation.components import probes, writers
from formation.components.attention import Slots, slots
from formation.components.files import CURVES, CURVES_SCHEMA
from formation.components.material import Material, Measured, materials
from formation.components.probe_targets import Target, labels
from formation.components.probes import Figures, measure_probes, probe_frame
from formation.components.roles import value_positions
from formation.components.series import component_series
from formation.components.states import stages
from formation.components.store import DATED, Sums, load_rows, load_sums
from formation.components.sweep import component_sweep
from formation.components.writers import measure_writers
from formation.record.analysis import seed_of
from formation.record.assemble import Table
from formation.record.births import Birth, Outcome, find_birth
from formation.record.evidence import FILE as EVIDENCE
from formation.record.probe_set import EVALUATION, ProbeSet, ProbeSplit, load_probe_set
from formation.record.reports import FILE as ANALYSIS
from formation.record.reports import SCHEMA
from formation.record.sources import source_of
from formation.record.sweep import checkpoint_sweep
from formation.record.triggers import Window, increments, triggers, windows
from formation.record.windows import analyze_birth_windows
from formation.statistics import resamples
from formation.training import checkpoints
from tests.formation.benchmark.planted import params
from tests.formation.components import small
from tests.formation.projects import own_artifacts, project
from tests.planted import Course, Damage, Decoy, Head, Plan, formation_run, plant
from tests.planted.run import EVERY, ramp
from tests.planted.test_circuit import plans

IID = SplitName.TEST_IID
RECORD = small.RECORD.model_copy(update={"probe_streams": 32, "placebos": 20})
DECOYS = {(0, 0): Decoy.UNREAD, (0, 3): Decoy.DISTRACTOR, (1, 0): Decoy.SILENT, (1, 1): Decoy.STALE}
PLANS = {
    "every decoy": Plan(decoys=DECOYS, mlp_decoys=(0, 1)),
    "one behind the other": Plan(layers=3, retrieval=((1, 2), (2, 0)), decoys=DECOYS, mlp_decoys=(2,)),
    "shared": Plan(3, 2, ((0, 0), (1, 1)), ((2, 0), (2, 1)), decoys={(0, 1): Decoy.UNREAD, (1, 0): Decoy.DISTRACTOR}),
}
PREVIOUS, RETRIEVAL, IDLE = (0, 1), (1, 2), (1, 3)  # of `Plan()`; the last has no job
Found = Mapping[tuple[str, str], float]


@cache
def dataset() -> Dataset:
    return generate(params(evaluation_streams=RECORD.probe_streams, train_streams=40), small.CONTEXT)


@cache
def material() -> Mapping[SplitName, Material]:
    data = dataset()
    parts = {
        name: ProbeSplit(
            np.arange(len(data.splits[name].tokens)), data.splits[name], {k: data.twins[name, k] for k in TwinKind}
        )
        for name in EVALUATION
    }
    return materials(ProbeSet("", "", parts), RECORD)


def name_of(head: Head) -> str:
    return f"layer_{head[0]}.head_{head[1]}"


def found_on(plan: Plan) -> Found:
    """Every metric of every head and MLP block on IID streams, and what heads copy by their weights."""
    every, weights = measure_writers(plant(plan, material()[IID].split.vocabulary, small.CONTEXT), material(), RECORD)
    found = {(one.component, one.metric): one.value or 0.0 for one in every if one.split is IID}
    copying = {(name, "ov_copy"): one["ov_copy"] for name, one in weights.items() if "ov_copy" in one}
    return found | copying


def names(found: Found, metric: str, heads: Collection[Head]) -> bool:
    """Whether the metric is higher for each of the heads than for any other head or MLP block: an AUROC of 1."""
    scores = {component: value for (component, of), value in found.items() if of == metric}
    wanted = {name_of(head) for head in heads}
    area = roc_auc_score([component in wanted for component in scores], list(scores.values()))
    return bool(area > 1 - 1e-9)  # it is summed in floats; one pair in the wrong order costs at least 1 %


def decoys(plan: Plan, *kinds: Decoy) -> set[Head]:
    return {head for head, kind in plan.decoys.items() if kind in kinds}


# --- who is in the circuit -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_every_metric_names_the_heads_it_should_and_no_decoy(plan: Plan) -> None:
    """Both kinds of heads cost the answer: by their mean, and by the key twin's output, which tells other values of
    this key (previous-token heads) or copies another key's (retrieval heads). Only the latter write the answer, and
    only they say something else in the value twin. Where heads look does not tell a head from one that writes nothing.
    Zero ablation is left out: half of the work missing altogether is no state that the planted heads know.
    """
    found, retrieval = found_on(plan), set(plan.retrieval)
    for metric in ("drop_mean", "drop_resample_key", "log_prob_drop_mean", "log_prob_drop_resample_key"):
        assert names(found, metric, plan.components), metric
    for metric in ("direct_effect", "drop_resample_value"):
        assert names(found, metric, retrieval), metric
    matching, previous = retrieval | decoys(plan, Decoy.SILENT), {*plan.previous, *decoys(plan, Decoy.UNREAD)}
    for metric in ("attention_matching_any", "attention_matching_value"):
        assert names(found, metric, matching), metric
    assert names(found, "prefix_matching", matching | decoys(plan, Decoy.STALE))
    assert names(found, "previous_token", previous)
    assert names(found, "attention_distractor", decoys(plan, Decoy.DISTRACTOR))
    smallest = min(found[name_of(head), "drop_mean"] for head in plan.components)
    for head, kind in plan.decoys.items():
        assert abs(found[name_of(head), "drop_mean"]) < 0.05 * smallest, (head, kind)
    for head in decoys(plan, Decoy.SILENT):
        assert found[name_of(head), "attention_matching_any"] > 0.99
        assert found[name_of(head), "drop_mean"] == found[name_of(head), "direct_effect"] == 0
    for head in decoys(plan, Decoy.STALE):
        assert found[name_of(head), "attention_stale"] > 0.98


@settings(max_examples=3)
@given(plan=plans())
def test_wherever_the_heads_are_they_are_named(plan: Plan) -> None:
    found = found_on(plan)
    for metric in ("drop_mean", "drop_resample_key"):
        assert names(found, metric, plan.components), metric
    assert names(found, "direct_effect", plan.retrieval)


# --- lesions ---------------------------------------------------------------------------------------------------------

LOOKS = ("attention_matching_any", "attention_stale", "attention_distractor", "previous_token", "prefix_matching")
WHOLE = Plan(decoys=DECOYS)


@cache
def whole() -> Found:
    return found_on(WHOLE)


def shares() -> tuple[np.ndarray, np.ndarray]:
    """Of each read: its current values before it, and its overwritten ones, answers of earlier reads among them."""
    masks = value_positions(material()[IID].split)
    return masks["matching_any"].sum(1), masks["stale"].sum(1)


@cache
def damaged(damage: Damage, head: Head) -> Found:
    return found_on(WHOLE.with_lesion(damage, head))


@cache
def lesions() -> Mapping[tuple[Damage, Head], Mapping[str, float]]:
    """What the lesioned head's metrics are by construction."""
    current, stale = shares()
    old = stale > 0
    kept = {metric: whole()[name_of(RETRIEVAL), metric] for metric in (*LOOKS, "ov_copy")}
    copying = whole()[name_of(PREVIOUS), "ov_copy"]
    idle = {metric: whole()[name_of(IDLE), metric] for metric in LOOKS}
    evenly = {
        "attention_matching_any": float((current / (current + stale)).mean()),
        "attention_stale": float((stale / (current + stale))[old].mean()),
    }
    first = {"attention_matching_any": float((~old).mean()), "attention_stale": 1.0}
    nothing = dict.fromkeys(("drop_zero", "drop_mean", "drop_resample_key", "direct_effect", "ov_copy"), 0.0)
    return {
        (Damage.NO_OV, PREVIOUS): {"previous_token": 1.0, **nothing},
        (Damage.NO_QK, PREVIOUS): {**idle, "ov_copy": copying, "direct_effect": 0.0},
        (Damage.NO_OV, RETRIEVAL): {**kept, **nothing},
        (Damage.NO_QK, RETRIEVAL): {**idle, "qk_margin": 0.0, "ov_copy": 1.0},
        (Damage.NO_RECENCY, RETRIEVAL): {**kept, **evenly},
        (Damage.REVERSED_RECENCY, RETRIEVAL): {**kept, **first, "accuracy_drop_mean": float((~old).mean())},
        (Damage.SHUFFLED_VALUES, RETRIEVAL): {**kept, "ov_copy": 0.0, "accuracy_drop_mean": 0.0},
    }


CASES = [
    *((damage, PREVIOUS) for damage in (Damage.NO_OV, Damage.NO_QK)),
    *((damage, RETRIEVAL) for damage in Damage),
]


@pytest.mark.parametrize(("damage", "head"), CASES, ids=str)
def test_every_lesion_shows_in_its_head_and_not_in_those_that_do_not_read_it(damage: Damage, head: Head) -> None:
    found = damaged(damage, head)
    wanted = lesions()[damage, head]
    own = {metric: found[name_of(head), metric] for metric in wanted}
    tight = {metric: value for metric, value in wanted.items() if metric not in ("previous_token", *LOOKS[:3])}
    assert {metric: own[metric] for metric in tight} == pytest.approx(tight, abs=2e-3)
    assert own == pytest.approx(dict(wanted), abs=0.02)  # sharp heads are not infinitely sharp
    unread = [(layer, one) for layer, one in product(range(2), range(4)) if layer <= head[0] and (layer, one) != head]
    for other, metric in product(unread, (*LOOKS, "ov_copy")):
        assert found[name_of(other), metric] == pytest.approx(whole()[name_of(other), metric], abs=1e-4), other


def test_a_lesion_below_takes_from_those_above_what_they_look_for() -> None:
    """Behind a previous-token head that is gone, no place has a key: retrieval heads and their decoys find nothing."""
    for damage in (Damage.NO_OV, Damage.NO_QK):
        found = damaged(damage, PREVIOUS)
        for head in (RETRIEVAL, *decoys(WHOLE, Decoy.SILENT, Decoy.STALE)):
            assert found[name_of(head), "attention_matching_any"] < 0.01
            assert found[name_of(head), "prefix_matching"] < 0.01
        assert found[name_of(RETRIEVAL), "direct_effect"] < 0
        assert found[name_of(RETRIEVAL), "drop_resample_key"] < 0.1


def test_a_lesion_above_takes_the_cost_of_the_head_below() -> None:
    """What the previous-token head says is worth as much as what is made of it."""
    costs = {damage: damaged(damage, RETRIEVAL)[name_of(PREVIOUS), "drop_resample_key"] for damage in Damage}
    before = whole()[name_of(PREVIOUS), "drop_resample_key"]
    assert before > 20
    assert costs[Damage.NO_OV] < 0.5
    assert costs[Damage.NO_QK] < 0.5
    assert 0.1 * before < costs[Damage.NO_RECENCY] < 0.6 * before
    assert costs[Damage.REVERSED_RECENCY] < 0.3 * before
    assert costs[Damage.SHUFFLED_VALUES] < 0


# --- what can be read off the stream, and from where on --------------------------------------------------------------


def probed(plan: Plan) -> Figures:
    frame = probe_frame(dataset().splits[SplitName.VALIDATION_IID], material(), RECORD)
    return measure_probes(plant(plan, material()[IID].split.vocabulary, small.CONTEXT), frame, RECORD)[1]


def readable(figures: Figures, role: str, target: Target, layers: int) -> list[bool]:
    """By stage, whether the label can be read; anything between all and what the control reads fails."""
    found = [figures[f"{stage}/{role}"][target][IID] for stage in stages(layers)]
    assert all(one["accuracy"] > 0.98 or one["accuracy"] < one["control"] + 0.15 for one in found)
    return [one["accuracy"] > 0.98 for one in found]


@pytest.mark.parametrize("previous", [0, 1])
def test_key_and_value_can_be_read_behind_their_heads_and_not_before(previous: int) -> None:
    plan = Plan(layers=3, heads=2, previous=((previous, 1),), retrieval=((2, 0),), mlp_decoys=(1,))
    figures = probed(plan)
    keyed = [stage >= 1 + 2 * previous for stage in range(8)]  # embed, then two stages a layer, then final_norm
    assert readable(figures, "matching_value", Target.QUERY_KEY, 3) == keyed
    assert readable(figures, "stale_value", Target.QUERY_KEY, 3) == keyed
    assert readable(figures, "query_key", Target.CURRENT_VALUE, 3) == [stage >= 5 for stage in range(8)]
    assert not any(readable(figures, "query_key", Target.STALE_VALUE, 3))


def test_without_its_head_neither_can_be_read() -> None:
    plan = Plan(layers=3, heads=2, previous=((0, 1),), retrieval=((2, 0),))
    figures = probed(plan.with_lesion(Damage.NO_OV, (0, 1)))
    assert not any(readable(figures, "matching_value", Target.QUERY_KEY, 3))
    assert not any(readable(figures, "query_key", Target.CURRENT_VALUE, 3))
    figures = probed(plan.with_lesion(Damage.NO_OV, (2, 0)))
    assert readable(figures, "matching_value", Target.QUERY_KEY, 3) == [False, *[True] * 7]
    assert not any(readable(figures, "query_key", Target.CURRENT_VALUE, 3))


# --- formation -------------------------------------------------------------------------------------------------------

# two heads share retrieval, so that the previous-token head costs more than either
FORMING = Plan(heads=3, retrieval=((1, 0), (1, 1)), decoys={(0, 0): Decoy.UNREAD, (1, 2): Decoy.SILENT})
STRENGTHS = ramp(4, 2, 4)
RISE = range(4 * EVERY, 6 * EVERY)  # steps at which strength rises
BORN = ("attention_matching_any", "direct_effect", "drop_mean", "drop_resample_value", "drop_resample_key")


@pytest.fixture(scope="module", autouse=True)
def _own_artifacts() -> Iterator[None]:
    """Artifacts lie in the test's own project, whatever the environment says."""
    with own_artifacts():
        yield


@pytest.fixture(scope="module")
def rising(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A planted formation, measured and analysed."""
    folder = project(tmp_path_factory.mktemp("rising"))
    run = formation_run(folder, FORMING, STRENGTHS, evaluation=40, probe=12)
    return analysed(run)


def analysed(run: Run) -> Run:
    checkpoint_sweep(run)
    component_sweep(run)
    analyze_birth_windows(run)
    return run


def births_of(run: Run) -> dict[tuple[str, str], int]:
    """Steps of the components' births."""
    found = run.json(ANALYSIS, SCHEMA)["component_births"]
    return {(one["component"], one["metric"]): one["step"] for one in found if one["outcome"] != "not_born"}


def test_what_formed_is_born_where_it_was_planted_and_nothing_else(rising: Run) -> None:
    born = births_of(rising)
    assert set(born.values()) <= set(RISE)
    for head, metric in product(FORMING.retrieval, BORN):
        assert (name_of(head), metric) in born
    previous = {metric for component, metric in born if component == name_of((0, 1))}
    assert {"drop_mean", "drop_resample_key"} <= previous <= {"drop_zero", "drop_mean", "drop_resample_key"}
    named = {component for component, _ in born if ".head_" in component or component.endswith(".mlp")}
    assert named == {name_of(head) for head in FORMING.components}
    states = {(component, metric) for component, metric in born if "/" in component}
    behind = ("layer_1_post_attn", "layer_1_post_mlp", "final_norm")
    assert states == {(f"{stage}/query_key", "probe_current_value") for stage in behind}


def test_its_window_is_where_strength_rises(rising: Run) -> None:
    found = rising.json(ANALYSIS, SCHEMA)["windows"]
    assert len(found) == 1
    assert found[0]["first_step"] == RISE[0] - EVERY
    assert found[0]["last_step"] in RISE
    for head in FORMING.retrieval:
        assert f"test_iid/{name_of(head)}:drop_resample_key" in found[0]["series"]


def test_the_evidence_is_of_the_head_that_retrieves(rising: Run) -> None:
    """Not of the previous-token head, which costs more: a retrieval head shares the work with another."""
    entries, curves = rising.json(EVIDENCE, "claims-evidence/1"), rising.json(CURVES, CURVES_SCHEMA)["heads"]
    final = {head: curves[name_of(head)]["drop_resample_key"]["value"][-1] for head in FORMING.components}
    assert max(final, key=lambda head: final[head]) in FORMING.previous
    for name in ("routing_birth_step", "write_birth_step"):
        assert any(name_of(head) in entries[name]["what"] for head in FORMING.retrieval)
        assert entries[name]["value"] in RISE
    assert entries["scaffold_birth_step"]["value"] is None
    reason = f"not born by step {rising.params.training.steps}"
    assert entries["scaffold_birth_step"]["reason"] == reason  # the key was readable all along
    assert entries["behaviour_in_stages"]["value"] <= 1
    assert rising.json(ANALYSIS, SCHEMA)["deep_work"]["may_start"]


def test_random_weights_form_nothing_and_no_work_may_start(tmp_path: Path) -> None:
    plan = Plan(heads=2, retrieval=((1, 0),))
    run = analysed(formation_run(project(tmp_path), plan, ramp(4, 0, 5), Course.RANDOM, evaluation=16, probe=10))
    found = run.json(ANALYSIS, SCHEMA)
    assert births_of(run) == {}
    assert found["windows"] == []
    assert not found["deep_work"]["may_start"]
    assert {test["test"] for test in found["deep_work"]["tests"] if not test["passed"]} >= {"behaviour present"}
    entries = run.json(EVIDENCE, "claims-evidence/1")
    assert all(entries[name]["value"] is None for name in ("routing_birth_step", "write_birth_step"))


# --- negative controls on the components alone -----------------------------------------------------------------------


def table_of(run: Run, sums: Sequence[Mapping[SplitName, Sums]]) -> Table:
    """The dated series of checkpoints whose sums these are."""
    sizes = {name: len(split.tokens) for name, split in load_for_run(run).splits.items()}
    return component_series(load_probe_set(run), sizes, sums, checkpoints.steps(run))


def dated_in(run: Run, table: Table) -> tuple[dict[str, Birth], list[Window]]:
    """Births and windows of a table, by the run's own rule."""
    rule = run.params.windows
    weights = resamples(run.params.benchmark.evaluation_streams, run.params.record.bootstrap_draws, (rule.seed, 0))
    births = {one.name: find_birth(one, weights, rule, seed_of(one.name, rule)) for one in table.values()}
    tested = [increments(one, births[one.name].rise.gate, weights, rule.consecutive) for one in table.values()]
    return births, windows(triggers(tested, rule.fdr), checkpoints.steps(run))


def born(births: Mapping[str, Birth]) -> set[str]:
    return {name for name, birth in births.items() if birth.outcome is not Outcome.NOT_BORN}


@pytest.fixture(scope="module")
def sums(rising: Run) -> list[Mapping[SplitName, Sums]]:
    rows = load_rows(rising, source_of(rising, load_probe_set(rising)))
    return [load_sums(rising, row) for row in rows]


def test_births_of_the_components_alone_are_those_of_the_run(rising: Run, sums: list[Mapping[SplitName, Sums]]) -> None:
    births, found = dated_in(rising, table_of(rising, sums))
    assert born(births) == {f"{DATED}/{component}:{metric}" for component, metric in births_of(rising)}
    assert len(found) == 1


def test_in_random_order_the_same_checkpoints_form_nothing(rising: Run, sums: list[Mapping[SplitName, Sums]]) -> None:
    """No more often than the rule allows: of few checkpoints, some orders do happen to rise."""
    orders, rng, rule = 20, np.random.default_rng(0), rising.params.windows
    with_window, series_born, series = 0, 0, 0
    for _ in range(orders):
        births, found = dated_in(rising, table_of(rising, [sums[place] for place in rng.permutation(len(sums))]))
        with_window += bool(found)
        series_born, series = series_born + len(born(births)), series + len(births)
    assert with_window <= rule.fdr * orders
    assert series_born <= rule.p_value * series


def test_permuted_answers_and_labels_form_nothing(rising: Run) -> None:
    births, found = dated_in(rising, table_of(rising, permuted_sums(rising)))
    assert len(births) > 50
    assert born(births) == set()
    assert found == []


def permuted_sums(run: Run, seed: int = 5) -> list[Mapping[SplitName, Sums]]:
    """The sums of all checkpoints, measured with other reads' answers, places and labels, everywhere the same ones."""
    parts, record = materials(load_probe_set(run), run.params.record), run.params.record
    rng = np.random.default_rng(seed)
    wrong = {
        name: replace(part, answer=part.answer[torch.from_numpy(rng.permutation(len(part.answer)))])
        for name, part in parts.items()
    }
    steps, measured = checkpoints.steps(run), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writers, "slots", lambda part, given: elsewhere(slots(part, given), seed))
        patch.setattr(probes, "labels", lambda split: of_other_reads(split, seed))
        frame = probe_frame(load_for_run(run).splits[SplitName.VALIDATION_IID], wrong, record)
        for step, strength in zip(steps, STRENGTHS, strict=True):
            if strength not in measured:
                model = checkpoints.load_model(run, step)
                every = [*measure_writers(model, wrong, record)[0], *measure_probes(model, frame, record)[0]]
                measured[strength] = {DATED: as_sums([one for one in every if one.split is DATED])}
    return [measured[strength] for strength in STRENGTHS]


def elsewhere(at: Slots, seed: int) -> Slots:
    """Every role at other value tokens before its read."""
    reads, generator = torch.arange(len(at.count)), torch.Generator().manual_seed(seed)
    offset = (torch.rand(len(reads), generator=generator) * at.count).long()
    return replace(at, members={role: at.moved(role)[offset, reads] for role in at.members})


def of_other_reads(split: Split, seed: int) -> dict[Target, np.ndarray]:
    """Labels permuted among the reads with a stale value, and among those without one."""
    rng, out = np.random.default_rng([seed, *split.name.encode()]), {}
    for target, column in labels(split).items():
        out[target] = column.copy()
        for reads in (np.flatnonzero(split.reads.stale > 0), np.flatnonzero(split.reads.stale == 0)):
            out[target][reads] = column[rng.permutation(reads)]
    return out


def as_sums(found: Sequence[Measured]) -> Sums:
    width = len(next(one.placebos for one in found if one.placebos is not None))
    arrays = {
        "sums": np.stack([one.sums for one in found]),
        "counts": np.stack([one.counts for one in found]),
        "placebos": np.stack([np.zeros(width) if one.placebos is None else one.placebos for one in found]),
        "permuted": np.array([one.placebos is not None for one in found]),
    }
    return Sums([(one.component, one.metric) for one in found], arrays)
