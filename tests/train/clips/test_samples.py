"""Samples of a key frame and its clip, of real small videos."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.clip import ClipInput
from edge.manifest import Manifest
from edge.motion_map import MotionSettings
from tests.support.tiny_videos import END, FIRST, FRAMES, LABELS, SIZE, person, write_data_set
from train.augment import NO_AUGMENTATION, AugmentSettings
from train.clips.samples import AUGMENTATION, MOST_BOXES, ClipTrainingSet, ClipValidationFrames, sizes
from train.datasets import loader
from train.datasets.annotation_records import VideoAnnotation, VideoFrame
from train.datasets.packed_video import PackedVideo, open_packed
from train.samples import FrameSampler

CLIP = ClipInput(4, step=2)
MANIFEST = Manifest("tiny", LABELS, 64, 96, MotionSettings("none"), clip=CLIP)
Data = tuple[tuple[VideoAnnotation, ...], dict[str, PackedVideo]]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    folder = tmp_path_factory.mktemp("clips")
    videos = loader.load(write_data_set(folder / "data"), 1).train
    files = [(one.name, folder / "data" / "videos" / f"{one.name}.avi") for one in videos]
    return videos, open_packed(files, folder / "cache")


def samples(
    data: Data, settings: AugmentSettings = NO_AUGMENTATION, manifest: Manifest = MANIFEST, anywhere: bool = True
) -> ClipTrainingSet:
    return ClipTrainingSet(FrameSampler([data[0]], len(LABELS)), data[1], manifest, settings, 0, 100, CLIP, anywhere)


def pixels(planes: NDArray[np.float32]) -> NDArray[np.float64]:
    """(3, h, w) normalised → 0..255."""
    mean, std = (np.array(one).reshape(3, 1, 1) for one in (MANIFEST.mean, MANIFEST.std))
    return np.asarray(255 * (planes * std + mean))


def test_a_sample_holds_its_frames_and_boxes(data: Data) -> None:
    made = samples(data)
    for number in range(12):
        drawn, sample = made.draw(number), made[number]
        frames = data[1][drawn.choice.video.name]
        assert {name: value.shape for name, value in sample.items()} == {
            "image": (3, 64, 96),
            "clip": (3, 4, 64, 96),
            "boxes": (MOST_BOXES, 4),
            "labels": (MOST_BOXES,),
            "annotated": (2,),
        }
        for place, index in enumerate(drawn.clip):
            np.testing.assert_allclose(pixels(sample["clip"][:, place]), frames[index].transpose(2, 0, 1), atol=1e-2)
        np.testing.assert_array_equal(sample["image"], sample["clip"][:, drawn.clip.index(drawn.choice.frame)])
        shown = FIRST <= drawn.choice.frame < END
        assert (sample["labels"] >= 0).sum() == int(shown)
        if shown:
            x, y, w, h = person(drawn.choice.frame)
            assert sample["boxes"][0].tolist() == pytest.approx([x - 1, y - 1, x - 1 + w, y - 1 + h])


def test_the_key_frame_is_anywhere_or_last(data: Data) -> None:
    drawn = [[samples(data, anywhere=anywhere).draw(i) for i in range(60)] for anywhere in (True, False)]
    positions = [{one.clip.index(one.choice.frame) for one in several} for several in drawn]
    assert positions[0] == {0, 1, 2, 3}
    assert all(one.clip[-1] == one.choice.frame for one in drawn[1])


def test_all_frames_of_a_clip_are_augmented_alike(data: Data) -> None:
    """The background stands still in every video, so it does so in every clip."""
    sample = samples(data, AUGMENTATION)[3]
    clip = sample["clip"]
    same = (np.abs(clip - clip[:, :1]) < 1e-5).mean(axis=(0, 2, 3))
    assert (same > 0.3).all()
    plain = samples(data)[3]
    assert np.abs(sample["image"] - plain["image"]).mean() > 0.05  # it was changed


def test_a_number_is_the_same_sample_for_ever(data: Data) -> None:
    one, other = samples(data, AUGMENTATION)[7], samples(data, AUGMENTATION)[7]
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name])
    assert not np.array_equal(one["image"], samples(data, AUGMENTATION)[8]["image"])


def test_a_frame_that_was_not_decoded_is_in_no_clip(data: Data) -> None:
    video = data[0][0]
    packed = data[1][video.name]
    gone = PackedVideo(packed.path)
    gone.held = np.delete(packed.held, 5)
    made = ClipTrainingSet(FrameSampler([[video]], 2), {video.name: gone}, MANIFEST, NO_AUGMENTATION, 0, 40, CLIP)
    drawn = [made.draw(number) for number in range(40)]
    clips = [one.clip for one in drawn if one.choice.frame != 5]
    assert not any(5 in clip for clip in clips)
    assert any({4, 7} <= set(clip) for clip in clips)  # two steps of the frames that there are


def test_validation_frames_end_their_clips(data: Data) -> None:
    frames = ClipValidationFrames([VideoFrame(data[0][0], 3)], data[1], MANIFEST)
    sample: Mapping[str, NDArray[Any]] = frames[0]
    assert len(frames) == 1
    packed = data[1][data[0][0].name]
    for place, index in enumerate((0, 0, 1, 3)):  # two steps back each, the first repeated
        np.testing.assert_allclose(pixels(sample["clip"][:, place]), packed[index].transpose(2, 0, 1), atol=1e-2)
    np.testing.assert_array_equal(sample["image"], sample["clip"][:, -1])


def test_validation_frames_have_the_map_that_a_stream_has_then(data: Data) -> None:
    """Every third frame has one of its own; in between the clip has ended before."""
    manifest = replace(MANIFEST, clip=ClipInput(2, every=3))
    packed = data[1][data[0][0].name]
    for frame, clip in ((6, (5, 6)), (7, (5, 6)), (8, (5, 6)), (9, (8, 9))):
        sample = ClipValidationFrames([VideoFrame(data[0][0], frame)], data[1], manifest)[0]
        for place, index in enumerate(clip):
            np.testing.assert_allclose(pixels(sample["clip"][:, place]), packed[index].transpose(2, 0, 1), atol=1e-2)
        np.testing.assert_allclose(pixels(sample["image"]), packed[frame].transpose(2, 0, 1), atol=1e-2)


def test_more_boxes_than_fit_are_the_largest(data: Data) -> None:
    video = data[0][0]
    crowd = VideoAnnotation(video.name, FRAMES, video.tubes * (MOST_BOXES + 9))
    sample = ClipValidationFrames([VideoFrame(crowd, FIRST)], data[1], MANIFEST)[0]
    assert (sample["labels"] >= 0).all()


def test_sizes_are_in_input_pixels(data: Data) -> None:
    found = sizes(data[0], data[1], Manifest("twice", LABELS, 128, 192, MotionSettings("none")))
    assert len(found) == len(data[0]) * (END - FIRST)
    assert SIZE == (96, 64)
    np.testing.assert_allclose(found, np.tile([48.0, 72.0], (len(found), 1)), rtol=1e-5)
    assert sizes([], data[1], MANIFEST).shape == (0, 2)
