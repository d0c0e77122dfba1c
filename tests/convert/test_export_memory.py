"""A detector that takes a memory's maps, from its checkpoint on: exported, converted, checked, and run."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from convert import calibration, onnx_file, timing
from convert.__main__ import main
from convert.calibration import Input
from convert.comparison import SCORE_TOLERANCE
from convert.frame_answers import answer
from convert.torch2trt_build import Torch2TrtBackend, Torch2TrtError, build
from edge import pipeline
from edge.cameras.video_file import read_file
from edge.config.schema import ModelConfig
from edge.detector import Detections
from edge.engines import onnxruntime_engine
from edge.engines.memory_file import memory_path
from edge.engines.tensorrt_build_plan import BuildOptions, Platform
from edge.inference import Engine, EngineError, LoadedEngine
from edge.manifest import input_shapes
from edge.memory_network import ANSWERS, AVERAGE
from edge.open_model import open_model
from edge.pipeline import PipelineSettings
from edge.tiles import Tiling
from tests.support.fake_tensorrt import fake
from tests.support.fake_torch2trt import fake_torch2trt
from tests.support.paths import ROOT
from tests.support.tiny_videos import write_video
from tests.support.untrained_model import MANIFEST, write_untrained_checkpoint
from tests.support.untrained_movinet import untrained_movinet, write_untrained_movinet
from train import checkpoint as checkpoints
from train import memory_engine, memory_weights, starting_weights
from train.checkpoint import Checkpoint
from train.memory_features import described
from train.networks.lite import LiteDetector
from train.networks.memory_classifier import PREFIX, MemoryClassifier
from train.networks.movinet import CLASSES
from train.networks.movinet_weights import MovinetError
from train.open_model import open_model as train_open_model

torch.set_num_threads(1)
CLIP = ROOT / "demo" / "basketball.mp4"
FRAMES = 24  # of the clip


@pytest.fixture(scope="module", autouse=True)
def _few_rounds() -> Iterator[None]:
    """What is timed is not looked at here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timing, "ROUNDS", 2)
        yield


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    frames = [frame.image for frame in islice(read_file(CLIP, "demo"), FRAMES)]
    return write_video(tmp_path_factory.mktemp("clip") / "clip.avi", frames)


@pytest.fixture(scope="module")
def calibrated(clip: Path) -> tuple[str, ...]:
    return "--calibrate", str(clip), "--frames", "16", "--quiet"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, calibrated: tuple[str, ...]) -> Path:
    """A checkpoint, a.pt, and what the whole conversion makes of it: three precisions that share a memory."""
    folder = tmp_path_factory.mktemp("memory")
    movinet = write_untrained_movinet(folder / "movinet.pt")
    manifest = replace(MANIFEST, memory=replace(described(untrained_movinet()), answers=CLASSES))
    checkpoint = checkpoints.load(write_untrained_checkpoint(folder / "a.pt", manifest))
    known = replace(checkpoint, weights=with_classifier(checkpoint), settings={"memory": str(movinet)})
    checkpoints.save(known, folder / "a.pt")
    assert main([str(folder / "a.pt"), "-o", str(folder / "a"), "--method", "minmax", *calibrated]) == 0
    return folder


