"""Pickles of arrays: good ones come back, and those that mean harm end in an error, not in NumPy's memory."""

import pickle
import pickletools
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.refusal import refusal
from train.safe_reading import array_pickle
from train.safe_reading.pickle_allowlist import PickleError

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
    with pytest.raises(array_pickle.BROKEN):
        array_pickle.load(tmp_path / "evil.pkl")


ARRAYS = [
    np.arange(6).astype(kind).reshape(2, 3)
    for kind in ("u1", "<i2", ">i2", "<u8", ">f4", "f8", "c8", "S3", "<U2", ">U2")
]


@pytest.mark.parametrize("protocol", range(6))
def test_good_ones_come_back(protocol: int, tmp_path: Path) -> None:
    objects = np.array([None, "a", [1, 2]], dtype=object)
    content: dict[str, Any] = {
        "arrays": ARRAYS,
        "fortran": np.asfortranarray(ARRAYS[0]),
        "scalars": [np.float32(2.5), np.int16(-3)],
    }
    content |= {
        "truth": np.array([True, False]),
        "empty": np.zeros((0, 4)),
        "objects": objects,
        "shared": [objects] * 2,
    }
    (tmp_path / "good.pkl").write_bytes(pickle.dumps(content, protocol))
    found = array_pickle.load(tmp_path / "good.pkl")
    assert found.keys() == content.keys()
    for array, again in zip(ARRAYS, found["arrays"], strict=True):
        assert array.dtype.newbyteorder("=") == again.dtype.newbyteorder("=")  # NumPy takes its own order
        assert np.array_equal(array, again)
    for name in ("fortran", "truth", "empty"):
        assert np.array_equal(found[name], content[name])
        assert found[name].shape == np.shape(content[name])
    assert found["scalars"] == content["scalars"]
    assert found["objects"] == objects.tolist()
    assert found["shared"][0] is found["shared"][1]
    again = pickle.loads(pickle.dumps(found["arrays"][1]))  # as it goes to another process
    assert np.array_equal(again, ARRAYS[1])


def whole(body: bytes) -> bytes:
    return b"\x80\x05" + body + b"."


U1 = b"cnumpy\ndtype\n(\x8c\x02u1\x89\x88tR(K\x03\x8c\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x94"  # 0
EMPTY = (
    # an array before its content: remembered as 1, as the type before it as 0
    b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85C\x01btR\x94"
)
FILL = b"(K\x01K\x20\x85h\x00\x89C\x20" + b"x" * 32 + b"tb"  # what BUILD takes
VIEW = b"cnumpy.core.numeric\n_frombuffer\n(h\x01h\x00K\x20\x85\x8c\x01CtR"  # over the bytes of array 1


def test_an_array_is_filled_once() -> None:
    """Filled twice, its first memory would be free, and a view over that could write anywhere."""
    filled = array_pickle.loads(whole(U1 + EMPTY + FILL))
    assert filled.tobytes() == b"x" * 32
    with pytest.raises(PickleError, match="it gives content to what has some"):
        array_pickle.loads(whole(U1 + EMPTY + FILL + FILL))
    with pytest.raises(PickleError, match="another number of values than it declares"):
        array_pickle.loads(whole(U1 + EMPTY + FILL + b"0" + VIEW + b"0h\x01" + FILL))


def doubled(times: int, first: bytes, pair: bytes) -> bytes:
    """[[…, …], […, …]], each the same two times."""
    return whole(
        first + b"".join(b"q" + bytes([n]) + b"0" + pair.replace(b"?", b"h" + bytes([n])) for n in range(times))
    )


