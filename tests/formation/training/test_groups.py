"""Groups of parameters: every parameter has its own, and those that share a matrix are told apart."""

import torch

from formation.model import Transformer
from formation.params import ModelParams
from formation.training.groups import Group, Kind, group_parts

SHAPE = ModelParams(d_model=8, layers=2, heads=2, d_ff=12, context=10, embedding_std=1.0, matrix_std=0.02)
MODEL = Transformer(SHAPE, 20, torch.Generator().manual_seed(0))


def test_every_parameter_has_its_group() -> None:
    names = [name for name, _ in MODEL.named_parameters() if ".qkv." not in name]
    found = {name: group_parts(name, torch.zeros(3))[0][0] for name in names}
    assert {group.kind for group in found.values()} == set(Kind) - {Kind.ATTN_Q, Kind.ATTN_K, Kind.ATTN_V}
    assert [name for name in names if found[name].name == "embeddings"] == ["token", "position"]
    assert found["layers.1.attn.out.bias"] == (Kind.ATTN_O, 1)
    assert found["layers.0.attn_norm.weight"] == found["norm.bias"] == (Kind.NORMS, None)


def test_a_shared_matrix_is_cut_in_the_models_own_order() -> None:
    parts = group_parts("layers.1.attn.qkv.weight", torch.arange(24.0)[:, None].expand(24, 8))
    assert [group.name for group, _ in parts] == ["layer_1.attn.q", "layer_1.attn.k", "layer_1.attn.v"]
    assert [part[0, 0].item() for _, part in parts] == [0.0, 8.0, 16.0]


def test_parts_are_all_of_every_parameter() -> None:
    parts = [(group, part) for name, tensor in MODEL.named_parameters() for group, part in group_parts(name, tensor)]
    assert sum(part.numel() for _, part in parts) == sum(parameter.numel() for parameter in MODEL.parameters())
    layers = {Group(kind, layer) for kind in Kind for layer in (0, 1) if kind not in (Kind.EMBEDDINGS, Kind.NORMS)}
    assert {group for group, _ in parts} == {*layers, Group(Kind.EMBEDDINGS, None), Group(Kind.NORMS, None)}
