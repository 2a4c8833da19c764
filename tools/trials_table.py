"""Write docs/trials.md from what `make trials` recorded in build/trials/: a table of every attack and how it ended."""

import datetime
import itertools
import json
import os
import pathlib
import platform
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
HEAD = """# Trials

What was tried against the press and the laboratory, and how often it held. `make trials` repeats all of it and writes
this page; `make test` does a few of each. Last written on {date} at commit {commits}, Python {python}, {cores} cores,
{machine}.

{held} of {tried} attempts held.
"""


def main() -> int:
    """Write the page; 1 if something did not hold or nothing was recorded."""
    rows = [json.loads(path.read_text()) for path in sorted((ROOT / "build" / "trials").glob("*.json"))]
    if not rows:
        print("build/trials: nothing recorded; run: make trials", file=sys.stderr)
        return 1
    rows.sort(key=lambda row: (row["area"], row["test"], row["what"]))
    tried, held = sum(row["tried"] for row in rows), sum(row["held"] for row in rows)
    parts = [
        HEAD.format(
            date=datetime.datetime.now(datetime.UTC).date(),
            python=platform.python_version(),
            cores=os.cpu_count(),
            machine=platform.machine(),
            commits=", ".join(sorted({row.get("commit", "?") for row in rows})),
            tried=f"{tried:,}",
            held=f"{held:,}",
        )
    ]
    for area, group in itertools.groupby(rows, key=lambda row: row["area"]):
        parts.append(f"\n## {area}\n\n| what was tried | times | held | |\n|---|--:|--:|---|\n")
        parts += [f"| {row['what']} | {row['tried']:,} | {row['held']:,} | {row['note']} |\n" for row in group]
    tests = sorted({row["test"].split("::")[0] for row in rows})
    parts.append("\nIn: " + ", ".join(f"`{name}`" for name in tests) + ".\n")
    (ROOT / "docs" / "trials.md").write_text("".join(parts))
    return 0 if held == tried else 1


if __name__ == "__main__":
    sys.exit(main())