MEBIBYTE = b"B" + (1 << 20).to_bytes(4, "little") + bytes(1 << 20) + b"\x940"  # bytes, remembered as 0
BOOLS = b"cnumpy\ndtype\n(\x8c\x02b1\x89\x88tR(K\x03\x8c\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x940"  # 1
TRUTHS = b"cnumpy.core.numeric\n_frombuffer\n(h\x00h\x01J\x00\x00\x10\x00\x85\x8c\x01CtR"
BOMBS = {
    "a memory far away": whole(b"Nr\xff\xff\xff\x7fj\xff\xff\xff\x7eN"),
    "bytes that are not there": whole(b"\x8e" + b"\xff" * 7 + b"\x0f"),
    "a number of a gigabyte": whole(b"\x8b\xff\xff\xff\x3f"),
    "lists in lists": doubled(40, b"]", b"(??l"),
    "tuples in tuples": doubled(40, b")", b"??\x86"),
    "a key of tuples": whole(doubled(40, b")", b"??\x86")[2:-1] + b"N}s"),
    "an array again and again": whole(MEBIBYTE + b"(" + b"h\x00" * 100 + b"l"),
    "arrays made of the same bytes": whole(MEBIBYTE + BOOLS + b"(" + TRUTHS * 100 + b"l"),
    "a text again and again": whole(
        MEBIBYTE.replace(bytes(1 << 20), b"a\0\0\0" * (1 << 18))
        + U1.replace(b"\x02u1", b"\x07U262144").replace(b"\x94", b"q\x010")
        + b"("
        + b"cnumpy.core.multiarray\nscalar\nh\x01h\x00\x86R" * 100
        + b"l"
    ),
    "keys of chosen hashes": whole(b"}K\x01K\x02\x86Ns"),
    "sets": whole(b"(" + b"\x8f" * 300_000 + b"l"),
    "marks": whole(b"(" * 1_000_000),
    "tuples without end": whole(b")" + b"\x85" * 50_000),
    "a list in itself": whole(b"]q\x00h\x00a"),
    "texts without length": whole(
        b"cnumpy.core.numeric\n_frombuffer\n(C\x00"
        + U1.replace(b"u1", b"S0")
        + b"\x8a\x05\x00\x00\x00\x00\x40\x85\x8c\x01CtR"
    ),
    "an empty array of a long side": whole(
        b"cnumpy.core.numeric\n_frombuffer\n(C\x00" + U1 + b"J\xff\xff\xff\x7fK\x00\x86\x8c\x01CtR"
    ),
    "letters beyond all": whole(
        b"cnumpy.core.numeric\n_frombuffer\n(C\x04\xff\xff\xff\xff" + U1.replace(b"u1", b"U1") + b"K\x01\x85\x8c\x01CtR"
    ),
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_what_takes_more_than_its_size_is_refused_before_it_does(bomb: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(PickleError):
            array_pickle.loads(bomb)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 64 * len(bomb) + (16 << 20)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"S'a\\x80\\xff'\n", "a\x80\xff"),  # of Python 2, protocol 0
        (b'S"it\'s"\n', "it's"),
        (b"I01\n", True),
        (b"I42\n", 42),
        (b"L42L\n", 42),
        (b"F0.5\n", 0.5),
        (b"V\\u00e9\n", "é"),
        (b"(dp0\nS'a'\nI1\ns", {"a": 1}),
        (b"c_codecs\nencode\n(\x8c\x02\xc3\xbf\x8c\x06latin1tR", b"\xff"),
    ],
)
def test_old_ways_of_writing(body: bytes, value: object) -> None:
    assert array_pickle.loads(whole(body)) == value


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is cut short"),
        (b"\x80\x06N.", "it is of pickle protocol 6, and 5 is the last that is known"),
        (whole(b"cos\nsystem\n"), "it asks for os.system, which annotations and boxes never need"),
        (whole(b"c\x1b[31mos\nsystem\n"), "it asks for ?[31mos.system"),
        (whole(b"Nb"), "it is damaged at byte 4"),
        (whole(b"ios\nsystem\n"), "an instruction b'i' that it never needs"),
        (whole(b"cnumpy\nndarray\n"), "it holds something unfinished or that is no value"),
        (whole(b"NQ"), "it names what lies outside of it"),
        (whole(b"\x8c\x03\xed\xa0\x80"), "surrogates not allowed"),
        (whole(b"}G\x00\x00\x00\x00\x00\x00\x00\x00Ns"), "a key is a float"),
    ],
)
def test_every_fault_is_one_sentence(content: bytes, message: str) -> None:
    with pytest.raises(PickleError) as caught:
        array_pickle.loads(content)
    assert message in str(caught.value)
    assert str(caught.value).isprintable()


GOOD = [
    pickle.dumps(
        {"a": ARRAYS, "b": [np.float32(1), "é", b"x", {1, 2}, None], "c": np.array(["x", None], object)}, protocol
    )
    for protocol in range(6)
]


@given(st.sampled_from(GOOD), st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=6), st.data())
def test_any_damage_is_refused_in_one_sentence_or_read(
    good: bytes, changes: list[tuple[int, int]], data: st.DataObject
) -> None:
    content = bytearray(good)
    for place, value in changes:
        content[place % len(content)] = value
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content))) :]
    message = refusal(lambda: array_pickle.loads(bytes(content)), PickleError)
    assert message is None or (message.isprintable() and len(message) < 250)


CODES = [opcode.code.encode("latin1") for opcode in pickletools.opcodes]
PARTS = [U1, EMPTY, FILL, VIEW, b"h\x00", b"h\x01", b"K\x01", b"C\x01x", b"]", b"}", b"(", b"t", b"N", *CODES]


@given(st.lists(st.sampled_from(PARTS) | st.binary(max_size=4), max_size=60))
def test_any_instructions_are_refused_or_carried_out(parts: list[bytes]) -> None:
    refusal(lambda: array_pickle.loads(whole(b"".join(parts))), PickleError)
