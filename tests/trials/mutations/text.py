"""Edits of Python source by position: where its tokens and expressions lie, in bytes."""

import ast
import io
import random
import tokenize
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Piece:
    """A node of a syntax tree and the bytes it takes."""

    node: ast.AST
    start: int
    end: int


class Source:
    """Python source with the places where something can be put in or replaced."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.tree = ast.parse(data)
        self._lines = [3 if data.startswith(b"\xef\xbb\xbf") else 0]
        for line in data[self._lines[0] :].splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))
        self.tokens = list(tokenize.tokenize(io.BytesIO(data).readline))

    def pieces(self) -> list[Piece]:
        """Every node with a place of its own; those inside f-strings, whose places Python 3.11 misreports, left out."""
        found = []
        waiting: list[ast.AST] = [self.tree]
        while waiting:
            node = waiting.pop()
            if not isinstance(node, ast.JoinedStr):
                waiting += ast.iter_child_nodes(node)
            if isinstance(node, ast.expr | ast.stmt):
                start = self._lines[node.lineno - 1] + node.col_offset
                found.append(Piece(node, start, self._lines[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)))
        return found

    def constants(self, *kinds: type) -> list[tuple[Any, int, int]]:
        """Constants of some kinds, with the bytes they take; docstrings are none."""
        docstrings = {(piece.start, piece.end) for piece in self.docstrings()}
        return [
            (piece.node.value, piece.start, piece.end)
            for piece in self.pieces()
            if isinstance(piece.node, ast.Constant) and type(piece.node.value) in kinds
            if (piece.start, piece.end) not in docstrings
        ]

    def docstrings(self) -> list[Piece]:
        """The docstrings of the module, its classes and functions."""
        holders = [
            node for node in ast.walk(self.tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        ]
        first = {id(node.body[0]) for node in holders if node.body and ast.get_docstring(node, clean=False) is not None}
        return [piece for piece in self.pieces() if id(piece.node) in first]

    def line_starts(self) -> list[int]:
        """Beginnings of lines that lie in no statement of several lines and in no string."""
        ends = {self._lines[0]} | {self._lines[token.end[0]] for token in self.tokens if token.type == tokenize.NEWLINE}
        return sorted(end for end in ends if end <= len(self.data))

    def line_ends(self) -> list[int]:
        """Ends of statements that no comment follows."""
        plain = [
            token for before, token in zip(self.tokens, self.tokens[1:], strict=False)
            if token.type == tokenize.NEWLINE and before.type != tokenize.COMMENT and token.string
        ]  # fmt: skip
        return [self._place(token.start) for token in plain]

    def inner_commas(self) -> list[int]:
        """Places right after a comma within brackets, where a line may be broken."""
        depth, found = 0, []
        for token in self.tokens:
            if token.type == tokenize.OP:
                depth += (token.string in "([{") - (token.string in ")]}")
                if token.string == "," and depth:
                    found.append(self._place(token.end))
        return found

    def strings(self) -> list[tuple[int, int]]:
        """Plain strings in double quotes without any escape."""
        return [
            (self._place(token.start), self._place(token.end))
            for token in self.tokens
            if token.type == tokenize.STRING
            and token.string[0] == '"' != token.string[1:2]
            and not set(token.string[1:-1]) & set("'\\\"")
        ]

    def replaced(self, start: int, end: int, text: str) -> bytes:
        """The source with `text` in place of some bytes."""
        return self.data[:start] + text.encode() + self.data[end:]

    def _place(self, position: tuple[int, int]) -> int:
        line = self.data[self._lines[position[0] - 1] :].split(b"\n", 1)[0].decode()
        return self._lines[position[0] - 1] + len(line[: position[1]].encode())


def word(chance: random.Random) -> str:
    """A name that occurs nowhere else."""
    return "w" + "".join(chance.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(10))
