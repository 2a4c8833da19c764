"""Pin every package the project needs into `requirements.lock`, from a fresh environment."""

import pathlib
import subprocess
import sys
import tempfile
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
HEADER = "# Every package of .venv, pinned. Made by `make lock` from pyproject.toml; do not edit by hand.\n"


def main() -> None:
    """Resolve pyproject.toml in an empty environment and write the lock."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = [name for names in project["optional-dependencies"].values() for name in names]
    wanted = project["dependencies"] + optional + ["setuptools>=77"]
    torch = next(name for name in wanted if name.startswith("torch=="))
    with tempfile.TemporaryDirectory() as folder:
        python = f"{folder}/bin/python"
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run(
            [python, "-m", "pip", "install", "-q", torch], check=True
        )  # first: only the pin finds the CPU wheel
        subprocess.run([python, "-m", "pip", "install", "-q", *wanted], check=True)
        freeze = subprocess.run([python, "-m", "pip", "freeze", "--all"], check=True, capture_output=True, text=True)
    pins = sorted((_pin(line) for line in freeze.stdout.splitlines() if not line.startswith("pip==")), key=str.lower)
    (ROOT / "requirements.lock").write_text(HEADER + "\n".join(pins) + "\n")
    print(f"requirements.lock: {len(pins)} packages")


def _pin(line: str) -> str:
    """`name==version` without a local build tag such as `+cpu`, which only some indexes know."""
    name, _, version = line.partition("==")
    if not version:
        raise SystemExit(f"make lock: {line!r} has no version")
    return f"{name}=={version.partition('+')[0]}"


if __name__ == "__main__":
    main()
