"""Which published runs take part in a build: as the paper's own study (`--published`), or as guests beside it.

What is published is never mixed with what lies in `artifacts/`: a guest, and a study with `--published`, is read from
`results/` alone, whatever was computed here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from livingpaper.errors import PublicationError
from livingpaper.files import digest
from livingpaper.params import Study, load_study
from livingpaper.project import Project
from livingpaper.published.homes import Homes
from livingpaper.published.publication import Publication, load_publication, published_names, require, verify
from livingpaper.staleness.memo import Memo
from livingpaper.tasks import Plan, make_plan
from livingpaper.workflow import load_workflow


def plan_paper(project: Project, preset: str, published: bool = False) -> Plan:
    """The plan of a paper: its study with the guests the workflow asks for.

    With `published` nothing is computed: the study is what is published of the preset. Raises `PublicationError` where
    nothing is, or where published files are not as they were published.
    """
    today = load_study(project.root, preset)
    workflow = load_workflow(project, today)
    names = published_names(project)
    memo = Memo(project.build / "memo.json")
    study, read = today, dict[str, Publication]()
    if published:
        own = _load(project, memo, [name for name in names if name in today.runs])
        study = _published_study(project, today, own, names)
        read |= {one.name: one for one in own}
    invited = [name for name in names if name not in today.runs and any(fnmatchcase(name, p) for p in workflow.guests)]
    others = [one for one in _load(project, memo, invited) if one.is_run]
    guests = _studies(others)
    read |= {one.name: one for one in others}
    together = [one.name for one in workflow.collections]
    read |= {one.name: one for one in _load(project, memo, [name for name in names if name in together])}
    elsewhere = (*((study,) if published else ()), *guests)
    for one in elsewhere:
        read |= _whole_study(project, one, memo, strict=one is study)
    lacking = frozenset(name for one in elsewhere for name in (one.preset, *one.unpublished) if name not in read)
    lacking = lacking | {name for name in together if name not in read} if published else lacking - {preset}
    return make_plan(project, study, guests, Homes(project, read, lacking), not published, workflow)


def _load(project: Project, memo: Memo, names: Iterable[str]) -> list[Publication]:
    """The publications of some names, each verified."""
    found = [require(project, name) for name in names]
    for one in found:
        verify(project, one, memo)
    return found


def _published_study(project: Project, study: Study, own: Sequence[Publication], names: Sequence[str]) -> Study:
    """The study as published: its runs that are, with the parameters they were made with."""
    groups = _studies(own)
    if not groups:
        raise PublicationError(
            f"{project.relative(project.results)}/: nothing of {study.preset!r} is published "
            f"(published: {', '.join(names) or 'none'}); run: livingpaper build --preset {study.preset}"
        )
    if len(groups) > 1:
        two = ", ".join(group.runs[0] for group in groups[:2])
        raise PublicationError(
            f"{project.relative(project.results)}/: runs of {study.preset!r} were published with different parameters "
            f"({two}); run: livingpaper publish {study.preset}"
        )
    return groups[0]


def _studies(found: Sequence[Publication]) -> list[Study]:
    """Published runs as studies: those of one preset with the same parameters belong together."""
    groups: dict[tuple[str, str], list[Publication]] = {}
    for one in found:
        groups.setdefault((one.preset, digest(one.params)), []).append(one)
    return [_study(members) for _, members in sorted(groups.items())]


def _study(members: Sequence[Publication]) -> Study:
    first = members[0]
    runs = tuple(one.name for one in members)
    seeds = first.params.get("seeds")
    named = [f"{first.preset}-s{seed}" for seed in seeds if type(seed) is int] if isinstance(seeds, list) else []
    return Study(first.preset, first.params, runs, tuple(name for name in named[:1000] if name not in runs))


def _whole_study(project: Project, study: Study, memo: Memo, strict: bool) -> dict[str, Publication]:
    """The publication of a study itself, if it was made from the very runs that are published.

    One made from others counts as none; with `strict` it is an error.
    """
    one = load_publication(project, study.preset)
    if one is None:
        return {}
    verify(project, one, memo)
    here = {
        f"artifacts/{file}": about.sha256 for run in study.runs for file, about in require(project, run).files.items()
    }
    other = next((file for file, then in sorted(one.reads.items()) if here.get(file, then) != then), None)
    if digest(one.params) == digest(study.params) and other is None:
        return {one.name: one}
    if not strict:
        return {}
    what = f"made from another {other}" if other else "made with other parameters"
    raise PublicationError(
        f"{project.relative(project.results)}/{study.preset}/: {what} than the runs published beside it; "
        f"run: livingpaper publish {study.preset}"
    )


def without_guests(project: Project, preset: str) -> Plan:
    """The plan of a study alone, to publish it or to compare with it: no publication but collections has to be sound.

    Collections belong to it, for its chapters read them wherever they are read from when the paper is built.
    """
    study = load_study(project.root, preset)
    workflow = load_workflow(project, study)
    names = set(published_names(project))
    read = {one.name: require(project, one.name) for one in workflow.collections if one.name in names}
    return make_plan(project, study, homes=Homes(project, read), workflow=workflow)


def with_run(study: Study, run: str) -> Study:
    """A study to which a run belongs even if its seed is no longer listed."""
    return study if run in study.runs else replace(study, runs=(*study.runs, run))
