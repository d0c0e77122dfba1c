"""The layout of a TOML text: where each header, key and value begins and ends. Pure."""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

KeyPath = tuple[str, ...]

_BLANKS = re.compile(r"[ \t]*")
_PART = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_DOT = re.compile(r"[ \t]*\.[ \t]*")
_EQUALS = re.compile(r"[ \t]*=[ \t]*")
_NOTHING = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")  # blanks and comments, over lines
_TEXT = re.compile(
    r'"""(?:\\[\s\S]|[^\\])*?"""(?:"{0,2})' r"|'''[\s\S]*?'''(?:'{0,2})" r'|"(?:[^"\\\n]|\\.)*"' r"|'[^'\n]*'"
)
_IN_ARRAY = re.compile(r"(?:[^\[\]{}\"'#]+|#[^\n]*)*")
_SIMPLE = re.compile(r"[^,\]}#\r\n]+")


@dataclass(frozen=True, eq=False)
class Section:
    """A header `[a.b]`, or the beginning of the text: its path, and where the header begins and ends."""

    path: KeyPath
    start: int
    end: int
    array: bool = False


@dataclass(frozen=True, eq=False)
class KeyValue:
    """`key = value`: its path from the root, where it, its value and its end are, and the table around it.

    `written`: the parts of its key as they are written. `inside`: the pair whose inline table holds it. `table`:
    whether its value is an inline table.
    """

    path: KeyPath
    written: tuple[str, ...]
    start: int
    value: int
    end: int
    section: Section
    inside: "KeyValue | None"
    table: bool


@dataclass(frozen=True, eq=False)
class Layout:
    """All headers, the root first, and all pairs, including those of inline tables, in the order of the text."""

    sections: tuple[Section, ...]
    pairs: tuple[KeyValue, ...]

    def pair(self, path: KeyPath) -> KeyValue | None:
        """The pair of exactly this path."""
        return next((pair for pair in self.pairs if pair.path == path), None)

    def is_table(self, path: KeyPath) -> bool:
        """Whether there is a table at this path, in whatever notation."""
        return (
            not path
            or any(section.path[: len(path)] == path for section in self.sections)
            or any(pair.path[: len(path)] == path and (pair.table or pair.path != path) for pair in self.pairs)
        )


def layout_of(text: str) -> Layout:
    """The layout of a text that is valid TOML."""
    section = Section((), 0, 0)
    sections, pairs = [section], []
    place = _after(_NOTHING, text, 0)
    while place < len(text):
        if text[place] == "[":
            array = text.startswith("[[", place)
            parts, end = _key(text, place + 1 + array)
            end = text.index("]", end) + 1 + array
            section = Section(tuple(map(_name, parts)), place, end, array)
            sections.append(section)
        else:
            found = list(_pair(text, place, section, None))
            pairs += found
            end = found[0].end
        place = _after(_NOTHING, text, end)
    return Layout(tuple(sections), tuple(pairs))


def _pair(text: str, place: int, section: Section, inside: KeyValue | None) -> Iterator[KeyValue]:
    """The pair that begins here, then those of its inline table."""
    parts, end = _key(text, place)
    value = _after(_EQUALS, text, end)
    table = text[value] == "{"
    base = inside.path if inside is not None else section.path
    path = (*base, *map(_name, parts))
    pair = KeyValue(path, parts, place, value, _value_end(text, value), section, inside, table)
    yield pair
    if table:
        here = _after(_NOTHING, text, value + 1)
        while text[here] != "}":
            inner = list(_pair(text, here, section, pair))
            yield from inner
            here = _after(_NOTHING, text, inner[0].end)
            if text[here] == ",":
                here = _after(_NOTHING, text, here + 1)


def _key(text: str, place: int) -> tuple[tuple[str, ...], int]:
    """The parts of a dotted key as they are written, and where it ends."""
    parts: list[str] = []
    place = _after(_BLANKS, text, place)
    while True:
        end = _after(_PART, text, place)
        parts.append(text[place:end])
        place = _after(_DOT, text, end)
        if place == end:
            return tuple(parts), end


def _name(part: str) -> str:
    if part[0] not in "\"'":
        return part
    name: Any = tomllib.loads(f"a = {part}")["a"]
    return str(name)


def _value_end(text: str, place: int) -> int:
    """Where the value that begins here ends; brackets are counted, strings and comments skipped."""
    found = _TEXT.match(text, place)
    if found:
        return found.end()
    if text[place] not in "[{":
        return place + len(text[place : _after(_SIMPLE, text, place)].rstrip())
    depth = 0
    while True:
        place = _after(_IN_ARRAY, text, place)
        found = _TEXT.match(text, place)
        if found:
            place = found.end()
            continue
        depth += 1 if text[place] in "[{" else -1
        place += 1
        if not depth:
            return place


def _after(pattern: re.Pattern[str], text: str, place: int) -> int:
    found = pattern.match(text, place)
    return found.end() if found else place
