"""Figures of features and candidates: what is drawn is what was measured, and where there is nothing they say so."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from formation.features.record import FeatureRecord, NotPublished
from formation.figures import candidates, feature_births, features, lines, published, style
from formation.figures.style import svg
from formation.figures.window_compare import draw_carried, draw_where


def record(**files: Any) -> FeatureRecord:
    """A record whose files are given."""
    return cast(FeatureRecord, SimpleNamespace(run=SimpleNamespace(name="quick-s1"), **files))


def tried(latents: int, k: int, missed: list[str]) -> dict[str, Any]:
    return {"latents": latents, "k": k, "missed": missed, "stability": 0.5}


def test_the_chosen_basis_is_marked_and_its_misses_are_named() -> None:
    choice = {
        "tried": [tried(32, 4, []), tried(64, 4, ["stability", "dead_fraction"])],
        "chosen": {"latents": 64, "k": 4, "missed": ["stability"]},
    }
    rows = features.choice_rows(record(quality={"choice": choice}))
    assert [row["basis"] for row in rows] == ["32, 4", "64, 4 (chosen)"]
    assert [row["missed"] for row in rows] == ["none", "stability, dead features"]


def bar(feature: int, direction: str, value: float | None, mode: str = "swap") -> dict[str, Any]:
    carried = None if value is None else {"value": value, "low": value - 0.1, "high": value + 0.1}
    return {"split": "test_iid", "direction": direction, "mode": mode, "features": [feature], "carried": carried}


def test_patches_show_swaps_of_the_split_with_their_intervals() -> None:
    bars = [
        bar(3, "into_source", 0.5),
        bar(3, "out_of_target", 0.2),
        bar(3, "into_source", 0.9, "keep"),
        bar(5, "into_source", None),
    ]
    plot = features.patches(record(patches={"bars": bars, "source": 40, "target": 80}))
    assert plot.rows == ["feature 3"]
    assert [(dot.row, dot.direction, dot.value) for dot in plot.dots] == [
        (0, "into_source", 0.5),
        (0, "out_of_target", 0.2),
    ]
    assert svg(draw_carried(plot))
    empty = features.patches(record(patches={"bars": [], "source": 40, "target": 80}))
    assert empty.note == "no feature changed between them"


def test_lineage_is_a_fraction_of_the_score_and_leaves_neurons_out() -> None:
    found = {
        "writers": ["layer_0.head_1", "layer_0.neuron_7"],
        "moved": [[0.5, 3.0], [1.0, 1.0]],
        "score": [1.0, 2.0],
    }
    plot = features.lineage(record(lineage={"features": [4, 9], "kinds": {"resample_key": found}}))
    assert plot.rows == ["head 0.1"]
    assert plot.columns == ["feature 4", "feature 9"]
    assert plot.grids[0].values == [[0.5, 1.0]]  # never beyond the whole score
    assert svg(draw_where(plot))
    nothing = features.lineage(record(lineage={"features": [], "kinds": {}}))
    assert nothing.note == "no feature of this run costs margin when it is removed"


def atlas(usefulness: np.ndarray) -> dict[str, Any]:
    return {"steps": [0, 40, 80], "mean_activation": np.abs(usefulness).tolist(), "usefulness": usefulness.tolist()}


def test_the_first_feature_to_rise_is_on_top_of_the_atlas() -> None:
    data = atlas(np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 1.0]]))
    axes = features.draw_atlas(record(atlas=data)).axes[0]
    low, high = axes.get_ylim()
    assert low > high


def birth(step: int | None, outcome: str = "born") -> dict[str, Any]:
    return {"outcome": outcome, "step": step, "low": step, "high": None if step is None else step + 40}


def timeline(rows: list[tuple[int, float]]) -> dict[str, Any]:
    listed = [
        {"feature": f, "usefulness": u, "birth": birth(None, "not_born"), "useful_birth": birth(40)} for f, u in rows
    ]
    return {"steps": [0, 40, 80], "behaviours": [], "features": listed}


def test_the_most_useful_features_are_on_the_time_line_in_the_order_of_their_births() -> None:
    many = [(feature, float(feature)) for feature in range(feature_births.MOST + 5)]
    figure = feature_births.draw_births(record(timeline=timeline(many)))
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == [f"{feature}  ({feature:.2f})" for feature, _ in many[5:]]
    none = feature_births.draw_births(record(timeline=timeline([])))
    assert svg(none) == svg(style.note("no feature of quick-s1 was born"))


def test_a_basis_that_could_not_be_made_stands_with_its_reason() -> None:
    data = {
        "kinds": [{"kind": "neurons", "followed": [], "births": None, "against_shared_basis": None}],
        "missing": [{"kind": "crosscoder", "reason": "too few checkpoints"}],
    }
    rows = feature_births.alternative_rows(record(alternatives=data))
    assert [row["basis"] for row in rows] == ["neurons of the last MLP", "crosscoder"]
    assert [row["together"] for row in rows] == ["nothing useful to follow", "too few checkpoints"]


def test_a_run_without_candidates_says_why_everywhere() -> None:
    reason = "no family is found again and beyond chance"
    empty = record(
        registry={"candidates": [], "reason": reason, "pairs": {"families": [], "members": [], "reason": reason}},
        trace={"candidate": None, "reason": reason},
        subpatches={"patches": []},
    )
    assert candidates.score_rows(empty) == [{"id": reason}]
    assert candidates.pair_rows(empty) == [{"pair": reason}]
    assert reason in candidates.trace_sentence(empty)
    assert candidates.joint_trace(empty).panels[0].title == reason
    assert svg(lines.draw(candidates.joint_trace(empty)))
    assert svg(candidates.draw_subpatches(empty)) == svg(style.note("no stable family, so nothing to patch"))


def test_names_are_said_in_words() -> None:
    assert candidates._said("family_0.top4") == "family 0, top 4"
    assert candidates._said("feature_7") == "feature 7"
    assert candidates._component("layer_1.neuron_167") == "neuron 1.167"
    assert candidates._component("layer_0.head_3") == "head 0.3"
    assert candidates._marked(4, [4, 5]) == "4*"


def test_what_a_publication_lacks_is_said_in_its_place() -> None:
    def absent() -> Any:
        raise NotPublished("quick-s1: alternatives.json is not among what was published of this run; run: formation x")

    said = "quick-s1: alternatives.json is not among what was published of this run"
    assert said in repr(published.table(absent, {"share": "share|.2f", "n": "n"}))
    assert repr(published.sentence(absent)) == f"*{said}*\n"
    assert published.figure(absent)._repr_svg_() == svg(style.note(said))
    assert repr(published.sentence(lambda: "There.")) == "There.\n"
