"""Token streams of latent programs with values: `<bos> W K V … R K V … <eos>`."""

import numpy as np
from jaxtyping import Int

from formation.benchmark.programs import Programs
from formation.benchmark.streams import Reads, Special, Vocabulary


def write_tokens(
    vocabulary: Vocabulary,
    programs: Programs,
    names: Int[np.ndarray, "stream active"],
    values: Int[np.ndarray, "stream write"],
    support: Int[np.ndarray, "stream read"],
) -> Int[np.ndarray, "stream pos"]:
    """Streams of programs of one shape; `names` are the key indices of the key slots, `support` the reads' writes."""
    streams, writes = programs.keys.shape
    reads = programs.gap.shape[1]
    rows = np.arange(streams)[:, None]
    tokens = np.full((streams, 3 * (writes + reads) + 2), int(Special.PAD), np.int64)
    tokens[:, 0], tokens[:, -1] = Special.BOS, Special.EOS
    reads_before = (programs.gap[:, None, :] < np.arange(writes)[:, None]).sum(axis=2)
    write_at = 1 + 3 * (np.arange(writes) + reads_before)
    read_at = 1 + 3 * (programs.gap + 1 + np.arange(reads))
    tokens[rows, write_at], tokens[rows, read_at] = Special.WRITE, Special.READ
    tokens[rows, write_at + 1] = vocabulary.key(0) + names[rows, programs.keys]
    tokens[rows, write_at + 2] = vocabulary.value(0) + values
    tokens[rows, read_at + 1] = vocabulary.key(0) + names[rows, programs.asked]
    tokens[rows, read_at + 2] = vocabulary.value(0) + values[rows, support]
    return tokens


def padded(tokens: Int[np.ndarray, "stream pos"], width: int) -> Int[np.ndarray, "stream width"]:
    """Streams with `Special.PAD` behind them up to `width`."""
    return np.pad(tokens, ((0, 0), (0, width - tokens.shape[1])), constant_values=int(Special.PAD))


def answers(vocabulary: Vocabulary, tokens: Int[np.ndarray, "stream pos"], reads: Reads) -> Int[np.ndarray, "read"]:
    """Value index of the token that stands behind each read's key in `tokens`."""
    return np.asarray(tokens[reads.stream, reads.position + 1] - vocabulary.value(0))
