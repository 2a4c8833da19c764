"""The `shared-feature-fit` stage: one sparse basis of a residual stage that stands for all of training.

Every number of latents is fit with every k and several seeds; a stated rule chooses (`fitting_choice.RULE`); the chosen
one is fit with more seeds, to see which of its features are found again, and judged in full beside principal components
and neurons. Fits are kept, so that a killed stage goes on; a finished one is not done again from the same source.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from formation import artifacts
from formation import params as parameters
from formation.artifacts import Run
from formation.benchmark.generate import Dataset
from formation.benchmark.stage import load_for_run
from formation.errors import ArtifactError, MeasureError
from formation.features import files
from formation.features.bases.activations import Activations
from formation.features.bases.baselines import fit_components
from formation.features.bases.choice import RULE, Tried, aims, choose, tried
from formation.features.bases.fit import Fitted, prepare
from formation.features.bases.material import Checkpoints, Judged, choose_checkpoints, fit_samples, judged
from formation.features.bases.quality import cosine_spread
from formation.features.bases.report import (
    codes,
    features_json,
    quality_json,
    quality_plot,
    rounded,
    stability_json,
    tell,
)
from formation.features.bases.samples import Scaling
from formation.features.bases.seeds import Fits, settings_of
from formation.features.bases.settings import StabilitySettings
from formation.features.bases.stability import Stability, measure_stability
from formation.features.measures.placebos import draw_placebos
from formation.features.params import Section
from formation.features.store import FitSource, basis_path, chosen_stages, fit_remedy, fit_source, write_basis
from formation.lock import only_one
from formation.progress import Tracker, track
from formation.record.probe_set import ProbeSet, load_probe_set
from formation.record.resumable import one_thread
from formation.training import checkpoints

LOCK = "logs/shared_feature_fit.lock"
CHOICE_PLOT, CHOICE_PLOT_SCHEMA = "plots/basis_choice.json", "feature-plot-basis-choice/1"
QUALITY_PLOT, QUALITY_PLOT_SCHEMA = "plots/basis_quality.json", "feature-plot-basis-quality/1"
WRITTEN = (files.BASIS, files.FEATURES, CHOICE_PLOT, QUALITY_PLOT, files.QUALITY)  # the last one says all are there


@dataclass(frozen=True)
class Origin:
    """What a stage's basis is made from: whatever of it changes, it is fit again."""

    source: FitSource
    probe_set: str
    checkpoints: Checkpoints
    digests: Mapping[int, str]  # of the checkpoints' files

    def as_json(self) -> dict[str, Any]:
        """As the quality report tells it."""
        return {
            **self.source.model_dump(),
            "probe_set": self.probe_set,
            "checkpoints": _digest(self.digests, sorted(self.digests)),
        }


@dataclass(frozen=True, eq=False)
class Chosen:
    """The chosen basis with all that was tried, and the seeds of the fits it was compared with."""

    tried: list[Tried]
    choice: Tried
    fitted: Fitted
    stability: Stability
    seeds: list[int]


def shared_feature_fit(run: Run, stages: Sequence[str] | None = None) -> list[Path]:
    """Fit, choose and judge a basis for each stage; return the paths of the basis files.

    Raises `MeasureError` or `ArtifactError` where checkpoints are missing or too few, or where a stage's activations
    are not finite or do not vary; nothing is fit on another stage or on other checkpoints instead.
    """
    names = chosen_stages(run, list(stages) if stages else None)
    dataset, probe, chosen = load_for_run(run), load_probe_set(run), choose_checkpoints(run)
    digests = _digests(run, chosen)
    with only_one(run, LOCK, "fit", MeasureError), one_thread():
        return [_stage(run, name, dataset, probe, chosen, digests) for name in names]


def _digests(run: Run, chosen: Checkpoints) -> dict[int, str]:
    """Digests of the checkpoints' files; `ArtifactError` naming the first that is missing."""
    steps = sorted((*chosen.fit, *chosen.heldout))
    for step in steps:
        if not checkpoints.path(run, step).is_file():
            checkpoints.load_checkpoint(run, step)  # says which there are, and what makes it
    return {step: artifacts.file_digest(checkpoints.path(run, step)) for step in steps}


def _stage(
    run: Run, stage: str, dataset: Dataset, probe: ProbeSet, chosen: Checkpoints, digests: Mapping[int, str]
) -> Path:
    origin = Origin(fit_source(run, stage, probe.benchmark), probe.digest, chosen, digests)
    path = basis_path(run, stage)
    if _finished(run, stage, origin):
        print(f"{run.name}: {stage}: its basis was already fit from the same source")
        return path
    samples = fit_samples(run, stage, dataset, chosen.fit)
    looked_at = judged(run, stage, probe, sorted((*chosen.fit, *chosen.heldout)))
    found = _fit(run, samples, looked_at, origin)
    _write(run, stage, samples, looked_at, found, origin)
    one = found.choice
    print(
        f"{run.name}: {stage}: {one.latents} features, {one.k} active, of {len(found.tried)} bases tried; at held-out "
        f"checkpoints {one.explained_variance_without_token_means or 0:.2f} explained beyond token means, stability "
        f"{found.stability.mean:.2f}, {one.dead_fraction:.1%} dead"
        + (f"; missed: {', '.join(one.missed)}" if one.missed else "")
    )
    return path


# --- fitting ---------------------------------------------------------------------------------------------------------


