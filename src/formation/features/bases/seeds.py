"""Fits of one stage by latents, k and seed: each is made once, and kept so that a killed stage goes on where it was."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from formation import artifacts
from formation.artifacts import Run
from formation.errors import ArtifactError
from formation.features import files
from formation.features.bases.fit import Fitted, Logged, Prepared, fit_prepared
from formation.features.bases.settings import FitSettings
from formation.features.basis import Basis
from formation.features.params import Section
from formation.progress import Tracker

FOLDER, SCHEMA = "fits", "shared-feature-fitted/1"
_TENSORS = ("encoder", "encoder_bias", "decoder", "decoder_bias", "mean")


def settings_of(section: Section, latents: int, k: int) -> FitSettings:
    """How a basis of `latents` features with k active ones is fit."""
    return FitSettings(
        latents=latents,
        k=k,
        kind=section.kind,
        steps=section.steps,
        batch=section.batch,
        learning_rate=section.learning_rate,
        dead_after=section.dead_after,
    )


class Fits:
    """The fits of a stage; `origin` is what they are made from, and a file made from anything else is made again."""

    def __init__(self, run: Run, prepared: Prepared, origin: Mapping[str, str], tracker: Tracker) -> None:
        self.run, self.prepared, self.origin, self.tracker = run, prepared, dict(origin), tracker

    def __call__(self, settings: FitSettings, seed: int) -> Fitted:
        """The fit with these settings and this seed, read or made."""
        path = fit_path(self.run, self.prepared.stage, settings, seed)
        kept = self._kept(path, settings, seed)
        if kept is not None:
            self.tracker.advance(settings.steps)
            return kept
        made = fit_prepared(self.prepared, settings, seed, self.tracker)
        arrays = {name: getattr(made.basis, name).numpy() for name in _TENSORS}
        history = [asdict(one) for one in made.history]
        artifacts.write_arrays(
            path, arrays, {**self._about(settings, seed), **_numbers(made.basis), "history": history}
        )
        return made

    def _about(self, settings: FitSettings, seed: int) -> dict[str, Any]:
        return {"schema": SCHEMA, "origin": self.origin, "settings": asdict(settings), "seed": seed}

    def _kept(self, path: Path, settings: FitSettings, seed: int) -> Fitted | None:
        """The fit in a file, if it is whole and of the same origin and settings."""
        if not path.is_file():
            return None
        try:
            arrays, about = artifacts.read_arrays(path, SCHEMA)
        except ArtifactError as error:
            print(f"{self.run.name}: fit again: {error}")
            return None
        expected = self._about(settings, seed)
        if {name: about.get(name) for name in expected} != expected:
            return None
        basis = Basis(
            stage=self.prepared.stage,
            kind=settings.kind,
            k=settings.k,
            scale=about["scale"],
            threshold=about["threshold"],
            **{name: torch.from_numpy(arrays[name]) for name in _TENSORS},
        )
        return Fitted(basis, tuple(Logged(**one) for one in about["history"]))


def fit_path(run: Run, stage: str, settings: FitSettings, seed: int) -> Path:
    """Where a fit is kept."""
    return run.path(files.place(stage, f"{FOLDER}/latents_{settings.latents}_k_{settings.k}_seed_{seed}.safetensors"))


def _numbers(basis: Basis) -> dict[str, float]:
    return {"scale": basis.scale, "threshold": basis.threshold}
