"""Errors a user can mend: each message is one line that says what was wrong, where, and what to do next.

The command line prints the message without a traceback and exits with code 2.
"""


class FormationError(Exception):
    """Base of every error this package raises on purpose; its message is one line that any terminal can show."""

    def __str__(self) -> str:
        """The message; what a name or value in it holds beyond printable characters is shown as its escape."""
        return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in super().__str__())


def shown(value: object, most: int = 80) -> str:
    """A value as a message shows it: as Python writes it, cut where it is long."""
    text = repr(value)
    return text if len(text) <= most else f"{text[:most]}…"


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
