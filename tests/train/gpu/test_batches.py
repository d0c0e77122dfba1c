"""What torch computes for a draw is what the CPU's path computes, within 1e-3; here torch computes on the CPU too."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from edge.manifest import Manifest
from edge.motion_map import MotionKind, MotionSettings
from tests.support.tiny_videos import LABELS, picture, write_video
from train.augment import AugmentSettings
from train.batches import HostBatches
from train.datasets.annotation_records import GroundTruthTube, VideoAnnotation, VideoFrame
from train.datasets.packed_video import PackedVideo, open_packed
from train.datasets.ucf24 import load_ucf24
from train.gpu import batches
from train.gpu.frames import FrameMemoryError
from train.samples import TrainingSet, ValidationFrames

CPU = torch.device("cpu")
FRAMES = 9
SIZES = {"a": (96, 64), "b": (131, 50), "c": (40, 90), "d": (400, 300)}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, PackedVideo]:
    """Videos of several sizes in which the camera and a person move."""
    folder = tmp_path_factory.mktemp("videos")
    files = []
    for seed, (name, size) in enumerate(SIZES.items()):
        wide = [cv2.resize(picture(seed % 2, frame, seed), (size[0] + 9, size[1])) for frame in range(FRAMES)]
        shown = [image[:, frame : frame + size[0]].astype(np.uint8) for frame, image in enumerate(wide)]
        files.append((name, write_video(folder / f"{name}.avi", shown)))
    return open_packed(files, folder / "cache")


def videos() -> list[VideoAnnotation]:
    """Two people in each frame but the first ones, who overlap; in every second video only label 1 is annotated."""
    found = []
    for number, (name, (width, height)) in enumerate(SIZES.items()):
        box = np.array([width * 0.2, height * 0.1, width * 0.6, height * 0.9], np.float32)
        others = box + np.arange(FRAMES - 2, dtype=np.float32)[:, None] * np.array([1, 0, 1, 0], np.float32)
        tubes = (GroundTruthTube(number % 2, 2, others), GroundTruthTube(1, 3, others[:4] * np.float32(0.9)))
        found.append(VideoAnnotation(name, FRAMES, tubes, annotated_labels=(1,) if number % 2 else None))
    return found


def manifest(motion: MotionSettings) -> Manifest:
    return Manifest("tiny", LABELS, 64, 96, motion, top_k=1)


def both(samples: TrainingSet | ValidationFrames, size: int) -> Iterator[tuple[Mapping[str, Tensor], ...]]:
    """The batches of the CPU's path and those of torch."""
    made = batches.resident(samples.packed, samples.manifest, CPU, 0)
    numbers = range(len(samples))
    yield from zip(HostBatches(CPU, 0)(samples, numbers, size), made(samples, numbers, size), strict=True)


def close(one: Tensor, other: Tensor, within: float) -> None:
    np.testing.assert_allclose(other.numpy(), one.numpy(), atol=within, rtol=0)


@pytest.mark.parametrize(
    "motion",
    [
        MotionSettings("ssim", gap=2),
        MotionSettings("ssim", shifts=False),
        MotionSettings("dsim"),
        MotionSettings("previous", gap=3),
        MotionSettings("none"),
    ],
)
def test_training_samples_are_those_of_the_cpu(motion: MotionSettings, packed: Mapping[str, PackedVideo]) -> None:
    gaps = () if motion.kind == "none" else (1, 5)
    samples = TrainingSet([videos()], packed, manifest(motion), AugmentSettings(erase=0.5), 3, 48, gaps)
    for ours, theirs in both(samples, 20):
        assert list(ours) == list(theirs)
        for name in ours:
            assert theirs[name].dtype == torch.float32
            close(ours[name], theirs[name], 1e-3)


def test_labels_that_are_not_annotated_are_masked_there_too(packed: Mapping[str, PackedVideo]) -> None:
    chosen = [VideoFrame(video, 4) for video in videos()]
    ((_, theirs),) = both(ValidationFrames(chosen, packed, manifest(MotionSettings("none"))), 4)
    assert theirs["annotated"].tolist() == [[1, 1], [0, 1], [1, 1], [0, 1]]


def test_validation_frames_are_those_of_the_cpu(packed: Mapping[str, PackedVideo]) -> None:
    """The first frame of each video has none before it."""
    chosen = [VideoFrame(video, frame) for video in videos() for frame in (0, 1, 4)]
    samples = ValidationFrames(chosen, packed, manifest(MotionSettings("ssim", gap=2)))
    for ours, theirs in both(samples, 5):
        for name in ours:
            close(ours[name], theirs[name], 1e-3)


def test_grey_levels_are_exact(packed: Mapping[str, PackedVideo]) -> None:
    """Half a grey level is 0.007 of a normalised frame."""
    samples = TrainingSet([videos()], packed, manifest(MotionSettings("none")), AugmentSettings(erase=0.5), 5, 200)
    for ours, theirs in both(samples, 50):
        close(ours["image"], theirs["image"], 2e-6)


def test_processes_may_draw(packed: Mapping[str, PackedVideo]) -> None:
    samples = TrainingSet([videos()], packed, manifest(MotionSettings("previous")), AugmentSettings(), 3, 8)
    here, elsewhere = (list(batches.resident(packed, samples.manifest, CPU, n)(samples, range(8), 4)) for n in (0, 1))
    for one, other in zip(here, elsewhere, strict=True):
        for name in one:
            assert torch.equal(one[name], other[name])


def test_optical_flow_stays_on_the_cpu(packed: Mapping[str, PackedVideo]) -> None:
    kind: MotionKind = "flow"
    with pytest.raises(FrameMemoryError, match="motion flow is computed on the CPU alone"):
        batches.resident(packed, manifest(MotionSettings(kind)), CPU, 0)


def test_frames_without_boxes(packed: Mapping[str, PackedVideo]) -> None:
    samples = ValidationFrames([VideoFrame(videos()[0], 0)], packed, manifest(MotionSettings("none")))
    ((ours, theirs),) = both(samples, 4)
    assert not theirs["heatmap"].any()
    assert ours["heatmap"].shape == theirs["heatmap"].shape


def test_the_shared_videos(shared: Path, tmp_path: Path) -> None:
    """Real frames at the network's own size."""
    data = load_ucf24(shared / "ucf24")
    few = [data.train[place] for place in (0, 200, -1)]
    opened = open_packed([(video.name, data.video(video.name)) for video in few], tmp_path)
    real = Manifest("real", data.labels, 224, 288, MotionSettings(gap=2))
    samples = TrainingSet([few], opened, real, AugmentSettings(), 1, 12)
    for ours, theirs in both(samples, 6):
        for name in ours:
            close(ours[name], theirs[name], 1e-3)
