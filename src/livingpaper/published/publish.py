"""`livingpaper publish`: keep what the paper shows of a run or study in `results/`, compact and tracked.

Published is what the run's chapters read, what claims and prose point to, and what the workflow names under `publish`.
Everything must be up to date; digests are taken anew from the files, whatever was remembered.
"""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from livingpaper import patterns
from livingpaper.claims.model import load_claims
from livingpaper.errors import PublicationError
from livingpaper.files import bytes_digest, digest, write_bytes, write_json
from livingpaper.jsonfile import parse_json
from livingpaper.pointers import Pointer, parse_pointer
from livingpaper.project import Project
from livingpaper.published.publication import FILE, LIMIT, SCHEMA, folder
from livingpaper.published.standing import PYTHON, before, counted
from livingpaper.staleness.manifest import Manifest, read_manifest
from livingpaper.staleness.memo import Memo
from livingpaper.staleness.verdict import Authority, State
from livingpaper.tasks import Kind, Plan, Task
from livingpaper.values import inlines

_SOURCES = ("src", "params", "chapters", "paper", "requirements.lock")


@dataclass(frozen=True)
class Edition:
    """What will be published of a run or study: its record, and its files by their path below the publication."""

    name: str
    record: dict[str, object]
    files: dict[str, bytes]


def collect(plan: Plan, name: str) -> Edition:
    """What there is to publish of a run or the study of a plan; nothing is written yet.

    What is not up to date, or too big, is refused by name.
    """
    project = plan.project
    own = [task for task in plan.tasks.values() if task.scope == name]
    stages = before(plan, [task.id for task in own if task.kind is Kind.STAGE])
    if not stages:
        raise PublicationError(f"publish {name!r}: no stage of paper/workflow.yml works on it, so nothing was computed")
    manifests = _manifests(plan, [*(plan.tasks[stage] for stage in stages), *own])
    files = {file: (project.artifacts / file).read_bytes() for file in _files(plan, name, manifests)}
    check_sizes(files)
    return Edition(name, _record(plan, name, {stage: manifests[stage] for stage in stages}, files), files)


def check_sizes(files: dict[str, bytes]) -> None:
    """Refuse a file too big to be published."""
    for file, data in files.items():
        if len(data) > LIMIT:
            raise PublicationError(
                f"artifacts/{file}: {len(data):,} bytes; published files stay under {LIMIT:,}: let the chapter read a "
                "summary of it, written by a stage"
            )


def publish(project: Project, edition: Edition) -> tuple[Path, bool]:
    """Put an edition in its place; the folder, and whether anything in it is new."""
    place = folder(project, edition.name)
    _recover(place)
    if _same(_known(place / FILE), edition.record) and _stands(place, edition.files):
        return place, False
    _replace(place, edition)
    return place, True


def _manifests(plan: Plan, tasks: Iterable[Task]) -> dict[str, Manifest]:
    """Manifests of some tasks by name of the task, all of them up to date."""
    authority = Authority(plan, Memo(plan.project.build / "no-memo"))  # remembers nothing: every file is read
    out = {}
    for task in dict.fromkeys(tasks):
        verdict = authority.judge(task)
        manifest = read_manifest(plan.project.manifest(task.scope, task.name))
        if verdict.state is State.STALE or manifest is None:
            raise PublicationError(
                f"{task.spoken}: not up to date ({verdict.reason}); run: livingpaper build --preset {task.study.preset}"
            )
        out[task.id] = manifest
    return out


def _files(plan: Plan, name: str, manifests: dict[str, Manifest]) -> list[str]:
    """What is published, relative to `artifacts/`: nothing of other runs, and only what exists."""
    project = plan.project
    kind = "runs" if name in plan.study.runs else "studies"
    found: dict[str, None] = {}
    for task in plan.tasks.values():
        if task.scope == name and task.kind is Kind.CHAPTER:
            reads = manifests[task.id].reads
            found |= {file.removeprefix("artifacts/"): None for file in reads if file.startswith("artifacts/")}
        if task.scope == name and task.publish:
            found |= {file: None for glob in task.publish for file in patterns.expand(project.artifacts, glob)}
    for pointer in _pointers(plan):
        if pointer.study == (kind == "studies"):
            found[f"{kind}/{name}/{pointer.file}"] = None
    other = tuple(f"{one}/" for one in ("runs", "studies"))
    mine = [file for file in found if not file.startswith(other) or file.startswith(f"{kind}/{name}/")]
    return sorted(file for file in mine if (project.artifacts / file).is_file())


def _pointers(plan: Plan) -> Iterator[Pointer]:
    """Whatever claims, prose and the workflow point to."""
    project = plan.project
    for claim in load_claims(project.root, list(project.chapters))[0]:
        yield claim.pointer
    for inline in inlines(project.root, project.pages):
        yield parse_pointer(inline.pointer)
    if plan.workflow.main is not None:
        yield parse_pointer(plan.workflow.main.run)


