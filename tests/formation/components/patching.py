"""The reference that ablations and exchanges are held against: passes with some intermediates replaced by given ones,
components everywhere, or a stage at one position of a read.

Everything goes through `Transformer.run`, whole passes that any replacement fits, slowly. A replacement by what stands
there already changes no bit of the logits.
"""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor

from formation.components.ablation import components
from formation.components.clean import rows_of
from formation.components.material import Material
from formation.components.roles import NOWHERE
from formation.components.states import stages
from formation.errors import MeasureError
from formation.model import Edit, Transformer


@torch.inference_mode()
def outputs(model: Transformer, tokens: Int[Tensor, "stream pos"]) -> dict[str, Float[Tensor, "stream pos d_model"]]:
    """What every component adds to the residual stream, by name; heads without the bias they share."""
    blocks = [f"layer_{layer}.{part}" for layer in range(len(model.layers)) for part in ("attn.head_out", "mlp.out")]
    _, kept = model.run(tokens, keep=blocks)
    parts = {}
    for component in components(model):
        whole = kept[f"layer_{component.layer}." + ("mlp.out" if component.head is None else "attn.head_out")]
        parts[component.name] = whole if component.head is None else whole[:, component.head]
    return parts


@torch.inference_mode()
def patched_logits(
    model: Transformer,
    material: Material,
    replacement: Mapping[str, Float[Tensor, "stream pos d_model"]],
    batch: int,
) -> Float[Tensor, "read vocab"]:
    """Logits at all answers where the outputs of some components (`layer_0.head_1`, `layer_0.mlp`) are those given.

    All are replaced at once. Raises `MeasureError` for a component that the model does not have.
    """
    known = {component.name: component for component in components(model)}
    for name in replacement:
        if name not in known:
            raise MeasureError(f"no component {name!r}; there are: {', '.join(known)}")
    logits = []
    for start in range(0, material.streams, batch):
        edits: dict[str, Edit] = {}
        for name, whole in replacement.items():
            layer, head, new = known[name].layer, known[name].head, whole[start : start + batch]
            block = f"layer_{layer}.mlp.out" if head is None else f"layer_{layer}.attn.head_out"
            edits[block] = _then(edits.get(block), _put(new) if head is None else _put_head(new, head))
        out, _ = model.run(material.tokens[start : start + batch], edits=edits)
        logits.append(out[rows_of(material, start, batch)])
    return torch.cat(logits)


@torch.inference_mode()
def patched_stage(
    model: Transformer,
    tokens: Int[Tensor, "row pos"],
    stage: str,
    place: Int[Tensor, "row"],
    state: Float[Tensor, "row d_model"],
    answer: Int[Tensor, "row"],
    batch: int,
) -> Float[Tensor, "row vocab"]:
    """Logits at the positions `answer` where the residual stream at `stage` and position `place` is `state`.

    One stream a row, so that each read is patched by itself; `tokens` are those of the reads' streams. A row whose
    place is `NOWHERE` is left as it is. Raises `MeasureError` for a stage that the model does not have.
    """
    if stage not in stages(len(model.layers)):
        raise MeasureError(f"no stage {stage!r}; there are: {', '.join(stages(len(model.layers)))}")
    logits = []
    for start in range(0, len(tokens), batch):
        part = slice(start, start + batch)
        edit = _put_state(place[part], state[part])
        out, _ = model.run(tokens[part], edits={stage: edit})
        logits.append(out[torch.arange(len(out)), answer[part]])
    return torch.cat(logits)


def _then(first: Edit | None, second: Edit) -> Edit:
    return second if first is None else lambda x: second(first(x))


def _put(new: Tensor) -> Edit:
    return lambda x: new


def _put_head(new: Float[Tensor, "stream pos d_model"], head: int) -> Edit:
    def edit(x: Float[Tensor, "stream head pos d_model"]) -> Float[Tensor, "stream head pos d_model"]:
        x = x.clone()
        x[:, head] = new
        return x

    return edit


def _put_state(place: Int[Tensor, "row"], state: Float[Tensor, "row d_model"]) -> Callable[[Tensor], Tensor]:
    def edit(x: Float[Tensor, "row pos d_model"]) -> Float[Tensor, "row pos d_model"]:
        x, rows = x.clone(), (place != NOWHERE).nonzero()[:, 0]
        x[rows, place[rows]] = state[rows]
        return x

    return edit
