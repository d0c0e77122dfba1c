"""ONNX files, good and bad, through the real ONNX Runtime."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge import manifest as manifests
from edge.engines import onnxruntime_engine
from edge.inference import EngineError
from edge.manifest import OUTPUTS, Manifest
from edge.motion_map import MotionSettings
from tests.support.tiny_model import BOX, LABELS, MANIFEST, SIZE, write_tiny_model

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'korsal-edge[train]'")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


def altered(model: Path, target: Path, change: Callable[[Any], None]) -> Path:
    """A copy of the model with something done to its graph."""
    content = onnx.load(str(model))
    change(content)
    onnx.save(content, str(target))
    return target


def described(manifest: Manifest | str) -> Callable[[Any], None]:
    """Puts another manifest into a model."""
    text = manifest if isinstance(manifest, str) else manifests.to_json(manifest)
    return lambda content: onnx.helper.set_model_props(content, {manifests.METADATA_KEY: text})


def refusal(path: Path, **options: Any) -> str:
    """What `load` says; one line that begins with the file."""
    with pytest.raises(EngineError) as caught:
        onnxruntime_engine.load(path, threads=1, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_good_model_answers(model: Path) -> None:
    engine = onnxruntime_engine.load(model, threads=1)
    assert engine.manifest == MANIFEST
    assert engine.sha256 == hashlib.sha256(model.read_bytes()).hexdigest()
    assert engine.runtime.startswith("onnxruntime 1.")
    answer = engine.infer({"image": np.ones((1, 3, SIZE, SIZE), np.float32)})
    assert tuple(answer) == OUTPUTS
    assert answer["boxes"][0, 0].tolist() == list(BOX)
    score = 1 / (1 + np.exp(-4))  # sigmoid of 4 × brightness 1
    assert answer["scores"][0, 0] == pytest.approx(score)
    assert answer["class_scores"][0, 0, LABELS.index("Shine")] == pytest.approx(score)


def test_a_provider_is_taken_once(model: Path) -> None:
    assert onnxruntime_engine.load(model, threads=0, providers=("CPUExecutionProvider",)).manifest.labels == LABELS


def test_an_unknown_provider(model: Path) -> None:
    message = refusal(model, providers=("NoSuchProvider",))
    assert "has no NoSuchProvider; it has " in message
    assert "CPUExecutionProvider" in message


@pytest.mark.parametrize("name", ["missing.onnx", "."])
def test_a_missing_file(name: str, tmp_path: Path) -> None:
    assert "no such model; give an ONNX file that korsal-convert wrote" in refusal(tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"not a model\n", bytes(1000), b"\xff" * 64])
def test_what_is_no_model(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "text.onnx"
    path.write_bytes(content)
    message = refusal(path)
    assert message.startswith(f"{path}: ")
    assert "again" in message or "no korsal-edge manifest" in message  # of nothing protobuf makes an empty model


def test_a_truncated_model_anywhere(model: Path, tmp_path: Path) -> None:
    whole = model.read_bytes()
    path = tmp_path / "short.onnx"
    for length in range(1, len(whole), 97):
        path.write_bytes(whole[:length])
        assert refusal(path).startswith(f"{path}: ")


def test_no_manifest(model: Path, tmp_path: Path) -> None:
    path = altered(model, tmp_path / "bare.onnx", lambda content: content.ClearField("metadata_props"))
    assert refusal(path) == f"{path}: has no korsal-edge manifest; export it with korsal-convert export"


def test_a_manifest_of_another_version(model: Path, tmp_path: Path) -> None:
    text = manifests.to_json(MANIFEST).replace('"version": 1', '"version": 7')
    path = altered(model, tmp_path / "other.onnx", described(text))
    assert refusal(path) == (f"{path}: the manifest is not of version 1; export the model again with this korsal-edge")


@pytest.mark.parametrize(
    ("manifest", "expected_message"),
    [
        (replace(MANIFEST, motion=MotionSettings("ssim")), "its manifest says image (6, 64, 64)"),
        (replace(MANIFEST, height=96), "its manifest says image (3, 96, 64)"),
        (replace(MANIFEST, labels=("Shine",)), "its output class_scores is (1, 1, 2)"),
        (replace(MANIFEST, top_k=2), "its output boxes is (1, 1, 4), but its manifest says (1, 2, 4)"),
    ],
)
def test_a_model_unlike_its_manifest(manifest: Manifest, expected_message: str, model: Path, tmp_path: Path) -> None:
    message = refusal(altered(model, tmp_path / "unlike.onnx", described(manifest)))
    assert expected_message in message
    assert message.endswith("export it again")


def test_a_missing_output(model: Path, tmp_path: Path) -> None:
    def drop_labels(content: Any) -> None:
        kept = [output for output in content.graph.output if output.name != "labels"]
        del content.graph.output[:]
        content.graph.output.extend(kept)

    message = refusal(altered(model, tmp_path / "three.onnx", drop_labels))
    assert "has no output labels; export it with korsal-convert export" in message


@pytest.mark.parametrize("location", ["weights.bin", "../outside.bin", "/etc/hostname"])
def test_weights_outside_the_file(location: str, model: Path, tmp_path: Path) -> None:
    """Data that lies elsewhere is refused and not read, whether it is there or not."""
    (tmp_path / "weights.bin").write_bytes(bytes(4))

    def send_away(content: Any) -> None:
        tensor = onnx.helper.make_tensor("far", onnx.TensorProto.FLOAT, [1], [1.0])
        tensor.ClearField("float_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)
        content.graph.initializer.append(tensor)
        content.graph.node.append(onnx.helper.make_node("Mul", ["score", "far"], ["unused"]))
        content.graph.output.append(onnx.helper.make_tensor_value_info("unused", onnx.TensorProto.FLOAT, None))

    path = tmp_path / "far.onnx"
    path.write_bytes(b"")
    content = onnx.load(str(model))
    send_away(content)
    path.write_bytes(content.SerializeToString())
    assert refusal(path).endswith(
        f"keeps weights in another file ({location}), which is not read; export it as one file"
    )


def test_an_operator_that_does_not_exist(model: Path, tmp_path: Path) -> None:
    def invent(content: Any) -> None:
        content.graph.node[-1].op_type = "Divine"

    message = refusal(altered(model, tmp_path / "odd.onnx", invent))
    assert re.search(r"onnxruntime 1\.\S+ cannot load it \(.*Divine.*\); export or copy it again$", message)


def test_deformable_convolutions_in_an_onnxruntime_that_has_none(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What 1.20.1 says of them, with the class that it says it in."""
    onnxruntime = pytest.importorskip("onnxruntime")
    state = pytest.importorskip("onnxruntime.capi.onnxruntime_pybind11_state")
    words = (
        "[ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : Could not find an implementation for DeformConv(19) node with name"
    )

    def refuse(*_: object, **__: object) -> None:
        raise state.NotImplemented(f"{words} '/neck/conv/DeformConv'")

    monkeypatch.setattr(onnxruntime, "InferenceSession", refuse)
    monkeypatch.setattr(onnxruntime, "__version__", "1.20.1")
    message = refusal(model)
    assert message.startswith(f"{model}: onnxruntime 1.20.1 cannot load it ({words}")
    assert "; deformable convolutions need onnxruntime 1.25 or newer, which needs Python 3.11: pip install" in message
    assert message.endswith("or take a network without them, dla_34_plain or res_18 of korsal-train --arch")


def test_outputs_of_other_shapes(model: Path, tmp_path: Path) -> None:
    def break_shape(content: Any) -> None:
        for node in content.graph.node:
            if node.op_type == "Concat":
                node.attribute[0].i = 1  # along the peaks: two where the manifest says one

    message = refusal(altered(model, tmp_path / "odd.onnx", break_shape))
    assert "its output scores is (1, 2), but its manifest says (1, 1)" in message


def test_an_input_that_the_model_cannot_take(model: Path) -> None:
    engine = onnxruntime_engine.load(model, threads=1)
    with pytest.raises(EngineError, match=r"tiny\.onnx: does not run \(.*; export it again"):
        engine.infer({"image": np.ones((1, 3, SIZE, SIZE + 1), np.float32)})
