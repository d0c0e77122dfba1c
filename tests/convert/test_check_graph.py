"""`korsal-convert check` of models that prepare frames themselves, and of engines built from them."""

import re
from pathlib import Path

import numpy as np
import onnx
import pytest

from convert import onnx_file, timing
from convert.__main__ import main
from convert.calibration import FramePair
from convert.check import CheckData, CheckError, check_files
from convert.conversion_engine import build_engine
from convert.gate import Gate
from convert.graft_file import graft_file
from edge.engines import engine_build
from edge.engines.tensorrt_build_plan import BuildOptions
from edge.manifest import MOTION, Manifest
from edge.motion_map import MotionSettings
from tests.support import fake_device
from tests.support.fake_gpu import FakeGpu
from tests.support.frame_gpu import frame_gpu
from tests.support.frame_model import write_frame_model
from tests.support.paths import ROOT
from tests.support.spot_model import SIDE, write_spot_video
from tests.support.untrained_model import MANIFEST, write_untrained_onnx

CLIP = ROOT / "demo" / "basketball.mp4"
FP32 = ROOT / "models" / "korsal-lite-ucf24x5-jhmdb21.onnx"
# Without -int8-fp16, which ONNX Runtime takes minutes for; its graph is that of -int8.
OTHERS = sorted(
    path for path in FP32.parent.glob("korsal-lite-*.onnx") if path != FP32 and not path.stem.endswith("int8-fp16")
)


@pytest.fixture(autouse=True)
def few_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times that nobody looks at."""
    monkeypatch.setattr(timing, "ROUNDS", 2)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_untrained_onnx(tmp_path_factory.mktemp("plain") / "tiny.onnx")


@pytest.fixture(scope="module")
def both(plain: Path) -> Path:
    graft_file(plain, path := plain.with_name("both.onnx"))
    return path


def lie(path: Path) -> Path:
    """The file with a graph that gives the map of halved similarity."""
    model, manifest = onnx_file.read(path)
    last = next(node for node in model.graph.node if MOTION in node.output)
    last.output[0] = "true_motion"
    half = onnx.helper.make_tensor("half", onnx.TensorProto.FLOAT, [], [0.5])
    model.graph.initializer.append(half)
    index = list(model.graph.node).index(last)
    model.graph.node.insert(index + 1, onnx.helper.make_node("Mul", ["true_motion", "half"], [MOTION]))
    onnx_file.write(model, manifest, lying := path.with_name("lying.onnx"))
    return lying


def command(exact: Path, converted: Path, video: Path = CLIP) -> int:
    return main(["check", str(exact), str(converted), "--calibrate", str(video), "--frames", "16", "--quiet"])


@pytest.mark.slow
def test_a_file_with_its_preprocessing_beside_one_without(
    plain: Path, both: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(plain, both) == 0
    said = capsys.readouterr().out
    assert "0 lost, 0 extra" in said
    assert "motion maps of its own graph: " in said
    assert "a worse shift in 0 of 16 frames (none allowed)" in said
    assert "times from frames" not in said, "ONNX Runtime runs both networks alone"
    assert command(both, plain) == 0
    assert "motion maps" not in capsys.readouterr().out


@pytest.mark.slow
def test_a_map_that_is_not_the_daemons_fails(plain: Path, both: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(plain, lie(both)) == 1
    said = capsys.readouterr()
    assert "lying.onnx computes another motion map than the daemon; run the ONNX with model.preprocessing" in said.err
    assert "0 lost, 0 extra" in said.out, "the network is the same"


@pytest.mark.slow
def test_a_model_without_a_motion_map(tmp_path: Path) -> None:
    manifest = Manifest("none", MANIFEST.labels, 64, 96, MotionSettings("none"), top_k=20)
    graft_file(write_untrained_onnx(tmp_path / "plain.onnx", manifest), tmp_path / "both.onnx")
    video = write_spot_video(tmp_path / "video.avi")
    frame = np.zeros((64, 96, 3), np.uint8)
    found = check_files(tmp_path / "plain.onnx", tmp_path / "both.onnx", CheckData((FramePair(frame),), (video,)))
    assert found.preparation is None
    assert found.agreement.lost == found.agreement.extra == 0


@pytest.fixture(params=["8.6", "10.3"])
def built(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[FakeGpu, Path, Path]:
    """A GPU, an ONNX that prepares frames itself, and the engine of it for one or two images."""
    source = write_frame_model(tmp_path / "frames.onnx")
    gpu = fake_device.use(frame_gpu(request.param, source), monkeypatch)
    platform = engine_build.platform_of(gpu.trt, gpu.cuda.device())
    engine_build.build(gpu.trt, source, tmp_path / "frames.engine", BuildOptions(max_batch=2), platform)
    return gpu, source, tmp_path / "frames.engine"


def test_an_engine_that_prepares_frames_itself(
    built: tuple[FakeGpu, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gpu, source, engine = built
    assert command(source, engine, write_spot_video(tmp_path / "video.avi")) == 0
    said = capsys.readouterr().out
    assert "1 events begin: 0 missed, 0 extra" in said
    assert "motion maps of its own graph: " in said
    assert "times from frames of the network's size on, fitting and motion map included" in said
    assert "batches of 4, 8: not timed" in said
    assert gpu.runtime.leaks == 0


def test_an_engine_that_compares_with_another_frame_fails(
    built: tuple[FakeGpu, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gpu, source, engine = built
    compute = gpu.trt.compute
    gpu.trt.compute = lambda inputs: {**(found := compute(inputs)), MOTION: found[MOTION] + 1}
    assert command(source, engine, write_spot_video(tmp_path / "video.avi")) == 1
    said = capsys.readouterr().err
    assert "frames.engine computes another motion map than the daemon" in said
    assert 'with model.preprocessing = "cpu"' in said
    assert gpu.runtime.leaks == 0


def test_the_whole_conversion_does_not_hand_over_such_an_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = write_frame_model(tmp_path / "frames.onnx"), tmp_path / "made.engine"
    gpu = fake_device.use(frame_gpu("10.3", source), monkeypatch)
    compute = gpu.trt.compute
    gpu.trt.compute = lambda inputs: {**(found := compute(inputs)), MOTION: found[MOTION] + 1}
    frame = np.zeros((SIDE, SIDE, 3), np.uint8)
    material = CheckData((FramePair(frame),), (write_spot_video(tmp_path / "video.avi"),))
    with pytest.raises(CheckError, match=r"made\.engine: computes another motion map than the daemon"):
        build_engine(source, target, BuildOptions(max_batch=2), Gate(source, material, 1.0, lambda text: None))
    assert not target.exists()
    assert gpu.runtime.leaks == 0


@pytest.mark.slow
@pytest.mark.parametrize("path", OTHERS, ids=lambda path: path.stem)
def test_every_file_we_ship(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(FP32, path) == 0
    said = capsys.readouterr().out
    begun = re.search(r"\b[1-9]\d* events begin: \d missed, \d extra", said)
    assert begun
    assert "cpu" in path.stem or begun[0].endswith("0 missed, 0 extra")
    assert ("motion maps of its own graph: " in said) == ("cpu" not in path.stem)
