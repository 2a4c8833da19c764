"""Figures and tables of families and candidate circuits: map, births, scoreboard, one candidate's joint trace."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from formation.features.record import FeatureRecord, open_features
from formation.figures import style, tables
from formation.figures.plotdata import Axis, Mark, Panel, Plot, Series, Span
from formation.figures.window_compare import named
from formation.record.study import RunRecord, Study

FAMILY_COLUMNS = {
    "family": "name",
    "features": "size",
    "cohesion": "cohesion|.2f",
    "found again (Jaccard)": "jaccard|.2f",
    "p against chance": "p|.3f",
    "stable": "stable",
    "birth (step)": "birth",
    "useful from (step)": "useful",
}
SCORE_COLUMNS = {
    "candidate": "id",
    "features": "features",
    "written by": "components",
    "useful from (step)": "useful",
    "gain, IID (nats)": "gain",
    "gain, held-out (nats)": "heldout",
    "carried by its patch": "carried",
    "status": "status",
}
PAIR_COLUMNS = {
    "pair": "pair",
    "score r": "score_correlation",
    "usefulness r": "useful_correlation",
    "sign conflict": "sign_conflict",
    "gain together": "simultaneous_gain",
}
CURVES = {"usefulness": "IID", "heldout_usefulness": "held-out pairs", "ood_usefulness": "structural OOD"}
COLOURS = {"usefulness": style.BLUE, "heldout_usefulness": style.VERMILION, "ood_usefulness": style.GREEN}
SEED_COLUMNS = {
    "run": "run",
    "retrieval (step)": "retrieval",
    "stable families": "families",
    "strongest candidate": "id",
    "features": "features",
    "written by": "components",
    "useful from (step)": "useful",
    "gain, IID (nats)": "gain",
    "gain, held-out (nats)": "heldout",
}
PAIRS = 10  # rows of the table

Data = Mapping[str, Any]
Row = dict[str, Any]


# --- families --------------------------------------------------------------------------------------------------------


def draw_map(record: FeatureRecord) -> Figure:
    """Every feature as a dot, near those with which it moves; size by usefulness, colour by family."""
    data = record.family_map
    with style.house_style():
        figure = style.new_figure(height=3.4)
        axes = figure.subplots()
        for index, family in enumerate(sorted(set(data["family"]), key=_number)):
            own = [i for i, name in enumerate(data["family"]) if name == family]
            stable = data["stable"][own[0]]
            colour = style.colour(index) if stable else style.MUTED
            size = [14 + 120 * max(data["usefulness"][i], 0.0) for i in own]
            x, y = [data["x"][i] for i in own], [data["y"][i] for i in own]
            label = f"{_said(family)} ({len(own)}{'' if stable else ', not stable'})"
            axes.scatter(x, y, s=size, color=colour, alpha=0.65, linewidths=0, label=label)
            for i in own:
                axes.annotate(str(data["feature"][i]), (data["x"][i], data["y"][i]), fontsize=6, color=style.INK)
        axes.set_xlabel("first coordinate of the distances √(2 (1 − r))")
        axes.set_ylabel("second coordinate")
        legend = axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
        for handle in legend.legend_handles:
            handle.set_sizes([30])  # type: ignore[union-attr]
    return figure


def family_rows(record: FeatureRecord) -> list[Row]:
    """One row a family, the largest first; dates of the stable ones."""
    dates = {one["name"]: one for one in record.family_births["families"]}
    return [
        {
            **family,
            "name": _said(family["name"]),
            "size": len(family["features"]),
            "stable": "yes" if family["stable"] else "no",
            "birth": _date(dates.get(family["name"], {}).get("birth")),
            "useful": _date(dates.get(family["name"], {}).get("useful_birth")),
        }
        for family in record.families["families"]
    ]


# --- candidates ------------------------------------------------------------------------------------------------------


def score_rows(record: FeatureRecord) -> list[Row]:
    """One row a candidate, the strongest first; without any, one that says why."""
    registry = record.registry
    if not registry["candidates"]:
        return [{"id": registry["reason"]}]
    return [
        {
            "id": _said(one["id"]),
            "features": ", ".join(_marked(feature, one["unstable"]) for feature in one["features"]),
            "components": ", ".join(_component(name) for name in one["components"]) or None,
            "useful": _date(one["useful_birth"]),
            "gain": _estimate(one["useful_delta"]),
            "heldout": _estimate(one["heldout_delta"]),
            "carried": _estimate(one["carried"]),
            "status": one["status"].replace("_", " "),
        }
        for one in registry["candidates"]
    ]


def pair_rows(record: FeatureRecord) -> list[Row]:
    """Families against each other, else the strongest candidate's members, beside shifts of one in time."""
    pairs = record.registry["pairs"]
    found = (pairs["families"] or pairs["members"])[:PAIRS]
    figures = [key for key in PAIR_COLUMNS.values() if key != "pair"]
    rows = [
        {"pair": f"{_said(one['one'])} – {_said(one['other'])}", **{key: _beside(one[key]) for key in figures}}
        for one in found
    ]
    return rows or [{"pair": pairs["reason"]}]