def with_classifier(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    """Its weights with those of an untrained classifier of the memory, which tells its actions from none of them.

    FP16 holds them, as after learning.
    """
    network, memory = checkpoints.detector(checkpoint), checkpoint.manifest.memory
    assert isinstance(network, LiteDetector)
    assert memory is not None
    count = len(checkpoint.manifest.labels)
    torch.manual_seed(0)
    network.classifier = MemoryClassifier(memory, range(count), (count + 1,))
    network.classifier.gain.fill_(0.5)
    for layer in (network.classifier.whole, network.classifier.near):
        layer.weight.data.copy_(layer.weight.half())
    return network.state_dict()


def memory_of(model: Path) -> Path:
    memory = onnx_file.read(model)[1].memory
    assert memory is not None
    return memory_path(model, memory)


def noise(model: Path, batch: int = 1) -> Input:
    manifest = onnx_file.read(model)[1]
    random = np.random.default_rng(0)
    shapes = input_shapes(manifest, batch, manifest.input_size)
    return {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def opened(model: Path, state: Path) -> LoadedEngine:
    """As the daemon opens it."""
    return open_model(ModelConfig(path=model, threads=1, runtime="onnxruntime"), state, lambda text: None, lambda: None)


def detections(engine: Engine, clip: Path, settings: PipelineSettings | None = None) -> list[Detections]:
    """Of a few frames of a video."""
    frames, state = islice(read_file(clip, "video"), 10), pipeline.initial("video", "seed")
    return [result.detections for _, result, _ in pipeline.run(frames, engine, settings or PipelineSettings(), state)]


def test_the_manifest_names_the_file_of_the_memory(folder: Path) -> None:
    memory, known = onnx_file.read(folder / "a.onnx")[1].memory, checkpoints.load(folder / "a.pt").manifest.memory
    assert memory is not None
    assert (known, known == memory) == (replace(memory, sha256="", parts=()), False)
    assert list(folder.glob("memory-*.onnx")) == [memory_of(folder / "a.onnx")]


def test_the_classifier_takes_half_the_room(folder: Path) -> None:
    stored = {one.name: one.data_type for one in onnx_file.read(folder / "a.onnx")[0].graph.initializer}
    for layer in ("whole", "near"):
        assert stored[f"detector.classifier.{layer}.weight.half"] == onnx.TensorProto.FLOAT16


def test_it_answers_as_torch_wherever_the_frame_lies(folder: Path) -> None:
    """And not the same without the maps."""
    exported, reference = (
        onnxruntime_engine.load(folder / "a.onnx", 1),
        checkpoints.engine(checkpoints.load(folder / "a.pt")),
    )
    inputs = dict(noise(folder / "a.onnx", 2))
    inputs["placement"] = np.array([[1, 0, 1, 0], [-0.8, 0.9, 1.2, -0.1]], np.float32)
    expected, got = reference.infer(inputs), exported.infer(inputs)
    np.testing.assert_allclose(got["scores"], expected["scores"], atol=SCORE_TOLERANCE)
    forgotten = exported.infer({**inputs, "features": np.zeros_like(inputs["features"])})
    assert np.abs(forgotten["scores"] - got["scores"]).max() > 10 * SCORE_TOLERANCE


@pytest.mark.parametrize("tiling", [Tiling(), Tiling((0.1, 0, 0.8, 1), 2, 1)])
def test_the_daemon_and_evaluation_do_as_the_checkpoint_does(
    folder: Path, clip: Path, tiling: Tiling, tmp_path: Path
) -> None:
    settings = PipelineSettings(tiling=tiling)
    with (
        train_open_model(folder / "a.pt", 1) as in_torch,
        opened(folder / "a.onnx", tmp_path) as exported,
        train_open_model(folder / "a.onnx", 1) as evaluated,
    ):
        expected, got, again = (detections(engine, clip, settings) for engine in (in_torch, exported, evaluated))
    assert len(expected) == 10
    for one, other, third in zip(expected, got, again, strict=True):
        np.testing.assert_allclose(other.scores, one.scores, atol=SCORE_TOLERANCE)
        np.testing.assert_array_equal(other.boxes, third.boxes)


def test_preprocessing_inside_answers_the_same(
    folder: Path, clip: Path, calibrated: tuple[str, ...], tmp_path: Path
) -> None:
    """In a folder of its own, where its memory goes too; so does that of its FP16 file."""
    given = ["export", str(folder / "a.pt"), "-o", str(tmp_path / "b.onnx"), "--with-motion", *calibrated]
    assert main(given) == 0
    whole = onnxruntime_engine.load(tmp_path / "b.onnx", 1, preprocessing="graph")
    assert whole.preprocessor == "graph"
    expected = detections(onnxruntime_engine.load(folder / "a.onnx", 1), clip)
    for one, other in zip(expected, detections(whole, clip), strict=True):
        np.testing.assert_allclose(other.scores[:5], one.scores[:5], atol=0.01)
    half = tmp_path / "more" / "b-fp16.onnx"
    half.parent.mkdir()
    assert main(["quantize", str(tmp_path / "b.onnx"), "-o", str(half), "--precision", "fp16", "--quiet"]) == 0
    assert memory_of(half).is_file()
    assert onnxruntime_engine.load(half, 1, preprocessing="graph").preprocessor == "graph"


@pytest.fixture(scope="module")
def for_cpus(folder: Path, calibrated: tuple[str, ...]) -> Path:
    made = folder / "a-int8-cpu.onnx"
    assert (
        main(
            ["quantize", str(folder / "a.onnx"), "-o", str(made), "--target", "cpu", "--method", "minmax", *calibrated]
        )
        == 0
    )
    return made


@pytest.mark.parametrize("name", ["a-int8.onnx", "a-int8-fp16.onnx", "a-int8-cpu.onnx"])
def test_other_precisions_answer_nearly_as_fp32(folder: Path, for_cpus: Path, clip: Path, name: str) -> None:
    """Of untrained weights: that scores are of the same kind; how much is lost needs trained ones."""
    exact, other = onnxruntime_engine.load(folder / "a.onnx", 1), onnxruntime_engine.load(folder / name, 1)
    assert other.manifest.precision == "int8"
    assert other.manifest.memory == exact.manifest.memory
    given = list(calibration.fitted_pairs([clip], exact.manifest, 16, exact.memory))
    for pair in given:
        np.testing.assert_allclose(answer(other, pair)["scores"], answer(exact, pair)["scores"], atol=0.3)
    forgotten = replace(given[-1], beside={name: 0 * value for name, value in given[-1].beside.items()})
    assert np.abs(answer(other, forgotten)["scores"] - answer(other, given[-1])["scores"]).max() > SCORE_TOLERANCE


def test_the_maps_are_quantised_behind_their_first_convolutions(folder: Path) -> None:
    graph = onnx_file.read(folder / "a-int8.onnx")[0].graph
    rounded = {name for node in graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    convolutions = [node for node in graph.node if node.op_type == "Conv" and "/memory/" in node.name]
    found = {node.name.split("/")[3]: rounded.issuperset(node.input[:2]) for node in convolutions}
    assert found == {"features": False, "tap": False, "coarse": True, "fine": True, "beside": True}


def test_files_are_checked_on_what_the_memory_has_seen(
    folder: Path, for_cpus: Path, calibrated: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(folder / "a.onnx"), str(for_cpus), *calibrated]) == 0
    assert " events begin: " in capsys.readouterr().out


def test_a_run_can_begin_with_its_weights_and_its_memory(folder: Path) -> None:
    """Of the two files alone: the checkpoint and MoViNet's own file may be gone."""
    read, checkpoint = starting_weights.load(folder / "a.onnx"), checkpoints.load(folder / "a.pt")
    weights = {name: value for name, value in checkpoint.weights.items() if not name.startswith(PREFIX)}
    assert checkpoint.manifest.memory is not None
    manifest = replace(checkpoint.manifest, memory=checkpoint.manifest.memory.as_trained())
    checkpoint = replace(checkpoint, manifest=manifest, weights=weights)  # a run begins without a classifier
    assert read.manifest.memory == manifest.memory
    given = {name: value for name, value in noise(folder / "a.onnx").items() if name not in (AVERAGE, ANSWERS)}
    ours, theirs = (checkpoints.engine(one).infer(given) for one in (read, checkpoint))
    np.testing.assert_allclose(ours["scores"], theirs["scores"], atol=SCORE_TOLERANCE)
    assert read.settings["memory"] == str(memory_of(folder / "a.onnx"))
    assert manifest.memory is not None
    step, path = memory_engine.step(read, manifest.memory)
    assert path == memory_of(folder / "a.onnx")
    known = untrained_movinet().state_dict()
    assert all(torch.equal(value, known[name]) for name, value in step.network.state_dict().items())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.onnx", "holds other weights than a memory's; give the memory-….onnx of a model, or what python -m"),
        ("gone.onnx", "cannot be read (No such file or directory); give the memory"),
        ("text.onnx", "is not a complete ONNX file"),
    ],
)
def test_what_is_no_memory_is_refused(folder: Path, name: str, message: str) -> None:
    (folder / "text.onnx").write_text("text")
    with pytest.raises(MovinetError) as refused:
        memory_weights.load(folder / name)
    assert str(refused.value).startswith(f"{folder / name}: {message}")


