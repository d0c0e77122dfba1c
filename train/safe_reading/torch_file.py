"""Shell. What `torch.save` wrote, of both its formats, read without executing anything it may carry.

The pickle in it is carried out by `train.safe_reading.pickle_interpreter`; tensors are made here, of storages
whose size and place were checked. PyTorch is never handed the file.
"""

import math
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from train.safe_reading import array_pickle, bounded_file
from train.safe_reading.pickle_allowlist import ForeignNameError, PickleAllowlist, PickleError, PickleGlobal
from train.safe_reading.pickle_interpreter import execute

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # at the beginning of files before PyTorch 1.6
HEADER = PickleAllowlist({}, "weights", {})  # of the pickles there that hold numbers and names alone
MAX_DIMENSIONS = 64
_BROKEN_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    LookupError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
)


class TorchFileError(Exception):
    """What is wrong with a file, without its name. `more`: it holds more than weights, which would be executed."""

    def __init__(self, reason: str, more: bool = False) -> None:
        self.more = more
        super().__init__(reason)


def load(path: Path) -> Any:
    """The content: plain values, arrays, and tensors on the CPU. Raises TorchFileError and OSError."""
    try:
        content = bounded_file.read(path)
    except ValueError as error:
        raise TorchFileError(str(error)) from None
    try:
        if not content.startswith(b"PK\x03\x04"):
            return _from_pickles(BytesIO(content))
        with zipfile.ZipFile(BytesIO(content)) as archive:  # in memory, where a wrong place is no fault of the disk
            return _from_archive(archive)
    except PickleError as error:
        raise TorchFileError(str(error), more=isinstance(error, ForeignNameError)) from None
    except _BROKEN_ZIP:
        raise TorchFileError("it is damaged, cut short, or of another program") from None


@dataclass(frozen=True, eq=False)
class _Storage:
    """Numbers that lie elsewhere in the file: so many of a type, under a name."""

    key: str
    dtype: torch.dtype
    count: int


