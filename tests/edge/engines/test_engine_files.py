"""Engines on the disk: full disks, places that cannot be written, files that are whole or the old ones."""

import os
from pathlib import Path

import pytest

from edge.engines import engine_files, engine_record
from edge.engines.engine_build import EngineBuildError, build
from tests.support.engine_record import RECORD
from tests.support.fake_tensorrt import fake
from tests.support.full_disk import full_disk
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


class Disk:
    """What lies in a folder, by name, whenever a file is put onto the disk: before that a power cut may empty it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.seen: list[tuple[str, dict[str, bytes]]] = []

    def sync(self, descriptor: int) -> None:
        name = Path(os.readlink(f"/proc/self/fd/{descriptor}")).name
        self.seen.append((name, {path.name: path.read_bytes() for path in self._folder.iterdir()}))
        os.fsync(descriptor)


def test_an_engine_is_on_the_disk_before_it_has_its_name(tmp_path: Path) -> None:
    """Both files whole, under the names of drafts; what had the good names before still does."""
    target, disk = tmp_path / "tiny.engine", Disk(tmp_path)
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


def test_a_file_is_on_the_disk_before_it_replaces_another(tmp_path: Path) -> None:
    path, disk = tmp_path / "timings", Disk(tmp_path)
    path.write_bytes(b"old")
    engine_files.replace_file(path, b"new", disk.sync)
    assert disk.seen == [("timings.partial", {"timings": b"old", "timings.partial": b"new"})]
    assert path.read_bytes() == b"new"


def test_what_the_disk_does_not_take_replaces_nothing(tmp_path: Path) -> None:
    def broken(_: int) -> None:
        raise OSError(5, "Input/output error")

    path = tmp_path / "timings"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="Input/output error"):
        engine_files.replace_file(path, b"new", broken)
    assert [entry.read_bytes() for entry in tmp_path.iterdir()] == [b"old"]
