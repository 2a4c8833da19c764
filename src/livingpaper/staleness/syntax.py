"""What a piece of Python says, comments and docstrings apart, and what it imports."""

import ast
import hashlib
from collections.abc import Iterator
from typing import TypedDict


class Reading(TypedDict):
    """Digest of the syntax tree, and imports as (level, module, name) with name "" for a plain import."""

    digest: str
    imports: list[list[int | str]]


def read_code(source: str | bytes) -> Reading:
    """The reading of Python source; what does not parse counts by its text, so that any edit of it counts.

    Bytes are decoded as Python does it: by a byte order mark or the encoding they name, else as UTF-8.
    """
    try:
        return _read(ast.parse(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two: nested without end
        text = source if isinstance(source, bytes) else source.encode("utf-8", "surrogatepass")
        return {"digest": "text:" + hashlib.sha256(text).hexdigest(), "imports": []}


def _read(tree: ast.Module) -> Reading:
    imports: list[list[int | str]] = [[*found] for found in dict.fromkeys(_imports(tree))]
    _drop_docstrings(tree)
    said = ast.dump(tree, annotate_fields=False, include_attributes=False)
    return {"digest": hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest(), "imports": imports}


def without_magics(source: str) -> str:
    """Source of a notebook cell with IPython's `%magic` and `!shell` lines turned into comments."""
    return "\n".join("#" + line if line.lstrip().startswith(("%", "!")) else line for line in source.split("\n"))


def _drop_docstrings(tree: ast.AST) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:]


def _imports(node: ast.AST) -> Iterator[tuple[int, str, str]]:
    """Every import below `node`, inside functions too; those for type checkers only are left out."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from ((0, alias.name, "") for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from ((child.level, child.module or "", alias.name) for alias in child.names)
        elif isinstance(child, ast.If) and _type_checking(child.test):
            for other in child.orelse:
                yield from _imports(ast.Module([other], []))
        else:
            if isinstance(child, ast.Call):
                yield from _called(child)
            yield from _imports(child)


def _type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def _called(call: ast.Call) -> Iterator[tuple[int, str, str]]:
    """`import_module("name")` and `__import__("name")` with the name written out."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in ("import_module", "__import__") and call.args:
        first = call.args[0]
        if isinstance(first, ast.Constant) and isinstance(first.value, str) and not first.value.startswith("."):
            yield 0, first.value, ""
