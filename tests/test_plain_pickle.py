"""Pickles of arrays: good ones come back, and those that mean harm end in an error, not in NumPy's memory."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from train import plain_pickle

RECONSTRUCT: Any = np.zeros(0).__reduce__()[0]
SCALAR: Any = np.float64(0).__reduce__()[0]
POINTERS = b"\x41" * 32  # eight bytes each


class Dtype:
    """A type as a pickle describes it; `state` as `numpy.dtype.__setstate__` takes it."""

    def __init__(self, code: str, *state: object) -> None:
        self.code, self.state = code, state

    def __reduce__(self) -> tuple[Any, ...]:
        return np.dtype, (self.code, False, True), self.state


class Array:
    def __init__(self, dtype: Dtype, content: object, shape: tuple[int, ...] = (4,)) -> None:
        self.dtype, self.content, self.shape = dtype, content, shape

    def __reduce__(self) -> tuple[Any, ...]:
        return RECONSTRUCT, (np.ndarray, (0,), b"b"), (1, self.shape, self.dtype, False, self.content)


class Scalar:
    def __init__(self, dtype: Dtype, content: bytes) -> None:
        self.dtype, self.content = dtype, content

    def __reduce__(self) -> tuple[Any, ...]:
        return SCALAR, (self.dtype, self.content)


NO_FLAGS = (3, "|", None, None, None, -1, -1, 0)
RECORD = (3, "|", None, ("a",), {"a": (np.dtype("O"), 0)}, 8, 1, 0)
HARMFUL = {
    "objects without their flags": Array(Dtype("O8", *NO_FLAGS), POINTERS),
    "objects in a record": Array(Dtype("V8", *RECORD), POINTERS),
    "objects in a record by its code": Array(Dtype("O,O", *NO_FLAGS), POINTERS),
    "objects in a row": Array(Dtype("(2,)O", *NO_FLAGS), POINTERS),
    "an object": Scalar(Dtype("V8", *RECORD), POINTERS[:8]),
    "another size": Array(Dtype("S8", 3, "|", None, None, None, 1 << 40, 1, 0), b"x" * 3),
    "fewer objects than it says": Array(Dtype("O8", 3, "|", None, None, None, -1, -1, 63), [1], (1_000_000,)),
    "sides below nothing": Array(Dtype("u1", 3, "|", None, None, None, -1, -1, 0), b"x" * 4, (-2, -2)),
    "objects and sides below nothing": Array(Dtype("O8", 3, "|", None, None, None, -1, -1, 63), [1] * 4, (-2, -2)),
    "a type that is none": Array(Dtype("nonsense", *NO_FLAGS), POINTERS),
}


@pytest.mark.parametrize("harmful", HARMFUL.values(), ids=HARMFUL.keys())
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_type_that_lies_is_refused(harmful: object, protocol: int, tmp_path: Path) -> None:
    """NumPy believes what a pickle says of its types, and would take any bytes for addresses of objects."""
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(harmful, protocol))
    with pytest.raises(plain_pickle.BROKEN):
        plain_pickle.load(tmp_path / "evil.pkl")


ARRAYS = [
    np.arange(6).astype(kind).reshape(2, 3)
    for kind in ("u1", "<i2", ">i2", "<u8", ">f4", "f8", "c8", "S3", "<U2", ">U2")
]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_good_ones_come_back(protocol: int, tmp_path: Path) -> None:
    objects = np.array([None, "a", [1, 2]], dtype=object)
    content = {"arrays": ARRAYS, "fortran": np.asfortranarray(ARRAYS[0]), "scalars": [np.float32(2.5), np.int16(-3)]}
    content |= {
        "truth": np.array([True, False]),
        "empty": np.zeros((0, 4)),
        "objects": objects,
        "shared": [objects] * 2,
    }
    if protocol == 2:
        del content["empty"]  # Python 3 would call `bytes` for it
    (tmp_path / "good.pkl").write_bytes(pickle.dumps(content, protocol))
    found = plain_pickle.load(tmp_path / "good.pkl")
    assert found.keys() == content.keys()
    for array, again in zip(ARRAYS, found["arrays"], strict=True):
        assert array.dtype.newbyteorder("=") == again.dtype.newbyteorder("=")  # NumPy takes its own order
        assert np.array_equal(array, again)
    for name in {"fortran", "truth", "empty"} & content.keys():
        assert np.array_equal(found[name], content[name])
        assert found[name].shape == np.shape(content[name])
    assert found["scalars"] == content["scalars"]
    assert found["objects"].tolist() == objects.tolist()
    assert found["shared"][0] is found["shared"][1]
    again = pickle.loads(pickle.dumps(found["arrays"][1]))  # as it goes to another process
    assert np.array_equal(again, ARRAYS[1])
