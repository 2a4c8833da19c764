"""`python components_lens.py FOLDER [FILE]`: the same measurements with TransformerLens, on the same weights."""

import json
import resource
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformer_lens import HookedTransformer, HookedTransformerConfig

SPLITS = ("test_iid", "heldout_pairs", "structural_ood")
KINDS = 9  # of tokens


def main(folder: Path, file: Path | None) -> None:
    """Measure what `benchmarks.components` wrote into `folder`."""
    torch.set_num_threads(1)
    given = load_file(folder / "given.safetensors")
    heads, layers, batch = given["sizes"].tolist()
    model = _model(given, heads, layers)
    kept: dict[str, Tensor] = {}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu = time.perf_counter(), time.process_time()
    _measure(model, given, batch, kept if file else None)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    spent = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    print(json.dumps({**spent, "megabytes": (peak - before) / 1024}))
    if file:
        save_file({key: tensor.contiguous() for key, tensor in kept.items()}, file)


@torch.inference_mode()
def _measure(model: HookedTransformer, given: dict[str, Tensor], batch: int, kept: dict[str, Tensor] | None) -> None:
    mean = None
    for name in SPLITS:
        streams = {key[len(name) + 1 :]: array for key, array in given.items() if key.startswith(f"{name}.")}
        stream, position = streams["stream"], streams["position"]
        cache = found = other = {}  # both sides let go of a split's pass before the next
        cache = _cached(model, streams["tokens"], batch, stream, position)
        mean = mean or {hook: _means(cache[hook], streams["kinds"]) for hook in _hooks(model)}
        found = {"direct": _direct(model, cache, streams), "pattern": cache["pattern"]}
        for kind in ("zero", "mean", "resample_value", "resample_key"):
            rows, other = torch.arange(len(stream)), {}
            if kind.startswith("resample"):
                twin = kind.partition("_")[2]
                rows = streams[f"{twin}.first"]
                other = _cached(model, streams[f"{twin}.tokens"], batch)
            elif kind == "mean":
                other = {hook: mean[hook][streams["kinds"]] for hook in _hooks(model)}
            parts = [_ablated(model, streams, rows, hook, head, other.get(hook), batch) for hook, head in _parts(model)]
            found[f"{kind}/logits"] = torch.stack(parts)
        if kept is not None:
            kept |= {f"{name}/{key}": tensor for key, tensor in found.items()}


def _hooks(model: HookedTransformer) -> list[str]:
    layers = range(model.cfg.n_layers)
    return [f"blocks.{layer}.{part}" for layer in layers for part in ("attn.hook_z", "hook_mlp_out")]


def _parts(model: HookedTransformer) -> list[tuple[str, int | None]]:
    """Every head, then the MLP block, layer by layer."""
    found: list[tuple[str, int | None]] = []
    for layer in range(model.cfg.n_layers):
        found += [(f"blocks.{layer}.attn.hook_z", head) for head in range(model.cfg.n_heads)]
        found.append((f"blocks.{layer}.hook_mlp_out", None))
    return found


def _cached(
    model: HookedTransformer,
    tokens: Tensor,
    batch: int,
    stream: Tensor | None = None,
    position: Tensor | None = None,
) -> dict[str, Tensor]:
    """Outputs of heads and MLP blocks at all positions; with reads also patterns, final state and logits at answers."""
    names, last = _hooks(model), f"blocks.{model.cfg.n_layers - 1}.hook_resid_post"
    patterns = [f"blocks.{layer}.attn.hook_pattern" for layer in range(model.cfg.n_layers)]
    wanted = names if stream is None else [*names, *patterns, last]
    parts: list[dict[str, Tensor]] = []
    for start in range(0, len(tokens), batch):
        logits, cache = model.run_with_cache(tokens[start : start + batch], names_filter=lambda n: n in wanted)
        part = {name: cache[name] for name in names}
        if stream is not None:
            rows = (stream >= start) & (stream < start + batch)
            at, place = stream[rows] - start, position[rows]
            part["pattern"] = torch.stack([cache[name][at, :, place] for name in patterns], dim=1)
            part |= {"final": cache[last][at, place], "logits": logits[at, place]}
        parts.append(part)
    joined = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    return joined | {"pattern": joined["pattern"].transpose(0, 1)} if stream is not None else joined


def _means(whole: Tensor, kinds: Tensor) -> Tensor:
    mean = torch.zeros(KINDS, *whole.shape[2:])
    for kind in kinds.unique().tolist():
        mean[kind] = whole[kinds == kind].mean(0)
    return mean