def _record(plan: Plan, name: str, stages: dict[str, Manifest], files: dict[str, bytes]) -> dict[str, object]:
    modules: dict[str, str] = {}
    for manifest in stages.values():
        modules |= manifest.inputs.get("code", {})
    return {
        "schema": SCHEMA,
        "name": name,
        "preset": plan.study.preset,
        "published": datetime.now(UTC).date().isoformat(),
        "version": version(plan.project),
        "machine": machine(),
        "seconds": round(sum(one.seconds for stage, one in stages.items() if plan.tasks[stage].scope == name), 1),
        "regenerate": f"livingpaper build --preset {plan.study.preset}",
        "params": plan.study.params,
        "modules": dict(sorted(modules.items())),
        "reads": _reads(plan, name, stages),
        "stages": {
            stage: {
                "inputs": counted(manifest.inputs),
                "code": digest(manifest.inputs.get("code", {})),
                "outputs": len(manifest.outputs),
                "outputs_sha256": digest(manifest.outputs),
                "seconds": manifest.seconds,
                "finished": manifest.finished,
            }
            for stage, manifest in stages.items()
        },
        "files": {file: {"sha256": bytes_digest(data), "bytes": len(data)} for file, data in files.items()},
    }


def _reads(plan: Plan, name: str, stages: dict[str, Manifest]) -> dict[str, str | None]:
    """Files of the project that stages read; and of a study's own stages, what they read of the runs."""
    out = {}
    for stage, manifest in stages.items():
        of_study = plan.tasks[stage].scope == name == plan.study.preset
        for file, then in manifest.reads.items():
            if not file.startswith("artifacts/") or (of_study and file.startswith("artifacts/runs/")):
                out[file] = then
    return dict(sorted(out.items()))


def _known(path: Path) -> Any:
    """What was published before; nothing where it cannot be read, because it is made anew then."""
    try:
        return parse_json(path.read_bytes()) if path.stat().st_size <= LIMIT else None
    except (OSError, ValueError):
        return None


def _same(old: object, new: dict[str, object]) -> bool:
    """Whether nothing but dates, times and the place of publishing differs."""
    told = ("schema", "params", "modules", "reads", "files", "preset", "regenerate")
    if not isinstance(old, dict) or any(old.get(key) != new[key] for key in told):
        return False
    return _made(old) == _made(new) and _python(old) == _python(new)


def _python(record: dict[str, object]) -> object:
    about = record.get("machine")
    return about.get("python") if isinstance(about, dict) else None


def _made(record: dict[str, object]) -> object:
    stages = record.get("stages")
    if not isinstance(stages, dict):
        return None
    volatile = ("seconds", "finished")
    return {name: {key: value for key, value in stage.items() if key not in volatile} for name, stage in stages.items()}


def _stands(place: Path, files: dict[str, bytes]) -> bool:
    """Whether a publication's folder holds exactly some files."""
    found = {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()} - {FILE}
    return found == set(files) and all((place / file).read_bytes() == data for file, data in files.items())


def _recover(place: Path) -> None:
    """Put back what a publishing that was killed between its renames had moved aside."""
    old = _beside(place, "old")
    if old.is_dir() and not place.exists():
        os.rename(old, place)


def _replace(place: Path, edition: Edition) -> None:
    """Write a publication beside the old one, then put it in its place; if that fails, the old one stands."""
    scratch, old = _beside(place, "part"), _beside(place, "old")
    for rest in (scratch, old):
        shutil.rmtree(rest, ignore_errors=True)
    try:
        for file, data in edition.files.items():
            write_bytes(scratch / file, data)
        write_json(scratch / FILE, edition.record)
        if place.exists():
            os.rename(place, old)
        os.rename(scratch, place)
    finally:
        _recover(place)
        shutil.rmtree(scratch, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


def _beside(place: Path, end: str) -> Path:
    return place.with_name(f".{place.name}.{end}")


def version(project: Project) -> dict[str, object]:
    """The commit the sources stand at, and whether sources differ from it; no commit outside a repository."""
    sources = [name for name in _SOURCES if (project.root / name).exists()]
    try:
        commit = _git(project, "rev-parse", "HEAD").strip()
        modified = bool(_git(project, "status", "--porcelain", "--", *sources).strip())
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "modified": False}
    return {"commit": commit, "modified": modified}


def _git(project: Project, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=project.root, capture_output=True, text=True, check=True)
    return done.stdout


def machine() -> dict[str, str]:
    """What the machine calls itself: processor, cores, system, Python."""
    return {
        "processor": _processor() or platform.machine(),
        "cores": str(os.cpu_count() or 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": PYTHON,
        "implementation": sys.implementation.name,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
