"""The renderer's error."""

from livingpaper.errors import PressError


class RenderError(PressError):
    """The book's description, a page or a printing cannot be rendered, or was rendered with errors in it."""
