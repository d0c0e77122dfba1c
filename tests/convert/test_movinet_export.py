"""MoViNet as ONNX, with random weights."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from convert import movinet_export
from convert.movinet_export import MEMORY, NEXT_MEMORY
from convert.torch_export import ExportError
from edge import pipeline
from edge.engines import onnxruntime_engine
from edge.engines.memory_file import memory_path
from edge.manifest import INPUT
from edge.memory_network import FEATURES, TAP
from edge.pipeline import FrameInput, PipelineSettings
from edge.sources import Frame
from tests.support.memory_model import write_detector
from tests.support.paths import ROOT
from train import memory_engine
from train.networks.memory_step import MemoryStep
from train.networks.movinet import Classifier, MoViNet, memory_network, memory_shapes

torch.set_num_threads(1)
SIZE = 40


@pytest.fixture(scope="module")
def network() -> MoViNet:
    torch.manual_seed(0)
    return MoViNet().eval()


@pytest.fixture(scope="module")
def model(network: MoViNet) -> onnx.ModelProto:
    return movinet_export.export(MemoryStep(network), SIZE, SIZE)


def test_streams_answer_as_the_whole_clips_in_torch(network: MoViNet, model: onnx.ModelProto) -> None:
    """Three streams of six frames in ONNX Runtime, frame by frame."""
    clips = torch.rand(3, 6, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected, after = network(clips, network.memory(3, SIZE, SIZE))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    memory = [np.zeros(shape, np.float32) for shape in memory_shapes(3, SIZE, SIZE)]
    for frame in range(6):
        inputs = {INPUT: clips[:, frame].numpy(), **dict(zip(MEMORY, memory, strict=True))}
        features, *memory = session.run([FEATURES, *NEXT_MEMORY], inputs)
        np.testing.assert_allclose(features, expected[:, frame], atol=1e-4)
    for found, other in zip(memory, after, strict=True):
        np.testing.assert_allclose(found, other, atol=1e-4)


def test_with_its_classifier_it_answers_too(network: MoViNet) -> None:
    """As torch does, which the export makes sure of."""
    step = MemoryStep(network, Classifier())
    outputs = [one.name for one in movinet_export.export(step, SIZE, SIZE).graph.output]
    assert outputs[:4] == ["features", "tap", "average", "answers"]
    assert len(outputs) == 4 + len(step.part_shapes(1, SIZE, SIZE))


def test_it_serves_as_the_memory_of_a_detector(network: MoViNet, model: onnx.ModelProto, tmp_path: Path) -> None:
    """Two cameras through the pipeline, every frame a step: their features are those of the whole clips in torch."""
    content = model.SerializeToString()
    known = memory_engine.with_parts(memory_network("0" * 64, 4, SIZE), MemoryStep(network))
    described = replace(known, sha256=hashlib.sha256(content).hexdigest())
    memory_path(tmp_path / "spot.onnx", described).write_bytes(content)
    write_detector(tmp_path / "spot.onnx", described)
    engine = onnxruntime_engine.load(tmp_path / "spot.onnx", 1)
    clips = np.random.default_rng(2).integers(0, 256, (2, 6, SIZE, SIZE, 3), np.uint8)
    rgb = torch.from_numpy(clips[..., ::-1].transpose(0, 1, 4, 2, 3).astype(np.float32) / 255)
    with torch.inference_mode():
        expected, _ = network(rgb, network.memory(2, SIZE, SIZE))
    states = [pipeline.initial(str(camera), "seed") for camera in range(2)]
    for index in range(6):
        given = [
            FrameInput(state, Frame("x", index, 0.2 * index, 0.2 * index, clip[index]), PipelineSettings())
            for state, clip in zip(states, clips, strict=True)
        ]
        states = [state for state, _ in pipeline.step_batch(given, engine)]
        for state, wanted in zip(states, expected[:, index], strict=True):
            assert state.memory is not None
            np.testing.assert_allclose(state.memory.maps["features"][0], wanted, atol=1e-4)


def test_what_the_file_says_of_itself(model: onnx.ModelProto) -> None:
    onnx.checker.check_model(model, full_check=True)
    assert [entry.version for entry in model.opset_import if not entry.domain] == [17]
    assert [value.name for value in model.graph.input] == [INPUT, *MEMORY]
    assert [value.name for value in model.graph.output] == [FEATURES, TAP, *NEXT_MEMORY]
    shapes = [[one.dim_param or one.dim_value for one in v.type.tensor_type.shape.dim] for v in model.graph.input]
    assert shapes == [
        ["batch", 3, SIZE, SIZE],
        *(["batch", *shape[1:]] for shape in memory_shapes(1, SIZE, SIZE)),
    ]


def test_broken_weights_are_not_exported() -> None:
    torch.manual_seed(0)
    network = MoViNet().eval()
    with torch.no_grad():
        network.get_parameter("project.bias")[0] = float("nan")
    with pytest.raises(ExportError, match=r"differs from torch by nan; nan: the weights are broken"):
        movinet_export.export(MemoryStep(network), SIZE, SIZE)


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "convert.movinet_export", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_command(network: MoViNet, tmp_path: Path) -> None:
    weights, output = tmp_path / "movinet.pt", tmp_path / "movinet.onnx"
    torch.save(nn.ModuleDict({"network": network, "classifier": Classifier()}).state_dict(), weights)
    done = run(str(weights), "-o", str(output), "--height", "33", "--width", "47")
    assert (done.returncode, done.stdout) == (0, f"{output}: answers as torch does\n"), done.stderr
    assert onnx.load(output).graph.input[0].type.tensor_type.shape.dim[3].dim_value == 47


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("none.pt", "-o", "{folder}/movinet.onnx"), "none.pt: cannot be read (No such file or directory)"),
        (("none.pt", "-o", "{folder}/movinet"), "give --output a name that ends in .onnx"),
        (("none.pt", "-o", "{folder}/movinet.onnx", "--width", "0"), "--height and --width: must be positive"),
    ],
)
def test_bad_input(words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    done = run(*(word.format(folder=tmp_path) for word in words))
    assert done.returncode != 0
    assert message in done.stderr
    assert not list(tmp_path.iterdir())
