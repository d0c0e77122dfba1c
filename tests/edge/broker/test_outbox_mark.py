import os
from pathlib import Path

import pytest

from edge.broker.outbox_mark import HighWaterMark, MarkFile
from edge.broker.outbox_totals import Totals


def opened(path: Path | None) -> MarkFile:
    made = MarkFile(path)
    made.open()
    return made


def test_what_was_noted_last_is_found(tmp_path: Path) -> None:
    first = opened(tmp_path / "mark")
    assert first.found is None
    for number in range(5):
        first.write(HighWaterMark(Totals(number), number))
    first.close()
    assert opened(tmp_path / "mark").found == HighWaterMark(Totals(4), 4)


def test_one_process_has_it(tmp_path: Path) -> None:
    first, second = opened(tmp_path / "mark"), opened(tmp_path / "mark")
    second.write(HighWaterMark(Totals(9)))
    first.write(HighWaterMark(Totals(1)))
    first.close()
    assert opened(tmp_path / "mark").found == HighWaterMark(Totals(1))


@pytest.mark.parametrize("kind", ["folder", "pipe", "link", "nowhere", "none"])
def test_what_is_no_file_notes_nothing(kind: str, tmp_path: Path) -> None:
    place = tmp_path / "mark"
    precious = tmp_path / "precious"
    precious.write_bytes(b"precious")
    if kind == "folder":
        place.mkdir()
    elif kind == "pipe":
        os.mkfifo(place)
    elif kind == "link":
        place.symlink_to(precious)
    mark = opened({"nowhere": tmp_path / "none" / "mark", "none": None}.get(kind, place))
    mark.write(HighWaterMark(Totals(1)))
    mark.close()
    assert mark.found is None
    assert precious.read_bytes() == b"precious"
