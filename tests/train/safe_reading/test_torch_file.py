"""Files of torch.save, read without torch: what it reads itself comes back, all else is a sentence."""

import io
import pickle
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tests.support.refusal import refusal
from train.safe_reading import torch_file
from train.safe_reading.torch_file import TorchFileError

TYPES = [
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
    torch.complex64,
]


def saved(content: object, path: Path, zipped: bool = True) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


def content() -> dict[str, Any]:
    whole = torch.arange(24.0).reshape(2, 3, 4)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    return {
        "types": [torch.tensor([[0, 1], [1, 1]]).to(kind) for kind in TYPES],
        "views": (whole, whole[1], whole.permute(2, 0, 1), whole[:, ::2]),
        "nothing": torch.zeros(0, 4),
        "number": torch.tensor(3.5),
        "network": network.state_dict(),
        "parameter": nn.Parameter(torch.ones(2)),
        "optimizer": torch.optim.AdamW(network.parameters()).state_dict(),
        "plain": {"size": torch.Size([1, 2]), "text": "é", "none": None, 3: [1, 2.5, True], "ordered": OrderedDict()},
        "numpy": np.arange(3),
    }


def same(one: Any, two: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return bool(one.dtype == two.dtype and one.stride() == two.stride() and torch.equal(one, two))
    if isinstance(one, dict):
        return list(one) == list(two) and all(same(one[key], two[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(two) and all(map(same, one, two))
    return bool(np.array_equal(one, two))


@pytest.mark.parametrize("zipped", [True, False])
def test_it_comes_back_as_torch_itself_reads_it(zipped: bool, tmp_path: Path) -> None:
    path = saved(content(), tmp_path / "a.pt", zipped)
    found = torch_file.load(path)
    assert same(torch.load(path, weights_only=False), found)
    whole, part = found["views"][:2]
    whole += 1  # one storage for both, as before
    assert part[0, 0] == 13


def entries(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewritten(path: Path, files: dict[str, bytes], how: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def changed(old: bytes, new: bytes) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    def change(files: dict[str, bytes]) -> dict[str, bytes]:
        assert old in files["a/data.pkl"]
        return {**files, "a/data.pkl": files["a/data.pkl"].replace(old, new)}

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed(b"K\x03K\x04\x86", b"K\x04K\x04\x86"), "a tensor that reaches beyond its numbers"),
        (changed(b"K\x03K\x04\x86", b"J\xff\xff\xff\x7fK\x04\x86"), "a tensor that reaches beyond its numbers"),
        (changed(b"K\x03K\x04\x86", b"J\xff\xff\xff\xffK\x04\x86"), "a tensor of a shape that is none"),
        (changed(b"K\x03K\x04\x86", b"J\xff\xff\xff\x7fK\x00\x86"), "a tensor of a shape that is none"),
        (changed(b"FloatStorage", b"LongStorage"), "of another size than it declares"),
        (changed(b"FloatStorage", b"EvilStorage"), "it asks for torch.EvilStorage, which weights never need"),
        (lambda files: {name: data for name, data in files.items() if "data/" not in name}, "of another size"),
        (lambda files: {name: data for name, data in files.items() if "data.pkl" not in name}, "without data.pkl"),
        (lambda files: {**files, "a/byteorder": b"big"}, "save it again on another one"),
    ],
)
def test_a_tensor_that_lies_is_refused(
    change: Callable[[dict[str, bytes]], dict[str, bytes]], message: str, tmp_path: Path
) -> None:
    path = saved({"a": torch.zeros(3, 4)}, tmp_path / "a")
    rewritten(path, change(entries(path)))
    with pytest.raises(TorchFileError) as caught:
        torch_file.load(path)
    assert message in str(caught.value)


def test_what_would_take_more_than_the_file_is_refused(tmp_path: Path) -> None:
    path = saved(torch.zeros(1 << 20), tmp_path / "a")
    rewritten(path, entries(path), zipfile.ZIP_DEFLATED)
    with pytest.raises(TorchFileError, match=r"it is a compressed archive, which torch\.save never writes"):
        torch_file.load(path)
    with pytest.raises(TorchFileError, match="its content is more than 16 times as large as its file"):
        torch_file.load(saved(torch.zeros(1).expand(1 << 40), tmp_path / "a"))
    with pytest.raises(TorchFileError, match="its content is more than 16 times as large as its file"):
        torch_file.load(saved([torch.zeros(1).expand(1 << 14) for _ in range(99)], tmp_path / "a"))
    shared = torch.zeros(1000)
    for _ in range(8):
        shared = [shared] * 8  # type: ignore[assignment]
    with pytest.raises(TorchFileError, match="it is far larger than its file by repetition"):
        torch_file.load(saved(shared, tmp_path / "a"))


def test_a_dict_as_python_2_writes_it(tmp_path: Path) -> None:
    path = saved({"a": OrderedDict()}, tmp_path / "a")
    files = entries(path)
    place = files["a/data.pkl"].index(b"ccollections\nOrderedDict\n")
    with_pairs = b"ccollections\nOrderedDict\n(](](X\x01\x00\x00\x00bK\x05eetR"
    end = files["a/data.pkl"].index(b"R", place + 25) + 1
    pickled = files["a/data.pkl"][:place] + with_pairs + files["a/data.pkl"][end:]
    rewritten(path, {**files, "a/data.pkl": pickled})
    assert torch_file.load(path) == {"a": {"b": 5}}


def test_a_torchscript_program_is_refused(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of TorchScript
        torch.jit.save(torch.jit.script(nn.Linear(2, 2)), tmp_path / "a.pt")
    with pytest.raises(TorchFileError, match="it is a program of TorchScript, not weights alone"):
        torch_file.load(tmp_path / "a.pt")


class Obeyed:
    """Makes a file when it is unpickled by anything that obeys."""

    def __init__(self, trap: Path) -> None:
        self.trap = trap

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trap,)


@pytest.mark.parametrize("zipped", [True, False])
def test_nothing_in_a_file_is_executed(zipped: bool, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    path = saved({"a": Obeyed(trap)}, tmp_path / "a.pt", zipped)
    with pytest.raises(TorchFileError, match="which weights never need"):
        torch_file.load(path)
    assert not trap.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is no file of torch.save"),
        (b"\x1b[31mred", "it is no file of torch.save"),
        (pickle.dumps({"a": 1}), "it is no file of torch.save"),
        (b"PK\x03\x04", "it is damaged, cut short, or of another program"),
    ],
)
def test_what_is_no_such_file(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(TorchFileError) as caught:
        torch_file.load(tmp_path / "a.pt")
    assert str(caught.value) == message


SMALL: list[bytes] = []
for way in (True, False):
    stream = io.BytesIO()
    torch.save(
        {"a": torch.ones(2, 3), "b": [torch.zeros(2, dtype=torch.int64), "x"]},
        stream,
        _use_new_zipfile_serialization=way,
    )
    SMALL.append(stream.getvalue())


@given(st.sampled_from(SMALL), st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=5), st.data())
def test_any_damage_is_refused_in_one_sentence_or_read(
    tmp_path: Path, good: bytes, changes: list[tuple[int, int]], data: st.DataObject
) -> None:
    content = bytearray(good)
    for place, value in changes:
        content[place % len(content)] = value
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content))) :]
    (tmp_path / "a.pt").write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of zipfile, about names that are there twice
        message = refusal(lambda: torch_file.load(tmp_path / "a.pt"), TorchFileError)
    assert message is None or (message.isprintable() and len(message) < 250)
