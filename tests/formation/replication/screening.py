"""A project with one factor of two levels, and evidence written by hand."""

import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from formation import artifacts
from formation.record.evidence import FILE as EVIDENCE
from formation.record.evidence import SCHEMA
from formation.replication.factors import MEASURES

ROOT = Path(__file__).resolve().parents[3]


def project(folder: Path) -> Path:
    """The factor `colour` of smoke with the levels red and blue, and no other factor."""
    (folder / "params" / "factors").mkdir(parents=True)
    for name in ("base", "smoke"):
        shutil.copy(ROOT / "params" / f"{name}.yml", folder / "params")
    for name, heads in (("red", 1), ("blue", 4)):
        text = f"over: smoke\nfactor: {{name: colour, level: {name} one}}\nmodel: {{heads: {heads}}}\n"
        (folder / "params" / "factors" / f"colour-{name}.yml").write_text(text)
    return folder


def give_evidence(root: Path, preset: str, births: Sequence[float], last_step: int = 60) -> None:
    """Runs of a preset whose every birth is the given step (infinite: not born; NaN: not measurable)."""
    for seed, birth in enumerate(births, 1):
        run = artifacts.create_run(f"{preset}-s{seed}", root)
        data: dict[str, Any] = {"schema": SCHEMA, "source": {"params": run.params.identity(seed)}}
        data["checkpoints"] = {"last_step": last_step}
        for name in MEASURES:
            data[name] = _birth(birth) if name.endswith("_step") else _final(seed)
        artifacts.write_json(run.path(EVIDENCE), data)


def _birth(step: float) -> dict[str, Any]:
    about = {"unit": "steps", "what": "a birth", "n": 0 if math.isnan(step) else 100}
    if not math.isfinite(step):
        return {"value": None, "low": None, "high": None, "reason": "not born by step 60", **about}
    return {"value": int(step), "low": int(step) - 2, "high": int(step) + 2, **about}


def _final(seed: int) -> dict[str, Any]:
    return {"value": 0.9 - seed / 100, "low": 0.8, "high": 1.0, "n": 100, "unit": "fraction", "what": "a share"}
