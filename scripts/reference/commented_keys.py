"""The keys of `config.toml` with what its comments say of them, table by table. Pure.

The file is read as text: a key behind `#` counts, and a comment goes on in lines that begin with blanks.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

_TABLE = re.compile(r"#?\[([\w.\"]+)\]$")
_KEY = re.compile(r"(#?)(\w+) = (.+?)(?:\s+# (.*))?$")
_MORE = re.compile(r"\s{4,}# (.*)$")
_PROSE = re.compile(r"# (.*)$")


@dataclass
class CommentedKey:
    """`value`: as written; `unset`: it stands behind `#`; `before`: the comment above it."""

    name: str
    value: str
    unset: bool
    comment: str
    before: str = ""


@dataclass
class CommentedTable:
    """One table; `intro`: the comment above it."""

    name: str
    intro: str
    keys: list[CommentedKey] = field(default_factory=list)


def tables(lines: Iterable[str]) -> list[CommentedTable]:
    """All tables in the order of the file, those behind `#` included."""
    found: list[CommentedTable] = []
    prose: list[str] = []
    for line in lines:
        text = line.rstrip()
        if table := _TABLE.match(text):
            found.append(CommentedTable(table[1], " ".join(prose)))
            prose = []
        elif found and (key := _KEY.match(text)):
            found[-1].keys.append(CommentedKey(key[2], key[3], bool(key[1]), key[4] or "", " ".join(prose)))
            prose = []
        elif found and found[-1].keys and (more := _MORE.match(text)):
            found[-1].keys[-1].comment += f" {more[1]}"
        elif line_of_prose := _PROSE.match(text):
            prose.append(line_of_prose[1])
        elif not text:
            prose = prose if found else []
    return found
