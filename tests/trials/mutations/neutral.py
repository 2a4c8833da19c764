"""Edits of Python source that change nothing it says: comments, docstrings, layout, spelling.

Each returns the edited source, or `None` where it does not apply. None of them looks at a syntax tree's digest: that
they are neutral follows from what they do.
"""

import ast
import random

from tests.trials.mutations.text import Piece, Source, word


def comment_line(source: Source, chance: random.Random) -> bytes | None:
    """A line of comment between two statements, at any indentation."""
    place = chance.choice(source.line_starts())
    return source.replaced(place, place, " " * chance.choice([0, 2, 4, 8]) + f"# {word(chance)}: x = '''1\n")


def comment_behind(source: Source, chance: random.Random) -> bytes | None:
    """A comment at the end of a statement."""
    place = chance.choice(source.line_ends())
    return source.replaced(place, place, f"  # {word(chance)} = 7")


def blank_lines(source: Source, chance: random.Random) -> bytes | None:
    """Empty lines between two statements."""
    place = chance.choice(source.line_starts())
    return source.replaced(place, place, "\n" * chance.randint(1, 4))


def other_docstring(source: Source, chance: random.Random) -> bytes | None:
    """Another docstring in place of one."""
    found = source.docstrings()
    if not found:
        return None
    piece = chance.choice(found)
    return source.replaced(piece.start, piece.end, f'"""{word(chance)}\n\n    def {word(chance)}(): return 1\n    """')


def no_docstring(source: Source, chance: random.Random) -> bytes | None:
    """A docstring less, where other statements follow it."""
    holders = [node for node in ast.walk(source.tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    first = {id(node.body[0]) for node in holders if len(node.body) > 1}
    found = [piece for piece in source.docstrings() if id(piece.node) in first]
    if not found:
        return None
    piece = chance.choice(found)
    return source.replaced(piece.start, piece.end, "#")


def new_docstring(source: Source, chance: random.Random) -> bytes | None:
    """A docstring in a function that has none."""
    functions = [
        node for node in ast.walk(source.tree) if isinstance(node, ast.FunctionDef) and not ast.get_docstring(node)
    ]
    bodies = {id(node.body[0]): node.body[0].lineno - node.lineno for node in functions}
    found = [piece for piece in source.pieces() if bodies.get(id(piece.node), 0) > 0]
    if not found:
        return None
    piece = chance.choice(found)
    indent = piece.start - (source.data.rfind(b"\n", 0, piece.start) + 1)
    return source.replaced(piece.start, piece.start, f'"{word(chance)}"\n' + " " * indent)


def brackets(source: Source, chance: random.Random) -> bytes | None:
    """An expression in brackets of its own, perhaps on a line of its own."""
    found = [piece for piece in source.pieces() if _may_stand_in_brackets(piece, source)]
    if not found:
        return None
    piece, gap = chance.choice(found), chance.choice(["", "\n", "\n    # why\n"])
    text = source.data[piece.start : piece.end].decode()
    return source.replaced(piece.start, piece.end, f"({gap}{text}{gap})")


def broken_line(source: Source, chance: random.Random) -> bytes | None:
    """A line broken after a comma within brackets."""
    places = source.inner_commas()
    if not places:
        return None
    place = chance.choice(places)
    return source.replaced(place, place, "  # more\n" + " " * chance.randint(0, 12))


def other_quotes(source: Source, chance: random.Random) -> bytes | None:
    """A string in single quotes."""
    found = source.strings()
    if not found:
        return None
    start, end = chance.choice(found)
    return source.replaced(start, end, "'" + source.data[start + 1 : end - 1].decode() + "'")


def other_spelling(source: Source, chance: random.Random) -> bytes | None:
    """A number in another spelling."""
    found = source.constants(int)
    if not found:
        return None
    value, start, end = chance.choice(found)
    return source.replaced(start, end, chance.choice([hex(value), bin(value), f"({value})"]))


def line_endings(source: Source, chance: random.Random) -> bytes | None:
    """The line endings of another system, or a byte order mark as some editors write it."""
    if source.data.startswith(b"\xef\xbb\xbf") or b"\r" in source.data or b"coding" in source.data:
        return None
    return chance.choice([source.data.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + source.data])


def no_last_line_end(source: Source, chance: random.Random) -> bytes | None:
    """The end of the last line taken away, or many put there."""
    return source.data.rstrip(b"\n") + chance.choice([b"", b"\n\n\n", b"\n# the end"])


NEUTRAL = [
    comment_line, comment_behind, blank_lines, other_docstring, no_docstring, new_docstring, brackets, broken_line,
    other_quotes, other_spelling, line_endings, no_last_line_end,
]  # fmt: skip


def _may_stand_in_brackets(piece: Piece, source: Source) -> bool:
    node = piece.node
    if not isinstance(node, ast.expr) or isinstance(node, ast.Starred | ast.Slice | ast.JoinedStr | ast.GeneratorExp):
        return False
    if isinstance(node, ast.Tuple) and any(isinstance(part, ast.Slice | ast.Starred) for part in node.elts):
        return False
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return False  # perhaps a docstring, or a part of a string written in several
    return isinstance(getattr(node, "ctx", ast.Load()), ast.Load) and b"\n" not in source.data[piece.start : piece.end]
