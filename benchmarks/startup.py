"""How long it takes until a command line has said what it can do."""

import sys
from pathlib import Path

from benchmarks import peers
from benchmarks.measuring import Contender, interleaved
from benchmarks.places import ROOT, press, program
from benchmarks.results import Results, beside


def measure(folder: Path, results: Results, repeats: int) -> None:
    """`--help` of both halves, beside an empty Python and other tools."""
    environment = {"PYTHONPATH": str(ROOT / "src")}
    own = [
        press(folder, "--help"),
        Contender("formation", [program("formation"), "--help"], folder, environment=environment),
    ]
    others = {"python -c pass": Contender("python", [sys.executable, "-c", "pass"], folder)}
    for name in ("papermill", "snakemake", "dvc"):
        path = peers.find(name)
        if path is None:
            results.missing.append(peers.spoken(name))
        else:
            others[peers.spoken(name)] = Contender(name, [path, "--help"], folder)
    measured = interleaved([*own, *others.values()], repeats)
    results.rows += beside("start of `livingpaper --help`", own[0], measured, others)
    results.rows += beside("start of `formation --help`", own[1], measured, {})
