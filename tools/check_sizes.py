"""Fail if a tracked file is over 1 MB: big things are made, not kept."""

import pathlib
import subprocess
import sys

LIMIT = 1_000_000  # bytes

root = pathlib.Path(__file__).resolve().parent.parent
tracked = subprocess.run(["git", "ls-files", "-z"], cwd=root, check=True, capture_output=True, text=True).stdout.split(
    "\0"
)
large = [name for name in tracked if name and (root / name).is_file() and (root / name).stat().st_size > LIMIT]
for name in large:
    print(f"{name}: {(root / name).stat().st_size} bytes; tracked files stay under {LIMIT}", file=sys.stderr)
sys.exit(1 if large else 0)
