"""Engines on the disk: full disks, places that cannot be written, files that are whole or the old ones."""

from pathlib import Path

import pytest

from edge.engines import engine_files, engine_record
from edge.engines.engine_build import build
from edge.engines.tensorrt_builder import EngineBuildError
from tests.support.engine_record import RECORD
from tests.support.fake_tensorrt import fake
from tests.support.full_disk import full_disk
from tests.support.sync_recorder import SyncRecorder
from tests.support.tiny_model import write_tiny_model


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
    assert trt.named("Builder.build_serialized_network") == []  # refused before the long build


@pytest.mark.parametrize("limit", [0, 100, 600])  # before, in the engine, in the record
def test_a_disk_that_fills(limit: int, onnx: Path, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"the old one")
    with pytest.raises(EngineBuildError) as caught, full_disk(limit):
        build(fake("10.3"), onnx, target)
    assert "cannot be written (File too large); free space on the disk or choose another place" in str(caught.value)
    assert target.read_bytes() == b"the old one"
    assert list(target.parent.iterdir()) == [target]


def test_leftovers_of_an_earlier_crash_are_no_problem(onnx: Path, target: Path) -> None:
    target.parent.mkdir()
    target.with_name("tiny.engine.partial").write_bytes(b"half")
    build(fake("10.3"), onnx, target)
    assert sorted(path.name for path in target.parent.iterdir()) == ["tiny.engine", "tiny.engine.json"]


def test_an_engine_is_on_the_disk_before_it_has_its_name(tmp_path: Path) -> None:
    """Both files whole, under the names of drafts; what had the good names before still does."""
    target, disk = tmp_path / "tiny.engine", SyncRecorder(tmp_path)
    described = engine_record.to_json(RECORD).encode()
    target.write_bytes(b"old")
    engine_record.beside(target).write_bytes(b"of the old one")
    engine_files.write(b"new", RECORD, engine_files.reserve(target), target, disk.sync)
    before = {"tiny.engine": b"old", "tiny.engine.json": b"of the old one", "tiny.engine.partial": b"new"}
    assert disk.seen == [
        ("tiny.engine.partial", before),
        ("tiny.engine.partial.json", {**before, "tiny.engine.partial.json": described}),
    ]
    left = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert left == {"tiny.engine": b"new", "tiny.engine.json": described}