def draw_subpatches(record: FeatureRecord) -> Figure:
    """What nested subsets carry of the window's change, beside as many features from outside the family."""
    rows = record.subpatches["patches"]
    if not rows:
        return style.note("no stable family, so nothing to patch")
    names = list(dict.fromkeys(row["subset"] for row in rows))
    with style.house_style():
        figure = style.new_figure(height=0.3 * len(names) + 1.3)
        axes = figure.subplots()
        for split, shift in (("test_iid", -0.14), ("heldout_pairs", 0.14)):
            own = [row for row in rows if row["split"] == split and row["share"]]
            colour = style.SPLIT_COLOURS[split]
            for row in own:
                y = names.index(row["subset"]) + shift
                axes.plot([row["share"]["low"], row["share"]["high"]], [y, y], color=colour, lw=1.2)
            places = [names.index(row["subset"]) + shift for row in own]
            axes.plot(
                [row["share"]["value"] for row in own], places, "o", color=colour, label=style.SPLIT_LABELS[split]
            )
        chance = [row for row in rows if row["chance"]]
        axes.plot(
            [row["chance"]["high"] for row in chance], [names.index(row["subset"]) for row in chance], "|",
            color=style.INK, ms=9, label="as many from outside, 95 %",
        )  # fmt: skip
        for level in (0.0, 1.0):
            axes.axvline(level, color=style.MUTED, lw=1, ls=style.DOTTED)
        axes.set_yticks(range(len(names)), [_said(name) for name in names])
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlabel("share of the change that the whole stage carries")
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


def seed_rows(study: Study) -> list[Row]:
    """The strongest candidate of every run, beside its birth of retrieval."""
    return [_seed_row(record, open_features(record.run)) for record in study.runs]


def _seed_row(record: RunRecord, features: FeatureRecord) -> Row:
    birth = record.birth("counterfactual", "key_twin_flip")
    stable = sum(family["stable"] for family in features.families["families"])
    row = score_rows(features)[0]
    return {**row, "run": record.name, "retrieval": _date(birth), "families": stable}


# --- the joint trace -------------------------------------------------------------------------------------------------


