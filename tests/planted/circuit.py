"""Weights of a planted circuit, written by hand: `plant` makes the model, what follows says what each head computes.

A head is written down in features, as if the residual stream were never normalised; `_install` turns its rows into the
model's basis and takes back the LayerNorm's scale, which is known, because the stream's norm is known at every layer.
"""

from dataclasses import dataclass

import numpy as np
import torch

from formation.benchmark.streams import Special, Vocabulary
from formation.model import Attention, Layer, Transformer
from formation.params import ModelParams
from tests.planted.axes import SPARE, WAVES, Axes, Matrix
from tests.planted.plan import Damage, Decoy, Head, Plan

WRITTEN = 4.0  # norm of the value that all retrieval heads write together; tokens, positions and "my key" have norm 1
WEAK = 0.05  # of it: what a weak decoy writes
FAINT = 0.05  # norm of what is written where nobody reads
SHARP = 10.0  # logarithm of the odds by which a previous-token head prefers its place to any other
STEP = 5.5  # logarithm of the odds by which a place is preferred to one three positions before it, at least
FINAL = 1.5  # scale of the final LayerNorm: margins of about 8 nats
D_FF = 16


@dataclass
class _Form:
    """One head in features: scores are `(q x + q_bias) · (k y)`, and `o v y` is written."""

    q: Matrix
    q_bias: torch.Tensor
    k: Matrix
    v: Matrix
    o: Matrix  # transposed: row i is what value row i writes


