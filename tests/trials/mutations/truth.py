"""What the tiny laboratory gives by itself: its modules run one after another in an empty folder, without the press."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.trials.mutations.facts import Reader

_RUN = """
import json, runpy, sys
for module, argument in json.loads(sys.argv[1]):
    for name in [name for name in sys.modules if name.split(".")[0] == "tinylab"]:
        del sys.modules[name]
    sys.argv = [module, argument]
    runpy.run_module(module, run_name="__main__")
"""


def truth(reader: Reader) -> dict[str, bytes] | None:
    """Every artifact of the study by its path below `artifacts/`, or `None` if the laboratory does not do its work."""
    runs = reader.runs()
    todo = [(f"tinylab.{stage}", run) for run in runs for stage in ("throw", "measure")]
    with TemporaryDirectory() as folder:
        place = Path(folder)
        for part in ("src", "params"):
            shutil.copytree(reader.root / part, place / part, ignore=shutil.ignore_patterns("__pycache__"))
        environment = {**os.environ, "PYTHONPATH": str(place / "src"), "LIVINGPAPER_PROJECT": folder}
        environment |= {"LIVINGPAPER_READS": f"{folder}/reads", "LIVINGPAPER_PROGRESS": f"{folder}/progress"}
        command = [sys.executable, "-B", "-c", _RUN, json.dumps([*todo, ("tinylab.choose", reader.preset)])]
        try:
            subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=30, check=True)
            told = [json.loads(line) for line in (place / "reads").read_text().splitlines()]
            recorded = [about["path"] for about in told if "section" not in about]
        except (subprocess.SubprocessError, ValueError, KeyError, OSError):
            return None
        made = place / "artifacts"
        out = {path.relative_to(made).as_posix(): path.read_bytes() for path in made.rglob("*") if path.is_file()}
    promised = _promised(reader)
    return out if out.keys() == promised and _reads_rightly(recorded, promised) else None


def _promised(reader: Reader) -> set[str]:
    parts = [f"throws/part_{part}.json" for part in range(reader.params()["dice"]["parts"])]
    out = {f"runs/{run}/{name}" for run in reader.runs() for name in [*parts, "evidence.json", "summary.json"]}
    return out | {f"studies/{reader.preset}/chosen.json"}


def _reads_rightly(recorded: list[str], promised: set[str]) -> bool:
    """Whether the laboratory looked for exactly the files that the ledger's table says."""
    found = {path.partition("/artifacts/")[2] for path in recorded}
    return found == {name for name in promised if "part_" in name or name.endswith("summary.json")}