def joint_trace(record: FeatureRecord) -> Plot:
    """The strongest candidate on one time axis: what it is worth, its components, behaviour; windows and births."""
    data = record.trace
    if data["candidate"] is None:
        return Plot("joint-trace", [Panel(data["reason"], Axis("step"), Axis("usefulness", "nats"))])
    steps = [float(step) for step in data["steps"]]
    step = Axis("step", low=0, high=steps[-1])
    spans = [Span(one["first_step"], one["last_step"], str(i + 1)) for i, one in enumerate(data["windows"])]
    panels = [
        Panel(
            f"What {_said(data['candidate']['id'])} is worth to the answer",
            step,
            Axis("usefulness", "nats"),
            [_curve(label, steps, data["curves"][name], COLOURS[name]) for name, label in CURVES.items()],
            marks=_marks(data, "candidate", style.BLUE, " useful_birth", "its usefulness is born"),
            spans=spans,
        ),
        Panel(
            "Its score",
            step,
            Axis("score", "of the basis' scale"),
            [_curve("score", steps, data["curves"]["score"], style.INK)],
            marks=_marks(data, "candidate", style.INK, " birth", "its score is born"),
            spans=spans,
        ),
        Panel(
            "Margin lost with a component's output from the key twin",
            step,
            Axis("drop", "nats"),
            [
                _curve(_component(one["component"]), steps, one["drop_resample_key"], style.colour(i))
                for i, one in enumerate(data["components"])
                if one["drop_resample_key"]
            ],
            spans=spans,
        ),
        Panel(
            "Behaviour: follows the key twin",
            step,
            Axis("share of reads", low=-0.02, high=1.03),
            [
                _curve("IID", steps, data["behaviour"]["retrieval"], style.BLUE),
                _curve("held-out pairs", steps, data["behaviour"]["heldout_retrieval"], style.VERMILION),
            ],
            marks=_marks(data, "behaviour", style.INK, "retrieval", "retrieval is born"),
            spans=spans,
        ),
    ]
    return Plot("joint-trace", panels, panel_height=1.75)


def trace_sentence(record: FeatureRecord) -> str:
    """The strongest candidate in a sentence, or why there is none."""
    data = record.trace
    one = data["candidate"]
    if one is None:
        return f"There is no candidate in this run: {data['reason']}."
    parts = ", ".join(_component(name) for name in one["components"])
    return (
        f"The strongest candidate is {_said(one['id'])}: features {', '.join(map(str, one['features']))}, written by "
        f"{parts}. Its usefulness was born at step {_date(one['useful_birth'])}; at the end it is worth "
        f"{_estimate(one['useful_delta'])} nats more than after warm-up on IID reads and "
        f"{_estimate(one['heldout_delta'])} on held-out pairs."
    )


def _curve(name: str, steps: list[float], curve: Data, colour: str) -> Series:
    return Series(name, steps, curve["value"], curve["low"], curve["high"], colour)


def _marks(data: Data, of: str, colour: str, name: str, label: str) -> list[Mark]:
    """The births of one sort whose name ends in `name`."""
    found = [
        one for one in data["births"] if one["of"] == of and one["name"].endswith(name) and one["step"] is not None
    ]
    return [Mark(one["step"], label, one["low"], one["high"], colour) for one in found[:1]]


# --- words -----------------------------------------------------------------------------------------------------------


def _said(name: str) -> str:
    """`family_0.top4` in words."""
    family, _, size = name.partition(".top")
    words = family.replace("_", " ")
    return f"{words}, top {size}" if size else words


def _number(name: str) -> int:
    return int(name.rpartition("_")[2])


def _component(name: str) -> str:
    if ".neuron_" in name:
        layer, _, neuron = name.removeprefix("layer_").partition(".neuron_")
        return f"neuron {layer}.{neuron}"
    return named(name)


def _marked(feature: int, unstable: Sequence[int]) -> str:
    return f"{feature}*" if feature in unstable else str(feature)


def _date(birth: Data | None) -> str | None:
    return None if birth is None else tables.dated(birth["step"], birth["low"], birth["high"])


def _estimate(one: Data | None) -> str | None:
    return None if one is None else f"{one['value']:.2f} [{one['low']:.2f}, {one['high']:.2f}]"


def _beside(one: Data) -> str | None:
    """A figure, and in brackets the interval of the same with one of the two shifted in time."""
    return None if one["value"] is None else f"{one['value']:.2f} (chance {one['low']:.2f} to {one['high']:.2f})"
