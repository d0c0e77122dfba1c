"""Pure. HTML that is escaped unless it was made here: names come from files, and may hold anything."""

from dataclasses import dataclass
from html import escape

from edge.text import sanitized

VOID = ("img", "meta", "line", "polyline", "circle")  # elements that hold nothing


@dataclass(frozen=True)
class Html:
    """Markup, ready to be written."""

    text: str


Markup = str | Html


def tag(name: str, /, *content: Markup, **attributes: str) -> Html:
    """One element; text and the values of attributes are escaped. `class_` stands for class, `_` in a name for `-`."""
    given = "".join(f' {key.rstrip("_").replace("_", "-")}="{_escaped(value)}"' for key, value in attributes.items())
    if name in VOID:
        return Html(f"<{name}{given}>" if name in ("img", "meta") else f"<{name}{given}/>")
    return Html(f"<{name}{given}>{joined(*content).text}</{name}>")


def joined(*content: Markup) -> Html:
    """Parts one after the other."""
    return Html("".join(one.text if isinstance(one, Html) else _escaped(one) for one in content))


def _escaped(text: str) -> str:
    return escape(sanitized(text.encode(errors="replace").decode()), quote=True)


def table(head: tuple[str, ...], rows: list[tuple[Markup, ...]], words: int = 1) -> Html:
    """A table that scrolls by itself where the screen is narrow; its first `words` columns are no numbers."""
    kinds = [{"class_": "words"} if place < words else {} for place in range(len(head))]
    top = tag("thead", tag("tr", *(tag("th", one, scope="col", **kind) for one, kind in zip(head, kinds, strict=True))))
    body = [
        tag("tr", tag("th", row[0], scope="row"), *(tag("td", o, **k) for o, k in zip(row[1:], kinds[1:], strict=True)))
        for row in rows
    ]
    return tag("div", tag("table", top, tag("tbody", *body)), class_="wide")
