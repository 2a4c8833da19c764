"""The `features` section of the parameters: on what shared bases are fit, which are tried, how one is chosen."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from formation.features.choices import Kind, Positions
from formation.params import Fraction, Frozen, PositiveInt, Seed

_LISTS = ("stages", "latents", "k")

# what decides a basis: it is not fit again for another list of stages, nor for what is done with it later
OF_THE_FIT = (
    "positions",
    "streams",
    "fit_checkpoints",
    "heldout_checkpoints",
    "kind",
    "latents",
    "k",
    "steps",
    "batch",
    "learning_rate",
    "dead_after",
    "compared_fits",
    "stability_fits",
    "stable_cosine",
    "most_active",
    "least_explained",
    "least_stability",
    "most_dead",
    "seed",
    "placebos",
    "placebo_rungs",
)


class Section(Frozen):
    """Shared feature bases of a run; `docs/measures.md` §5."""

    stages: Annotated[tuple[str, ...], Field(min_length=1)]
    positions: Annotated[Positions, Field(strict=False)]
    streams: PositiveInt
    fit_checkpoints: Annotated[int, Field(ge=2)]
    heldout_checkpoints: PositiveInt
    kind: Annotated[Kind, Field(strict=False)]
    latents: Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
    k: Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
    steps: PositiveInt
    batch: PositiveInt
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    dead_after: PositiveInt
    compared_fits: PositiveInt
    stability_fits: PositiveInt
    stable_cosine: Fraction
    most_active: Fraction
    least_explained: Fraction
    least_stability: Fraction
    most_dead: Fraction
    seed: Seed
    placebos: Annotated[int, Field(ge=20)]
    placebo_rungs: PositiveInt

    @model_validator(mode="before")
    @classmethod
    def _tuples_from_yaml(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        lists = {key: tuple(data[key]) for key in _LISTS if isinstance(data.get(key), list)}
        return {**data, **lists}

    @model_validator(mode="after")
    def _fits_in(self) -> "Section":
        if max(self.k) > min(self.latents):
            raise ValueError(f"k ({max(self.k)}) is above the number of latents ({min(self.latents)})")
        return self
