"""How lines of the log begin, in real processes whose stderr is a file, as systemd's is a socket."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edge.service.log_format import is_journal
from tests.support.paths import ROOT

TIMED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} WARNING edge: so\n")
BARE = re.compile(r"WARNING edge: so\n")
PROGRAM = """
import logging, sys
from edge.service.log_format import configure
configure(*sys.argv[1:])
logging.getLogger("edge").warning("so")
"""


@pytest.mark.parametrize(
    ("wanted", "journal", "line"),
    [
        ((), False, TIMED),
        ((), True, BARE),
        (("auto",), True, BARE),
        (("auto",), False, TIMED),
        (("plain",), True, TIMED),
        (("journal",), False, BARE),
    ],
)
def test_lines_have_a_time_where_the_journal_notes_none(
    wanted: tuple[str, ...], journal: bool, line: re.Pattern[str], tmp_path: Path
) -> None:
    file = tmp_path / "log"
    with file.open("w") as stderr:
        status = os.fstat(stderr.fileno())
        # a service that systemd started has the variable also where it sends stderr somewhere else
        stream = f"{status.st_dev}:{status.st_ino if journal else status.st_ino + 1}"
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "JOURNAL_STREAM": stream}
        subprocess.run([sys.executable, "-c", PROGRAM, *wanted], env=environment, stderr=stderr, check=True)
    assert line.fullmatch(file.read_text())


def test_without_stderr_there_is_no_journal() -> None:
    assert not is_journal(None, {"JOURNAL_STREAM": "1:2"})
    assert not is_journal((1, 2), {})
    assert is_journal((1, 2), {"JOURNAL_STREAM": "1:2"})
