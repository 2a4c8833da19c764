"""Where the project is, and which run Quarto is printing. Standard library only: any Python may start the hooks.

A hook learns its run from the profile (`quarto render --profile quick-s2` prints run quick-s2); without one it is the
main run, which `build/print/main.json` names. What the press handed over for a run lies in `build/print/<run>/`.
"""

import json
import os
import sys

sys.dont_write_bytecode = True

HOOKS = os.path.dirname(os.path.abspath(__file__))
FILTER = os.path.join(HOOKS, "executed_notebook.py")


def root():
    """The project's folder, as Quarto says, else the one these hooks lie in."""
    return os.environ.get("QUARTO_PROJECT_DIR") or os.path.dirname(os.path.dirname(HOOKS))


def profiles():
    """Names of the active profiles that could be a run's; a name that is a path is none."""
    names = os.environ.get("QUARTO_PROFILE", "").replace(",", " ").split()
    return [name for name in names if name not in (".", "..") and not set(name) & set("/\\")]


def read_json(path):
    """The JSON object in a file, or an empty one where there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def printed(folder):
    """What the press handed over for the run being printed: its name, notebooks, and what is stale or failed."""
    main = read_json(os.path.join(folder, "build", "print", "main.json")).get("run")
    for run in [*profiles(), main]:
        if run and (found := handed(folder, str(run))):
            return found
    return {}


def handed(folder, run):
    """What the press handed over for a run; an empty object where it was never printed."""
    return read_json(os.path.join(folder, "build", "print", run, "printing.json"))


def fail(message):
    """Say what went wrong and end with exit code 1, which Quarto takes as its own."""
    print(f"livingpaper: {message}", file=sys.stderr)
    sys.exit(1)
