"""Evidence on the order in which a mechanism forms: scaffold, routing, write, behaviour (`claims-evidence/1` entries).

The *retrieval head* is the head that costs the answer most when replaced by its own output in the key twin, at the end
of training (mean of the last checkpoints): that is what it says of the key. Heads that tell values their key, below it,
cost as much, so the cost is weighed by the head's attention to where the value can be read: the matching value, or the
key token behind it, to which an earlier layer can have moved it. Its dates are compared with those of what should come
before (the key, readable at that place below its layer) and after (held-out retrieval).

Retrieval may be born in another head, one that looks at the matching key itself: the *first carrier* is the head with
the largest cost at the checkpoints from retrieval's birth on, weighed by its attention to either place or to that key.
"""

from dataclasses import dataclass

import numpy as np

from formation.benchmark.streams import SplitName
from formation.components.roles import Role
from formation.params import Params
from formation.record.analysis import Analysis, Key
from formation.record.births import Change, Outcome
from formation.record.evidence import (
    BIRTHS,
    HELDOUT,
    IID,
    Entry,
    birth_entry,
    distance_entry,
    estimate_entry,
    missing,
    why_absent,
)
from formation.record.plateaus import distance
from formation.record.series import ComponentMetric, Metric
from formation.statistics import interval, ratio

PLACES = {  # attention metric → role of the place; words
    "attention_matching_any": (Role.MATCHING_VALUE, "the matching value"),
    "attention_next_key": (Role.NEXT_KEY, "the key token behind the matching value"),
}
LAST = 3  # checkpoints whose mean names a head
MATCHING_KEY = "attention_matching_key"
RETRIEVAL: Key = (SplitName.COUNTERFACTUAL, Metric.KEY_FLIP)
STAGED = ("retrieval_birth_step", "heldout_retrieval_birth_step", "ood_retrieval_birth_step")
NOT_MEASURED = "components were not measured; run: formation component-sweep"


@dataclass(frozen=True)
class RetrievalHead:
    """The head that carries retrieval at the end of training; `drop` in nats of margin, `place` is where it looks."""

    component: str
    drop: float
    place: str  # of PLACES

    @property
    def layer(self) -> int:
        """The layer it is in."""
        return int(self.component.removeprefix("layer_").partition(".")[0])


def retrieval_head(found: Analysis) -> RetrievalHead | None:
    """The head with the largest final drop under `resample:key`, weighed by its attention to one of `PLACES`.

    Null where components were not measured.
    """
    drops = _final(found, "drop_resample_key")
    looks = {(name, place): share for place in PLACES for name, share in _final(found, place).items()}
    if not looks:
        return None
    component, place = max(looks, key=lambda one: drops[one[0]] * looks[one])
    return RetrievalHead(component, drops[component], place)


def first_carrier(found: Analysis) -> str | None:
    """The head that carries retrieval when it is born; null if it was not, or components were not measured."""
    birth = found.births.get(RETRIEVAL)
    if birth is None or birth.step is None:
        return None
    at = found.table[RETRIEVAL].steps.tolist().index(birth.step)
    then = slice(at, at + LAST)
    drops = _mean(found, "drop_resample_key", then)
    looks = [_mean(found, place, then) for place in (*PLACES, MATCHING_KEY)]
    cost = {name: drops[name] * max(one.get(name, 0.0) for one in looks) for name in looks[0] if name in drops}
    return max(cost, key=lambda name: cost[name], default=None)


def _final(found: Analysis, metric: str) -> dict[str, float]:
    return _mean(found, metric, slice(-LAST, None))


def _mean(found: Analysis, metric: str, checkpoints: slice) -> dict[str, float]:
    """A metric of every component that has it, on IID streams, over some checkpoints."""
    return {
        key.component: float(series.values()[checkpoints].mean())
        for (split, key), series in found.components.items()
        if split is IID and key.metric == metric
    }


def component_evidence(params: Params, found: Analysis) -> dict[str, Entry]:
    """Every entry by name: `{value, low, high, n, unit, what}`, with a `reason` where the value is null."""
    head = retrieval_head(found)
    name = "retrieval head" if head is None else head.component
    routing = NOT_MEASURED if head is None else (IID, ComponentMetric(name, head.place))
    where = "the matching value" if head is None else PLACES[head.place][1]
    write = NOT_MEASURED if head is None else (IID, ComponentMetric(name, "direct_effect"))
    scaffold = NOT_MEASURED if head is None else _scaffold(head)
    heldout = (HELDOUT, Metric.KEY_FLIP)
    return {
        "behaviour_in_stages": _stages(params, found),
        "value_place_preferred": _looks_at_value(params, found, head),
        "routing_birth_step": _birth(found, routing, f"birth of attention to {where} in {name}"),
        "write_birth_step": _birth(found, write, f"birth of the direct effect of {name} on the margin"),
        "scaffold_birth_step": _birth(
            found, scaffold, f"birth of the key's readability at {where}, below the retrieval head's layer"
        ),
        "routing_precedes_heldout": _gap(
            params, found, routing, heldout, f"from {name} attending to {where} to held-out retrieval"
        ),
        "routing_precedes_retrieval": _gap(params, found, routing, RETRIEVAL, f"from {name} attending to retrieval"),
        **_first(params, found, head),
        "scaffold_precedes_write": _gap(
            params, found, scaffold, write, f"from the key being readable at {where} to {name} writing"
        ),
    }


