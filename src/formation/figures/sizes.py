"""Figures and tables of studies of different size beside each other, and beside the source study's own figures."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from formation.figures import lines, style
from formation.figures.formation import ENDS, SEED_COLUMNS, date_text
from formation.figures.plotdata import Axis, Level, Panel, Plot, Series

PANELS = {"iid": "IID", "heldout": "held-out pairs", "ood": "structural OOD"}
COLUMNS = {"run": "run", "parameters": "parameters|,", "steps": "steps|,"} | {
    heading: spec for heading, spec in SEED_COLUMNS.items() if spec not in ("run", "iid", "key_final|.2f")
}
_NONE = "not compared yet: formation compare-studies"

Comparison = Mapping[str, Any]


def accuracy(found: Comparison) -> Plot:
    """Answer accuracy over training, a panel a split, a colour a study; dashed: the source study's best checkpoint."""
    source = found["source"]
    panels = [
        Panel(
            title=title,
            x=Axis("step", scale="log"),
            y=Axis("accuracy", low=0, high=1.03),
            series=[line for index, study in enumerate(found["studies"]) for line in _lines(study, index, name)],
            levels=[Level(source["accuracy"][name], f"source study, step {source['step']:,}")],
        )
        for name, title in PANELS.items()
    ]
    return Plot("formation-sizes", panels, panel_height=1.6)


def draw_sizes(found: Comparison | None) -> Figure:
    """The figure of `accuracy`; without a comparison, a note with the command that makes it."""
    return style.note(_NONE) if found is None else lines.draw(accuracy(found))


def rows(found: Comparison | None) -> list[dict[str, Any]]:
    """One row a run, those not measured too, and at the end the source study."""
    if found is None:
        return [{"run": _NONE}]
    out = []
    for study in found["studies"]:
        out += [_row(study, run) for run in study["runs"]]
        out += [{"run": one["run"], "retrieval": "not measured yet"} for one in study["missing"]]
    reported = {f"{name}_final": found["source"]["accuracy"][name] for name in PANELS}
    return [*out, {"run": found["source"]["name"], "steps": found["source"]["step"], **reported}]


def beside_source(found: Comparison | None) -> str:
    """The runs on the source's stream rules beside what the source study reports, in a sentence a run."""
    if found is None:
        return f"*{_NONE}*"
    source = found["source"]
    reported = source["accuracy"]
    told = (
        f"The {source['name']} reports {reported['iid']:.2f}, {reported['heldout']:.2f} and {reported['ood']:.2f} on "
        f"IID, held-out and structural OOD streams for its best checkpoint (step {source['step']:,}), and "
        f"{reported['value_twin']:.2f} on counterfactual streams, which are value twins."
    )
    ours = [_sentence(run) for study in found["studies"] if study["setting"] == "source" for run in study["runs"]] or [
        "No run of ours on its stream rules has been measured yet."
    ]
    return " ".join([told, *ours])


def _sentence(run: Mapping[str, Any]) -> str:
    ends = {name: f"{run['entries'][entry]['value']:.2f}" for name, entry in ENDS.items()}
    twin = run["entries"]["value_twin_flip_final"]["value"]
    return (
        f"`{run['run']}` ends at {ends['iid_final']}, {ends['heldout_final']} and {ends['ood_final']}; it answers "
        f"{twin:.2f} of the streams and their value twins rightly, and {ends['key_final']} with their key twins."
    )


def _lines(study: Mapping[str, Any], index: int, name: str) -> list[Series]:
    """One line a run from its first checkpoint after step 0; only a study's first run stands in the legend."""
    out = []
    for place, run in enumerate(study["runs"]):
        label = f"{study['preset']} ({len(study['runs'])})" if place == 0 else f"_{run['run']}"
        steps = [float(step) for step in run["steps"][1:]]
        out.append(Series(label, steps, run["curves"][name][1:], colour=style.colour(index)))
    return out


def _row(study: Mapping[str, Any], run: Mapping[str, Any]) -> dict[str, Any]:
    entries = run["entries"]
    return {
        "run": run["run"],
        "parameters": run["parameters"],
        "steps": study["steps"],
        "retrieval": date_text(entries["retrieval_birth_step"]),
        "heldout": date_text(entries["heldout_retrieval_birth_step"]),
        "ood": date_text(entries["ood_retrieval_birth_step"]),
        **{name: entries[entry]["value"] for name, entry in ENDS.items()},
    }
