"""Reports that lie beside a dataset: the sanity report, and a few streams in words. Renewed whenever they differ."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from formation import artifacts
from formation.benchmark.generate import Dataset
from formation.benchmark.sanity import SCHEMA
from formation.benchmark.streams import Special, Split, SplitName, TwinKind

SANITY, EXAMPLES = "sanity.json", "examples.txt"
_EXAMPLES_A_SPLIT = 2


def write_reports(dataset: Dataset, report: Mapping[str, Any], folder: Path) -> None:
    """Write `sanity.json` and `examples.txt` into the dataset's folder."""
    artifacts.write_json(folder / SANITY, {**report, "digest": folder.name})
    artifacts.write_bytes(folder / EXAMPLES, examples(dataset).encode())


def load_sanity(folder: Path, remedy: str = "") -> dict[str, Any]:
    """The sanity report of the dataset in `folder`."""
    return artifacts.read_json(folder / SANITY, SCHEMA, remedy)


def examples(dataset: Dataset) -> str:
    """The first streams of every split in words, with their twins: `·` marks the tokens in which a twin differs."""
    lines = ["W K V writes value V to key K; R K V reads: V is the key's latest value.", ""]
    for name, split in dataset.splits.items():
        for stream in range(min(_EXAMPLES_A_SPLIT, len(split.tokens))):
            lines.append(f"{name} {stream}")
            lines.append(f"  {'stream':10} {_words(split, split.tokens[stream].tolist())}")
            for kind in TwinKind:
                if name is not SplitName.TRAIN:
                    tokens = dataset.twins[name, kind].tokens[stream].tolist()
                    lines.append(f"  {kind + ' twin':10} {_words(split, tokens, split.tokens[stream].tolist())}")
            lines.append("")
    return "\n".join(lines)


def _words(split: Split, tokens: list[int], base: list[int] | None = None) -> str:
    pairs = zip(tokens, base or tokens, strict=True)
    names = [
        (split.vocabulary.name(token), "" if token == other else "·") for token, other in pairs if token != Special.PAD
    ]
    return " ".join(mark + name for name, mark in names)
