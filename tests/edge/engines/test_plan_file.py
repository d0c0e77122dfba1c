"""Headers of engines: of every version that we know, of others, and of what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.engines.build_plan import parse_version
from edge.engines.plan_file import HEADER_BYTES, plan_fault, plan_version
from tests.support.fake_tensorrt import VERSIONS, fake, plan
from tests.support.laws import law


def header(*version: int, tag: bytes = b"ftrt") -> bytes:
    return tag + bytes(20) + bytes(version)


@pytest.mark.parametrize("name", VERSIONS)
def test_each_version_reads_its_own(name: str) -> None:
    trt = fake(name)
    written = plan(trt)
    version = parse_version(trt.__version__)
    assert (plan_version(written) or ())[: len(version)] == version
    assert plan_fault(written, version) == ""
    assert plan_fault(written[:HEADER_BYTES], version) == ""


@pytest.mark.parametrize(
    ("built_by", "version", "fault"),
    [
        ((10, 3, 0, 26), (10, 3, 0), ""),  # JetPack's bindings do not tell the build
        ((10, 3, 0, 26), (10, 3, 0, 26), ""),
        ((10, 3, 0, 26), (10, 3, 0, 30), "was built by TensorRT 10.3.0.26, this device has 10.3.0.30"),
        ((10, 3, 0, 26), (10, 13, 3, 9), "was built by TensorRT 10.3.0.26, this device has 10.13.3.9"),
        ((8, 6, 2, 3), (10, 3, 0), "was built by TensorRT 8.6.2.3, this device has 10.3.0"),
        ((11, 4, 0, 106), (10, 16, 1, 11), "was built by TensorRT 11.4.0.106, this device has 10.16.1.11"),
    ],
)
def test_another_version(built_by: tuple[int, ...], version: tuple[int, ...], fault: str) -> None:
    cure = "; build it anew on this device with korsal-convert build"
    assert plan_fault(header(*built_by), version) == (fault + cure if fault else "")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"ftrt",
        header(10, 3, 0),  # one byte short
        header(0, 0, 0, 0),
        header(10, 3, 0, 26, tag=b"FTRT"),
        b"\x08\x08\x12\x07pytorch" + bytes(64),  # an ONNX
        b"version https://git-lfs.github.com/spec/v1\n",
        bytes(64),
    ],
)
def test_no_engine(content: bytes) -> None:
    assert plan_version(content) is None
    assert plan_fault(content, (10, 3, 0)).startswith("is no TensorRT engine, or a piece of one; build it anew")


def test_an_engine_of_tensorrt_rtx() -> None:
    """As TensorRT-RTX 1.7.1.116 writes it: the same layout under another tag."""
    assert plan_fault(header(1, 7, 1, 116, tag=b"vtrt"), (11, 4, 0)).startswith("is an engine of TensorRT-RTX; build")


@law
@given(st.binary(max_size=64))
def test_any_bytes_are_answered(content: bytes) -> None:
    assert "; build it anew" in plan_fault(content, (1, 2, 3))
