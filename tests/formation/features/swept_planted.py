"""A planted formation as a run with a basis and snapshots: what the stages behind the sweep find on disk.

The basis is written by hand: a feature for each value's token direction, on where the value is about to be said, and
some that point where nobody reads.
"""

import shutil
from dataclasses import replace
from pathlib import Path

import torch

from formation import artifacts
from formation.artifacts import Run
from formation.benchmark.streams import Vocabulary
from formation.components.material import materials
from formation.components.states import states_at
from formation.components.store import DATED
from formation.features import store
from formation.features.bases.activations import Activations
from formation.features.basis import Basis
from formation.features.choices import Kind
from formation.features.measures.placebos import draw_placebos
from formation.features.measures.trajectories import measure_features, trajectory_frame
from formation.record.probe_set import load_probe_set
from formation.record.reports import FILE as ANALYSIS
from formation.record.reports import SCHEMA as ANALYSIS_SCHEMA
from formation.record.sources import source_of
from formation.training import checkpoints
from tests.formation.projects import project
from tests.planted import Course, Plan, formation_run
from tests.planted.run import EVERY, ramp

STAGE = "layer_1_post_mlp"
PLAN = Plan(heads=2, previous=((0, 1),), retrieval=((1, 0),))
STRENGTHS = ramp(5, 3, 5)
LAST = EVERY * (len(STRENGTHS) - 1)
BIRTH = 60  # as the analysis written here has it: inside the rise
WINDOW = (40, 80)
UNREAD = 4  # features that point where nobody reads


def swept(root: Path, course: Course = Course.RISING) -> Run:
    """A run of the project at `root` with basis, snapshots and windows."""
    run = formation_run(project(root), PLAN, STRENGTHS, course, evaluation=48, probe=48)
    write_windows(run)
    write_features(run)
    return run


def copied(run: Run, root: Path) -> Run:
    """The same run in another project, to be damaged at will."""
    shutil.copytree(run.root, root, dirs_exist_ok=True)
    return replace(run, root=root, folder=root / run.folder.relative_to(run.root))


def write_features(run: Run) -> None:
    """Write the basis by hand and measure it at every checkpoint."""
    probe = load_probe_set(run)
    every = materials(probe, run.params.record)
    one, batch = every[DATED], run.params.record.batch
    model = checkpoints.load_model(run, LAST)
    basis = value_basis(model.token.detach())
    states = states_at(model, one.tokens, [STAGE], one.stream, one.position, batch)[STAGE].clone()
    none = torch.zeros(len(states)).long()
    placebos = draw_placebos(basis, [Activations(STAGE, LAST, states, none, none)], 40, 4, seed=0)
    store.write_basis(run, basis, placebos, store.fit_source(run, STAGE, probe.benchmark))
    stored = store.load_basis(run, STAGE, probe.benchmark)
    frame = trajectory_frame(stored.basis, stored.placebos, every, batch, seed=0)
    for step in checkpoints.schedule(run):
        row = {"run": run.name, "step": step, "basis": stored.digest}
        snapshot = measure_features(checkpoints.load_model(run, step), step, frame)
        store.write_snapshot(store.snapshot_path(run, STAGE, step), snapshot, row)


def value_basis(token: torch.Tensor) -> Basis:
    """One feature a value, along its token's direction, and some that no token has a part of."""
    vocabulary = Vocabulary(6, 32)
    first = vocabulary.value(0)
    values = token[first : first + vocabulary.values]
    noise = torch.linalg.qr(token.T, mode="complete")[0][:, len(token) + 20 : len(token) + 20 + UNREAD].T
    rows = torch.cat([values / values.norm(dim=1, keepdim=True), noise])
    zeros, bias = torch.zeros(rows.shape[1]), torch.tensor([-0.3] * len(values) + [0.0] * UNREAD)
    return Basis(STAGE, Kind.TOPK, len(rows), rows, bias, rows, zeros, zeros, 1.0, 0.0)


def write_windows(run: Run, outcome: str = "born", windows: tuple[tuple[int, int], ...] = (WINDOW,)) -> None:
    """An analysis that says so much of retrieval: what is read of it, and no more."""
    birth = {"split": "test_iid", "metric": "key_twin_flip", "outcome": outcome, "step": BIRTH}
    named = [{"name": f"window {i}", "first_step": first, "last_step": last} for i, (first, last) in enumerate(windows)]
    source = source_of(run, load_probe_set(run)).model_dump()
    data = {"schema": ANALYSIS_SCHEMA, "source": source, "births": [birth], "windows": named}
    artifacts.write_json(run.path(ANALYSIS), data)
