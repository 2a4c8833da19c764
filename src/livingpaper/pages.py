"""Pages and parts of pages that the press writes itself, as Markdown: claims ledger, artifact index, workflow.

A page of the book asks for one with `::: {.livingpaper page="claims-ledger"}`.
"""

import posixpath
import re
from collections.abc import Mapping, Sequence
from functools import cache

from livingpaper import patterns
from livingpaper.claims.callout import badge, quorum, sentence
from livingpaper.claims.judging import Judgement, RunJudgement
from livingpaper.claims.seals import Sealing, seal_state
from livingpaper.markdown import code, escape, link, table
from livingpaper.params import Study
from livingpaper.project import Project
from livingpaper.staleness.manifest import read_manifest
from livingpaper.tasks import Kind, Plan
from livingpaper.values import prose


def claims_ledger(
    project: Project,
    judged: Sequence[tuple[Study, Sequence[Judgement]]],
    run: str,
    places: Mapping[str, str],
    seals: Mapping[str, Sealing],
) -> str:
    """The matrix of claims and runs in the printing of `run`, every claim in full, and the matrix of each other study.

    `judged` has the study of `run` first; a claim's status over one study never counts runs of another. `places` gives
    the folder of each run's printing within the site, so that a cell can lead to its chapter there.
    """
    judgements = judged[0][1]
    if not judgements:
        return "No claims are declared in `paper/claims.yml`."
    listed = "\n".join(
        f"{code(judgement.claim.id)}\n:   {sentence(judgement.claim, judgement.of(run))} "
        f"({seal_state(judgement.claim, seals)})\n"
        for judgement in judgements
    )
    others = "".join(
        f"The same claims over {code(study.preset)}, judged by themselves:\n\n{_matrix(project, over, run, places)}\n\n"
        for study, over in judged[1:]
    )
    machines = link("the same for machines", "build/claims.json")
    return f"{_matrix(project, judgements, run, places)}\n\n{others}{listed}\n{machines}\n"


def _matrix(project: Project, judgements: Sequence[Judgement], run: str, places: Mapping[str, str]) -> str:
    """A row for each claim, a column for each run."""
    at = _page_with(project, "claims-ledger")
    here = None if at is None or run not in places else posixpath.join(places[run], posixpath.dirname(at))
    runs = list(dict.fromkeys(one.run for judgement in judgements for one in judgement.runs))
    rows = []
    for judgement in judgements:
        claim = judgement.claim
        page = posixpath.splitext(project.chapters[claim.chapter])[0] + ".html"
        cells = {one.run: _cell(one, page, here, places.get(one.run)) for one in judgement.runs}
        name = link(escape(claim.id), project.chapters[claim.chapter])
        rows.append([name, badge(judgement.status), quorum(judgement), *(cells.get(one, "") for one in runs)])
    matrix = table(["claim", "status", "quorum", *(escape(one) for one in runs)], rows)
    return f"::: {{.claims-ledger}}\n\n{matrix}\n\n:::"


def claims_summary(project: Project, judgements: Sequence[Judgement], run: str) -> str:
    """Every claim in one line: its status, quorum, and what it says with the numbers of `run`."""
    rows = [
        [badge(one.status), quorum(one), link(sentence(one.claim, one.of(run)), project.chapters[one.claim.chapter])]
        for one in judgements
    ]
    if not rows:
        return "No claims are declared in `paper/claims.yml`."
    return "::: {.claims-summary}\n\n" + table(["status", "runs", "claim"], rows) + "\n\n:::"


def artifact_index(plan: Plan, study: Study, run: str) -> str:
    """Every artifact of a run and its study, with the stage that writes it, its size and its digest."""
    project, rows = plan.project, []
    if run in plan.homes.published:
        files = plan.homes.published[run].files
        rows = [
            [code(f"results/{run}/{file}"), f"{about.bytes / 1e3:.1f} kB", code(about.sha256[:12])]
            for file, about in files.items()
        ]
        return table(["published file", "size", "sha256"], rows)
    for task in plan.tasks.values():
        if task.kind is Kind.STAGE and task.scope in (run, study.preset):
            manifest = read_manifest(project.manifest(task.scope, task.name))
            outputs = manifest.outputs if manifest else {}
            rows += [
                [code(name), code(task.name), _size(project, name), code(value[:12])]
                for name, value in _grouped(outputs)
            ]
    if not rows:
        return "No artifact of this run was made by a build yet."
    return table(["artifact", "stage", "size", "sha256"], rows)


def workflow_table(plan: Plan) -> str:
    """The stages of the paper: what each does, reads and writes."""
    rows = [
        [
            code(stage.name),
            escape(stage.says),
            stage.per.value,
            _listed(stage.params),
            _listed(stage.reads),
            _listed(stage.writes),
        ]
        for stage in plan.workflow.stages
    ]
    return table(["stage", "what it does", "per", "parameters", "reads", "writes"], rows)


def _cell(one: RunJudgement, page: str, here: str | None, there: str | None) -> str:
    """Status and value of a run, leading to its executed chapter: raw HTML, because no link leaves a printing.

    `here` is the folder of the page it stands on, `there` that of the run's printing, `None` where there is none.
    """
    value = f" {one.evidence.value:.3g}" if one.evidence and one.evidence.value is not None else ""
    text = f"{one.status}{value}"
    if here is None or there is None:
        return text
    return f'`<a href="{_way(here, there)}{page}">`{{=html}}{text}`</a>`{{=html}}'


@cache
def _way(here: str, there: str) -> str:
    """From one folder of the site to another, both relative to its root: empty, or ending in a slash."""
    way = posixpath.relpath(posixpath.join("/", there), posixpath.join("/", here))
    return "" if way == "." else f"{way}/"


def _page_with(project: Project, name: str) -> str | None:
    """The first page of the book that asks for a generated part."""
    asks = re.compile(rf"\{{[^}}\n]*\.livingpaper[^}}\n]*page=[\"']?{re.escape(name)}\b")
    return next((page for page in project.pages if any(asks.search(text) for text in prose(project.root / page))), None)


def _grouped(outputs: Mapping[str, str]) -> list[tuple[str, str]]:
    """Outputs by name, with one line for each long series of numbered files."""
    series: dict[str, list[str]] = {}
    for name in sorted(outputs):
        series.setdefault(re.sub(r"\d+", "*", name), []).append(name)
    out = []
    for pattern, names in series.items():
        if len(names) > 3 and patterns.wild(pattern):
            out.append((f"{names[0]} … {names[-1].rsplit('/', 1)[1]} ({len(names)} files)", outputs[names[0]]))
        else:
            out += [(name, outputs[name]) for name in names]
    return out


def _size(project: Project, name: str) -> str:
    try:
        size = (project.root / name).stat().st_size
    except OSError:
        return "" if "…" in name else "gone"
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(code(name) for name in names) or "—"
