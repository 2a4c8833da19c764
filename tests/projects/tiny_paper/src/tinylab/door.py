"""Parameters, and the only way to read or write an artifact."""

import json
import os
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(os.environ.get("LIVINGPAPER_PROJECT", Path(__file__).resolve().parents[2]))


def run_folder(run: str) -> Path:
    """Folder of a run."""
    return ROOT / "artifacts" / "runs" / run


def evidence_folder(run: str) -> Path:
    """Folder from which chapters read a run: that of its publication, if the press says so."""
    published = run in os.environ.get("LIVINGPAPER_PUBLISHED", "").split(",")
    return ROOT / "results" / run / "runs" / run if published else run_folder(run)


def section(run: str, name: str) -> dict[str, Any]:
    """One section of the parameters of a run's preset; that it was read is told to the press."""
    tell({"section": name})
    preset = run.rpartition("-s")[0]
    base = yaml.safe_load((ROOT / "params" / "base.yml").read_text())
    above = yaml.safe_load((ROOT / "params" / f"{preset}.yml").read_text())
    return {**base[name], **above.get(name, {})}


def read(path: Path) -> Any:
    """A JSON artifact; that it was looked for is told to the press."""
    tell({"path": str(path.resolve()), "found": path.is_file()})
    return json.loads(path.read_text()) if path.is_file() else None


def write(path: Path, data: Any) -> None:
    """Write a JSON artifact in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.part")
    scratch.write_text(json.dumps(data, indent=1) + "\n")
    os.replace(scratch, path)


def tell(about: dict[str, Any]) -> None:
    """Tell the press what a result depends on."""
    log = os.environ.get("LIVINGPAPER_READS")
    if log:
        with open(log, "a", encoding="utf-8") as file:
            file.write(json.dumps(about) + "\n")


def report(done: int, total: int, unit: str) -> None:
    """Tell the press how far this is."""
    place = os.environ.get("LIVINGPAPER_PROGRESS")
    if place:
        Path(place).write_text(json.dumps({"label": "throw", "done": done, "total": total, "unit": unit}))
