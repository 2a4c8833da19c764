"""What a YAML file that people write may be, seen from its events: plain data of bounded size and depth.

Looked at before anything is built of it: nesting without end overflows the stack of a reader written in C, and a few
lines of aliases of aliases stand for more values than fit into memory.
"""

import re
from dataclasses import dataclass
from typing import Any

import yaml

BYTES = 1_000_000  # of a file
DEPTH = 50  # levels of nesting
VALUES = 100_000  # of a file, those that aliases repeat counted each time
_PLAIN = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq")}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


@dataclass
class _Extent:
    """What a node stands for, all aliases below it followed."""

    anchor: str | None = None
    values: int = 1
    height: int = 0

    def take(self, inner: "_Extent") -> None:
        """Count a node that stands in this one."""
        self.values += inner.values
        self.height = max(self.height, inner.height + 1)


def check_bounds(text: str, loader: type[Any]) -> None:
    """Raise `ValueError`, with the line, where the text is more than plain data of a size that people write."""
    anchored: dict[str, _Extent] = {}
    within = [_Extent()]  # the document, and every collection that is open
    event: Any
    for event in yaml.parse(text, Loader=loader):
        line = event.start_mark.line + 1
        done = None
        if isinstance(event, yaml.AliasEvent):
            if any(each.anchor == event.anchor for each in within):
                raise ValueError(f"line {line}: alias {event.anchor!r} stands within what it repeats")
            done = anchored.get(str(event.anchor), _Extent())
        elif isinstance(event, yaml.NodeEvent):
            _check_node(event, line)
            extent = _Extent(event.anchor)
            if isinstance(event, yaml.CollectionStartEvent):
                within.append(extent)
            else:
                done = extent
        elif isinstance(event, yaml.CollectionEndEvent):
            done = within.pop()
        if done is not None:
            within[-1].take(done)
            if done.anchor:
                anchored[done.anchor] = done
        if len(within) - 1 + within[-1].height > DEPTH:
            raise ValueError(f"line {line}: nested more than {DEPTH} levels deep")
        if sum(each.values for each in within) > VALUES:
            raise ValueError(f"line {line}: more than {VALUES} values, those that aliases repeat included")


def _check_node(event: Any, line: int) -> None:
    if event.tag is not None and event.tag not in _PLAIN and event.tag != "!":
        raise ValueError(f"line {line}: tag {event.tag!r}: expected plain YAML, without tags")
    found = _CONTROL.search(event.value) if isinstance(event, yaml.ScalarEvent) else None
    if found:
        raise ValueError(f"line {line}: control character {found[0]!r} in a text; leave it out")
