"""Turns an executed notebook into Markdown, the way Quarto does, so that chapters and pages are read alike.

A labelled cell becomes a float (`#fig-…`, `#tbl-…`) with its caption; its figures are handed back as named bytes.
Whatever could end the block it stands in (code, streams, tracebacks, Markdown outputs, captions) is fenced as code,
longer than anything inside it; `assets/cells.lua` then reads Markdown and tables piece by piece.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from livingpaper.jsonfile import parse_json
from livingpaper.render.cellform import sound
from livingpaper.render.errors import RenderError
from livingpaper.render.options import CellOptions, cell_options

FIGURES = "figures"
_ENOUGH = 2000  # characters of the words that stand for what the PDF cannot print
# what moves a terminal's cursor, colours or titles, and the control characters left of it
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_IMAGES = {"image/svg+xml": "svg", "image/png": "png", "image/jpeg": "jpg"}
# richest first; what a reader of the page and of the PDF both get
_PREFERENCE = ("text/markdown", "text/latex", "image/svg+xml", "image/png", "image/jpeg", "text/html", "text/plain")


@dataclass
class Converted:
    """A notebook as Markdown, the figures it refers to (path in the site → bytes), and what could not be covered."""

    markdown: str = ""
    figures: dict[str, bytes] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Defaults:
    """What a cell does where its options are silent."""

    echo: bool = True
    warning: bool = True
    code_fold: str = "false"  # true, show, false
    code_summary: str = "Code"


def convert(path: Path, name: str, defaults: Defaults) -> Converted:
    """The notebook at `path` as Markdown; `name` is what messages call it."""
    out = Converted()
    notebook = read_notebook(path, name)
    language = _language(notebook.get("metadata"))
    parts = []
    for number, cell in enumerate(notebook["cells"], 1):
        parts.append(_cell(cell, f"{name}: cell {number}", language, defaults, out))
    out.markdown = "\n\n".join(part for part in parts if part) + "\n"
    return out


def _language(metadata: Any) -> str:
    """The language of the kernel, as a class of its code: one plain word."""
    kernel = metadata.get("kernelspec") if isinstance(metadata, dict) else None
    named = kernel.get("language") if isinstance(kernel, dict) else None
    return named if isinstance(named, str) and re.fullmatch(r"[A-Za-z][\w+-]{0,30}", named) else "python"


def read_notebook(path: Path, name: str) -> dict[str, Any]:
    """The notebook's JSON; a file that is not one is an error that says so."""
    try:
        data = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RenderError(f"{name}: {path} is not a readable notebook ({error}); run: livingpaper build") from None
    if not isinstance(data, dict) or not isinstance(data.get("cells"), list):
        raise RenderError(f"{name}: {path} has no list of cells; run: livingpaper build")
    wrong = next((number for number, cell in enumerate(data["cells"], 1) if not sound(cell)), None)
    if wrong is not None:
        raise RenderError(f"{name}: cell {wrong} of {path} is no notebook cell; run: livingpaper build")
    return data


def source(part: Any) -> str:
    """Notebook text, which may be one string or a list of lines."""
    return "".join(part) if isinstance(part, list) else str(part or "")


def _cell(cell: Mapping[str, Any], where: str, language: str, defaults: Defaults, out: Converted) -> str:
    text = source(cell.get("source"))
    if cell.get("cell_type") == "markdown":
        return text
    if cell.get("cell_type") == "raw":
        # front matter; other raw cells are for another format
        return text if text.lstrip().startswith("---") else ""
    if "injected-parameters" in cell.get("metadata", {}).get("tags", []):
        return ""
    options = cell_options(text, where)
    out.warnings += [f"{where}: cell option {key!r} is not covered" for key in options.unknown]
    if not options.flag("include", True):
        return ""
    blocks = [_code(options, language, defaults)]
    if options.flag("output", True):
        blocks += _outputs(cell.get("outputs", []), where, options, defaults, out)
    body = "\n\n".join(block for block in blocks if block)
    label = options.text("label")
    anchor = f"#{label} " if label and not label.startswith(("fig-", "tbl-")) else ""
    return fenced_div(body, f"{anchor}.cell") if body else ""


def _code(options: CellOptions, language: str, defaults: Defaults) -> str:
    if not options.flag("echo", defaults.echo) or not options.code:
        return ""
    fold = str(options.values.get("code-fold", defaults.code_fold)).lower()
    summary = options.text("code-summary") or defaults.code_summary
    attributes = f".{language} .cell-code fold={attribute(fold)} summary={attribute(summary)}"
    return fenced_code(options.code, attributes)


