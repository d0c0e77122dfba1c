"""Where each key and value of a TOML text stands, and the text after one of them is set or taken away. Pure.

All that is not concerned stays as it is, to the letter: comments, order, spelling, ends of lines. Given is a text that
is TOML; whether the new one is, and says what it should, is for the caller to check.
"""

import json
import math
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Path = tuple[str, ...]

MAX_NESTING = 16  # tables and arrays within one another
_BLANKS = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_PART = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_DOT = re.compile(r"[ \t]*\.[ \t]*")
_EQUALS = re.compile(r"[ \t]*=[ \t]*")
_NOTHING = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")  # blanks and comments, over lines
_TEXT = re.compile(
    r'"""(?:\\[\s\S]|[^\\])*?"""(?:"{0,2})' r"|'''[\s\S]*?'''(?:'{0,2})" r'|"(?:[^"\\\n]|\\.)*"' r"|'[^'\n]*'"
)
_IN_ARRAY = re.compile(r"(?:[^\[\]{}\"'#]+|#[^\n]*)*")
_SIMPLE = re.compile(r"[^,\]}#\r\n]+")
_WORD = r"""(?:(?<![\w-])[\w-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_LONG_KEY = re.compile(rf"(?:{_WORD}[ \t]*\.[ \t]*){{{MAX_NESTING}}}", re.ASCII)


class NestingError(Exception):
    """A text with a key of more parts than tables may lie within one another."""


class TomlEditError(ValueError):
    """A place that cannot be changed; the message begins with its path."""


@dataclass(frozen=True, eq=False)
class _Section:
    """A header `[a.b]`, or the beginning of the text: its path, and where its own line begins and ends."""

    path: Path
    start: int
    end: int
    array: bool = False


@dataclass(frozen=True, eq=False)
class _Pair:
    """`key = value`: its path from the root; where key, value and all of it begin and end; what it stands in.

    `written`: the parts of its key as they are written. `table`: whether the value is an inline table.
    """

    path: Path
    written: tuple[str, ...]
    start: int
    value: int
    end: int
    section: _Section
    inside: "_Pair | None"
    table: bool


@dataclass(frozen=True, eq=False)
class _Layout:
    """All headers, the root first, and all pairs, those of inline tables too, in the order of the text."""

    sections: tuple[_Section, ...]
    pairs: tuple[_Pair, ...]

    def pair(self, path: Path) -> _Pair | None:
        """The one of exactly this path."""
        return next((pair for pair in self.pairs if pair.path == path), None)

    def is_table(self, path: Path) -> bool:
        """Whether there is a table of this path, however it is written."""
        return (
            not path
            or any(section.path[: len(path)] == path for section in self.sections)
            or any(pair.path[: len(path)] == path and (pair.table or pair.path != path) for pair in self.pairs)
        )


def parse(text: str) -> dict[str, Any]:
    """What the text says; ValueError and RecursionError as Python's reader has them.

    DeepError before it sees a dotted key of more than DEEPEST parts: for each it walks all before it, again and again.
    """
    if _LONG_KEY.search(text):
        raise NestingError("a key has too many parts")
    found: dict[str, Any] = tomllib.loads(text)
    return found


def with_value(text: str, path: Path, value: object) -> str:
    """The text with this value at this path, which may be new; with the table or key taken away where it is None.

    Raises TextError where another value stands in the way, ValueError for what TOML cannot say.
    """
    layout = _layout(text)
    if any(section.array and path[: len(section.path)] == section.path for section in layout.sections):
        raise TomlEditError(f"{'.'.join(path)}: lies in an array of tables; edit the file")
    if value is None:
        return _without(text, layout, path)
    known, is_table = layout.pair(path), layout.is_table(path)
    if value == {} and is_table:
        return text
    in_the_way = any(layout.pair(path[:end]) and not layout.is_table(path[:end]) for end in range(len(path)))
    if in_the_way or (path and is_table):
        raise TomlEditError(f"{'.'.join(path)}: a table and a value stand in each other's place; edit the file")
    if known is not None:
        return text[: known.value] + to_toml(value) + text[known.end :]
    return _with_new(text, layout, path, to_toml(value))


def to_toml(value: object) -> str:
    """A value as TOML writes it; ValueError where it cannot."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float) and math.isfinite(value):
        return repr(value)
    if isinstance(value, str):
        value.encode()  # half a character cannot be written
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(to_toml, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{quoted_key(str(key))} = {to_toml(one)}' for key, one in value.items())}}}"
    raise ValueError(f"{value!r} is nothing that TOML has")


def quoted_key(key: str) -> str:
    """A key as TOML writes it."""
    return key if _BARE.fullmatch(key) else to_toml(key)


def _with_new(text: str, layout: _Layout, path: Path, value: str) -> str:
    """A pair of a new path, beside what its nearest table holds and in the same way."""
    near = next(path[:end] for end in range(len(path) - 1, -1, -1) if layout.is_table(path[:end]))
    rest = path[len(near) :]
    inline = layout.pair(near)
    if inline is not None:
        inner = [pair for pair in layout.pairs if pair.inside is inline]
        place = inner[-1].end if inner else inline.value + 1
        return f"{text[:place]}{', ' if inner else ''}{_dotted(rest)} = {value}{text[place:]}"
    section = next((one for one in layout.sections if one.path == near), None)
    dotted = [pair for pair in layout.pairs if pair.path[: len(near)] == near and len(_base(pair)) < len(near)]
    if section is None and dotted:
        last = dotted[-1]
        key = ".".join((*last.written[: len(near) - len(_base(last))], *map(quoted_key, rest)))
        if last.inside is not None:
            return f"{text[: last.end]}, {key} = {value}{text[last.end :]}"
        return _line(text, last.end, f"{key} = {value}")
    if section is not None and len(rest) == 1:
        return _line(text, _end_of(layout, section), f"{quoted_key(rest[0])} = {value}")
    family = [one for one in layout.sections if one.path[: len(near)] == near]
    header = f"[{_dotted(path[:-1])}]"
    newline = _newline(text)
    return _line(text, _end_of(layout, family[-1]), f"{header}{newline}{quoted_key(path[-1])} = {value}")


def _without(text: str, layout: _Layout, path: Path) -> str:
    """Without the key or table of this path; the table that it was in stays, if empty, or is made."""
    while span := _first_of(text, layout, path):
        text = text[: span[0]] + text[span[1] :]
        layout = _layout(text)
    return text if layout.is_table(path[:-1]) else _with_new(text, layout, path[:-1], "{}")


def _first_of(text: str, layout: _Layout, path: Path) -> tuple[int, int] | None:
    """Where a pair or header of this path, or below it, begins and ends."""
    pair = next((pair for pair in layout.pairs if pair.path[: len(path)] == path), None)
    if pair is not None:
        return _span(text, layout, pair)
    header = next((section for section in layout.sections if section.path[: len(path)] == path), None)
    return None if header is None else (header.start, _line_end(text, header.end))


def _span(text: str, layout: _Layout, pair: _Pair) -> tuple[int, int]:
    """What goes with a pair: its lines with their comment, or, in an inline table, one comma."""
    if pair.inside is None:
        return text.rfind("\n", 0, pair.start) + 1, _line_end(text, pair.end)
    beside = [one for one in layout.pairs if one.inside is pair.inside]
    place = beside.index(pair)
    if place + 1 < len(beside):
        return pair.start, beside[place + 1].start
    return (beside[place - 1].end if place else pair.start), pair.end


def _base(pair: _Pair) -> Path:
    """The path of the table that its key counts from."""
    return pair.path[: len(pair.path) - len(pair.written)]


def _dotted(path: Path) -> str:
    return ".".join(map(quoted_key, path))


def _end_of(layout: _Layout, section: _Section) -> int:
    """Where the last pair of a section ends, else its header."""
    return max([section.end, *(pair.end for pair in layout.pairs if pair.section is section)])


def _line(text: str, place: int, line: str) -> str:
    """With a line after the one of this place; before all others where that is the beginning."""
    end = _line_end(text, place) if place else 0
    newline = _newline(text)
    before = "" if not end or text[:end].endswith("\n") else newline
    return f"{text[:end]}{before}{line}{newline}{text[end:]}"


def _line_end(text: str, place: int) -> int:
    found = text.find("\n", place)
    return len(text) if found < 0 else found + 1


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _layout(text: str) -> _Layout:
    section = _Section((), 0, 0)
    sections, pairs = [section], []
    place = _after(_NOTHING, text, 0)
    while place < len(text):
        if text[place] == "[":
            array = text.startswith("[[", place)
            parts, end = _key(text, place + 1 + array)
            end = text.index("]", end) + 1 + array
            section = _Section(tuple(map(_name, parts)), place, end, array)
            sections.append(section)
        else:
            found = list(_pair(text, place, section, None))
            pairs += found
            end = found[0].end
        place = _after(_NOTHING, text, end)
    return _Layout(tuple(sections), tuple(pairs))


def _pair(text: str, place: int, section: _Section, inside: _Pair | None) -> Iterator[_Pair]:
    """The pair that begins here, then those inside its value."""
    parts, end = _key(text, place)
    value = _after(_EQUALS, text, end)
    table = text[value] == "{"
    base = inside.path if inside is not None else section.path
    path = (*base, *map(_name, parts))
    pair = _Pair(path, parts, place, value, _value_end(text, value), section, inside, table)
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
    """Where the value ends that begins here; brackets are counted, texts and comments skipped."""
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
