"""Numbers and texts as a format says, such as `.3f`: Python's own formats, of a width that a line can hold."""

import re

_FORM = re.compile(r"(?:.?[<>=^])?[+\- ]?z?#?0?\d{0,2}[,_]?(?:\.\d{1,2})?[bdeEfFgGosxX%]?", re.DOTALL)


def spell(value: float | int | str, form: str) -> str:
    """The value as `form` says; `ValueError` where that is no format of at most two digits, or does not fit."""
    if not form:
        return str(value)
    if not _FORM.fullmatch(form):
        raise ValueError("expected a format such as .3f, .1% or ,d, with numbers below 100")
    try:
        return format(value, form)
    except OverflowError as error:
        raise ValueError(str(error)) from None