@torch.no_grad()
def plant(plan: Plan, vocabulary: Vocabulary, context: int) -> Transformer:
    """The model of `plan`: weights by hand, nothing drawn but the basis its features lie in."""
    axes, params = Axes(vocabulary, context), model_params(plan, vocabulary, context)
    model = Transformer(params, vocabulary.size).eval()
    basis = axes.basis(params.d_model, plan.seed)
    for parameter in model.parameters():
        parameter.zero_()
    model.token.copy_(basis[:, : vocabulary.size].T)
    model.position.copy_(axes.positions() @ basis.T)
    model.norm.weight.fill_(FINAL)
    for index, layer in enumerate(model.layers):
        assert isinstance(layer, Layer)
        layer.attn_norm.weight.fill_(1.0)
        layer.mlp_norm.weight.fill_(1.0)
        for head in range(plan.heads):
            form = _form(plan, (index, head), axes, params.d_model // plan.heads)
            if form is not None:
                _install(layer.attn, head, form, basis, _norms(plan, index))
        if index in plan.mlp_decoys:
            _busy_mlp(layer, axes, basis, plan.seed + index)
    return model


def model_params(plan: Plan, vocabulary: Vocabulary, context: int) -> ModelParams:
    """Parameters of the narrowest model that holds the circuit: every head has room for all values."""
    axes = Axes(vocabulary, context)
    d_head = max(vocabulary.values, vocabulary.keys + 2, 2 * WAVES, -(-(axes.size + 1) // plan.heads))
    return ModelParams(
        d_model=d_head * plan.heads,
        layers=plan.layers,
        heads=plan.heads,
        d_ff=D_FF,
        context=context,
        embedding_std=0.02,
        matrix_std=0.02,
    )


# --- what each head computes -----------------------------------------------------------------------------------------


def _form(plan: Plan, head: Head, axes: Axes, rows: int) -> _Form | None:
    """The head in features; nothing for one without a job."""
    empty = torch.zeros(rows, axes.size)
    form = _Form(empty.clone(), torch.zeros(rows), empty.clone(), empty.clone(), empty.clone())
    decoy = plan.decoys.get(head)
    if head in plan.previous or decoy is Decoy.UNREAD:
        _attend_previous(form, axes)
        _copy_key(form, axes, 1 / len(plan.previous), unread=decoy is not None)
    elif head in plan.retrieval or decoy in (Decoy.SILENT, Decoy.STALE):
        _attend_match(form, axes, _recency(plan, head))
        _copy_value(form, axes, _share(plan, head), shift=int(plan.damaged(head, Damage.SHUFFLED_VALUES)))
    elif decoy is Decoy.DISTRACTOR:
        _attend_latest_value(form, axes)
        _copy_value(form, axes, WRITTEN * WEAK, shift=0)
    else:
        return None
    _damage(form, plan, head)
    return form


def _attend_previous(form: _Form, axes: Axes) -> None:
    """Scores Σ cos(ω (p − 1 − j)) over the waves: the query turns each wave back by one position."""
    apart = np.arange(-1, axes.context)
    kernel = np.cos(np.outer(apart, axes.waves)).sum(axis=1)
    gain = SHARP / (WAVES - kernel[apart != 0].max()) * (WAVES + 1)  # a wave has squared norm 1 / (WAVES + 1)
    for index, wave in enumerate(axes.waves):
        (cosine, sine), row = axes.wave(index), 2 * index
        form.k[row, cosine] = form.k[row + 1, sine] = 1.0
        form.q[row, cosine], form.q[row, sine] = gain * np.cos(wave), gain * np.sin(wave)
        form.q[row + 1, sine], form.q[row + 1, cosine] = gain * np.cos(wave), -gain * np.sin(wave)


def _copy_key(form: _Form, axes: Axes, share: float, unread: bool) -> None:
    """Write which key the attended token is, or that it is none; the decoy writes it faintly, where nobody reads."""
    for token in range(axes.vocabulary.size):
        key = token - axes.vocabulary.key(0)
        form.v[key if 0 <= key < axes.keys else axes.keys, token] = 1.0
    for key in range(axes.keys + 1):
        form.o[key, axes.spare(key % SPARE) if unread else axes.mine(key)] = FAINT if unread else share


def _attend_match(form: _Form, axes: Axes, recency: float) -> None:
    """A key looks for itself among "my key", `recency` preferring later places; all other tokens look at the start."""
    match = _above_recency(axes)
    for key in range(axes.keys):
        form.q[key, axes.vocabulary.key(key)] = match
        form.k[key, axes.mine(key)] = 1.0
    _prefer_later(form, axes, row=axes.keys, recency=recency)
    _rest(form, axes, row=axes.keys + 1)


def _attend_latest_value(form: _Form, axes: Axes) -> None:
    """A key looks at the latest value, whatever it belongs to."""
    for key in range(axes.keys):
        form.q[0, axes.vocabulary.key(key)] = _above_recency(axes)
    for value in range(axes.vocabulary.values):
        form.k[0, axes.vocabulary.value(value)] = 1.0
    _prefer_later(form, axes, row=1, recency=1.0)
    _rest(form, axes, row=2)


def _prefer_later(form: _Form, axes: Axes, row: int, recency: float) -> None:
    """A score that rises with position by at least `STEP` in three positions, times `recency`."""
    form.q_bias[row] = recency * _recency_gain(axes)
    form.k[row, axes.wave(WAVES)[1]] = 1.0


def _rest(form: _Form, axes: Axes, row: int) -> None:
    """Whoever is no key looks at the start, where there is nothing to copy, also behind a head that wrote a value."""
    form.q_bias[row] = _above_recency(axes)
    form.q[row, axes.vocabulary.key(0) : axes.vocabulary.key(axes.keys)] = -2 * _above_recency(axes)
    form.k[row, Special.BOS] = 1.0


def _recency_gain(axes: Axes) -> float:
    sine = axes.positions()[:, axes.wave(WAVES)[1]]
    return STEP / float((sine[3:] - sine[:-3]).min())


def _above_recency(axes: Axes) -> float:
    """A score that no difference in recency outweighs, not even where half of it is missing."""
    return 3 * _recency_gain(axes) * float(axes.positions()[:, axes.wave(WAVES)[1]].max()) * 2


def _copy_value(form: _Form, axes: Axes, size: float, shift: int) -> None:
    """Write the attended value's token, or the one `shift` values on."""
    values = axes.vocabulary.values
    for value in range(values):
        form.v[value, axes.vocabulary.value(value)] = 1.0
        form.o[value, axes.vocabulary.value((value + shift) % values)] = size


def _recency(plan: Plan, head: Head) -> float:
    """1 to prefer later places, −1 for earlier ones, 0 for neither."""
    if plan.decoys.get(head) is Decoy.STALE or plan.damaged(head, Damage.REVERSED_RECENCY):
        return -1.0
    return 0.0 if plan.damaged(head, Damage.NO_RECENCY) else 1.0


def _share(plan: Plan, head: Head) -> float:
    """Norm of what a matching head writes."""
    if head in plan.retrieval:
        return WRITTEN / len(plan.retrieval)
    return WRITTEN * WEAK if plan.decoys[head] is Decoy.STALE else 0.0


def _damage(form: _Form, plan: Plan, head: Head) -> None:
    """Break what is to be broken, and weaken the queries of a retrieval head that is still forming."""
    asking = 0.0 if plan.damaged(head, Damage.NO_QK) else 1.0
    asking *= plan.strength**4 if head in plan.retrieval else 1.0
    form.q *= asking
    form.q_bias *= asking
    if plan.damaged(head, Damage.NO_OV):
        form.o.zero_()


# --- from features to weights ----------------------------------------------------------------------------------------


def _norms(plan: Plan, layer: int) -> tuple[float, float]:
    """Norm of the residual stream before a layer's attention, where a key asks and elsewhere."""
    mine = sum(head[0] < layer for head in plan.previous) / len(plan.previous)
    answer = WRITTEN * sum(head[0] < layer for head in plan.retrieval) / len(plan.retrieval)
    return float(np.sqrt(2 + mine**2 + answer**2)), float(np.sqrt(2 + mine**2))


def _install(attn: Attention, head: int, form: _Form, basis: torch.Tensor, norms: tuple[float, float]) -> None:
    """Write a head's form into the block's weights; LayerNorm multiplied what it reads by √d_model / norm."""
    width, rows = basis.shape[0], form.q.shape[0]
    asking, elsewhere = (norm / width**0.5 for norm in norms)
    scale = rows**0.5  # scores are divided by it
    parts = (form.q * asking * scale, form.k * elsewhere, form.v * elsewhere)
    here = slice(head * rows, (head + 1) * rows)
    for index, part in enumerate(parts):
        attn.qkv.weight.view(3, width, width)[index, here] = part @ basis.T
    attn.qkv.bias.view(3, width)[0, here] = form.q_bias * scale
    attn.out.weight[:, here] = basis @ form.o.T


def _busy_mlp(layer: Layer, axes: Axes, basis: torch.Tensor, seed: int) -> None:
    """An MLP that reads everything and writes faintly where nobody reads."""
    draw = torch.Generator().manual_seed(seed)
    layer.mlp.fc_in.weight.normal_(0, basis.shape[0] ** -0.5, generator=draw)
    spare = torch.randn(SPARE, D_FF, generator=draw) * FAINT / D_FF**0.5
    layer.mlp.fc_out.weight.copy_(basis[:, axes.spare(0) : axes.spare(SPARE)] @ spare)
