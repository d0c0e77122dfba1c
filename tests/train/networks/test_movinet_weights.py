"""The recovered weights against the INT8 file that they come from, layer by layer, on real frames."""

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from edge.packages import MissingPackageError
from tests.support.paths import ROOT
from train.networks import movinet_weights
from train.networks.movinet import FEATURES, Bottleneck, Classifier, MoViNet, halved
from train.networks.movinet_weights import LAYERS, MovinetError, dequantised

if TYPE_CHECKING:  # which needs ai-edge-litert
    from tests.support.movinet_file import MovinetFile

torch.set_num_threads(1)
VIDEO = "ucf24/videos/Basketball/v_Basketball_g08_c01.mp4"
LOGITS = "classifier_head/classifier/conv2d/conv2d_1/BiasAdd"
DIGITS = 0.6  # the file rounds once a layer, by a half at most; its kernels' own arithmetic adds less than 0.1


@pytest.fixture(scope="module")
def original(shared: Path) -> Path:
    path = shared.parent / "weights" / "movinet_a0_stream_int8.tflite"
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert, which reads the file, is not installed")
    if not path.is_file():
        pytest.skip(f"the published file is not at {path}")
    return path


@pytest.fixture(scope="module")
def networks(original: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[MoViNet, Classifier]:
    """Recovered as a user would, and read back."""
    written = tmp_path_factory.mktemp("movinet") / "movinet.pt"
    command = [sys.executable, "-m", "train.networks.movinet_weights", str(original), "-o", str(written)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "2723392 weights of MoViNet-A0-Stream (Google, Apache-2.0)" in done.stdout
    return movinet_weights.load(written)


@pytest.fixture(scope="module")
def file(original: Path, shared: Path) -> "MovinetFile":
    """The INT8 file after nine real frames."""
    from tests.support.movinet_file import MovinetFile, frames

    running = MovinetFile(original)
    for frame in frames(shared / VIDEO, 5, 9):
        running.step(frame)
    return running


def test_the_stem_and_the_last_layer(networks: tuple[MoViNet, Classifier], file: "MovinetFile") -> None:
    network, _ = networks
    image, last = (file.activation(name).value for name in ("movinet/stem/stem/conv2d/Reshape", f"{LAYERS[-1]}/add_1"))
    with torch.inference_mode():
        stem, features = F.relu6(network.stem(image)), F.relu6(network.project(last))
    assert file.activation("movinet/stem/stem/conv2d/activation").digits_off(stem) < DIGITS
    assert file.activation("movinet/head/project/conv2d/activation").digits_off(features) < DIGITS


@pytest.mark.parametrize("index", range(len(LAYERS)))
def test_space(networks: tuple[MoViNet, Classifier], file: "MovinetFile", index: int) -> None:
    """What is computed of one frame, each operator given what the file gave its own."""
    name, layer = LAYERS[index], networks[0].layers[index]
    assert isinstance(layer, Bottleneck)
    x = file.activation(f"{LAYERS[index - 1]}/add_1" if index else "movinet/stem/stem/conv2d/activation").value
    expanded, filtered = (file.activation(f"{name}/{part}/conv2d/activation") for part in ("expansion", "feature"))
    last = file.activation(f"{name}/feature/conv2d_temporal/activation") if layer.temporal else filtered
    gained, added = (file.activation(f"{name}/{part}") for part in ("rezero/mul1", "add_1"))
    with torch.inference_mode():
        assert expanded.digits_off(F.relu6(layer.expansion(x))) < DIGITS
        assert filtered.digits_off(F.relu6(layer.feature(expanded.value))) < DIGITS
        assert gained.digits_off(layer.projection(last.value.view_as(filtered.value))) < DIGITS
        if layer.skip is not None:
            pooled, skip = (file.activation(f"{name}/skip/{part}") for part in ("skip_pool", "skip_project/conv2d/bn"))
            assert pooled.digits_off(halved(x)) < DIGITS
            assert skip.digits_off(layer.skip(pooled.value)) < DIGITS
            x = skip.value
        assert added.digits_off(x + gained.value) < DIGITS


@pytest.mark.parametrize("index", range(len(LAYERS)))
def test_time(networks: tuple[MoViNet, Classifier], file: "MovinetFile", index: int) -> None:
    name, layer = LAYERS[index], networks[0].layers[index]
    assert isinstance(layer, Bottleneck)
    if layer.temporal is None:
        with pytest.raises(StopIteration):
            file.activation(f"{name}/feature/stream_buffer")
        return
    seen = file.activation(f"{name}/feature/stream_buffer").value[None]  # (1, times, C, h, w)
    filtered = file.activation(f"{name}/feature/conv2d_temporal/activation")
    with torch.inference_mode():
        found, past = layer.temporal(seen[:, -1:], seen[:, :-1])
    assert filtered.digits_off(F.relu6(found).view_as(filtered.value)) < DIGITS
    assert torch.equal(past, seen[:, 1:])


def test_the_classifier(networks: tuple[MoViNet, Classifier], file: "MovinetFile") -> None:
    """The file rounds the sum over frames to 0.59, so only what follows can be compared."""
    _, classifier = networks
    mean, hidden, logits = (
        file.activation(name)
        for name in ("classifier_head/head/conv2d/Reshape", "classifier_head/head/conv2d/activation", LOGITS)
    )
    with torch.inference_mode():
        assert hidden.digits_off(F.relu6(classifier.hidden(mean.value.flatten(1)))[..., None, None]) < DIGITS
        assert logits.digits_off(classifier.classes(hidden.value.flatten(1))[..., None, None]) < DIGITS


def test_a_stream_stays_near_the_files(networks: tuple[MoViNet, Classifier], original: Path, shared: Path) -> None:
    """All of its rounding together, over 12 frames."""
    from tests.support.movinet_file import MovinetFile, frames

    network, classifier = networks
    file, memory, total = MovinetFile(original), network.memory(1), torch.zeros(1, FEATURES)
    for count, frame in enumerate(frames(shared / VIDEO, 5, 12), 1):
        expected = file.step(frame)
        with torch.inference_mode():
            features, memory = network(torch.from_numpy(frame)[None, None], memory)
            total += features.mean(dim=(1, 3, 4))
            logits = classifier(total / count)[0].numpy()
        assert logits.argmax() in np.argsort(-expected)[:5]
    for ours, theirs in zip(memory, file.memory(), strict=True):
        assert np.corrcoef(ours.flatten(), theirs.flatten())[0, 1] > 0.98
    assert np.corrcoef(logits, expected)[0, 1] > 0.9


def test_a_file_of_weights_is_read_back(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, classifier = MoViNet(), Classifier()
    path = tmp_path / "movinet.pt"
    torch.save(nn.ModuleDict({"network": network, "classifier": classifier}).state_dict(), path)
    for found, expected in zip(movinet_weights.load(path), (network, classifier), strict=True):
        assert not found.training
        for name, value in expected.state_dict().items():
            assert torch.equal(found.state_dict()[name], value), name


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"text", r"movinet\.pt: "),
        (None, r"movinet\.pt: cannot be read \(No such file or directory\)"),
        ({"network.stem.weight": torch.zeros(8, 3, 3, 3)}, r"movinet\.pt: holds no weights of MoViNet-A0-Stream"),
        ([1, 2], r"movinet\.pt: holds no weights"),
    ],
)
def test_other_files_of_weights(content: object, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "movinet.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(MovinetError, match=sentence):
        movinet_weights.load(path)


@pytest.mark.parametrize("content", [b"", b"text", None])
def test_no_tflite_file(content: bytes | None, tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert, which reads the file, is not installed")
    path = tmp_path / "movinet.tflite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MovinetError, match=r"movinet\.tflite: is no TFLite file that can be read \("):
        movinet_weights.recovered(path)


def test_the_first_part_of_the_file(original: Path, tmp_path: Path) -> None:
    path = tmp_path / "movinet.tflite"
    path.write_bytes(original.read_bytes()[:100_000])
    with pytest.raises(MovinetError, match="is no TFLite file that can be read"):
        movinet_weights.recovered(path)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(
        MissingPackageError, match=r"ai-edge-litert is not installed: pip install 'korsal-edge\[movinet\]'"
    ):
        movinet_weights.recovered(tmp_path / "movinet.tflite")


def test_a_scale_for_each_channel() -> None:
    """(2, 3) by the second axis: 1·0.5, 2·1, 3·2; (4 - 0)·0.5, …"""
    value = np.array([[1, 2, 3], [4, 5, -6]], np.int8)
    scales = {
        "scales": np.array([0.5, 1, 2], np.float32),
        "zero_points": np.zeros(3, np.int32),
        "quantized_dimension": 1,
    }
    assert dequantised(value, scales).tolist() == [[0.5, 2, 6], [2, 5, -12]]


def test_one_scale_and_a_zero_point() -> None:
    scales = {"scales": np.array([0.5], np.float32), "zero_points": np.array([-128]), "quantized_dimension": 0}
    assert dequantised(np.array([-128, 127], np.int8), scales).tolist() == [0.0, 127.5]
