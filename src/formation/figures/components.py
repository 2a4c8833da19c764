"""Figures and tables of what forms inside: residual states, heads, MLPs, dynamics. Plot data from the records."""

from collections.abc import Mapping
from typing import Any

from formation.figures import style, tables
from formation.figures.plotdata import Axis, Heat, Level, Mark, Panel, Plot, Series, birth_mark
from formation.record.study import RunRecord, Study

STEP = Axis("step")
NATS = "nats"
NAMED_HEADS = 3  # drawn in colour, all others faint
# role, target, what a reader calls it
AVAILABLE = (
    ("query_key", "current_value", "At the query: the value"),
    ("query_key", "matching_slot", "At the query: which write"),
    ("matching_value", "query_key", "At the matching value: its key"),
    ("stale_value", "query_key", "At a stale value: its key"),
    ("next_key", "query_key", "One event on: the key"),
    ("next_key", "current_value", "One event on: the value"),
)
# entry of the evidence, what a reader calls it
FIRST = "first_carrier_birth_step"
ORDER = (
    ("shortcut_birth_step", "accuracy rises for the first time"),
    ("scaffold_birth_step", "the key can be read where the retrieval head looks"),
    ("routing_birth_step", "the retrieval head attends to where it reads the value"),
    ("write_birth_step", "the retrieval head writes the answer"),
    (FIRST, "the head that carries retrieval at its birth attends to where it looks"),
    ("retrieval_birth_step", "the model follows key twins"),
    ("heldout_retrieval_birth_step", "and on held-out pairs"),
    ("ood_retrieval_birth_step", "and on structural OOD streams"),
)
ORDER_COLUMNS = {"event": "event", "birth (step)": "step", "95 % interval, or why there is none": "interval"}
DECISION_COLUMNS = {
    "test": "test",
    "measured": "what",
    "value": "value|.3f",
    "95 % interval": "interval",
    "must be": "must",
    "passed": "passed",
}


def available(study: Study) -> Plot:
    """What a linear probe reads off the stream, stage by step: accuracy on other streams than it was fitted on."""
    probes, steps = study.this.components["probes"], _steps(study.this)
    stages = sorted({place.partition("/")[0] for place in probes}, key=style.stage_order)
    heats = [
        Heat(
            title=words,
            x=STEP,
            y=Axis("behind"),
            columns=steps,
            rows=[style.stage_label(stage) for stage in stages],
            values=[probes[f"{stage}/{role}"][target]["accuracy"] for stage in stages],
            value_label="probe accuracy",
            marks=_birth_mark(study.this, style.PAPER),
        )
        for role, target, words in AVAILABLE
    ]
    return Plot("formation-available", heats, columns=2, panel_height=0.24 * len(stages) + 0.9)


def heads(study: Study) -> Plot:
    """Where heads look, what they write and what is lost without them; the strongest at the end are named."""
    record = study.this
    curves = record.components["heads"]
    named, previous = strongest(curves, "drop_resample_key"), strongest(curves, "previous_token")
    colours = {name: style.colour(index) for index, name in enumerate(dict.fromkeys([*named, *previous]))}
    lost, looking = ({name: colours[name] for name in names} for names in (named, previous))
    attention, effect, drop = Axis("attention", low=-0.02, high=1.03), Axis("effect", NATS), Axis("drop", NATS)
    panels = [
        _panel(record, "heads", "attention_matching_any", "Attention to the matching value", attention, lost),
        _panel(record, "heads", "attention_next_key", "Attention to the key token behind it", attention, lost),
        _panel(record, "heads", "previous_token", "Attention to the token before", attention, looking),
        _panel(record, "heads", "direct_effect", "Direct effect on the margin", effect, lost),
        _panel(record, "heads", "drop_resample_key", "Margin lost when taken from the key twin", drop, lost),
    ]
    return Plot("formation-heads", panels, panel_height=1.75)


def blocks(study: Study) -> Plot:
    """What MLP blocks write and what is lost without them."""
    record = study.this
    colours = {name: style.colour(index) for index, name in enumerate(sorted(record.components["mlps"]))}
    effect, drop = Axis("effect", NATS), Axis("drop", NATS)
    panels = [
        _panel(record, "mlps", "direct_effect", "Direct effect on the margin", effect, colours),
        _panel(record, "mlps", "drop_mean", "Margin lost when replaced by its mean", drop, colours),
        _panel(record, "mlps", "active_fraction", "Active neurons", Axis("fraction"), colours),
    ]
    return Plot("formation-mlps", panels, panel_height=1.6)


def dynamics(study: Study) -> Plot:
    """How fast and which way the weights move, and how much the states at the query still change."""
    record = study.this
    found, steps = record.components["dynamics"], _steps(record)
    marks = _birth_mark(record, style.INK)
    moving = [
        Series("update · update before", steps, found["update_cosine"]["all"], colour=style.BLUE),
        Series("update · −gradient", steps, found["gradient_cosine"]["all"], colour=style.ORANGE),
    ]
    similar = [
        Series(style.stage_label(place.partition("/")[0]), steps, one["final"])
        for place, one in _by_stage(found["cka"], "query_key")
        if not place.startswith("embed")
    ]
    size = Axis("norm", low=0)
    panels = [
        Panel("Length of the update between checkpoints", STEP, size, [_all(found, "update_norm", steps)], marks=marks),
        Panel("Direction of the update", STEP, Axis("cosine", low=-0.3, high=1.03), moving, [Level(0.0, "")]),
        Panel("States at the query, similarity to the final ones", STEP, Axis("CKA", low=0, high=1.03), similar),
    ]
    return Plot("formation-dynamics", panels, panel_height=1.7)


