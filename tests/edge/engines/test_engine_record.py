"""Records of engines: there and back, and every way to be wrong."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.engines import engine_record
from edge.engines.engine_record import EngineRecord, EngineRecordError
from tests.support.engine_record import RECORD
from tests.support.laws import law
from tests.support.refusal import refusal


def test_there_and_back() -> None:
    assert engine_record.from_json(engine_record.to_json(RECORD)) == RECORD


def test_what_people_look_for_is_on_top() -> None:
    content = json.loads(engine_record.to_json(RECORD))
    assert (content["tensorrt"], content["gpu"], content["l4t"]) == ("10.3.0", "Orin", "36.4.3")


def test_beside() -> None:
    assert engine_record.beside(Path("models/korsal.engine")) == Path("models/korsal.engine.json")


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "null", '{"version": 2}', "[" * 100_000])
def test_another_text(text: str) -> None:
    with pytest.raises(EngineRecordError, match=r"^the engine's record is not .*; build the engine anew"):
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
    with pytest.raises(EngineRecordError, match=f"is wrong: {name} is missing or of the wrong kind; build"):
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


@law
@given(
    st.dictionaries(st.sampled_from(sorted(CONTENT)), JSON, max_size=3),
    st.dictionaries(st.sampled_from(sorted(CONTENT["options"])), JSON, max_size=2),
)
def test_any_record_is_read_or_refused(changes: dict[str, Any], options: dict[str, Any]) -> None:
    content = {**CONTENT, "options": {**CONTENT["options"], **options}, **changes}
    found: list[EngineRecord] = []
    said = refusal(lambda: found.append(engine_record.from_json(json.dumps(content))), EngineRecordError)
    if said is not None:
        assert "build the engine anew" in said or "export the model again" in said
    assert all(record.options.max_batch >= 1 <= record.options.workspace_bytes for record in found)
