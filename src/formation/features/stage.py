"""Names of residual stages as a user may write them. Nothing here needs torch."""

from formation.errors import MeasureError

LAST = "last_post_mlp"  # the residual stream behind the last layer, however deep the model


def stages(layers: int) -> tuple[str, ...]:
    """Those of `formation.components.states`, which needs torch."""
    return (
        "embed",
        *(f"layer_{layer}_post_{part}" for layer in range(layers) for part in ("attn", "mlp")),
        "final_norm",
    )


def stage_name(stage: str, layers: int) -> str:
    """The stage's own name in a model of `layers` layers: `last_post_mlp` is resolved, others are only checked.

    Raises `MeasureError` for a name that is no stage of the residual stream.
    """
    if stage == LAST:
        return f"layer_{layers - 1}_post_mlp"
    known = stages(layers)
    if stage not in known:
        raise MeasureError(f"stage = {stage!r}: no residual stage; expected one of: {LAST}, {', '.join(known)}")
    return stage
