"""Another user of this machine, and a folder that it gets to, unlike pytest's own."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NOBODY = 65_534


@contextmanager
def everybodys_folder() -> Iterator[Path]:
    """A fresh folder of ours that everybody may read; skips the test where nobody gets to the one above."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(os.path.realpath(name))
        if not all(above.stat().st_mode & 0o001 for above in place.parents):
            pytest.skip(f"not everybody gets to {place.parent}: set TMPDIR to a folder of everybody's")
        place.chmod(0o755)
        yield place


@contextmanager
def as_nobody() -> Iterator[None]:
    """With the rights of a user that owns nothing."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)
