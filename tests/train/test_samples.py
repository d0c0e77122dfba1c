"""Samples of synthetic videos; what training sees is what the pipeline sees."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from edge import pipeline
from edge.inference import Engine, Infer
from edge.manifest import Manifest
from edge.motion_map import KINDS, MotionKind, MotionSettings
from edge.pipeline import PipelineSettings
from edge.sources import Frame
from tests.support.tiny_videos import FIRST, FRAMES, LABELS, person, picture, write_data_set
from train import augment
from train.augment import AugmentSettings
from train.datasets.annotation_records import GroundTruthTube, VideoAnnotation, VideoFrame
from train.datasets.packed_video import PackedVideo, open_packed
from train.datasets.ucf24 import load_ucf24
from train.samples import FrameSampler, TrainingSet, ValidationFrames, background_share, compute, draw


def manifest(motion: MotionSettings) -> Manifest:
    return Manifest("tiny", LABELS, 64, 96, motion, top_k=1)


def sample(
    choice: VideoFrame,
    packed: PackedVideo,
    manifest: Manifest,
    settings: AugmentSettings,
    random: np.random.Generator,
) -> dict[str, NDArray[Any]]:
    return compute(draw(choice, packed, manifest.input_size, manifest.motion.gap, settings, random), packed, manifest)


def annotation(name: str, label: int, frames: int, busy: int) -> VideoAnnotation:
    boxes = np.tile(np.array([[10, 10, 30, 40]], np.float32), (busy, 1))
    return VideoAnnotation(name, frames, (GroundTruthTube(label, 0, boxes),))


def exact(path: Path, images: list[NDArray[np.uint8]]) -> PackedVideo:
    """A packed video of PNGs, which lose nothing; it is opened as any other."""
    files = [cv2.imencode(".png", image)[1].tobytes() for image in images]
    offsets = np.cumsum([0, *map(len, files)], dtype=np.int64)
    path.write_bytes(np.int64(len(files)).tobytes() + offsets.tobytes() + b"".join(files))
    return PackedVideo(path)


def seen_by_the_pipeline(images: list[NDArray[np.uint8]], motion: MotionSettings) -> list[NDArray[np.float32]]:
    """The network's input for each frame of a replay."""
    seen: list[NDArray[np.float32]] = []
    engine = Engine(remembering(seen), manifest(motion), "0" * 64, "a function")
    state = pipeline.initial("video", "seed")
    for index, image in enumerate(images):
        state, _ = pipeline.step(
            state, Frame("video", index, index / 25, index / 25, image), engine, PipelineSettings()
        )
    return seen


def remembering(seen: list[NDArray[np.float32]]) -> Infer:
    def infer(inputs):  # type: ignore[no-untyped-def]
        seen.append(inputs["image"][0])
        return {
            "boxes": np.zeros((1, 1, 4), np.float32),
            "scores": np.zeros((1, 1), np.float32),
            "labels": np.zeros((1, 1), np.int64),
            "class_scores": np.zeros((1, 1, 2), np.float32),
        }

    return infer


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("gap", [1, 3])
@pytest.mark.parametrize("size", [(96, 64), (75, 133)])
def test_training_gets_the_frames_of_the_pipeline(
    kind: MotionKind, gap: int, size: tuple[int, int], tmp_path: Path
) -> None:
    motion = MotionSettings(kind, gap=gap)
    images = [cv2.resize(picture(0, frame, seed=1), size).astype(np.uint8) for frame in range(6)]
    packed = exact(tmp_path / "video.frames", images)
    video = annotation("video", 0, len(images), 3)
    for index, expected in enumerate(seen_by_the_pipeline(images, motion)):
        random = np.random.default_rng(0)
        got = sample(VideoFrame(video, index), packed, manifest(motion), augment.NO_AUGMENTATION, random)
        np.testing.assert_allclose(got["image"], expected, atol=1e-5)


def test_previous_frames_are_augmented_like_the_current_one(tmp_path: Path) -> None:
    """Of a still video the previous frame is the current one, whatever was drawn."""
    packed = exact(tmp_path / "still.frames", [picture(0, 5, seed=1)] * 4)
    video = annotation("still", 0, 4, 4)
    for seed in range(10):
        random = np.random.default_rng(seed)
        drawn = sample(VideoFrame(video, 2), packed, manifest(MotionSettings("previous")), AugmentSettings(), random)
        np.testing.assert_array_equal(drawn["image"][:3], drawn["image"][3:])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def training(folder: Path) -> TrainingSet:
    data = load_ucf24(folder)
    packed = open_packed([(v.name, data.video(v.name)) for v in data.train], folder / "cache")
    return TrainingSet([data.train], packed, manifest(MotionSettings("previous")), AugmentSettings(), 7, 40)


def test_a_number_is_one_sample_for_ever(training: TrainingSet) -> None:
    for number in (0, 11):
        first, again = training[number], training[number]
        for name in first:
            np.testing.assert_array_equal(first[name], again[name])
    assert not np.array_equal(training[0]["image"], training[1]["image"])
    assert len(training) == 40


def test_samples_are_batched_with_the_documented_shapes(training: TrainingSet) -> None:
    batch = next(iter(DataLoader(training, 3)))
    assert {name: tuple(value.shape) for name, value in batch.items()} == {
        "image": (3, 6, 64, 96),
        "heatmap": (3, 2, 16, 24),
        "size": (3, 2, 16, 24),
        "size_weight": (3, 16, 24),
        "shift": (3, 2, 16, 24),
        "offset": (3, 2, 16, 24),
        "centre": (3, 16, 24),
        "annotated": (3, 2),
    }


