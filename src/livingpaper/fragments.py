"""What the press puts into pages: `build/print/<run>/fragments.json`, read by the renderer's Lua filter.

`{"run", "blocks": {"claim:<id>": markdown, "page:<name>": markdown}, "values": {"<pointer>|<format>|<run>": text}}`.
A value that cannot be printed is left out, so that the page shows the gap, and its error is returned.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from livingpaper.claims.callout import callout
from livingpaper.claims.judging import Judgement
from livingpaper.claims.seals import Sealing
from livingpaper.errors import PointerError
from livingpaper.files import write_json
from livingpaper.pages import artifact_index, claims_ledger, claims_summary, workflow_table
from livingpaper.params import Study
from livingpaper.tasks import Plan
from livingpaper.values import Inline, resolve


def write_fragments(
    plan: Plan,
    study: Study,
    run: str,
    judged: Sequence[tuple[Study, Sequence[Judgement]]],
    seals: Mapping[str, Sealing],
    places: Mapping[str, str],
    inlines: Sequence[Inline],
    evidence: str,
) -> tuple[Path, list[str]]:
    """Write the fragments of one printing; their path, and an error for each value that cannot be printed.

    `judged` holds the judgements over each study, that of `run` (`study`) first; `evidence` says where evidence lies.
    """
    project, preset = plan.project, study.preset
    judgements = judged[0][1]
    params = f"params/{preset}.yml"
    if run in plan.homes.published:
        params = f"results/{run}/publication.json"
    elif not (project.root / params).is_file():
        params = f"params/factors/{preset}.yml"
    blocks = {
        f"claim:{one.claim.id}": callout(one, run, project.chapters[one.claim.chapter], params, seals, project.root)
        for one in judgements
    }
    blocks["page:claims-ledger"] = claims_ledger(project, judged, run, places, seals)
    blocks["page:claims-summary"] = claims_summary(project, judgements, run)
    blocks["page:artifact-index"] = artifact_index(plan, study, run)
    blocks["page:workflow"] = workflow_table(plan)
    blocks["page:evidence"] = evidence
    values: dict[str, str] = {}
    errors: dict[str, None] = {}
    for inline in inlines:
        try:
            values[inline.key] = resolve(plan.homes, preset, run, inline)
        except PointerError as error:
            errors[f"run {run}: {error}"] = None
    path = project.build / "print" / run / "fragments.json"
    write_json(path, {"run": run, "blocks": blocks, "values": values})
    return path, list(errors)