def _first(params: Params, found: Analysis, head: RetrievalHead | None) -> dict[str, Entry]:
    """When the first carrier began to look, and what it loses at the end, as a share of the retrieval head's drop."""
    carrier = first_carrier(found)
    if head is None or carrier is None:
        reason = NOT_MEASURED if head is None else "retrieval was not born, or not seen to last"
        return {
            "first_carrier_birth_step": missing(0, "steps", "birth of the first carrier's attention", reason),
            "first_carrier_share": missing(0, "fraction", "the first carrier's part of the final drop", reason),
        }
    drops = [found.table[IID, ComponentMetric(name, "drop_resample_key")] for name in (carrier, head.component)]
    first, last = (one.draws(found.weights[IID])[:, -LAST:].mean(1) for one in drops)
    value = drops[0].values()[-LAST:].mean() / drops[1].values()[-LAST:].mean()
    low, high = interval(first / last, params.windows.confidence)
    share = (
        f"key-twin drop of {carrier}, which carries retrieval at its birth, over that of {head.component}, at the end"
    )
    return {
        "first_carrier_birth_step": _birth(
            found,
            _first_look(found, carrier),
            f"birth of the attention of {carrier}, which carries retrieval at its birth, to where it looks",
        ),
        "first_carrier_share": {
            "value": float(value),
            "low": float(low),
            "high": float(high),
            "n": drops[0].n,
            "unit": "fraction",
            "what": share,
        },
    }


def _first_look(found: Analysis, carrier: str) -> Key:
    """Where the first carrier looks most at the checkpoints from retrieval's birth on."""
    at = found.births[RETRIEVAL].rise.step
    place = found.table[RETRIEVAL].steps.tolist().index(at)
    looks = {
        metric: _mean(found, metric, slice(place, place + LAST)).get(carrier, 0.0) for metric in (*PLACES, MATCHING_KEY)
    }
    return IID, ComponentMetric(carrier, max(looks, key=lambda metric: looks[metric]))


def _scaffold(head: RetrievalHead) -> Key | str:
    """The query key's probe where the retrieval head looks, in the stream that its layer reads; or why none."""
    if head.layer == 0:
        return "the retrieval head is in layer 0"
    return IID, ComponentMetric(f"layer_{head.layer - 1}_post_mlp/{PLACES[head.place][0]}", "probe_query_key")


def _birth(found: Analysis, key: Key | str, what: str) -> Entry:
    """The date of one component's birth; in place of a key there may be the reason why there is none."""
    return missing(0, "steps", what, key) if isinstance(key, str) else birth_entry(found, key, what)


def _gap(params: Params, found: Analysis, first: Key | str, second: Key | str, what: str) -> Entry:
    """Steps from the first birth to the second."""
    changes, sizes = [], []
    for key in (first, second):
        if isinstance(key, str):
            return missing(0, "steps", what, key)
        if key not in found.births:
            return missing(0, "steps", what, why_absent(key))
        changes.append((f"{key[0]}/{key[1].value}", found.births[key].rise))
        sizes.append(found.table[key].n)
    return distance_entry(distance(changes[0], changes[1], params.windows), min(sizes), what)


def _looks_at_value(params: Params, found: Analysis, head: RetrievalHead | None) -> Entry:
    """How much more the retrieval head looks at the matching value than at the key token behind it, at the end."""
    what = (
        "attention of the retrieval head to the matching value minus that to the key token behind it, last checkpoint"
    )
    if head is None:
        return missing(0, "fraction", what, NOT_MEASURED)
    keys = [(IID, ComponentMetric(head.component, place)) for place in PLACES]
    lacking = next((key for key in keys if key not in found.table), None)
    if lacking is not None:
        return missing(0, "fraction", what, why_absent(lacking))
    value, behind = (found.table[key] for key in keys)
    more = value.numerators[:, -1] - behind.numerators[:, -1]
    estimate = ratio(more, value.denominators, found.weights[IID], params.windows.confidence)
    return estimate_entry(estimate, "fraction", what)


def _stages(params: Params, found: Analysis) -> Entry:
    """Checkpoints between the earliest and the latest birth of retrieval on IID, held-out and OOD streams."""
    what = "checkpoints between the earliest and the latest birth of retrieval: IID, held-out pairs, structural OOD"
    changes: list[Change] = []
    for name in STAGED:
        metric, split, _ = BIRTHS[name]
        change = found.births[split, metric].rise if (split, metric) in found.births else None
        if change is None or change.outcome is not Outcome.BORN or change.step is None:
            return missing(0, "checkpoints", what, f"{name}: not born, or not seen to last")
        changes.append(change)
    every = params.training.checkpoint_every
    dates = [change.step for change in changes if change.step is not None]
    draws = np.stack([change.draws for change in changes])
    spread = np.where(np.isinf(draws).any(0), np.inf, np.where(np.isinf(draws), 0, draws).max(0) - draws.min(0))
    low, high = interval(spread, params.windows.confidence)
    value = (max(dates) - min(dates)) / every
    return {
        "value": value,
        "low": min(value, float(low) / every) if np.isfinite(low) else value,
        "high": max(value, float(high) / every) if np.isfinite(high) else None,
        "n": len(dates),
        "unit": "checkpoints",
        "what": what,
    }
