"""Records of engines: there and back, and everything that can be wrong; headers of engine files of all versions."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.engines import engine_record
from edge.engines.engine_record import HEADER_BYTES, EngineRecord, EngineRecordError, engine_version, version_fault
from edge.engines.tensorrt_build_plan import parse_version
from tests.support.engine_record import RECORD
from tests.support.fake_tensorrt import VERSIONS, fake, plan
from tests.support.refusal import refusal


def test_there_and_back() -> None:
    assert engine_record.from_json(engine_record.to_json(RECORD)) == RECORD


def test_the_platform_is_at_the_top_level() -> None:
    content = json.loads(engine_record.to_json(RECORD))
    assert (content["tensorrt"], content["gpu"], content["l4t"]) == ("10.3.0", "Orin", "36.4.3")


def test_beside() -> None:
    assert engine_record.beside(Path("models/korsal.engine")) == Path("models/korsal.engine.json")


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "null", '{"version": 2}', "[" * 100_000])
def test_another_text(text: str) -> None:
    with pytest.raises(EngineRecordError, match=r"^the engine's record is not .*; rebuild the engine"):
        engine_record.from_json(text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[(name, None) for name in ("tensorrt", "gpu", "compute_capability", "l4t", "cuda", "plan_sha256")],
        ("onnx_sha256", 7),
        ("precision", "fp8"),
        ("precision", ["fp16"]),
        ("options", {"max_batch": 1}),
        ("options", []),
    ],
)
def test_a_wrong_value(name: str, value: Any) -> None:
    content = {**json.loads(engine_record.to_json(RECORD)), name: value}
    with pytest.raises(EngineRecordError, match=rf"is wrong: {name}(\.\w+)? (is|must be) .*; rebuild"):
        engine_record.from_json(json.dumps(content))


def test_a_wrong_manifest() -> None:
    content = {**json.loads(engine_record.to_json(RECORD)), "manifest": {"version": 1}}
    with pytest.raises(EngineRecordError, match=r"the manifest is wrong: .*labels is missing"):
        engine_record.from_json(json.dumps(content))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
CONTENT = json.loads(engine_record.to_json(RECORD))


@given(
    st.dictionaries(st.sampled_from(sorted(CONTENT)), JSON, max_size=3),
    st.dictionaries(st.sampled_from(sorted(CONTENT["options"])), JSON, max_size=2),
)
def test_any_record_is_read_or_refused(changes: dict[str, Any], options: dict[str, Any]) -> None:
    content = {**CONTENT, "options": {**CONTENT["options"], **options}, **changes}
    found: list[EngineRecord] = []
    message = refusal(lambda: found.append(engine_record.from_json(json.dumps(content))), EngineRecordError)
    if message is not None:
        assert "rebuild the engine" in message or "export the model again" in message
    assert all(record.options.max_batch >= 1 <= record.options.workspace_bytes for record in found)


def header(*version: int, tag: bytes = b"ftrt") -> bytes:
    return tag + bytes(20) + bytes(version)


@pytest.mark.parametrize("name", VERSIONS)
def test_each_version_reads_its_own(name: str) -> None:
    trt = fake(name)
    written = plan(trt)
    version = parse_version(trt.__version__)
    assert (engine_version(written) or ())[: len(version)] == version
    assert version_fault(written, version) == ""
    assert version_fault(written[:HEADER_BYTES], version) == ""


@pytest.mark.parametrize(
    ("built_by", "version", "fault"),
    [
        ((10, 3, 0, 26), (10, 3, 0), ""),  # JetPack's bindings do not give the build
        ((10, 3, 0, 26), (10, 3, 0, 26), ""),
        ((10, 3, 0, 26), (10, 3, 0, 30), "was built by TensorRT 10.3.0.26, this device has 10.3.0.30"),
        ((10, 3, 0, 26), (10, 13, 3, 9), "was built by TensorRT 10.3.0.26, this device has 10.13.3.9"),
        ((8, 6, 2, 3), (10, 3, 0), "was built by TensorRT 8.6.2.3, this device has 10.3.0"),
        ((11, 4, 0, 106), (10, 16, 1, 11), "was built by TensorRT 11.4.0.106, this device has 10.16.1.11"),
    ],
)
def test_another_version(built_by: tuple[int, ...], version: tuple[int, ...], fault: str) -> None:
    remedy = "; rebuild it on this device with korsal-convert build"
    assert version_fault(header(*built_by), version) == (fault + remedy if fault else "")


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
    assert engine_version(content) is None
    assert version_fault(content, (10, 3, 0)).startswith("is not a TensorRT engine, or only a piece of one; rebuild it")


def test_an_engine_of_tensorrt_rtx() -> None:
    """As TensorRT-RTX 1.7.1.116 writes it: the same layout under another tag."""
    assert version_fault(header(1, 7, 1, 116, tag=b"vtrt"), (11, 4, 0)).startswith(
        "is an engine of TensorRT-RTX; rebuild"
    )


@given(st.binary(max_size=64))
def test_any_bytes_get_an_answer(content: bytes) -> None:
    assert "; rebuild it" in version_fault(content, (1, 2, 3))
