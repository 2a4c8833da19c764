"""Where readers find the evidence of a run: computed here, or published in `results/<run>/`.

A publication mirrors `artifacts/` below its own folder and bears a `publication.json`, which the press writes
(`livingpaper publish`). Stages work on `formation.artifacts.open_run`; chapters read through `evidence_run`.
"""

import os
from pathlib import Path

from pydantic import ValidationError

from formation import presets
from formation.artifacts import Run, artifacts_folder, open_run, read_json
from formation.errors import ArtifactError
from formation.params import with_sections

RECORD, SCHEMA = "publication.json", "publication/1"
_CHOSEN = "LIVINGPAPER_PUBLISHED"  # names, with commas: the press has decided which runs are read as published


def evidence_run(name: str, root: Path | None = None) -> Run:
    """The run `name` as computed here, or as published, with the parameters it was published with.

    Writes nothing. Raises `ArtifactError` where a publication's parameters are none that today's code knows.
    """
    root = root or presets.project_root()
    home = published_home(name, root)
    if home is None:
        return open_run(name, root)
    match = presets.RUN_NAME.fullmatch(name)
    if match is None:
        raise ArtifactError(f"run {name!r}: expected <preset>-s<seed>, such as quick-s1")
    preset, seed = match["preset"], int(match["seed"])
    if not (home / RECORD).is_file():  # of a published study, a run that was not published
        return Run(name, preset, seed, presets.load(preset, root), home / "runs" / name, root)
    stored = read_json(home / RECORD, SCHEMA, f"livingpaper publish {name}")
    try:  # a parameter that is newer than the publication has the value of base.yml, as it would in a preset
        values = presets.merge(presets.base_values(root), stored["params"])
        params = with_sections(values).model_validate(values)
    except (KeyError, ValidationError):
        raise ArtifactError(
            f"{home / RECORD}: params: published by a version whose parameters today's code does not know; "
            f"compute the run here and run: livingpaper publish {name}"
        ) from None
    return Run(name, preset, seed, params, home / "runs" / name, root)


def published_home(name: str, root: Path) -> Path | None:
    """Folder of the publication that stands for a run; `None` if the run counts as computed here.

    It does where nothing was published of it, or where every published file lies below `artifacts/` too.
    """
    home = root / "results" / name
    chosen = os.environ.get(_CHOSEN)
    if chosen is not None:
        return home if name in chosen.split(",") else None
    if not (home / RECORD).is_file():
        return None
    files = read_json(home / RECORD, SCHEMA, f"livingpaper publish {name}").get("files", {})
    here = artifacts_folder(root)
    return None if all((here / file).is_file() for file in files) else home
