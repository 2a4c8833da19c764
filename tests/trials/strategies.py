"""Files nobody should have to expect: good ones mutated as a whole, in their bytes, lines, tokens and data."""

import random
import string
from collections.abc import Callable
from typing import Any

import yaml

from tests.trials.hostile import HOSTILE, NAMES, WORDS


def _bomb(_: str, chance: random.Random) -> str:
    wide, names = chance.randint(2, 12), string.ascii_lowercase
    lines = ["a: &a [1, 2, 3]"]
    lines += [f"{names[n]}: &{names[n]} [{', '.join([f'*{names[n - 1]}'] * wide)}]" for n in range(1, 20)]
    return "\n".join(lines) + "\n"


WHOLE: tuple[Callable[[str, random.Random], str | bytes], ...] = (
    lambda text, chance: "",
    lambda text, chance: "# only a comment\n",
    lambda text, chance: "null\n",
    lambda text, chance: "- 1\n- 2\n",
    lambda text, chance: "just words\n",
    lambda text, chance: "3\n",
    lambda text, chance: text + "\n---\n" + text,
    lambda text, chance: text * 2,
    lambda text, chance: "\ufeff" + text,
    lambda text, chance: text.replace("\n", "\r\n"),
    lambda text, chance: text.replace("\n", "\r"),
    lambda text, chance: text.replace("  ", "\t"),
    lambda text, chance: text.encode("utf-16"),
    lambda text, chance: text.encode().replace(b":", b"\xff:", 1),
    lambda text, chance: text + "#" + "x" * 10_000_000,
    lambda text, chance: text + "y: [" + "1," * 400_000 + "1]",
    lambda text, chance: "x: " + "[" * 100_000,
    lambda text, chance: "{a: " * 100_000,
    lambda text, chance: "\n".join(" " * n + "a:" for n in range(400)),
    lambda text, chance: "- " * 3000 + "a",
    lambda text, chance: text + "x: &a [" + "*a," * 3 + "]",
    _bomb,
)


def mutated(text: str, chance: random.Random) -> bytes:
    """The text of a good file made worse, at the level of the whole, its bytes, its lines, its tokens or its tree."""
    level = chance.choice((_whole, _bytes, _lines, _tokens, _tree, _tree, _tree))
    return level(text, chance)


def _whole(text: str, chance: random.Random) -> bytes:
    made = chance.choice(WHOLE)(text, chance)
    return made if isinstance(made, bytes) else made.encode()


def _bytes(text: str, chance: random.Random) -> bytes:
    data = bytearray(text.encode())
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        data[at : at + chance.choice((0, 0, 1, 9))] = bytes(chance.choices(range(256), k=chance.randint(0, 3)))
    return bytes(data[: chance.choice((None, None, None, len(data) // 2))])


def _lines(text: str, chance: random.Random) -> bytes:
    lines = text.split("\n")
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(lines))
        deed = chance.randrange(4)
        if deed == 0 and len(lines) > 1:
            lines.pop(at)
        elif deed == 1:
            lines.insert(at, lines[at])
        elif deed == 2:
            lines.insert(chance.randrange(len(lines)), lines.pop(at))
        else:
            lines[at] = chance.choice(("  ", "\t", "- ", "? ", "")) + lines[at].lstrip()
    return "\n".join(lines).encode()


def _tokens(text: str, chance: random.Random) -> bytes:
    lines = text.split("\n")
    filled = [number for number, line in enumerate(lines) if ":" in line] or [0]
    for _ in range(chance.randint(1, 2)):
        at = chance.choice(filled)
        head, sign, _ = lines[at].partition(":")
        lines[at] = f"{head}{sign} {chance.choice(WORDS)}"
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _tree(text: str, chance: random.Random) -> bytes:
    data = yaml.safe_load(text)
    for _ in range(chance.randint(1, 2)):
        data = changed(data, chance)
    return yaml.dump(data, allow_unicode=True).encode("utf-8", "surrogatepass")


def changed(data: Any, chance: random.Random) -> Any:
    """The data with one place in it replaced, dropped or doubled."""
    if isinstance(data, dict | list) and data and chance.random() < 0.85:
        keys = list(data) if isinstance(data, dict) else list(range(len(data)))
        key = chance.choice(keys)
        out = dict(data) if isinstance(data, dict) else list(data)
        if chance.random() < 0.15:
            out.pop(key)
        elif isinstance(out, dict) and chance.random() < 0.1:
            out[any_text(chance)[:40]] = out[key]
        elif isinstance(out, list) and chance.random() < 0.1:
            out.append(out[key])
        else:
            out[key] = changed(out[key], chance)
        return out
    return any_value(chance)


PLAIN = (None, True, False, 0, -1, 3, 10**30, 2**63, 0.5, -1e-300, 1e308, float("nan"), float("inf"), [], {}, [1, 1])
ODD = (b"bytes", {"a": {"b": [None]}}, [[["x"]]], "", " ", "3", "1/2", "{value} {value:.2f} {n}", "{unit:>9999}")
_HALF = str.maketrans(dict.fromkeys(range(0xD800, 0xE000), "?"))  # what YAML cannot write


def any_value(chance: random.Random) -> Any:
    """A value of any type, often a hostile text."""
    return chance.choice((chance.choice(PLAIN), chance.choice(ODD), any_text(chance)))


def any_text(chance: random.Random) -> str:
    """A hostile text."""
    return chance.choice((*HOSTILE, *NAMES)).translate(_HALF)