@dataclass(frozen=True, eq=False)
class _TensorView:
    """A tensor before its numbers are read."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def __post_init__(self) -> None:
        numbers = (self.offset, *self.size, *self.stride)
        if not all(type(number) is int and number >= 0 for number in numbers) or len(self.size) != len(self.stride):
            raise PickleError("it has a tensor of a shape that is none")
        if len(self.size) > MAX_DIMENSIONS or max(numbers) >= 1 << (48 if math.prod(self.size) else 16):
            raise PickleError("it has a tensor of a shape that is none")
        last = self.offset + sum((side - 1) * step for side, step in zip(self.size, self.stride, strict=True))
        if math.prod(self.size) and last >= self.storage.count:
            raise PickleError("it has a tensor that reaches beyond its numbers")

    def weight(self) -> int:
        """What it takes where it is copied; numbers that repeat are counted as often."""
        return math.prod(self.size) * self.storage.dtype.itemsize


@dataclass(eq=False)
class _TensorFiller:
    """Puts tensors into the place of views; `numbers_of` gives the bytes of a storage."""

    numbers_of: Callable[[_Storage], bytearray]
    storages: dict[str, tuple[_Storage, Tensor]] = field(default_factory=dict)
    made: dict[int, Any] = field(default_factory=dict)  # by the id of the view, which lives as long

    def filled(self, value: Any) -> Any:
        """The value with tensors in it; what was shared still is."""
        if type(value) not in (_TensorView, dict, list, tuple):
            return value
        if id(value) not in self.made:
            self.made[id(value)] = self._filled(value)
        return self.made[id(value)]

    def _filled(self, value: Any) -> Any:
        if isinstance(value, _TensorView):
            return self._tensor(value)
        if isinstance(value, dict):
            return {key: self.filled(one) for key, one in value.items()}
        return type(value)(map(self.filled, value))

    def _tensor(self, view: _TensorView) -> Tensor:
        storage = view.storage
        if storage.key not in self.storages:
            self.storages[storage.key] = storage, _flat(self.numbers_of(storage), storage.dtype)
        known, numbers = self.storages[storage.key]
        if (known.dtype, known.count) != (storage.dtype, storage.count):
            raise PickleError("it has a storage of two kinds")
        return numbers.as_strided(view.size, view.stride, view.offset)


def _flat(content: bytearray, dtype: torch.dtype) -> Tensor:
    """(N,) of these bytes."""
    if not content:
        return torch.empty(0, dtype=dtype)
    if dtype == torch.bool:
        return torch.frombuffer(content, dtype=torch.uint8) != 0
    return torch.frombuffer(content, dtype=dtype)


def _from_archive(archive: zipfile.ZipFile) -> Any:
    """Of PyTorch 1.6 and newer: `<name>/data.pkl`, and a file for each storage."""
    entries = {entry.filename: entry for entry in archive.infolist()}
    if any(name.endswith("/constants.pkl") for name in entries):
        raise PickleError("it is a program of TorchScript, not weights alone")
    size = sum(entry.compress_size for entry in entries.values())
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries.values()) or size > _length(archive):
        raise PickleError("it is a compressed archive, which torch.save never writes")
    main = next((name for name in entries if re.fullmatch(r"(?:[^/]+/)?data\.pkl", name)), None)
    if main is None:
        raise PickleError("it is an archive without data.pkl, which torch.save always writes")
    folder = main.removesuffix("data.pkl")
    if f"{folder}byteorder" in entries and archive.read(f"{folder}byteorder") != b"little":
        raise PickleError("its numbers are written as big-endian machines do; save it again on another one")

    def numbers_of(storage: _Storage) -> bytearray:
        entry = entries.get(f"{folder}data/{storage.key}")
        if entry is None or entry.file_size != storage.count * storage.dtype.itemsize:
            raise PickleError("it has a storage of another size than it declares")
        return bytearray(archive.read(entry))

    found = execute(BytesIO(archive.read(main)), replace(WEIGHTS, persistent=_storage_of), whole=size)
    return _TensorFiller(numbers_of).filled(found)


def _length(archive: zipfile.ZipFile) -> int:
    stream = archive.fp
    return stream.seek(0, 2) if stream is not None else 0


def _from_pickles(file: BytesIO) -> Any:
    """Of PyTorch before 1.6: five pickles, then the storages in the order of the last one, each after its length."""
    try:
        known = (execute(file, HEADER), execute(file, HEADER)) == (MAGIC, PROTOCOL)
    except PickleError:
        known = False
    if not known:
        raise PickleError("it is no file of torch.save")
    machine = execute(file, HEADER)
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise PickleError("its numbers are not written as little-endian machines do")
    storages: dict[str, _Storage] = {}

    def noted(described: Any) -> _Storage:
        storage = _storage_of(described)
        return storages.setdefault(storage.key, storage)

    found = execute(file, replace(WEIGHTS, persistent=noted))
    keys = execute(file, HEADER)
    if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(storages):
        raise PickleError("it has other storages than it declares")
    content = {str(key): _numbers(file, storages[str(key)]) for key in keys}
    return _TensorFiller(lambda storage: content[storage.key]).filled(found)


def _numbers(file: BytesIO, storage: _Storage) -> bytearray:
    length = file.read(8)
    size = storage.count * storage.dtype.itemsize
    content = bytearray(file.read(size))
    if length != struct.pack("<q", storage.count) or len(content) != size:
        raise PickleError("it is cut short, or has a storage of another size than it declares")
    return content


def _storage_of(described: Any) -> _Storage:
    """The storage that a pickle means: ("storage", type, key, device, count), and None in old ones."""
    if type(described) is not tuple or len(described) not in (5, 6) or described[0] != "storage":
        raise PickleError("it holds more than weights: save its state_dict alone")
    _, kind, key, _, count, *view = described
    name = kind.name if isinstance(kind, PickleGlobal) else ""
    if name not in _TYPES or type(key) is not str or type(count) is not int or count < 0 or view not in ([], [None]):
        raise PickleError("it has a storage that is described otherwise than torch.save does")
    return _Storage(key, _TYPES[name], count)


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: object) -> _TensorView:
    if not isinstance(storage, _Storage) or type(size) is not tuple or type(stride) is not tuple:
        raise PickleError("it has a tensor without numbers")
    return _TensorView(storage, offset, size, stride)


def _parameter(value: Any, *_: object) -> _TensorView:
    if not isinstance(value, _TensorView):
        raise PickleError("it has a parameter that is no tensor")
    return value


def _ordered(pairs: Any = ()) -> dict[str, Any]:
    """Empty, and filled afterwards; Python 2 gives its pairs at once."""
    if not all(type(pair) is list and len(pair) == 2 and type(pair[0]) is str for pair in pairs):
        raise PickleError("it has a dict that is filled otherwise than torch.save does")
    return dict(pairs)


def _size(sides: Any) -> tuple[Any, ...]:
    if type(sides) is not tuple or not all(type(side) is int for side in sides):
        raise PickleError("it has a size that is none")
    return sides


_TYPES: Mapping[str, torch.dtype] = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
}
WEIGHTS = PickleAllowlist(
    {
        **array_pickle.NAMES,
        **{("torch", name): None for name in _TYPES},
        ("torch._utils", "_rebuild_tensor"): _tensor,
        ("torch._utils", "_rebuild_tensor_v2"): _tensor,
        ("torch._utils", "_rebuild_parameter"): _parameter,
        ("torch", "Size"): _size,
        ("collections", "OrderedDict"): _ordered,
    },
    "weights",
    {**array_pickle.ALLOWLIST.byte_counts, _TensorView: _TensorView.weight},
)
