"""Edits of Python source after which it says something else, whether or not a result shows it.

Each returns the edited source, or `None` where it does not apply. New numbers and names are drawn so that no edit ever
leads back to what was there before.
"""

import ast
import random

from tests.trials.mutations.text import Piece, Source, word

_SWAPS = {ast.Add: "-", ast.Sub: "+", ast.Mult: "/", ast.Div: "*"}


def number(source: Source, chance: random.Random) -> bytes | None:
    """Another number in place of one."""
    found = source.constants(int, float)
    if not found:
        return None
    _, start, end = chance.choice(found)
    fresh = chance.randint(1000, 10**6) if chance.random() < 0.5 else chance.random()
    return source.replaced(start, end, f" {fresh!r}")


def text(source: Source, chance: random.Random) -> bytes | None:
    """Another text in place of one that is no docstring."""
    found = source.constants(str)
    if not found:
        return None
    old, start, end = chance.choice(found)
    return source.replaced(start, end, f" {old + word(chance)!r}")


def longer_sum(source: Source, chance: random.Random) -> bytes | None:
    """A number written as a sum: the same value, by another calculation."""
    found = source.constants(int)
    if not found:
        return None
    (old, start, end), more = chance.choice(found), chance.randint(10**3, 10**9)
    return source.replaced(start, end, f"({old + more} - {more})")


def operator(source: Source, chance: random.Random) -> bytes | None:
    """Another operator between two plain operands."""
    found = [piece for piece in source.pieces() if isinstance(piece.node, ast.BinOp) and type(piece.node.op) in _SWAPS]
    found = [piece for piece in found if b"\n" not in source.data[piece.start : piece.end]]
    if not found:
        return None
    piece = chance.choice(found)
    node = piece.node
    assert isinstance(node, ast.BinOp)
    left, right = (ast.get_source_segment(source.data.decode(), side) for side in (node.left, node.right))
    whole = f"(({left}) {_SWAPS[type(node.op)]} ({right}) * {chance.random()!r})"
    return source.replaced(piece.start, piece.end, whole)


def statement(source: Source, chance: random.Random) -> bytes | None:
    """One more statement at the beginning of a function, or at the end of the module."""
    bodies = [node.body for node in ast.walk(source.tree) if isinstance(node, ast.FunctionDef)]
    starts = {id(body[0]) for body in bodies if not isinstance(body[0], ast.Expr)}
    found = [piece for piece in source.pieces() if id(piece.node) in starts and _begins_line(piece, source)]
    what = f"{word(chance)} = {chance.random()!r}"
    if not found or chance.random() < 0.2:
        return source.data.rstrip(b"\n") + f"\n{what}\n".encode()
    piece = chance.choice(found)
    indent = piece.start - (source.data.rfind(b"\n", 0, piece.start) + 1)
    return source.replaced(piece.start, piece.start, f"{what}\n" + " " * indent)


def local_name(source: Source, chance: random.Random) -> bytes | None:
    """Another name for a local variable, wherever it occurs."""
    functions = [node for node in ast.walk(source.tree) if isinstance(node, ast.FunctionDef)]
    pairs = [(function, name) for function in functions for name in _renamable(function)]
    if not pairs:
        return None
    function, old = chance.choice(pairs)
    inside = {id(node) for node in ast.walk(function) if isinstance(node, ast.Name) and node.id == old}
    places = sorted((piece.start, piece.end) for piece in source.pieces() if id(piece.node) in inside)
    fresh, data = word(chance).encode(), source.data
    for start, end in reversed(places):
        data = data[:start] + fresh + data[end:]
    return data


MEANINGFUL = [number, text, longer_sum, operator, statement, local_name]


def importing(source: Source, chance: random.Random, target: str) -> bytes | None:
    """An import of `target`, within a function that does not use it."""
    bodies = {id(node.body[0]) for node in ast.walk(source.tree) if isinstance(node, ast.FunctionDef)}
    found = [piece for piece in source.pieces() if id(piece.node) in bodies and _begins_line(piece, source)]
    line = f"import {target} as {word(chance)}"
    if not found:
        return source.data.rstrip(b"\n") + f"\n\n\ndef {word(chance)}():\n    {line}\n".encode()
    piece = chance.choice(found)
    indent = piece.start - (source.data.rfind(b"\n", 0, piece.start) + 1)
    return source.replaced(piece.end, piece.end, "\n" + " " * indent + line)


def _begins_line(piece: Piece, source: Source) -> bool:
    return not source.data[source.data.rfind(b"\n", 0, piece.start) + 1 : piece.start].strip()


def _renamable(function: ast.FunctionDef) -> list[str]:
    """Names the function itself binds, and that occur in no f-string, nested function, comprehension or declaration."""
    nodes = list(ast.walk(function))
    odd = ast.JoinedStr | ast.FunctionDef | ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
    inner = [part for node in nodes[1:] if isinstance(node, odd) for part in ast.walk(node)]
    taken = {node.id for node in inner if isinstance(node, ast.Name)}
    taken |= {name for node in nodes if isinstance(node, ast.Global | ast.Nonlocal) for name in node.names}
    bound = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return sorted(bound - taken)
