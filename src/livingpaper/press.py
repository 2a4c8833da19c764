"""From evidence to printings: the main run chosen, claims judged, values resolved, fragments written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from livingpaper.build import Built
from livingpaper.claims.judging import Judgement
from livingpaper.claims.model import Claim, load_claims
from livingpaper.claims.report import judge_claims, write_claims
from livingpaper.claims.seals import load_seals
from livingpaper.errors import PointerError, WorkflowError
from livingpaper.fragments import write_fragments
from livingpaper.params import Study
from livingpaper.pointers import follow, parse_pointer, read_artifact
from livingpaper.printing import Printing
from livingpaper.project import MARKER, Project
from livingpaper.published.evidence import Sources
from livingpaper.render import record
from livingpaper.tasks import Task
from livingpaper.values import inlines


@dataclass
class Prepared:
    """What is ready to be printed, and what was wrong on the way."""

    main: str
    judgements: list[Judgement]
    printings: list[Printing] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def check(project: Project) -> None:
    """Read everything people write that is needed only at the end, so that a mistake is told before anything runs."""
    load_claims(project.root, list(project.chapters))
    load_seals(project.root)
    inlines(project.root, project.pages)


def prepare(built: Built) -> Prepared:
    """Judge the claims and write everything the pages need, for every run that is printed; the main run comes first.

    Claims are judged over each study by itself: a guest's runs never count in the paper's own quorum.
    """
    plan, project = built.plan, built.plan.project
    judged = [(study, _judged(built, study)) for study in plan.studies]
    seals = load_seals(project.root)
    write_claims(project, plan.study, judged[0][1], seals, judged[1:])
    out = Prepared(main=main_run(built), judgements=[one for _, over in judged for one in over])
    places = {out.main: ""} | {run: f"runs/{run}" for run in plan.runs if run != out.main}
    found = inlines(project.root, project.pages)
    sources = Sources(plan, built.authority.memo, built.behind)
    for run in places:
        own = next(number for number, (study, _) in enumerate(judged) if run in study.runs)
        ordered = [judged[own], *judged[:own], *judged[own + 1 :]]
        fragments, errors = write_fragments(
            plan, judged[own][0], run, ordered, seals, places, found, sources.table(run)
        )
        out.errors += errors
        out.printings.append(_printing(built, run, fragments, places, sources.sentence(run)))
    for printing in out.printings:
        record(project.root, printing)  # also for Quarto, which may print this later by itself
    return out


def _judged(built: Built, study: Study) -> list[Judgement]:
    return judge_claims(
        built.plan.project,
        study,
        trouble=lambda claim, run, path: trouble(built, claim, run, path),
        written=lambda path: bool(_writers(built, path)),
        homes=built.plan.homes,
    )


def main_run(built: Built) -> str:
    """The run the main book prints: the one the workflow's artifact names, else the first of the study."""
    plan = built.plan
    if plan.workflow.main is None:
        return plan.study.runs[0]
    pointer = parse_pointer(plan.workflow.main.run)
    path = pointer.path(plan.homes.root, "", plan.study.preset)
    if not path.is_file():
        return plan.study.runs[0]
    shown = plan.project.relative(path)
    try:
        named = follow(read_artifact(path, shown), pointer, shown)
    except PointerError as error:
        raise WorkflowError(f"{MARKER}: main.run: {error}") from None
    if named not in plan.study.runs and plan.study.preset in plan.homes.published:
        return plan.study.runs[0]  # the run it names was not published
    if named not in plan.study.runs:
        known = ", ".join(plan.study.runs)
        raise WorkflowError(f"{MARKER}: main.run: {shown} names {named!r}; expected one of {known}")
    return str(named)


def trouble(built: Built, claim: Claim, run: str, path: str) -> str | None:
    """Why a run's evidence may not be used today: its chapter failed, or the stage that writes it did."""
    failed = (built.trouble(task.scope, task.name) for task in _writers(built, path))
    return built.trouble(run, claim.chapter) or next((reason for reason in failed if reason), None)


def _writers(built: Built, path: str) -> list[Task]:
    """The tasks that write an artifact."""
    return built.plan.writers.of(path.removeprefix("artifacts/"))


def _printing(built: Built, run: str, fragments: Path, places: Mapping[str, str], evidence: str) -> Printing:
    """The printing of a run: today's chapters, the last good ones stamped stale, or what there is up to an error."""
    project = built.plan.project
    notebooks: dict[str, Path] = {}
    stale: dict[str, str] = {}
    errors: dict[str, str] = {}
    for name, source in project.chapters.items():
        wrong, executed, failed = built.trouble(run, name), project.executed(run, name), project.failed(run, name)
        if executed.is_file():
            notebooks[source] = executed
            stale |= {source: wrong} if wrong else {}
        elif wrong:
            errors[source] = wrong
            notebooks |= {source: failed} if failed.is_file() else {}
    return Printing(
        run=run,
        main=places[run] == "",
        notebooks=notebooks,
        fragments=fragments,
        output=Path(project.book.output) / places[run],
        runs=tuple(places.items()),
        stale=stale,
        errors=errors,
        evidence=evidence,
        build=built.plan.arguments,
    )
