"""Edits of a TOML text: one value set or removed, everything else kept to the letter. Pure.

Comments, order, notation and line ends stay as they are. The text given must be valid TOML; the caller checks that the
new text is valid and says what it should.
"""

import json
import math
import re
import sys
from collections.abc import Mapping
from typing import Any

from edge.config.toml_layout import KeyPath, KeyValue, Layout, Section, layout_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MAX_NESTING = 16  # levels of tables and arrays
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_WORD = r"""(?:(?<![\w-])[\w-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_LONG_KEY = re.compile(rf"(?:{_WORD}[ \t]*\.[ \t]*){{{MAX_NESTING}}}", re.ASCII)


class NestingError(Exception):
    """A text with a key of more parts than MAX_NESTING."""


class TomlEditError(ValueError):
    """A place that cannot be changed; the message begins with its path."""


def parse(text: str) -> dict[str, Any]:
    """The text as tables. Raises ValueError and RecursionError as `tomllib` does.

    Raises NestingError for a dotted key of more than MAX_NESTING parts, on which `tomllib` takes quadratic time.
    """
    if _LONG_KEY.search(text):
        raise NestingError("a key has too many parts")
    found: dict[str, Any] = tomllib.loads(text)
    return found


def with_value(text: str, path: KeyPath, value: object) -> str:
    """The text with this value at this path, which may be new. None removes the key or table.

    Raises TomlEditError if another value is in the way, ValueError for a value that TOML does not have.
    """
    layout = layout_of(text)
    if any(section.array and path[: len(section.path)] == section.path for section in layout.sections):
        raise TomlEditError(f"{'.'.join(path)}: lies in an array of tables; edit the file")
    if value is None:
        return _without(text, layout, path)
    known, is_table = layout.pair(path), layout.is_table(path)
    if value == {} and is_table:
        return text
    in_the_way = any(layout.pair(path[:end]) and not layout.is_table(path[:end]) for end in range(len(path)))
    if in_the_way or (path and is_table):
        raise TomlEditError(f"{'.'.join(path)}: a table and a value conflict there; edit the file")
    if known is not None:
        return text[: known.value] + to_toml(value) + text[known.end :]
    return _with_new(text, layout, path, to_toml(value))


def to_toml(value: object) -> str:
    """A value in TOML's notation. Raises ValueError for what it cannot express."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float) and math.isfinite(value):
        return repr(value)
    if isinstance(value, str):
        value.encode()  # raises for half a surrogate pair, which no file can hold
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(to_toml, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{quoted_key(str(key))} = {to_toml(one)}' for key, one in value.items())}}}"
    raise ValueError(f"{value!r} has no counterpart in TOML")


def quoted_key(key: str) -> str:
    """A key in TOML's notation, quoted if need be."""
    return key if _BARE.fullmatch(key) else to_toml(key)


def _with_new(text: str, layout: Layout, path: KeyPath, value: str) -> str:
    """The text with a new pair, written like the others of its nearest existing table."""
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


def _without(text: str, layout: Layout, path: KeyPath) -> str:
    """The text without the key or table of this path; the table around it stays, even if it is empty."""
    while span := _first_of(text, layout, path):
        text = text[: span[0]] + text[span[1] :]
        layout = layout_of(text)
    return text if layout.is_table(path[:-1]) else _with_new(text, layout, path[:-1], "{}")


def _first_of(text: str, layout: Layout, path: KeyPath) -> tuple[int, int] | None:
    """Where the first pair or header of this path, or below it, begins and ends."""
    pair = next((pair for pair in layout.pairs if pair.path[: len(path)] == path), None)
    if pair is not None:
        return _span(text, layout, pair)
    header = next((section for section in layout.sections if section.path[: len(path)] == path), None)
    return None if header is None else (header.start, _line_end(text, header.end))


def _span(text: str, layout: Layout, pair: KeyValue) -> tuple[int, int]:
    """What is removed with a pair: its lines with their comment, or, in an inline table, one comma."""
    if pair.inside is None:
        return text.rfind("\n", 0, pair.start) + 1, _line_end(text, pair.end)
    beside = [one for one in layout.pairs if one.inside is pair.inside]
    place = beside.index(pair)
    if place + 1 < len(beside):
        return pair.start, beside[place + 1].start
    return (beside[place - 1].end if place else pair.start), pair.end


def _base(pair: KeyValue) -> KeyPath:
    """The path of the table that the pair's key is relative to."""
    return pair.path[: len(pair.path) - len(pair.written)]


def _dotted(path: KeyPath) -> str:
    return ".".join(map(quoted_key, path))


def _end_of(layout: Layout, section: Section) -> int:
    """Where the last pair of a section ends, or its header if it has none."""
    return max([section.end, *(pair.end for pair in layout.pairs if pair.section is section)])


def _line(text: str, place: int, line: str) -> str:
    """The text with a line inserted after the one at this place, or before all others at place 0."""
    end = _line_end(text, place) if place else 0
    newline = _newline(text)
    before = "" if not end or text[:end].endswith("\n") else newline
    return f"{text[:end]}{before}{line}{newline}{text[end:]}"


def _line_end(text: str, place: int) -> int:
    found = text.find("\n", place)
    return len(text) if found < 0 else found + 1


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"