def test_an_unaugmented_sample_has_its_box(folder: Path, training: TrainingSet) -> None:
    """Frames and input are of one size, so the target is the annotation: see `person`."""
    video = load_ucf24(folder).train[0]
    frames = ValidationFrames([VideoFrame(video, frame) for frame in (0, FIRST)], training.packed, training.manifest)
    assert not frames[0]["centre"].any()
    assert not frames[0]["image"][3:].any()  # before the first frame there are zeros
    x, y, width, height = person(FIRST)
    column, row = (x - 1 + width / 2) / 4, (y - 1 + height / 2) / 4
    assert np.argwhere(frames[1]["centre"]).tolist() == [[int(row), int(column)]]
    assert frames[1]["size"][:, int(row), int(column)].tolist() == [width / 4, height / 4]
    assert frames[1]["offset"][:, int(row), int(column)].tolist() == [column % 1, row % 1]


@pytest.mark.parametrize(
    ("videos", "share"),
    [
        ([("a", 10, 10)], 0.0),
        ([("a", 10, 0)], 1.0),
        ([("a", 10, 4), ("b", 30, 26)], 0.25),  # 40 frames, 30 of them busy
    ],
)
def test_idle_share(videos: list[tuple[str, int, int]], share: float) -> None:
    assert background_share([annotation(name, 0, frames, busy) for name, frames, busy in videos]) == pytest.approx(
        share
    )


def test_frames_of_two_people_are_busy_once() -> None:
    tubes = (GroundTruthTube(0, 0, np.zeros((6, 4), np.float32)), GroundTruthTube(0, 4, np.zeros((4, 4), np.float32)))
    assert background_share([VideoAnnotation("a", 10, tubes)]) == pytest.approx(0.2)


def test_classes_are_chosen_by_weight_then_videos_and_frames_evenly() -> None:
    # class 0 is never idle and weighs 1, class 1 is idle half of the time and weighs 1.5, class 2 has no video
    videos = [annotation("a", 0, 4, 4), annotation("b", 0, 40, 40), annotation("c", 1, 10, 5)]
    choose, random = FrameSampler([videos], 3), np.random.default_rng(0)
    drawn = [choose(random) for _ in range(4000)]
    share = {name: sum(choice.video.name == name for choice in drawn) / 4000 for name in "abc"}
    assert share == pytest.approx({"a": 0.2, "b": 0.2, "c": 0.6}, abs=0.03)
    assert {choice.frame for choice in drawn if choice.video.name == "a"} == {0, 1, 2, 3}
    assert {choice.frame for choice in drawn if choice.video.name == "c"} == set(range(10))


def test_data_sets_share_a_class_by_their_videos_or_have_shares_of_their_own() -> None:
    """Class 0 is in both data sets; all weigh 1, for no frame is idle."""
    one, other = (
        [annotation("a", 0, 4, 4)],
        [annotation(name, label, 4, 4) for name, label in zip("bcd", (0, 0, 1), strict=True)],
    )
    assert FrameSampler([one, other], 2).shares == pytest.approx([1 / 6, 5 / 6])  # a third of class 0, all of class 1
    chosen = FrameSampler([one, other], 2, (3, 1))
    assert chosen.shares == pytest.approx([0.75, 0.25])
    assert chosen.probability.tolist() == pytest.approx([0.75, 0, 0, 0.125, 0.125, 0])


def test_the_shared_videos_give_samples(shared: Path, tmp_path: Path) -> None:
    """A real video of UCF101-24, one frame with a person: the box centre lies on the grid."""
    data = load_ucf24(shared / "ucf24")
    video = data.train[0]
    packed = open_packed([(video.name, data.video(video.name))], tmp_path)[video.name]
    assert packed.size == (320, 240)
    tube = video.tubes[0]
    real = Manifest("real", data.labels, 192, 256)
    got = sample(VideoFrame(video, tube.first_frame), packed, real, augment.NO_AUGMENTATION, np.random.default_rng(0))
    assert got["image"].shape == (6, 192, 256)
    assert np.isfinite(got["image"]).all()
    x1, y1, x2, y2 = tube.boxes[0] * 0.8 / 4
    row, column = np.argwhere(got["centre"])[0]
    assert (row, column) == (int((y1 + y2) / 2), int((x1 + x2) / 2))
    assert len(packed) > FRAMES


def test_of_several_gaps_one_is_drawn_per_sample(folder: Path, training: TrainingSet) -> None:
    """With motion kind `previous` the map is the frame that lies so far back."""
    videos, still = load_ucf24(folder).train, augment.NO_AUGMENTATION
    several = TrainingSet([videos], training.packed, training.manifest, still, 7, 40, other_gaps=(4,))
    seen = []
    for number in range(40):
        choice = several.choose(np.random.default_rng((7, number)))
        by_gap = {
            gap: sample(
                choice,
                training.packed[choice.video.name],
                manifest(MotionSettings("previous", gap=gap)),
                still,
                np.random.default_rng(0),
            )["image"]
            for gap in (1, 4)
        }
        if not np.array_equal(by_gap[1], by_gap[4]):
            seen += [gap for gap, image in by_gap.items() if np.array_equal(image, several[number]["image"])]
    assert {seen.count(1) > 5, seen.count(4) > 5} == {True}