def _direct(model: HookedTransformer, cache: dict[str, Tensor], streams: dict[str, Tensor]) -> Tensor:
    """Direct effect on the margin of every head and MLP block, the final LayerNorm's scale frozen."""
    stream, position, answer = streams["stream"], streams["position"], streams["answer"][:, None]
    final = cache["final"]
    scale = (final.var(-1, correction=0, keepdim=True) + model.cfg.eps).sqrt()
    p = cache["logits"].scatter(1, answer, -torch.inf).softmax(-1)
    out = []
    for hook, head in _parts(model):
        node = cache[hook][stream, position]
        if head is not None:
            node = node[:, head] @ model.blocks[int(hook.split(".")[1])].attn.W_O[head]
        added = ((node - node.mean(-1, keepdim=True)) / scale * model.ln_final.w) @ model.W_U
        out.append(added.gather(1, answer)[:, 0] - (p * added).sum(-1))
    return torch.stack(out)


def _ablated(
    model: HookedTransformer,
    streams: dict[str, Tensor],
    rows: Tensor,
    hook: str,
    head: int | None,
    other: Tensor | None,
    batch: int,
) -> Tensor:
    """Logits at the answers of `rows` with one component replaced by `other`, or by nothing."""
    tokens, stream, position = streams["tokens"], streams["stream"][rows], streams["position"][rows]
    logits = []
    for start in range(0, len(tokens), batch):
        new = 0 if other is None else other[start : start + batch]

        def replace(value: Tensor, hook: object, new: Tensor | int = new) -> Tensor:
            if head is None:
                return torch.zeros_like(value) + new
            value[:, :, head] = new if isinstance(new, int) else new[:, :, head]
            return value

        out = model.run_with_hooks(tokens[start : start + batch], fwd_hooks=[(hook, replace)])
        at = (stream >= start) & (stream < start + batch)
        logits.append(out[stream[at] - start, position[at]])
    return torch.cat(logits)


def _model(given: dict[str, Tensor], heads: int, layers: int) -> HookedTransformer:
    w = {name.removeprefix("model."): tensor for name, tensor in given.items() if name.startswith("model.")}
    vocabulary, width = w["token"].shape
    size, neurons = width // heads, w["layers.0.mlp.fc_in.weight"].shape[0]
    config = HookedTransformerConfig(
        n_layers=layers, d_model=width, n_ctx=len(w["position"]), d_head=size, n_heads=heads, d_mlp=neurons,
        act_fn="gelu", d_vocab=vocabulary, normalization_type="LN", eps=1e-5, device="cpu",
    )  # fmt: skip
    state = {"embed.W_E": w["token"], "pos_embed.W_pos": w["position"], "unembed.W_U": w["token"].T}
    state |= {"unembed.b_U": torch.zeros(vocabulary), "ln_final.w": w["norm.weight"], "ln_final.b": w["norm.bias"]}
    for layer in range(layers):
        ours, theirs = f"layers.{layer}", f"blocks.{layer}"
        qkv = w[f"{ours}.attn.qkv.weight"].view(3, heads, size, width).transpose(-1, -2)
        bias = w[f"{ours}.attn.qkv.bias"].view(3, heads, size)
        for index, part in enumerate("QKV"):
            state |= {f"{theirs}.attn.W_{part}": qkv[index], f"{theirs}.attn.b_{part}": bias[index]}
        state[f"{theirs}.attn.W_O"] = w[f"{ours}.attn.out.weight"].T.reshape(heads, size, width)
        state[f"{theirs}.attn.b_O"] = w[f"{ours}.attn.out.bias"]
        for their, our in (("ln1", "attn_norm"), ("ln2", "mlp_norm")):
            state |= {f"{theirs}.{their}.w": w[f"{ours}.{our}.weight"], f"{theirs}.{their}.b": w[f"{ours}.{our}.bias"]}
        for end, linear in (("in", "fc_in"), ("out", "fc_out")):
            state[f"{theirs}.mlp.W_{end}"] = w[f"{ours}.mlp.{linear}.weight"].T
            state[f"{theirs}.mlp.b_{end}"] = w[f"{ours}.mlp.{linear}.bias"]
    model = HookedTransformer(config)
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected
    assert all("mask" in name or "IGNORE" in name for name in missing), missing
    return model


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
