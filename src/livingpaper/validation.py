"""From data to models: every mistake becomes one line with file, line, key, value and what is allowed."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, RootModel, ValidationError

from livingpaper.errors import PressError, shown
from livingpaper.yamlfile import Document

Model = TypeVar("Model", bound=BaseModel)
_MOST = 8  # mistakes told at once


class Strict(BaseModel):
    """Base of all models of files people write: immutable, unknown keys are errors, no silent conversion."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def validate(model: type[Model], document: Document, error: type[PressError]) -> Model:
    """The document as a `model`; mistakes are raised together as `error`, one line."""
    try:
        return model.model_validate(document.data)
    except ValidationError as cause:
        told = [_sentence(model, document, mistake) for mistake in cause.errors()[:_MOST]]
        more = [f"and {cause.error_count() - _MOST} more"] if cause.error_count() > _MOST else []
        raise error("; ".join([*told, *more])) from None


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` where a known word is close, else nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def _sentence(model: type[BaseModel], document: Document, mistake: Any) -> str:
    path = tuple(part for part in mistake["loc"] if not (isinstance(part, str) and part.startswith("function-")))
    path = _known(path, document)
    key = ".".join(str(part)[:80] for part in path) or "(whole file)"
    message = mistake["msg"].removeprefix("Value error, ")
    if mistake["type"] == "extra_forbidden":
        allowed = _fields(model, path[:-1])
        message = f"unknown key; allowed here: {', '.join(allowed)}{nearest(str(path[-1]), allowed)}"
        return f"{document.place(path)}: {key}: {message}"
    if mistake["type"] == "missing":
        return f"{document.place(path)}: {key}: missing"
    value = mistake["input"]
    said = f" = {shown(value, 200)}" if not isinstance(value, dict | list | BaseModel) else ""
    return f"{document.place(path)}: {key}{said}: {message}"


def _known(path: Sequence[int | str], document: Document) -> tuple[int | str, ...]:
    """`path` without the names that pydantic adds for the arms of a union."""
    out: tuple[int | str, ...] = ()
    data = document.data
    for position, part in enumerate(path):
        last = position == len(path) - 1
        within = (isinstance(data, dict) and part in data) or (
            isinstance(data, list) and isinstance(part, int) and part < len(data)
        )
        if within:
            data = data[part]
            out = (*out, part)
        elif last and isinstance(data, dict):
            out = (*out, part)
    return out


def _fields(model: type[BaseModel], path: Sequence[int | str]) -> list[str]:
    """Keys allowed in the model at `path` below `model`."""
    here: Any = _model_in(model.model_fields["root"].annotation) if issubclass(model, RootModel) else model
    for part in path:
        annotation = here.model_fields[part].annotation if isinstance(part, str) and part in here.model_fields else here
        here = _model_in(annotation)
        if here is None:
            return []
    return list(here.model_fields)


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part)) is not None), None)
