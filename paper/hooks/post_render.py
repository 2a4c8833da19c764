"""Quarto's `post-render`: a page with an unknown claim, page or number in it makes the rendering fail, loudly."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import project


def main():
    """Read what the fragment filter and the press reported; any line of it is a failure."""
    folder = project.root()
    handed = project.printed(folder)
    path = os.path.join(folder, "build", "print", str(handed.get("run", "")), "errors.txt")
    lines = []
    if os.path.isfile(path):
        with open(path, encoding="utf-8") as file:
            lines = sorted(set(file.read().splitlines()))
    lines += [f"{chapter}: {reason}" for chapter, reason in sorted(handed.get("errors", {}).items())]
    if lines:
        project.fail("; ".join(lines))


if __name__ == "__main__":
    main()
