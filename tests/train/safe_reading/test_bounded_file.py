"""Files that are read whole, or refused before they fill the memory."""

import os
import threading
import tracemalloc
from pathlib import Path

import pytest

from train.safe_reading import bounded_file


def test_all_of_a_file_or_of_a_pipe(tmp_path: Path) -> None:
    content = bytes(range(256)) * 10_000
    (tmp_path / "a").write_bytes(content)
    assert bounded_file.read(tmp_path / "a") == content
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(content,))
    writer.start()
    assert bounded_file.read(tmp_path / "pipe") == content
    writer.join()


def test_what_has_no_end_is_refused() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="it is larger than 4 MiB"):
            bounded_file.read(Path("/dev/zero"), 4 << 20)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_a_small_file_takes_little(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    tracemalloc.start()
    try:
        assert bounded_file.read(tmp_path / "a") == b"a"
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
