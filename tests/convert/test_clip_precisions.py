"""Models that see clips in INT8 and FP16: both networks are converted, on real clips, and compared on them."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from convert import calibration, quantize
from convert.__main__ import main as convert
from convert.calibration import CalibrationError
from convert.watched_video import beside_of
from edge.clip import CLIP, CLIP_MAP, NEWEST_MAP
from edge.engines import onnxruntime_engine
from edge.engines.onnx_parts import clip_part, detector_part
from edge.engines.tensorrt_build_plan import ModelPart
from edge.manifest import INPUT
from tests.support.clip_model import write_clip_model
from tests.support.real_builder import build_for_real
from tests.support.small_clip_network import MANIFEST, write_small_clip_model
from tests.support.spot_model import write_spot_video


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`exact.onnx` and `video.avi`."""
    folder = tmp_path_factory.mktemp("clips")
    write_small_clip_model(folder / "exact.onnx")
    write_spot_video(folder / "video.avi")
    return folder


def kinds(model: bytes) -> set[int]:
    """The types of the weights of convolutions in a part of a file."""
    graph = onnx.load_model_from_string(model).graph
    return {one.data_type for one in graph.initializer if len(one.dims) >= 4}


@pytest.mark.parametrize(
    ("name", "options", "kind"),
    [
        ("int8.onnx", ("--target", "tensorrt"), onnx.TensorProto.INT8),
        ("int8-cpu.onnx", ("--target", "cpu"), onnx.TensorProto.INT8),
        ("fp16.onnx", ("--precision", "fp16"), onnx.TensorProto.FLOAT16),
        ("int8-fp16.onnx", ("--precision", "fp16"), onnx.TensorProto.INT8),
    ],
)
def test_both_networks_are_converted_and_compared(
    name: str,
    options: tuple[str, ...],
    kind: int,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source, target, videos = folder / "exact.onnx", tmp_path / name, ("--calibrate", str(folder / "video.avi"))
    if name == "int8-fp16.onnx":  # of an INT8 file what that does not quantise
        source = tmp_path / "int8.onnx"
        quantised = ["quantize", str(folder / "exact.onnx"), "-o", str(source), *videos, "--frames", "16"]
        assert convert(quantised) == 0
    given = [] if "fp16" in options else [*videos, "--frames", "16"]
    assert convert(["quantize", str(source), "-o", str(target), *options, *given]) == 0
    content = target.read_bytes()
    assert kind in kinds(clip_part(content))
    assert kind in kinds(detector_part(content))
    exact, other = (onnxruntime_engine.load(path, 1) for path in (folder / "exact.onnx", target))
    assert other.manifest.clip == MANIFEST.clip
    assert exact.clip is not None
    assert other.clip is not None
    for one in list(calibration.inputs([folder / "video.avi"], exact.manifest, 16, exact.clip))[6:9]:
        expected, found = (engine.clip.infer({CLIP: one[CLIP]})[NEWEST_MAP] for engine in (exact, other) if engine.clip)
        assert not np.array_equal(expected, found)
        assert np.abs(expected - found).max() < 0.1 * np.abs(expected).max()
    assert convert(["check", str(folder / "exact.onnx"), str(target), *videos, "--frames", "16"]) == 0
    told = capsys.readouterr().out
    assert " peaks: " in told
    assert "accuracy: not measured" in told


@pytest.mark.parametrize("part", ["detector", "clip"])
def test_nvidias_builder_takes_both_networks(part: ModelPart, folder: Path, tmp_path: Path) -> None:
    videos = ["--calibrate", str(folder / "video.avi"), "--frames", "16"]
    assert convert(["quantize", str(folder / "exact.onnx"), "-o", str(tmp_path / "int8.onnx"), *videos]) == 0
    assert build_for_real(tmp_path / "int8.onnx", tmp_path, part=part).precision == "int8"


def test_the_ranges_are_those_of_clips_of_the_video(folder: Path) -> None:
    """A clip is not its last frame repeated, and the map is of that clip."""
    engine = onnxruntime_engine.load(folder / "exact.onnx", 1)
    seen = list(calibration.inputs([folder / "video.avi"], engine.manifest, 20, beside_of(engine)))
    assert len(seen) == 20
    assert engine.clip is not None
    moving = 0
    for one in seen:
        assert {name: value.shape for name, value in one.items()} == {
            INPUT: (1, 3, 64, 64),
            CLIP: (1, 3, 3, 64, 64),
            CLIP_MAP: (1, 8, 2, 2),
        }
        np.testing.assert_array_equal(one[INPUT][0], one[CLIP][0, :, -1])
        np.testing.assert_array_equal(one[CLIP_MAP], engine.clip.infer({CLIP: one[CLIP]})[NEWEST_MAP])
        moving += not np.array_equal(one[CLIP][0, :, 0], one[CLIP][0, :, -1])
    assert moving > 10
    assert list(quantize.checked_shapes(seen[:2], engine.manifest)) == seen[:2]


def test_a_video_shorter_than_what_is_calibrated_on(folder: Path, tmp_path: Path) -> None:
    engine = onnxruntime_engine.load(folder / "exact.onnx", 1)
    short = write_spot_video(tmp_path / "short.avi", shown=2, dark=0)
    with pytest.raises(CalibrationError, match="2 frames in 1 videos; give 16 at least"):
        list(calibration.inputs([short], engine.manifest, 16, beside_of(engine)))


def test_models_of_other_clips_are_not_compared(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_clip_model(tmp_path / "other.onnx")
    video = ("--calibrate", str(folder / "video.avi"), "--frames", "16")
    assert convert(["check", str(folder / "exact.onnx"), str(tmp_path / "other.onnx"), *video]) == 1
    assert "compare a model with the one it was made from" in capsys.readouterr().err
