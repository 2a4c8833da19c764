"""Some mutations of this very paper, each really built: what ran had to run, and the bytes are those of a clean build.

Only what comes after training and measuring is mutated, so that no model has to be trained again.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.trials.conftest import Trial
from tests.trials.mutations.bench import Bench
from tests.trials.mutations.ledger import shown
from tests.trials.mutations.meaningful import local_name, longer_sum, statement
from tests.trials.mutations.real import executed, press
from tests.trials.mutations.sources import edited, neutral
from tests.trials.mutations.values import notebook_code, prose
from tests.trials.mutations.world import World

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("real")]
EARLY = {"create-run", "generate-benchmark", "train", "generate-probe-set", "checkpoint-sweep"}


def test_whatever_is_opened_is_recorded(real: Bench, trial: Trial) -> None:
    """No process of a stage or chapter opens a file of the project that the press does not know as its input."""
    if not trial.full:
        pytest.skip("watches the real paper being built: make trials")
    known, opened, unknown = ("src/", "params/", "build/chapters/", "build/jupyter/"), 0, []
    for log in sorted((real.root / "build/logs").glob("*/*.opened")):
        reads = log.with_suffix("")
        lines = reads.read_text().splitlines() if reads.is_file() else []
        recorded = {json.loads(line).get("path", "") for line in lines}
        found = {name for name in log.read_text().splitlines() if not name.startswith(known) and "/logs/" not in name}
        opened += len(found)
        unknown += [
            f"{reads.parent.name}/{reads.stem}: {name}" for name in found if str(real.root / name) not in recorded
        ]
    trial.row("Staleness", "files opened by the real paper's processes", opened, opened - len(unknown), shown(unknown))


def test_mutations_really_built(real: Bench, trial: Trial, tmp_path: Path) -> None:
    """Each mutation on top of the others; at the end a build from nothing, everything undone, and the first bytes."""
    if not trial.full:
        pytest.skip("builds the real paper a dozen times: make trials")
    first, tried, problems = _bytes(real.root), trial.amount(full=12, short=0), []
    kinds = [lambda world: _late_code(real, world), neutral, _late_parameter, notebook_code, prose, _damaged]
    real.world.chance.seed(7)
    done: list[str] = []
    for number in range(tried):
        says = None
        while says is None:
            says = kinds[number % len(kinds)](real.world)
        done.append(says)
        wrong = _built(real)
        problems += [*done, *wrong] if wrong else []
    problems += _differ(_bytes(real.root), _from_nothing(real.root, tmp_path / "clean"), "a build from nothing")
    real.world.restore(real.sources)
    problems += _built(real) + _differ(_bytes(real.root), first, "the first build")
    trial.row("Staleness", "mutations of the real paper, built", tried, 0 if problems else tried, shown(problems))


def _built(real: Bench) -> list[str]:
    """Build; executions that were needless or missing. Afterwards the bench knows what stands there."""
    before = real.now()
    code, said = press(real.root)
    ran, wrong = executed(said), [] if code == 0 else [said[-2000:]]
    real.recorded |= {task: names for task, names in real.paths.recorded().items() if task in ran}
    now = real.now()
    for task, (facts, files) in now.items():
        known, own_before = real.known[task], before[task][1].outputs
        reads = (known[1].reads, known[1].matched) == (files.reads, files.matched)
        same = known[0] == facts and reads and known[1].outputs == own_before
        chapter = not any(task.endswith(f"/{stage}") for stage in real.stages)
        if task in ran and same:
            wrong.append(f"{task} was executed needlessly")
        if task not in ran and not same and not chapter:  # a chapter may come from the cache; its bytes are compared
            wrong.append(f"{task} was left stale")
    real.known = now
    return wrong


def _late_code(real: Bench, world: World) -> str | None:
    """Another way to say the same in a module that no early stage imports."""
    facts = real.reader.tasks()
    by = [{name for name in task.facts if name.startswith("module ")} for task in facts.values()]
    early = set().union(*(names for task, names in zip(facts, by, strict=True) if task.split("/")[1] in EARLY))
    late = sorted(set().union(*by) - early)
    module = world.chance.choice(late).removeprefix("module ")
    path = world.root / "src" / Path(*module.split(".")).with_suffix(".py")
    edit: Callable[..., bytes | None] = world.chance.choice([statement, local_name, longer_sum])
    after = edited(path.read_bytes(), edit, world.chance) if path.is_file() else None
    if after is None:
        return None
    path.write_bytes(after)
    return f"{edit.__name__} in {module}"


def _late_parameter(world: World) -> str:
    """Another number of permutations behind the gate."""
    path = world.root / "params/smoke.yml"
    number = world.chance.randint(100, 199)
    path.write_text(path.read_text().replace("permutations: 200", f"permutations: {number}"))
    return f"permutations: {number}"


def _damaged(world: World) -> str:
    """A late artifact edited or deleted."""
    path = world.pick("artifacts/runs/*/analysis/*window*.json")
    assert path is not None
    if world.chance.random() < 0.5:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-20])
    return f"{world.name(path)} damaged"


def _from_nothing(root: Path, place: Path) -> dict[str, bytes]:
    """The bytes of a build that has nothing but what the early stages made."""
    shutil.copytree(root, place)
    for name in ("cache", "chapters", "logs", "memo.json"):
        path = place / "build" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for manifest in (place / "build/manifests").glob("*/*.json"):
        if manifest.stem not in EARLY:
            manifest.unlink()
    shutil.rmtree(place / "artifacts/studies")
    for path in place.glob("artifacts/runs/*/analysis/*"):
        if path.is_file() and not path.name.startswith(("checkpoint_metrics", "probe_set")):
            path.unlink()
    code, said = press(place)
    assert code == 0, said[-2000:]
    return _bytes(place)


def _bytes(root: Path) -> dict[str, bytes]:
    """Every artifact, but for the lock and the times of a training, and every executed chapter."""
    found = [path for path in (root / "artifacts").rglob("*") if path.is_file() and path.parent.name != "logs"]
    found += (root / "build/chapters").glob("*/[!.]*.ipynb")
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}


def _differ(found: dict[str, bytes], expected: dict[str, bytes], than: str) -> list[str]:
    return [
        f"{name} is not that of {than}"
        for name in sorted(found.keys() | expected.keys())
        if found.get(name) != expected.get(name)
    ]
