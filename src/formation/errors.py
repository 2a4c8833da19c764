"""Errors a user can mend: each message is one line that says what was wrong, where, and what to do next.

The command line prints the message without a traceback and exits with code 2.
"""


class FormationError(Exception):
    """Base of every error this package raises on purpose."""


class ParamsError(FormationError):
    """A parameter file or override is not usable."""


class ArtifactError(FormationError):
    """A file of a run is missing, damaged, or of another run, schema or architecture."""


class BenchmarkError(FormationError):
    """Benchmark settings that cannot be satisfied, or a dataset that is not what it claims."""


class TrainingError(FormationError):
    """Training cannot go on: a non-finite loss, a foreign checkpoint, a device that is not there."""


class MeasureError(FormationError):
    """A measure cannot be computed on what it was given."""
