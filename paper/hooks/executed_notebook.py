"""Quarto's notebook filter: the chapter as committed on stdin → the chapter as executed for the printed run on stdout.

Quarto starts this in the notebook's folder (`ipynb-filters`) and does not say which notebook it sends, so it is found
by its content. Chapters that are stale or failed get a callout that says so. The sources stay untouched.
"""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import project


def main():
    """Filter one notebook."""
    sent = json.load(sys.stdin)
    folder = project.root()
    handed = project.printed(folder)
    source = find(sent, os.getcwd(), folder)
    executed = read_executed(folder, handed, source) if source else None
    out = finish(executed or sent, notices(handed, source, executed))
    sys.stdout.write(json.dumps(out, ensure_ascii=False, indent=1) + "\n")


def find(sent, here, folder):
    """The source that was sent, relative to the project; None where no notebook of this folder has its cells."""
    for name in sorted(os.listdir(here)):
        if name.endswith(".ipynb") and cells(project.read_json(os.path.join(here, name))) == cells(sent):
            return os.path.relpath(os.path.join(here, name), folder).replace(os.sep, "/")
    return None


def cells(notebook):
    """What tells notebooks apart: kind and text of their cells."""
    return [(cell.get("cell_type"), text(cell)) for cell in notebook.get("cells", [])]


def text(cell):
    """A cell's text, which may be one string or a list of lines."""
    source = cell.get("source", "")
    return source if isinstance(source, str) else "".join(source)


def read_executed(folder, handed, source):
    """The executed notebook of a source, or None before the first build."""
    place = handed.get("notebooks", {}).get(source)
    return project.read_json(os.path.join(folder, place)) or None if place else None


def notices(handed, source, executed):
    """Markdown that tells the reader what the chapter shows, where that is not today's result."""
    out = []
    if source in handed.get("errors", {}):
        out.append(("important", "This chapter could not be made", handed["errors"][source]))
    if source in handed.get("stale", {}):
        out.append(("warning", "Stale", handed["stale"][source]))
    if handed and source and executed is None and not out:
        out.append(("important", "This chapter has not been executed", "run: livingpaper build"))
    told = [f'::: {{.callout-{kind} title="{title}"}}\n{literal(message)}\n:::\n' for kind, title, message in out]
    if handed.get("evidence") and executed is not None:
        told.insert(0, f"::: {{.evidence}}\nRun {handed['run']}. {escape(handed['evidence'])}\n:::\n")
    return told


def literal(message):
    """A message as Markdown code, so that nothing in it is read as markup."""
    line = " ".join(message.split())
    fence = "`" * (max((len(run) for run in "".join(c if c == "`" else " " for c in line).split()), default=0) + 1)
    return f"{fence} {line} {fence}"


def escape(message):
    """A message as Markdown text, every character that could be markup escaped."""
    return "".join("\\" + c if c in "\\`*_{}[]()<>#+-.!|~^$@\"'&=:/" else c for c in message)


def finish(notebook, told):
    """The notebook as Quarto wants it: sources as lines, notices behind the title, no injected parameters."""
    kept = [cell for cell in notebook["cells"] if "injected-parameters" not in cell.get("metadata", {}).get("tags", [])]
    if told:
        at = 1 if kept and kept[0].get("cell_type") in ("markdown", "raw") else 0
        kept[at:at] = [{"cell_type": "markdown", "metadata": {}, "source": notice} for notice in told]
    # one string instead of a list of lines breaks fenced divs in Quarto
    lines = [{**cell, "source": text(cell).splitlines(True)} for cell in kept]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {**notebook.get("metadata", {})}
    metadata["kernelspec"] = {**kernel, **metadata.get("kernelspec", {})}
    return {**notebook, "cells": lines, "metadata": metadata}


if __name__ == "__main__":
    main()
