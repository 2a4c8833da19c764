"""From the sums of many checkpoints to the series whose births are dated: those of components and residual states.

Every metric is in the record; dated are those a rise of which says that something formed: where heads look, what they
and the MLPs write, what is lost without them, and what can be read off the residual stream where it is not trivially
there. Probe streams keep their numbers of the full split, with zeros for all other streams, so that components and
behaviour are resampled together.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int

from formation.benchmark.streams import SplitName
from formation.components.roles import Role
from formation.components.store import DATED, Name, Sums
from formation.record.assemble import Table
from formation.record.probe_set import ProbeSet
from formation.record.series import ComponentMetric, Series

DATED_METRICS = (
    "attention_matching_any",
    "attention_next_key",
    "direct_effect",
    "drop_zero",
    "drop_mean",
    "drop_resample_value",
    "drop_resample_key",
)
# what a role's token is not itself: the query key's token says its key, but only a model says the value it now holds
DATED_PROBES = {
    Role.QUERY_KEY: ("probe_current_value", "probe_matching_slot", "probe_stale_value", "probe_overwrites"),
    Role.MATCHING_VALUE: ("probe_query_key",),
    Role.STALE_VALUE: ("probe_query_key",),
    Role.NEXT_KEY: ("probe_query_key", "probe_current_value"),
}


def component_series(
    probe: ProbeSet, streams: Mapping[SplitName, int], sums: Sequence[Mapping[SplitName, Sums]], steps: Sequence[int]
) -> Table:
    """The dated series over the checkpoints; `streams` is the size of each full split, `sums` in order of `steps`."""
    if not sums:
        return {}
    table: Table = {}
    at = probe.splits[DATED].streams
    for name in dated(sums[0][DATED]):
        metric = ComponentMetric(*name)
        table[DATED, metric] = _series(metric, name, [one[DATED] for one in sums], np.array(steps), at, streams[DATED])
    return table


def dated(sums: Sums) -> Iterator[Name]:
    """Names of the metrics whose births are dated, in the order of the record."""
    for component, metric in sums.names:
        _, _, role = component.partition("/")
        wanted = DATED_PROBES.get(Role(role), ()) if role else DATED_METRICS
        if metric in wanted and sums.has_placebos((component, metric)):
            yield component, metric


def _series(
    metric: ComponentMetric,
    name: Name,
    sums: Sequence[Sums],
    steps: Int[np.ndarray, "checkpoint"],
    at: Int[np.ndarray, "probe"],
    streams: int,
) -> Series:
    rows = [one.index[name] for one in sums]
    numerators = np.zeros((streams, len(sums)))
    numerators[at] = np.stack([one.sums[row] for one, row in zip(sums, rows, strict=True)], axis=1)
    denominators = np.zeros(streams)
    denominators[at] = sums[0].counts[rows[0]]
    return Series(metric, DATED, steps, numerators, denominators, _placebos(sums, rows))


def _placebos(sums: Sequence[Sums], rows: Sequence[int]) -> Float[np.ndarray, "placebo checkpoint"]:
    columns = [one.placebos[row] for one, row in zip(sums, rows, strict=True) if one.placebos is not None]
    return np.stack(columns, axis=1).astype(np.float64)
