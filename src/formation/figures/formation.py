"""Figures and tables of the formation chapter: plot data from the records of a study."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from formation.benchmark.heuristics import Heuristic
from formation.figures import style, tables
from formation.figures.plotdata import Axis, Heat, Level, Panel, Plot, Series, Span, birth_mark
from formation.record.study import RunRecord, Study

SPLITS = ("test_iid", "heldout_pairs", "structural_ood")
TWINS = "counterfactual"  # the split of IID streams that all have both twins
STEP = Axis("step")
FEWEST = 30  # reads behind a row of a heat map: fewer say nothing

# what a reader asks for, in the order of the argument: metric, split, name
BEHAVIOURS = (
    ("stale_accuracy_above_best_shortcut", "test_iid", "IID beyond the best shortcut"),
    ("value_twin_flip", TWINS, "follows the value twin"),
    ("key_twin_flip", TWINS, "follows the key twin"),
    ("stale_accuracy_above_best_shortcut", "heldout_pairs", "held-out beyond the best shortcut"),
    ("key_twin_flip", "heldout_pairs", "follows the key twin, held-out"),
    ("stale_accuracy_above_best_shortcut", "structural_ood", "OOD beyond the best shortcut"),
    ("key_twin_flip", "structural_ood", "follows the key twin, OOD"),
)

_ABLATIONS = {
    "drop_zero": "by zero",
    "drop_mean": "by their mean",
    "drop_resample_value": "by their output in the value twin",
    "drop_resample_key": "by their output in the key twin",
}
BIRTH_COLUMNS = {
    "behaviour": "behaviour",
    "birth (step)": "step",
    "95 % interval": "interval",
    "gate p": "p|.3f",
    "baseline": "baseline|.2f",
    "peak": "peak|.2f",
    "outcome": "outcome",
}
WINDOW_COLUMNS = {"window": "name", "from (step)": "first_step", "to (step)": "last_step", "what rose": "rose"}
ENDS = {  # where a run ends: column → entry of its evidence
    "iid_final": "iid_accuracy_final",
    "heldout_final": "heldout_accuracy_final",
    "ood_final": "ood_accuracy_final",
    "key_final": "key_twin_flip_final",
}
SEED_COLUMNS = {
    "run": "run",
    "retrieval born": "retrieval",
    "IID": "iid",
    "held-out": "heldout",
    "OOD": "ood",
    "final IID": "iid_final|.2f",
    "final held-out": "heldout_final|.2f",
    "final OOD": "ood_final|.2f",
    "final key-twin flip": "key_final|.2f",
}


def scale(study: Study) -> str:
    """What the study measures and how large it is, in two sentences."""
    this = study.this
    training, model = this.training, this.training["architecture"]
    heads = len(this.components["heads"]) // model["layers"]
    every = this.steps[1] - this.steps[0]
    reads = this.curve("test_iid", "accuracy")["n"]
    probed = next(one["n"] for one in this.analysis["component_births"] if one["metric"] == "drop_mean")
    return (
        f"This study has {len(study.runs)} run(s). Each has {model['layers']} layers of {heads} heads, "
        f"{model['d_model']} wide ({training['parameters']:,} parameters), and was trained for "
        f"{training['steps']:,} steps with a checkpoint every {every}. Behaviour is measured on all {reads:,} reads "
        f"of the IID test split, heads, MLP blocks and states on {probed:,} of "
        f"them{_left_out(this)}."
    )


def _left_out(record: RunRecord) -> str:
    """Which kinds of ablation a small preset leaves out, if any."""
    heads = next(iter(record.components["heads"].values()))
    words = [said for name, said in _ABLATIONS.items() if heads[name]["value"][-1] is None]
    return f"; replacing them {' and '.join(words)} is left out" if words else ""


def learning_curves(study: Study) -> Plot:
    """Accuracy on reads with a stale value, one panel a split, with the best shortcut, births and windows."""
    panels = []
    for split in SPLITS:
        colour = style.SPLIT_COLOURS[split]
        best = study.this.analysis["best_shortcut"][split]
        faint = [_line(record, split, "stale_accuracy", record.name, colour, faint=True) for record in study.others]
        birth = study.this.birth(split, "stale_accuracy_above_best_shortcut")
        panels.append(
            Panel(
                title=style.SPLIT_LABELS[split],
                x=STEP,
                y=Axis("accuracy", low=0, high=1.03),
                series=[*faint, _line(study.this, split, "stale_accuracy", study.this.name, colour)],
                levels=[Level(best["score"], "best shortcut")],
                marks=birth_mark(birth, "birth beyond it", style.INK),
                spans=_spans(study.this),
            )
        )
    return Plot("formation-learning-curves", panels, panel_height=1.75)


def flips(study: Study) -> Plot:
    """Value-twin and key-twin flips, the best shortcut's key-twin flip, and the share of a shortcut's errors repeated.

    The shortcut is the one whose errors the model repeats most on its plateau; without a plateau, the best one.
    """
    this = study.this
    two = next(entry for entry in this.analysis["two_births"] if entry["split"] == "test_iid")
    shortcut = (two["plateau"] or this.analysis["best_shortcut"]["test_iid"])["heuristic"]
    repeated = this.behaviour["shortcut_errors_repeated"]["test_iid"].get(shortcut)
    series = [
        _line(this, TWINS, "value_twin_flip", "follows the value twin", style.ORANGE),
        _line(this, TWINS, "key_twin_flip", "follows the key twin", style.BLUE),
    ]
    if repeated is not None:
        steps = [float(step) for step in this.steps]
        name = f"repeats errors of\n“{Heuristic(shortcut).label}”"
        series.append(Series(name, steps, repeated, colour=style.VERMILION, style="dashed"))
    born = birth_mark(this.birth(TWINS, "key_twin_flip"), "birth of retrieval", style.BLUE)
    if two["shortcut"] is not None:
        born += birth_mark(two["shortcut"], "birth of the shortcut", style.VERMILION)
    y = Axis("share of reads", low=-0.02, high=1.03)
    levels = [Level(this.analysis["best_shortcut_flip"][TWINS]["score"], "best shortcut, key twin")]
    panel = Panel("IID streams and their twins", STEP, y, series=series, levels=levels, marks=born)
    return Plot("formation-flips", [panel], panel_height=2.4)


def strata(study: Study) -> Plot:
    """Accuracy by lag and by stale count over training, IID above structural OOD."""
    names = {"lag": "lag (writes)", "stale": "stale count"}
    marks = birth_mark(study.this.birth(TWINS, "key_twin_flip"), "", style.PAPER)
    heats = [
        Heat(
            title=f"{style.SPLIT_LABELS[split]}, by {names[by].split(' (')[0]}",
            x=STEP,
            y=Axis(names[by]),
            columns=[float(step) for step in study.this.steps],
            rows=[str(value) for value, n in zip(stratum["at"], stratum["n"], strict=True) if n >= FEWEST],
            values=[row for row, n in zip(stratum["accuracy"], stratum["n"], strict=True) if n >= FEWEST],
            value_label="accuracy",
            marks=marks,
        )
        for split in ("test_iid", "structural_ood")
        for by, stratum in ((by, study.this.stratum(split, by)) for by in names)
    ]
    return Plot("formation-strata", heats, columns=2, panel_height=2.0)


def losses(study: Study) -> Plot:
    """Training loss and loss of each split over all next tokens, in nats."""
    rows = study.this.training_loss
    steps = [float(step) for step in study.this.steps]
    training = Series("training batches", [row["step"] for row in rows], [row["loss"] for row in rows], faint=True)
    measured = [
        Series(style.SPLIT_LABELS[split], steps, study.this.behaviour["token_loss"][split], colour=colour)
        for split, colour in ((split, style.SPLIT_COLOURS[split]) for split in SPLITS)
    ]
    panel = Panel("Loss over all next tokens", STEP, Axis("loss", "nats/token", low=0), [training, *measured])
    return Plot("formation-losses", [panel], panel_height=2.2)


def births_chart(study: Study) -> Figure:
    """Dots with intervals: the birth of each behaviour in every run; hollow where censored, missing where not born."""
    with style.house_style():
        figure = style.new_figure(height=0.32 * len(BEHAVIOURS) + 1.0)
        axes = figure.subplots()
        for number, record in enumerate(study.runs):
            shift = 0.55 * ((number + 0.5) / len(study.runs) - 0.5)
            colour = style.colour(number)
            dots = [
                (birth, row + shift)
                for row, (metric, split, _) in enumerate(BEHAVIOURS)
                if (birth := record.birth(split, metric))["step"] is not None
            ]
            for birth, y in dots:
                high = birth["high"] if birth["high"] is not None else record.steps[-1]
                axes.plot([birth["low"], high], [y, y], color=colour, lw=1, alpha=0.6)
                fill = colour if birth["outcome"] == "born" else style.PAPER
                axes.plot(birth["step"], y, "o", color=colour, markerfacecolor=fill, ms=4.5)
            axes.plot([], [], "o", color=colour, label=record.name)
        axes.set_yticks(range(len(BEHAVIOURS)), [name for _, _, name in BEHAVIOURS])
        axes.invert_yaxis()
        axes.set_xlim(0, study.this.steps[-1] * 1.02)
        axes.set_xlabel("step")
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


def birth_rows(study: Study) -> list[dict[str, Any]]:
    """One row for each behaviour of the run in front."""
    rows = []
    for metric, split, name in BEHAVIOURS:
        birth = study.this.birth(split, metric)
        gate = birth["gate"]
        rows.append(
            {
                "behaviour": name,
                "step": birth["step"],
                "interval": None if birth["step"] is None else tables.interval(birth["low"], birth["high"]),
                "p": gate["p"],
                "baseline": gate["baseline"],
                "peak": gate["peak"],
                "outcome": birth["outcome"].replace("_", " "),
            }
        )
    return rows


def window_rows(study: Study) -> list[dict[str, Any]]:
    """One row for each formation window, numbered as in the figure, with what rose in it."""
    return [
        {**window, "name": f"{number} · {window['name']}", "rose": _shortened(window["series"])}
        for number, window in enumerate(study.this.analysis["windows"], 1)
    ]


def seed_rows(study: Study) -> list[dict[str, Any]]:
    """One row for each run: its births and where it ended."""
    rows = []
    for record in study.runs:
        found = record.evidence
        rows.append(
            {
                "run": record.name,
                "retrieval": date_text(found["retrieval_birth_step"]),
                "iid": date_text(found["iid_birth_step"]),
                "heldout": date_text(found["heldout_birth_step"]),
                "ood": date_text(found["ood_birth_step"]),
                **{name: found[entry]["value"] for name, entry in ENDS.items()},
            }
        )
    return rows + [{"run": name, "retrieval": "not measured yet"} for name in study.missing]


def _line(record: RunRecord, split: str, metric: str, name: str, colour: str, faint: bool = False) -> Series:
    """A behaviour as a line; the run in front has its band, others are faint and have none."""
    curve = record.curve(split, metric)
    steps = [float(step) for step in record.steps]
    low, high = (None, None) if faint else (curve["low"], curve["high"])
    return Series(name, steps, curve["value"], low, high, colour=colour, faint=faint)


def _spans(record: RunRecord) -> list[Span]:
    """The run's windows by number; the table of windows says what each is called."""
    windows = record.analysis["windows"]
    return [Span(one["first_step"], one["last_step"], str(number)) for number, one in enumerate(windows, 1)]


def date_text(entry: dict[str, Any]) -> str:
    """A birth in a table: step with interval, or why there is none."""
    if entry["value"] is None:
        return str(entry["reason"]).split(":")[0]
    return str(tables.dated(entry["value"], entry["low"], entry["high"]))


def _shortened(series: Sequence[str], most: int = 4) -> str:
    """The first few `split/metric` names in words."""
    words = []
    for name in series:
        split, _, metric = name.partition("/")
        words.append(f"{style.SPLIT_LABELS[split]} {style.metric_label(metric)}")
    return "; ".join(words[:most]) + (f"; {len(words) - most} more" if len(words) > most else "")
