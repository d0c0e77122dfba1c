"""The tables of the documentation: each row has its table's columns, so none has strayed in from another."""

import re
from itertools import groupby
from pathlib import Path

import pytest

from tests.support.documented_commands import PAGES
from tests.support.paths import ROOT


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_rows_have_the_columns_of_their_table(page: Path) -> None:
    assert strays(page.read_text()) == []


def test_a_stray_is_found() -> None:
    assert strays("| a | b |\n|---|---|\n| `c\\|d` | `|` |\n| e |\n\n| f |\n") == ["| e |"]


def strays(text: str) -> list[str]:
    """Rows with other columns than the first of their table, outside of blocks of code."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    tables = [[*rows] for is_row, rows in groupby(prose.splitlines(), lambda line: line.startswith("|")) if is_row]
    return [row for head, *rows in tables for row in rows if columns(row) != columns(head)]


def columns(row: str) -> int:
    return re.sub(r"`[^`]*`|\\\|", "", row).count("|")
