"""Figures and tables of births of features: on a time line with those of behaviours, and in other bases."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from formation.features.record import FeatureRecord
from formation.figures import style, tables
from formation.figures.plotdata import Mark, birth_mark
from formation.record.study import Study

MOST = 24  # features on the time line
KINDS = {
    "shared_basis": "shared basis",
    "principal_components": "principal components",
    "neurons": "neurons of the last MLP",
    "crosscoder": "crosscoder",
}
BEHAVIOURS = {
    ("test_iid", "accuracy"): ("accuracy, IID", style.SKY),
    ("test_iid", "key_twin_flip"): ("retrieval (key-twin flip)", style.INK),
    ("heldout_pairs", "accuracy"): ("accuracy, held-out pairs", style.VERMILION),
    ("structural_ood", "accuracy"): ("accuracy, structural OOD", style.GREEN),
}
ALTERNATIVE_COLUMNS = {
    "basis": "basis",
    "followed": "followed",
    "born": "born",
    "first": "first",
    "median (step)": "median",
    "most useful one (step)": "most_useful",
    "all together (step)": "together",
    "together, beside the shared basis": "apart",
}

Data = Mapping[str, Any]


def retrieval_marks(study: Study) -> list[Mark]:
    """The birth of retrieval in the run in front, where it was born."""
    return birth_mark(study.this.birth("counterfactual", "key_twin_flip"), "birth of retrieval", style.VERMILION)


def draw_births(record: FeatureRecord) -> Figure:
    """One row a feature, the first born on top; behaviours as vertical lines."""
    data = record.timeline
    rows = sorted(data["features"], key=lambda one: -one["usefulness"])[:MOST]
    rows = [one for one in data["features"] if one in rows]
    if not rows:
        return style.note(f"no feature of {record.run.name} was born")
    with style.house_style():
        figure = style.new_figure(height=0.17 * len(rows) + 1.3)
        axes = figure.subplots()
        for (split, metric), (label, colour) in BEHAVIOURS.items():
            for one in data["behaviours"]:
                if (one["split"], one["metric"]) == (split, metric) and one["step"] is not None:
                    axes.axvline(one["step"], color=colour, lw=1, ls=style.DOTTED, label=f"birth: {label}")
        for place, one in enumerate(rows):
            _birth(axes, one["birth"], place - 0.14, style.BLUE, data["steps"][-1])
            _birth(axes, one["useful_birth"], place + 0.14, style.ORANGE, data["steps"][-1])
        axes.plot([], [], "o", color=style.BLUE, label="activation")
        axes.plot([], [], "o", color=style.ORANGE, label="usefulness")
        axes.set_yticks(range(len(rows)), [f"{one['feature']}  ({one['usefulness']:.2f})" for one in rows], fontsize=7)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlim(0, data["steps"][-1] * 1.01)
        axes.set_xlabel("step")
        axes.set_ylabel("feature (its usefulness at the end, nats)")
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


def _birth(axes: Axes, birth: Data, y: float, colour: str, end: int) -> None:
    """A dot with its interval, hollow where censored, nothing where there is no date."""
    if birth["step"] is None:
        return
    high = end if birth["high"] is None else birth["high"]
    axes.plot([birth["low"], high], [y, y], color=colour, lw=1, alpha=0.7)
    fill = colour if birth["outcome"] == "born" else style.PAPER
    axes.plot(birth["step"], y, "o", color=colour, markerfacecolor=fill, ms=3.5)


def births_sentence(record: FeatureRecord) -> str:
    """How many features were born, when, and how that lies to the birth of retrieval."""
    found = record.birth_summary
    active, useful = found["birth"], found["useful_birth"]
    told = (
        f"Of {found['features']} features {active['born']} were born and {useful['born']} became useful; "
        f"{found['dead']} never speak; {found['lost']['usefulness']} lost usefulness again."
    )
    flips = [one for one in found["behaviours"] if one["metric"] == "key_twin_flip"]
    beside = next((one for one in flips if one["split"] in ("test_iid", "counterfactual")), None)
    if beside is None or not useful["born"]:
        return told
    part = beside["useful_birth"]
    interval = tables.interval(beside["low"], beside["high"])
    return (
        f"{told} Usefulness was born before the interval of retrieval's birth ({interval}) in {part['before']} of "
        f"them, within it in {part['within']}, behind it in {part['behind']}; the median is "
        f"{part['lag']['median']:+.0f} steps from retrieval's birth."
    )


def alternative_rows(record: FeatureRecord) -> list[dict[str, Any]]:
    """One row for each kind of basis, and those that could not be made with the reason."""
    data = record.alternatives
    rows = [_alternative(one) for one in data["kinds"]]
    return [
        *rows,
        *({"basis": KINDS.get(one["kind"], one["kind"]), "together": one["reason"]} for one in data["missing"]),
    ]


def _alternative(kind: Data) -> dict[str, Any]:
    name, births = KINDS.get(kind["kind"], kind["kind"].replace("_", " ")), kind["births"]
    if births is None:
        return {"basis": name, "followed": 0, "together": "nothing useful to follow"}
    beside = kind["against_shared_basis"]
    return {
        "basis": name,
        "followed": len(kind["followed"]),
        "born": births["born"],
        "first": births["earliest"],
        "median": tables.dated(*(births["median"][key] for key in ("value", "low", "high"))),
        "most_useful": _dated(births["most_useful"]),
        "together": _dated(births["together"]),
        "apart": None if beside is None else _apart(beside["together"]),
    }


def _dated(birth: Data) -> str | None:
    return tables.dated(birth["step"], birth["low"], birth["high"])


def _apart(difference: Data) -> str:
    if difference["value"] is None:
        return "one of the two was not born"
    low, high = (("?" if bound is None else f"{bound:+.0f}") for bound in (difference["low"], difference["high"]))
    return f"{difference['value']:+.0f} [{low}, {high}] checkpoints"
