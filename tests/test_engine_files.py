"""Engines on the disk: full disks, places that cannot be written, files that are whole or the old ones."""

from pathlib import Path

import pytest
from fake_tensorrt import fake
from full_disk import full_disk
from tiny_model import write_tiny_model

from edge.engines import engine_files
from edge.engines.engine_build import EngineBuildError, build


@pytest.fixture
def onnx(tmp_path: Path) -> Path:
    return write_tiny_model(tmp_path / "tiny.onnx")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "engines" / "tiny.engine"


def test_a_place_that_cannot_be_written(onnx: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    trt = fake("10.3")
    with pytest.raises(
        EngineBuildError, match=r"x\.engine: cannot be written \(.+\); free space on the disk or choose"
    ):
        build(trt, onnx, tmp_path / "file" / "x.engine")
    assert trt.named("Builder.build_serialized_network") == []  # told before the long build


@pytest.mark.parametrize("limit", [0, 100, 600])  # before, in the engine, in the record
def test_a_disk_that_fills(limit: int, onnx: Path, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"the old one")
    with pytest.raises(EngineBuildError) as caught, full_disk(limit):
        build(fake("10.3"), onnx, target)
    assert "cannot be written (File too large); free space on the disk or choose another place" in str(caught.value)
    assert target.read_bytes() == b"the old one"
    assert list(target.parent.iterdir()) == [target]


def test_a_file_that_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "new" / "timings"
    for content in (b"old", b"new"):
        engine_files.replace_file(path, content)
        assert path.read_bytes() == content
    with pytest.raises(OSError, match="File too large"), full_disk(3):
        engine_files.replace_file(path, b"newer")
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_what_an_earlier_crash_left_is_no_hindrance(onnx: Path, target: Path) -> None:
    target.parent.mkdir()
    target.with_name("tiny.engine.partial").write_bytes(b"half")
    build(fake("10.3"), onnx, target)
    assert sorted(path.name for path in target.parent.iterdir()) == ["tiny.engine", "tiny.engine.json"]
