"""Which file runs on which device: by TensorRT, compute capability and manifest."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from edge.engines.tensorrt_build_plan import Precision, known_members
from edge.manifest import Manifest
from edge.memory_network import MemoryNetwork
from edge.model_choice import (
    Device,
    ModelFile,
    OnnxRuntimeDevice,
    TensorRtDevice,
    choose,
    difference,
    file_kind,
    has_fast_fp16,
    has_fast_int8,
)

MANIFEST = Manifest("street", ("Fall", "Run"), 64, 96, training={"weights": "a1"})
QUANTISATIONS: dict[str, dict[str, Any]] = {
    "int8": {"target": "tensorrt"},
    "int8-fp16": {"target": "tensorrt", "rest": "fp16"},
    "int8-cpu": {"target": "cpu"},
}
CPU, GPU_PROVIDER = OnnxRuntimeDevice(), OnnxRuntimeDevice(("CUDAExecutionProvider",))


def model(kind: str) -> ModelFile:
    """A file of that kind; named by no rule, for the manifest decides."""
    precision = kind.partition("-")[0]
    noted = {"quantisation": QUANTISATIONS[kind]} if kind in QUANTISATIONS else {}
    manifest = replace(MANIFEST, precision=precision, training={**MANIFEST.training, **noted})
    return ModelFile(Path(f"/models/any-{kind}.onnx"), manifest, 1)


def tensorrt(version: str, capability: str) -> TensorRtDevice:
    major, minor = map(int, capability.split("."))
    numbers = tuple(map(int, version.split(".")))
    return TensorRtDevice(numbers, known_members(numbers), (major, minor))


FILES = [model(kind) for kind in ("fp32", "fp16", "int8", "int8-cpu", "int8-fp16")]


def order(
    device: Device,
    wanted: Precision | Literal["auto"] = "auto",
    named: str = "fp32",
    kinds: str = "fp32 fp16 int8 int8-cpu int8-fp16",
) -> list[tuple[str, str]]:
    """The candidates: kind of file, and the precision that results."""
    siblings = [model(kind) for kind in kinds.split() if kind != named]
    return [
        (file_kind(one.file.manifest), one.result) for one in choose(model(named), siblings, wanted, device).candidates
    ]


@pytest.mark.parametrize(("kind"), ["fp32", "fp16", "int8", "int8-fp16", "int8-cpu"])
def test_the_kind_is_in_the_manifest(kind: str) -> None:
    assert file_kind(model(kind).manifest) == kind


@pytest.mark.parametrize(
    ("device", "first"),
    [
        (tensorrt("10.3", "8.7"), ("int8-fp16", "int8")),  # Orin, JetPack 6.2
        (tensorrt("10.16", "8.7"), ("int8-fp16", "int8")),  # Orin, JetPack 7.2
        (tensorrt("11.4", "11.0"), ("int8-fp16", "int8")),  # Thor
        (tensorrt("10.3", "7.2"), ("int8-fp16", "int8")),  # Xavier
        (tensorrt("8.6", "8.7"), ("int8", "int8")),  # JetPack 6.0, whose parser may not know opset 19
        (tensorrt("10.3", "6.2"), ("fp16", "fp16")),  # TX2: no INT8
        (tensorrt("8.6", "5.3"), ("fp32", "fp16")),  # Nano: 8.6 makes FP16 of an FP32 file by itself
        (tensorrt("10.3", "6.1"), ("int8-fp16", "int8")),  # INT8, but slow FP16
        (tensorrt("10.3", "5.2"), ("fp32", "fp32")),
        (CPU, ("fp32", "fp32")),
        (GPU_PROVIDER, ("fp32", "fp32")),
    ],
)
def test_the_best_that_a_device_has_comes_first(device: Device, first: tuple[str, str]) -> None:
    assert order(device)[0] == first


def test_what_follows_is_the_next_best_and_never_the_file_for_cpus() -> None:
    assert order(tensorrt("10.3", "8.7")) == [
        ("int8-fp16", "int8"),
        ("int8", "int8"),
        ("fp16", "fp16"),
        ("fp32", "fp32"),
    ]


def test_a_file_alone_runs_as_it_is() -> None:
    for device in (tensorrt("10.3", "8.7"), CPU):
        assert order(device, kinds="") == [("fp32", "fp32")]
    assert order(tensorrt("8.6", "8.7"), kinds="") == [("fp32", "fp16"), ("fp32", "fp32")]


@pytest.mark.parametrize("named", ["fp16", "int8", "int8-fp16"])
def test_a_file_that_is_not_fp32_was_named_on_purpose(named: str) -> None:
    for device in (tensorrt("10.3", "8.7"), CPU):
        assert order(device, named=named)[0][0] == named


def test_a_file_for_cpus_does_not_run_in_tensorrt() -> None:
    assert order(tensorrt("10.3", "8.7"), named="int8-cpu")[0][0] == "int8-fp16"
    assert order(tensorrt("10.3", "8.7"), named="int8-cpu", kinds="") == []
    assert order(CPU, named="int8-cpu")[0][0] == "int8-cpu"


@pytest.mark.parametrize(
    ("device", "wanted", "first"),
    [
        (tensorrt("10.3", "8.7"), "fp16", ("fp16", "fp16")),
        (tensorrt("10.3", "8.7"), "fp32", ("fp32", "fp32")),
        (tensorrt("8.6", "8.7"), "fp16", ("fp32", "fp16")),
        (tensorrt("10.3", "5.3"), "int8", ("int8-fp16", "int8")),  # slow there, but requested
        (CPU, "int8", ("int8-cpu", "int8")),
        (GPU_PROVIDER, "int8", ("int8-fp16", "int8")),
        (CPU, "fp16", ("fp16", "fp16")),
    ],
)
def test_a_precision_may_be_requested(device: Device, wanted: Precision, first: tuple[str, str]) -> None:
    assert order(device, wanted)[0] == first
    assert choose(model("fp32"), FILES[1:], wanted, device).notice == ""


@pytest.mark.parametrize(
    ("device", "wanted", "made"),
    [
        (tensorrt("10.3", "8.7"), "fp16", "-o /models/any-fp32-fp16.onnx --precision fp16, or"),
        (tensorrt("10.3", "8.7"), "int8", "-o /models/any-fp32-int8.onnx --precision int8 --calibrate VIDEO, or"),
        (CPU, "int8", "-o /models/any-fp32-int8-cpu.onnx --precision int8 --calibrate VIDEO --target cpu, or"),
    ],
)
def test_a_precision_that_no_file_has_is_answered_with_the_cure(device: Device, wanted: Precision, made: str) -> None:
    choice = choose(model("fp32"), [], wanted, device)
    assert [one.result for one in choice.candidates] == ["fp32"]
    assert choice.notice.startswith(f"model.precision is {wanted}, and neither /models/any-fp32.onnx nor ")
    assert f"fp32 runs; make one with korsal-convert quantize /models/any-fp32.onnx {made}" in choice.notice


@pytest.mark.parametrize(
    ("wanted", "then"),
    [("int8", ["int8", "fp16", "fp32"]), ("fp16", ["fp16", "fp32", "int8"]), ("fp32", ["fp32", "fp16", "int8"])],
)
def test_what_cannot_be_built_gives_way_to_a_more_exact_one_first(wanted: Precision, then: list[str]) -> None:
    results = [result for _, result in order(tensorrt("10.3", "8.7"), wanted)]
    assert list(dict.fromkeys(results)) == then


def test_fp32_of_a_file_that_is_not() -> None:
    choice = choose(model("int8"), [], "fp32", tensorrt("10.3", "8.7"))
    assert [one.result for one in choice.candidates] == ["int8"]
    assert "int8 runs; name the FP32 file in model.path" in choice.notice


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, ""),
        ({"precision": "int8", "training": {"weights": "a1", "scores": {}, "quantisation": {}}}, ""),
        ({"training": {"weights": "b2"}}, "has other weights"),
        ({"training": {}}, "has no hash of its weights (older exports): convert it again"),
        ({"labels": ("Fall",)}, "has another labels"),
        ({"width": 128}, "has another width"),
        ({"start_scores": {"Fall": 0.5}}, "has another start scores"),
        ({"name": "yard"}, "has another name"),
        ({"memory": MemoryNetwork("0" * 64, 4, 8, (1, 1, 1), (1, 1, 1))}, "has another memory"),
    ],
)
def test_files_of_one_model_agree_but_for_their_precision(change: dict[str, Any], reason: str) -> None:
    assert difference(MANIFEST, replace(MANIFEST, **change)) == reason


def test_models_without_the_hash_are_never_one() -> None:
    """Two trainings may write the same of themselves."""
    old = replace(MANIFEST, training={})
    assert "hash of its weights" in difference(old, old)


@pytest.mark.parametrize(
    ("capability", "fp16", "int8"),
    [
        ((5, 2), False, False),
        ((5, 3), True, False),
        ((6, 0), True, False),
        ((6, 1), False, True),
        ((6, 2), True, False),
        ((7, 2), True, True),
        ((8, 7), True, True),
        ((11, 0), True, True),
    ],
)
def test_what_gpus_are_fast_at(capability: tuple[int, int], fp16: bool, int8: bool) -> None:
    """NVIDIA's table of hardware and precisions, in TensorRT's support matrices."""
    assert (has_fast_fp16(capability), has_fast_int8(capability)) == (fp16, int8)