def _fit(run: Run, samples: Sequence[Activations], looked_at: Sequence[Judged], origin: Origin) -> Chosen:
    """Try every number of latents with every k, choose, and compare the choice with fits of other seeds."""
    section = run.params.of(Section)
    others = max(section.compared_fits, section.stability_fits)
    seeds = [section.seed + place for place in range(1 + others)]
    pairs = [(latents, k) for latents in section.latents for k in section.k]
    first = seeds[: 1 + section.compared_fits]
    heldout = [at for at in looked_at if at.step in origin.checkpoints.heldout]
    total = len(pairs) * len(first) + len(seeds)  # those of the choice are there already, and count at once
    with track(f"{run.name} basis fits", total * section.steps, "steps") as tracker:
        fits = _fits(run, samples, origin, tracker)
        every = [
            tried([fits(settings_of(section, *pair), seed).basis for seed in first], heldout, section) for pair in pairs
        ]
        choice = choose(every)
        fitted, *compared = [fits(settings_of(section, choice.latents, choice.k), seed) for seed in seeds]
    settings = StabilitySettings(section.stability_fits, section.stable_cosine)
    stability = measure_stability(fitted.basis, [one.basis for one in compared], settings, section.seed)
    return Chosen(every, choice, fitted, stability, seeds[1:])


def _fits(run: Run, samples: Sequence[Activations], origin: Origin, tracker: Tracker) -> Fits:
    section = run.params.of(Section)
    made_from = {
        "params": origin.source.params,
        "benchmark": origin.source.benchmark,
        "checkpoints": _digest(origin.digests, origin.checkpoints.fit),
        "positions": section.positions.value,
        "streams": str(section.streams),
        "seed": str(section.seed),
    }
    return Fits(run, prepare(samples), made_from, tracker)


# --- files -----------------------------------------------------------------------------------------------------------


def _write(
    run: Run,
    stage: str,
    samples: Sequence[Activations],
    looked_at: Sequence[Judged],
    found: Chosen,
    origin: Origin,
) -> None:
    """Write the basis with its placebos, and all that is said of it."""
    section, basis = run.params.of(Section), found.fitted.basis
    placebos = draw_placebos(basis, samples, section.placebos, section.placebo_rungs, section.seed)
    components = fit_components(samples, Scaling(basis.mean, basis.scale))
    every = codes(basis, components, found.choice.l0, looked_at)
    told = {name: tell(code, looked_at) for name, code in every.items()}
    write_basis(run, basis, placebos, origin.source)
    digest = artifacts.file_digest(basis_path(run, stage))
    about = {"run": run.name, "preset": run.preset, "seed": run.seed, "stage": stage, "basis": digest}
    fit, heldout = origin.checkpoints.fit, origin.checkpoints.heldout
    choice = _choice_json(section, found)
    reports = {
        (files.FEATURES, files.FEATURES_SCHEMA): {"features": features_json(basis, found.stability, looked_at, fit)},
        (CHOICE_PLOT, CHOICE_PLOT_SCHEMA): choice,
        (QUALITY_PLOT, QUALITY_PLOT_SCHEMA): quality_plot(told, heldout),
        (files.QUALITY, files.QUALITY_SCHEMA): {
            "source": origin.as_json(),
            "checkpoints": {"fit": fit, "heldout": heldout},
            "fit": _fit_json(section, samples, found.fitted),
            "choice": choice,
            "quality": quality_json(told, fit, heldout),
            "stability": stability_json(found.stability, found.seeds),
            "decoder_cosines": rounded(cosine_spread(basis.decoder)),
        },
    }
    for (name, schema), data in reports.items():
        artifacts.write_json(run.path(files.place(stage, name)), {"schema": schema, **about, **data})


def _choice_json(section: Section, found: Chosen) -> dict[str, Any]:
    """All that was tried, and which was chosen by what rule."""
    one = found.choice
    return {
        "rule": RULE,
        "aims": aims(section),
        "tried": rounded([asdict(other) for other in found.tried]),
        "chosen": {"latents": one.latents, "k": one.k, "missed": list(one.missed)},
    }


def _fit_json(section: Section, samples: Sequence[Activations], fitted: Fitted) -> dict[str, Any]:
    """On what the basis was fit, and how the fit went."""
    basis = fitted.basis
    return {
        "kind": basis.kind.value,
        "latents": basis.latents,
        "k": basis.k,
        "positions": section.positions.value,
        "rows": sum(len(sample.x) for sample in samples),
        "scale": basis.scale,
        "threshold": basis.threshold,
        "history": rounded([asdict(one) for one in fitted.history]),
    }


def _finished(run: Run, stage: str, origin: Origin) -> bool:
    """Whether everything is there, and was made from `origin`."""
    paths = [run.path(files.place(stage, name)) for name in WRITTEN]
    if not all(path.is_file() for path in paths):
        return False
    try:
        report = artifacts.read_json(paths[-1], files.QUALITY_SCHEMA, fit_remedy(run, stage))
    except ArtifactError as error:
        print(f"{run.name}: {stage}: fit again: {error}")
        return False
    return bool(report["source"] == origin.as_json()) and report["basis"] == artifacts.file_digest(paths[0])


def _digest(digests: Mapping[int, str], steps: Sequence[int]) -> str:
    """One digest of several checkpoints' files."""
    return parameters.digest({str(step): digests[step] for step in steps})