def _outputs(outputs: Any, where: str, options: CellOptions, defaults: Defaults, out: Converted) -> list[str]:
    blocks = []
    for output in _joined_streams(outputs):
        kind = output.get("output_type")
        if kind == "stream":
            hidden = output.get("name") == "stderr" and not options.flag("warning", defaults.warning)
            text = _ANSI.sub("", source(output.get("text"))).rstrip("\n")
            name = "stderr" if output.get("name") == "stderr" else "stdout"
            blocks.append("" if hidden else fenced_code(text, f".cell-output .cell-output-{name}"))
        elif kind == "error":
            trace = "\n".join(_lines(output.get("traceback")) or [f"{output.get('ename')}: {output.get('evalue')}"])
            blocks.append(fenced_code(_ANSI.sub("", trace), ".cell-output .cell-output-error"))
        elif kind in ("display_data", "execute_result"):
            blocks.append(_display(output.get("data", {}), where, options, out))
    return _floats(blocks, where, options, out)


def _lines(trace: Any) -> list[str]:
    return trace if isinstance(trace, list) else [trace] if trace else []


def _joined_streams(outputs: Any) -> list[dict[str, Any]]:
    """Outputs with neighbouring pieces of one stream put together: where they were cut depends on timing."""
    joined: list[dict[str, Any]] = []
    for output in outputs:
        last = joined[-1] if joined else {}
        if output.get("output_type") == "stream" == last.get("output_type") and output.get("name") == last.get("name"):
            joined[-1] = {**last, "text": source(last.get("text")) + source(output.get("text"))}
        else:
            joined.append(dict(output))
    return joined


def _floats(blocks: list[str], where: str, options: CellOptions, out: Converted) -> list[str]:
    """Outputs inside the float their label names, with their caption.

    A float that was not made, because its chapter failed before, keeps its place: numbers and references stay right.
    """
    label = options.text("label")
    kind = label[:3] if label.startswith(("fig-", "tbl-")) else ""
    caption = options.text(f"{kind}-cap") if kind else options.text("fig-cap") or options.text("tbl-cap")
    body = "\n\n".join(block for block in blocks if block)
    if not body and kind:
        out.warnings.append(f"{where}: {label} has no output")
        body = "*This was not made.*"
    if not body or not (kind or caption):
        return blocks
    name = f"#{label}" if kind else ".unlabelled-float"
    return [fenced_div(f"{body}\n\n{fenced_code(caption, '.float-caption')}", f"{name} .cell-float")]


def _display(data: Mapping[str, Any], where: str, options: CellOptions, out: Converted) -> str:
    kind = next((kind for kind in _PREFERENCE if kind in data), None)
    if kind is None:
        if data:
            out.warnings.append(f"{where}: output of type {', '.join(sorted(data))} is not covered")
        return ""
    content = source(data[kind])
    if kind in _IMAGES:
        return _image(kind, content, options, where, out)
    if kind == "text/html":
        return _html(content, data, where, out)
    if kind == "text/plain":
        return fenced_code(content, ".cell-output .cell-output-display")
    return fenced_code(content, ".cell-markdown")


def _image(kind: str, content: str, options: CellOptions, where: str, out: Converted) -> str:
    try:
        data = content.encode() if kind == "image/svg+xml" else base64.b64decode(content)
    except ValueError:
        out.warnings.append(f"{where}: output of type {kind} is no image")
        return ""
    name = f"/{FIGURES}/{hashlib.sha256(data).hexdigest()[:20]}.{_IMAGES[kind]}"
    out.figures[name] = data
    alt = options.text("fig-alt")
    if not alt and not options.text("fig-cap"):
        out.warnings.append(f"{where}: a figure without #| fig-alt or #| fig-cap cannot be read aloud")
    return f"![]({name}){{.cell-figure fig-alt={attribute(alt)}}}"


def _html(content: str, data: Mapping[str, Any], where: str, out: Converted) -> str:
    """HTML for the page; where it is a table, marked so that both formats print it as one."""
    script = "<script" in content.lower()
    if script:
        out.warnings.append(f"{where}: HTML output has a script, which no page runs; give it a figure as well")
    kind = "html-table" if "<table" in content.lower() and not script else "html-only"
    plain = source(data.get("text/plain"))[:_ENOUGH]
    return fenced_code(content, f".{kind} where={attribute(where)} plain={attribute(plain)}")


def fenced_code(text: str, attributes: str) -> str:
    """A code block whose fence is longer than any run of backticks in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence} {{{attributes}}}\n{text}\n{fence}"


def fenced_div(text: str, attributes: str) -> str:
    """A div around text that cannot end it: code blocks, images and other such divs only."""
    return f"::: {{{attributes}}}\n{text}\n:::"


def attribute(value: str) -> str:
    """A quoted attribute value as pandoc reads it; line breaks become spaces."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ").replace("\r", " ")
    return f'"{escaped}"'
