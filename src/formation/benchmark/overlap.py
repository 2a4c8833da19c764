"""What two splits share: whole streams, and streams up to renaming of keys and values."""

from collections.abc import Iterable, Mapping
from itertools import combinations

import numpy as np
from jaxtyping import Int

from formation.benchmark.streams import Special, Split, SplitName, Vocabulary


def overlaps(everything: Mapping[str, Split]) -> dict[str, dict[str, int]]:
    """Number of different streams in common, of every two splits and of training with every twin.

    `everything` holds splits by name and twins as `<split>/<kind>_twin`. `sequences` compares token by token,
    `programs` up to renaming. The counterfactual split has the streams of `test_iid` on purpose and is left out.
    """
    names = [name for name in everything if not name.startswith(SplitName.COUNTERFACTUAL)]
    pairs = [(a, b) for a, b in combinations(names, 2) if ("/" not in b and "/" not in a) or (a == SplitName.TRAIN)]
    exact = {name: {row.tobytes() for row in _trimmed(everything[name].tokens)} for name in names}
    latent = {name: latent_programs(everything[name]) for name in names}
    return {
        what: {f"{a}|{b}": len(streams[a] & streams[b]) for a, b in pairs}
        for what, streams in (("sequences", exact), ("programs", latent))
    }


def latent_programs(split: Split) -> set[bytes]:
    """The different streams of a split with keys and values numbered by their first appearance.

    Read from tokens, so that it shares nothing with how the generator keeps programs apart.
    """
    return {_renamed(row.tolist(), split.vocabulary) for row in _trimmed(split.tokens)}


def _renamed(tokens: Iterable[int], vocabulary: Vocabulary) -> bytes:
    names: dict[int, str] = {}
    counts = {"k": 0, "v": 0}
    out = []
    for token in tokens:
        if token < len(Special):
            out.append(str(token))
            continue
        kind = "k" if token < vocabulary.value(0) else "v"
        if token not in names:
            names[token] = f"{kind}{counts[kind]}"
            counts[kind] += 1
        out.append(names[token])
    return " ".join(out).encode()


def _trimmed(tokens: Int[np.ndarray, "stream pos"]) -> list[Int[np.ndarray, "length"]]:
    """Streams without padding: how far a split is padded must not hide that two splits share a stream."""
    lengths = (tokens != Special.PAD).sum(axis=1)
    return [row[:length] for row, length in zip(tokens, lengths, strict=True)]
