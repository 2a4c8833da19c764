"""Which published runs take part in a build: as the paper's own study (`--published`), or as guests beside it."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from livingpaper.errors import PublicationError
from livingpaper.files import digest
from livingpaper.params import Study, load_study
from livingpaper.project import Project
from livingpaper.published.homes import Homes
from livingpaper.published.publication import Publication, load_publication, publications, verify
from livingpaper.staleness.memo import Memo
from livingpaper.tasks import Plan, make_plan
from livingpaper.workflow import load_workflow


def plan_paper(project: Project, preset: str, published: bool = False) -> Plan:
    """The plan of a paper: its study with the guests the workflow asks for.

    With `published` nothing is computed: the study is what is published of the preset. Raises `PublicationError` where
    nothing is, or where published files are not as they were published.
    """
    study = load_study(project.root, preset)
    found = list(publications(project))
    own = [one for one in found if one.preset == preset and (one.name in study.runs or one.name == preset)]
    if published:
        study = _published_study(project, study, own, found)
    invited = load_workflow(project, study).guests
    others = [
        one
        for one in found
        if one.is_run and one.name not in study.runs and any(fnmatchcase(one.name, pattern) for pattern in invited)
    ]
    read = [one for one in others if not _computed_here(project, one)] + (own if published else [])
    read += [
        one for one in found if one.name in {other.preset for other in others} and not _computed_here(project, one)
    ]
    memo = Memo(project.build / "memo.json")
    for one in read:
        verify(project, one, memo)
    return make_plan(project, study, _studies(others), Homes(project, {one.name: one for one in read}), not published)


def _published_study(project: Project, study: Study, own: Sequence[Publication], found: Sequence[Publication]) -> Study:
    """The study as published: its runs that are, with the parameters they were made with."""
    groups = _studies([one for one in own if one.is_run])
    if not groups:
        known = ", ".join(one.name for one in found if one.is_run) or "none"
        raise PublicationError(
            f"{project.relative(project.results)}/: nothing of {study.preset!r} is published "
            f"(published runs: {known}); run: livingpaper build --preset {study.preset}"
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
    return [
        Study(preset, members[0].params, tuple(one.name for one in members))
        for (preset, _), members in sorted(groups.items())
    ]


def _computed_here(project: Project, publication: Publication) -> bool:
    """Whether every file of a publication was made here, too; half a run is no evidence."""
    return all((project.artifacts / name).is_file() for name in publication.files)


def differing(project: Project, name: str, memo: Memo) -> tuple[Publication, list[str]] | None:
    """The publication of a run computed here, and its files that came out differently; `None` if there is none."""
    publication = load_publication(project, name)
    if publication is None:
        return None
    here = {file: memo.digest(project.artifacts / file) for file in publication.files}
    return publication, [file for file, about in publication.files.items() if here[file] != about.sha256]
