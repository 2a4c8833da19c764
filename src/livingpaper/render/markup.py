"""Whether HTML that authors and libraries wrote closes what it opens, so that it cannot break the page around it."""

from html.parser import HTMLParser

# elements whose end may not be left out; <p>, <li>, <td> and the like may go without
_CLOSED = {
    *("article", "aside", "blockquote", "details", "div", "dl", "figcaption", "figure", "footer", "form", "header"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "main", "nav", "ol", "pre", "section", "summary", "table", "ul"),
    *(
        "audio",
        "canvas",
        "dialog",
        "fieldset",
        "iframe",
        "math",
        "noscript",
        "object",
        "script",
        "select",
        "style",
        "svg",
    ),
    *("template", "textarea", "title", "video"),
    *("a", "b", "button", "code", "em", "i", "span", "strong", "sub", "sup"),
}


def unbalanced(html: str) -> str:
    """The first tag that closes nothing, or is not closed, such as `</div>`; empty if there is none."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.wrong or (f"<{reader.open[-1]}>" if reader.open else "")


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element that must be closed."""
        if tag in _CLOSED:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close the last element, or note that this is not it."""
        if tag not in _CLOSED or self.wrong:
            return
        if self.open and self.open[-1] == tag:
            self.open.pop()
        else:
            self.wrong = f"</{tag}>"