def spectra(study: Study) -> Plot:
    """How many directions the states fill at the query and at the matching value."""
    record = study.this
    found, steps = record.components["spectra"], _steps(record)
    panels = [
        Panel(
            title=f"{title}: participation ratio",
            x=STEP,
            y=Axis("directions", low=0),
            series=[
                Series(style.stage_label(place.partition("/")[0]), steps, one["participation_ratio"])
                for place, one in _by_stage(found, role)
            ],
            marks=_birth_mark(record, style.INK),
        )
        for role, title in (("query_key", "At the query"), ("matching_value", "At the matching value"))
    ]
    return Plot("formation-spectra", panels, panel_height=1.9)


def order_rows(study: Study) -> list[dict[str, Any]]:
    """One row for each event of the order in which the mechanism forms."""
    rows = []
    for name, event in ORDER:
        if name not in study.this.evidence:  # published by a version that did not ask
            continue
        entry = study.this.evidence[name]
        born = entry["value"] is not None
        rows.append(
            {
                "event": f"{event}{_what_is_left(study) if name == FIRST else ''}",
                "step": entry["value"],
                "interval": tables.interval(entry["low"], entry["high"]) if born else entry["reason"],
            }
        )
    return rows


def _what_is_left(study: Study) -> str:
    """What the first carrier still does at the end, in words."""
    share = study.this.evidence["first_carrier_share"]["value"]
    return "" if share is None else f" (at the end its key-twin drop is {share:.0%} of the retrieval head's)"


def decision_rows(study: Study) -> list[dict[str, Any]]:
    """One row for each test of the rule that says whether deep circuit work may start."""
    return [
        {
            **test,
            "what": _measured(test),
            "interval": f"{test['low']:.3f} to {test['high']:.3f}" if "low" in test else None,
            "must": f"{test['must_be']} {test['threshold']:.2f}" if "threshold" in test else test["reason"],
            "passed": "yes" if test["passed"] else "no",
        }
        for test in study.this.analysis["deep_work"]["tests"]
    ]


def may_start(study: Study) -> str:
    """What the decision rule says, in a sentence."""
    rule = study.this.analysis["deep_work"]
    if rule["may_start"]:
        return f"All tests are passed: deep circuit work may start on {study.this.name}."
    failed = ", ".join(test["test"] for test in rule["tests"] if not test["passed"])
    return f"Deep circuit work may not start on {study.this.name}: not passed: {failed}."


def _measured(test: dict[str, Any]) -> str | None:
    """What a test looks at, in words: `test_iid accuracy` is `IID: accuracy`."""
    split, _, metric = test.get("what", "").partition(" ")
    return f"{style.SPLIT_LABELS[split]}: {metric.replace('_', ' ')}" if metric else None


def strongest(curves: dict[str, Any], metric: str) -> list[str]:
    """The components with the largest metric at the last checkpoints, largest first."""
    final = {name: sum(value or 0.0 for value in one[metric]["value"][-3:]) for name, one in curves.items()}
    return sorted(final, key=lambda name: -final[name])[:NAMED_HEADS]


def _panel(record: RunRecord, family: str, metric: str, title: str, axis: Axis, colours: Mapping[str, str]) -> Panel:
    """One metric of all components: those with a colour have their bands, the others are faint and have no legend."""
    curves, steps = record.components[family], _steps(record)
    others = [
        Series(f"_{name}", steps, one[metric]["value"], colour=style.MUTED, faint=True)
        for name, one in curves.items()
        if name not in colours
    ]
    front = [
        Series(
            style.component_label(name),
            steps,
            curves[name][metric]["value"],
            curves[name][metric].get("low"),
            curves[name][metric].get("high"),
            colour=colour,
        )
        for name, colour in colours.items()
    ]
    return Panel(title, STEP, axis, [*others, *front], marks=_birth_mark(record, style.INK))


def _by_stage(found: dict[str, Any], role: str) -> list[tuple[str, Any]]:
    """The entries of a role, from the embedding to the final LayerNorm."""
    of_role = [(place, one) for place, one in found.items() if place.endswith(f"/{role}")]
    return sorted(of_role, key=lambda item: style.stage_order(item[0].partition("/")[0]))


def _all(found: dict[str, Any], name: str, steps: list[float]) -> Series:
    return Series("all weights", steps, found[name]["all"], colour=style.BLUE)


def _birth_mark(record: RunRecord, colour: str) -> list[Mark]:
    return birth_mark(record.birth("counterfactual", "key_twin_flip"), "birth of retrieval", colour)


def _steps(record: RunRecord) -> list[float]:
    return [float(step) for step in record.components["steps"]]
