"""ONNX files on the disk: whole or the old ones; and models that would have other files read, or strange things run."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest

from convert import onnx_file
from convert.onnx_file import OnnxFileError
from tests.support.full_disk import full_disk
from tests.support.tiny_model import MANIFEST, write_tiny_model


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_tiny_model(tmp_path / "tiny.onnx")


def test_what_is_written_is_read(tiny: Path, tmp_path: Path) -> None:
    model, manifest = onnx_file.read(tiny)
    assert manifest == MANIFEST
    target = tmp_path / "new" / "copy.onnx"
    onnx_file.write(model, manifest, target)
    assert onnx_file.read(target) == (model, manifest)
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("limit", [0, 100])
def test_a_disk_that_fills(limit: int, tiny: Path, tmp_path: Path) -> None:
    model, manifest = onnx_file.read(tiny)
    target = tmp_path / "made" / "x.onnx"
    target.parent.mkdir()
    target.write_bytes(b"the old one")
    with pytest.raises(OnnxFileError) as caught, full_disk(limit):
        onnx_file.write(model, manifest, target)
    assert (
        str(caught.value)
        == f"{target}: cannot be written (File too large); free space on the disk or choose another -o"
    )
    assert target.read_bytes() == b"the old one"
    assert list(target.parent.iterdir()) == [target]


def test_a_file_and_what_it_is_made_from(tiny: Path, tmp_path: Path) -> None:
    os.symlink(tiny, tmp_path / "link")
    for output in (tiny, tmp_path / "link"):
        with pytest.raises(OnnxFileError, match="is what it would be made from; choose another -o"):
            onnx_file.check_output(tiny, output)
    onnx_file.check_output(tiny, tmp_path / "new.onnx")
    onnx_file.check_output(tmp_path / "missing.onnx", tiny)  # which whoever reads it will tell


def test_a_place_that_takes_no_file_is_named_before_the_work(tiny: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(OnnxFileError, match=r"pipe\.onnx: cannot be written \(it is a device or a pipe\); "):
        onnx_file.check_output(tiny, tmp_path / "pipe.onnx")
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(OnnxFileError, match=r"cannot be written \(Is a directory\)"):
        onnx_file.check_output(tiny, tmp_path / "folder.onnx")
    assert (tmp_path / "pipe.onnx").is_fifo()


def test_a_name_that_would_not_be_read_back(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(OnnxFileError, match=r"new\.pt: would not be read back; give -o a name that ends in \.onnx"):
        onnx_file.check_output(tiny, tmp_path / "new.pt")


def test_a_manifest_that_names_a_preprocessing_that_is_not_there(tiny: Path, tmp_path: Path) -> None:
    model, manifest = onnx_file.read(tiny)
    onnx_file.write(model, replace(manifest, preprocessing="graph"), tmp_path / "edited.onnx")
    with pytest.raises(OnnxFileError, match=r"edited\.onnx: it has no tensor image .*; export it again"):
        onnx_file.read_network(tmp_path / "edited.onnx")


def test_a_candidate_goes_unless_it_was_accepted(tmp_path: Path) -> None:
    target = tmp_path / "x.onnx"
    with onnx_file.candidate(target) as path:
        assert path.suffix == ".onnx"  # so that it can be opened as what it is
        path.write_bytes(b"first")
    assert list(tmp_path.iterdir()) == []
    with onnx_file.candidate(target) as path:
        path.write_bytes(b"second")
        onnx_file.accept(path, target)
    assert list(tmp_path.iterdir()) == [target]
    with onnx_file.candidate(target) as path, pytest.raises(OnnxFileError, match="cannot be written"):
        onnx_file.accept(path, target)
    assert target.read_bytes() == b"second"


def altered(tiny: Path, change: Callable[[Any], Any]) -> Path:
    model = onnx.load(tiny)
    change(model)
    tiny.write_bytes(model.SerializeToString())
    return tiny


@pytest.mark.parametrize("location", ["weights.bin", "../outside.bin", "/etc/hostname", "link"])
def test_no_other_file_is_read(location: str, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(bytes(4))
    os.symlink("/etc/hostname", tmp_path / "link")

    def send_away(model: Any) -> None:
        tensor = model.graph.initializer.add(
            name="far", data_type=onnx.TensorProto.UINT8, dims=[4], data_location=onnx.TensorProto.EXTERNAL
        )
        tensor.external_data.add(key="location", value=location)

    with pytest.raises(OnnxFileError) as caught:
        onnx_file.read(altered(tiny, send_away))
    assert str(caught.value) == (
        f"{tiny}: keeps weights in another file ({location}), which is not read; export it as one file"
    )


def test_what_is_no_model(tiny: Path, tmp_path: Path) -> None:
    content = tiny.read_bytes()
    for name, wrong, message in (
        ("half", content[: len(content) // 3], "is not a complete ONNX file"),
        ("empty", b"", "has no korsal-edge manifest"),
        ("engine", b"ftrt" + bytes(60), "is not a complete ONNX file"),
        ("odd", b"\x3a\x04\x5a\x02\x0a\x05", "is not an ONNX file"),
    ):
        (tmp_path / name).write_bytes(wrong)
        with pytest.raises(OnnxFileError) as caught:
            onnx_file.read(tmp_path / name)
        assert str(caught.value).startswith(f"{tmp_path / name}: {message}")
    with pytest.raises(OnnxFileError, match="cannot be read"):
        onnx_file.read(tmp_path)
