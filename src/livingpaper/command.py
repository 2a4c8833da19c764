"""What the commands do, with what they say on the way; each returns the exit code."""

import sys
import time
from collections.abc import Mapping
from contextlib import nullcontext

from livingpaper.build import Built, build, open_authority
from livingpaper.errors import ProjectError, PublicationError
from livingpaper.execute.aside import Unknown
from livingpaper.execute.cluster import open_cluster
from livingpaper.execute.leftovers import sweep_build
from livingpaper.execute.lock import build_lock
from livingpaper.execute.outcomes import Outcome, Result
from livingpaper.pageprints import PagePrinter
from livingpaper.params import presets, split_run
from livingpaper.press import Prepared, check, prepare
from livingpaper.project import find_project
from livingpaper.published.studies import plan_paper, without_guests
from livingpaper.staleness.verdict import State
from livingpaper.tasks import Plan

FAILED = 1


def run_build(
    preset: str, jobs: int, renderer: str | None, unknown: str = "refuse", published: bool = False, cluster: str = ""
) -> int:
    """Build the whole paper, here or on a cluster; without a renderer, everything but its pages."""
    began = time.monotonic()
    plan = open_plan(preset, published)
    check(plan.project)
    with build_lock(plan.project.build) as lock:
        sweep_build(plan.project)
        with open_cluster(cluster, plan.project) if cluster else nullcontext() as workers:
            built = build(plan, jobs, lock, workers, Unknown(unknown))
        prepared = prepare(built)
        rendered = PagePrinter(built, prepared, renderer).render() if renderer else None
    tell(built, prepared, rendered, time.monotonic() - began)
    return FAILED if built.failures or prepared.errors else 0


def run_render(preset: str, renderer: str, published: bool = False) -> int:
    """Print the pages from what was built before."""
    began = time.monotonic()
    plan = open_plan(preset, published)
    with build_lock(plan.project.build):
        built = _as_it_is(plan)
        prepared = prepare(built)
        rendered = PagePrinter(built, prepared, renderer).render()
    tell(built, prepared, rendered, time.monotonic() - began)
    return FAILED if prepared.errors else 0


def run_claims(preset: str, seal: bool, published: bool = False) -> int:
    """Judge the claims on what there is, and print a table of them; with `seal`, seal their rules."""
    from livingpaper.claims.callout import quorum
    from livingpaper.claims.model import load_claims
    from livingpaper.claims.report import evidence_exists, judge_claims, write_claims
    from livingpaper.claims.seals import load_seals, renew_seals, seal_state

    plan = open_plan(preset, published)
    project, study = plan.project, plan.study
    claims, _ = load_claims(project.root, list(project.chapters))
    if seal:
        said = renew_seals(project.root, claims, evidence_exists(project, claims))
        print("\n".join(said) or "every rule is sealed already", file=sys.stderr)
    seals = load_seals(project.root)
    judgements = judge_claims(project, study, homes=plan.homes)
    write_claims(project, study, judgements, seals)
    width = max((len(claim.id) for claim in claims), default=0)
    for one in judgements:
        line = f"{one.claim.id:<{width}}  {one.status:<23}  {quorum(one)}  ({seal_state(one.claim, seals)})"
        print(line)
    return 0


def run_explain(preset: str, target: str, published: bool = False) -> int:
    """Print why a target would rerun, or why not."""
    from livingpaper.explain import explain

    print("\n".join(explain(open_plan(preset, published), target)))
    return 0


def run_publish(target: str) -> int:
    """Publish a run, a study with all its runs, or a collection."""
    from livingpaper.published.collections import collect_collection
    from livingpaper.published.publish import collect, publish
    from livingpaper.workflow import load_collections

    project = find_project()
    together = next((one for one in load_collections(project) if one.name == target), None)
    if together is not None:
        with build_lock(project.build):
            place, renewed = publish(project, collect_collection(project, together))
        print(f"{project.relative(place)}: {'published' if renewed else 'unchanged'}", file=sys.stderr)
        return 0
    preset = target if target in presets(project.root) else split_run(project.root, target)[0]
    with build_lock(project.build):
        plan = without_guests(project, preset)
        if target != preset and target not in plan.study.runs:
            known = ", ".join(plan.study.runs)
            raise PublicationError(f"publish {target!r}: not a run of params/{preset}.yml; its seeds make: {known}")
        of_study = [preset] if any(task.scope == preset for task in plan.tasks.values()) else []
        names = [*plan.study.runs, *of_study] if target == preset else [target]
        for edition in [collect(plan, name) for name in names]:  # all of it or nothing
            place, renewed = publish(project, edition)
            print(f"{project.relative(place)}: {'published' if renewed else 'unchanged'}", file=sys.stderr)
    return 0


def run_preview(
    preset: str, port: int, jobs: int, renderer: str, no_run: bool, run_stages: bool, published: bool = False
) -> None:
    """Show the paper and keep it up to date until Ctrl-C."""
    from livingpaper.preview.held import Running
    from livingpaper.preview.loop import preview
    from livingpaper.preview.rebuild import Options

    if no_run and run_stages:
        raise ProjectError("--no-run --run-stages: contradict each other; give one of them")
    plan = open_plan(preset, published)  # a wrong preset is told now, not by every build
    running = Running.NOTHING if no_run else Running.EVERYTHING if run_stages else Running.CHAPTERS
    preview(plan.project, Options(preset, jobs, renderer, running.value, published), port)


def open_plan(preset: str, published: bool = False) -> Plan:
    """The plan of a preset's paper, in the project that the working folder lies in."""
    return plan_paper(find_project(), preset, published)


def _as_it_is(plan: Plan) -> Built:
    """The state of every task without carrying out any: what is stale counts as not done."""
    authority = open_authority(plan)
    results: dict[str, Result] = {}
    for task in plan.tasks.values():
        verdict = authority.judge(task)
        fresh = verdict.state is not State.STALE
        reason = f"{task.spoken} is not up to date: {verdict.reason}"
        results[task.id] = Result(Outcome.FRESH if fresh else Outcome.SKIPPED, verdict.reason if fresh else reason)
    return Built(plan, authority, results)


def tell(built: Built, prepared: Prepared, rendered: list[str] | None, seconds: float) -> None:
    """The last lines of a build."""
    for message in [*built.failures, *prepared.errors]:
        print(f"livingpaper: {message}", file=sys.stderr)
    counts = _counts(built.results)
    printed = f"printed {', '.join(rendered)}" if rendered else "no page had to be printed"
    printed = "pages left as they are" if rendered is None else printed
    print(f"{counts}; {printed}; main run {prepared.main}; {seconds:.1f} s", file=sys.stderr)


def _counts(results: Mapping[str, Result]) -> str:
    executed = sum(result.executed for result in results.values())
    failed = sum(result.outcome is Outcome.FAILED for result in results.values())
    skipped = sum(result.outcome is Outcome.SKIPPED for result in results.values())
    parts = [f"{executed} of {len(results)} stages and chapters executed"]
    parts += [f"{failed} failed"] if failed else []
    parts += [f"{skipped} skipped"] if skipped else []
    return ", ".join(parts)
