"""What a sweep is made from: digests of parameters, dataset, probe set, and the record parameters that change a row."""

from formation import params as parameters
from formation.artifacts import Run
from formation.record.lines import Source
from formation.record.probe_set import ProbeSet

# the other record parameters only change intervals drawn from the rows
MEASURING = ("probe_streams", "probe_seed", "batch", "placebos", "ablations")


def source_of(run: Run, probe: ProbeSet) -> Source:
    """What a sweep of the run is made from today."""
    record = run.params.section("record")
    return Source(
        params=run.params.identity(run.seed),
        benchmark=probe.benchmark,
        probe_set=probe.digest,
        record=parameters.digest({name: record[name] for name in MEASURING}),
    )