def test_torch2trt_is_refused(folder: Path, tmp_path: Path) -> None:
    trt = fake("10.3")
    backend = Torch2TrtBackend(fake_torch2trt(trt)[0], trt, "cpu")
    platform = Platform("10.3.0", "Orin", "8.7", "36.4.3", "12.6")
    with pytest.raises(Torch2TrtError, match=r"takes a memory's maps, which torch2trt does not feed; export it"):
        build(folder / "a.pt", tmp_path / "a.engine", BuildOptions("fp16"), lambda _: [], backend, platform, print)


def test_without_its_memory_it_is_refused(folder: Path, tmp_path: Path) -> None:
    model = tmp_path / "b.onnx"
    model.write_bytes((folder / "a.onnx").read_bytes())
    with pytest.raises(EngineError, match=r"memory-\w+\.onnx: is missing, and b\.onnx does not run without this"):
        opened(model, tmp_path)


def test_a_checkpoint_finds_its_memory_beside_it_too(folder: Path, tmp_path: Path) -> None:
    """Both copied from another machine, where it lay in another folder."""
    checkpoint = checkpoints.load(folder / "a.pt")
    checkpoints.save(replace(checkpoint, settings={"memory": "/gone/movinet.pt"}), tmp_path / "c.pt")
    assert main(["export", str(tmp_path / "c.pt"), "-o", str(tmp_path / "out" / "c.onnx")]) == 1
    assert not (tmp_path / "out").exists()
    (tmp_path / "movinet.pt").write_bytes((folder / "movinet.pt").read_bytes())
    with train_open_model(tmp_path / "c.pt", 1) as engine:
        assert engine.memory is not None
        assert engine.memory.path == tmp_path / "movinet.pt"


def test_another_memory_where_training_had_it_does_not_matter(folder: Path, tmp_path: Path) -> None:
    before = tmp_path / "before" / "movinet.pt"
    before.parent.mkdir()
    write_untrained_movinet(before, seed=7)
    checkpoint = checkpoints.load(folder / "a.pt")
    checkpoints.save(replace(checkpoint, settings={"memory": str(before)}), tmp_path / "c.pt")
    (tmp_path / "movinet.pt").write_bytes((folder / "movinet.pt").read_bytes())
    assert main(["export", str(tmp_path / "c.pt"), "-o", str(tmp_path / "c.onnx")]) == 0
