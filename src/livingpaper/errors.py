"""Errors a user can mend: each message is one line that says what was wrong, where, and what to do next.

The command line prints the message without a traceback and exits with code 2. Work that fails while the paper is being
made (a stage, a chapter, a number that is missing) is no error of the user: the build goes on and exits with code 1.
"""


class PressError(Exception):
    """Base of every error this package raises on purpose; its message is one line that any terminal can show."""

    def __str__(self) -> str:
        """The message; what a name or value in it holds beyond printable characters is shown as its escape."""
        return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in super().__str__())


def shown(value: object, most: int = 80) -> str:
    """A value as a message shows it: as Python writes it, cut where it is long."""
    text = repr(value)
    return text if len(text) <= most else f"{text[:most]}…"


class ProjectError(PressError):
    """The folder is no project, or its book lists what is not there."""


class ParamsError(PressError):
    """A parameter file, preset or run name is not usable."""


class WorkflowError(PressError):
    """`paper/workflow.yml` says something that cannot be carried out."""


class ClaimsError(PressError):
    """`paper/claims.yml` or `paper/seals.json` is not usable."""


class PointerError(PressError):
    """A pointer into an artifact leaves its folder, names nothing, or names something that cannot be printed."""


class PublicationError(PressError):
    """Published evidence in `results/` is damaged, or a run cannot be published."""


class BusyError(PressError):
    """Another build is at work in this project."""


class ClusterError(PressError):
    """The cluster that was to carry out the stages is not there, does not fit, or was lost."""


class StageFailed(PressError):
    """A stage or chapter did not do what the workflow says; the rest of the build goes on."""
