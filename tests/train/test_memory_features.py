"""Maps of tiny videos by a network with random weights."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from edge.streaming_memory import picture as seen
from tests.support.tiny_videos import picture
from tests.support.untrained_movinet import untrained_movinet
from train import augment, memory_features
from train.augment import Augmentation
from train.datasets.packed_video import FrameError, PackedVideo
from train.memory_features import MemoryFeatures

torch.set_num_threads(1)
NETWORK = untrained_movinet()
MEMORY = memory_features.described(NETWORK)
SIZE = (96, 64)
LEFT_OUT = augment.draw(augment.NO_AUGMENTATION, SIZE, SIZE, np.random.default_rng(0))


def packed(folder: Path, frames: int = 10, missing: tuple[int, ...] = ()) -> PackedVideo:
    """Exact frames, some of which could not be decoded."""
    images = [b"" if i in missing else cv2.imencode(".png", picture(0, i, 1))[1].tobytes() for i in range(frames)]
    offsets = np.cumsum([0, *map(len, images)], dtype=np.int64)
    path = folder / "video.0123456789abcdef.frames"
    path.write_bytes(np.int64(frames).tobytes() + offsets.tobytes() + b"".join(images))
    return PackedVideo(path)


def opened(video: PackedVideo) -> MemoryFeatures:
    return memory_features.open_features({"video": video}, NETWORK, MEMORY)["video"]


def features(found: MemoryFeatures, frame: int, drawn: Augmentation = LEFT_OUT) -> dict[str, np.ndarray]:
    return found.inputs(frame, True, drawn, SIZE)


@torch.inference_mode()
def streamed(video: PackedVideo, frames: list[int]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Frame by frame, as on a device."""
    state, found = NETWORK.memory(1), []
    for frame in frames:
        image = torch.from_numpy(seen(video[frame], MEMORY.size))
        one, tap, state = NETWORK.maps(image[None, None], state)
        found.append((one[0, 0].numpy(), tap[0, 0].numpy()))
    return found


def test_a_frame_gets_the_maps_of_the_newest_that_was_seen(tmp_path: Path) -> None:
    video = packed(tmp_path)
    found, expected = opened(video), streamed(video, [0, 4, 8])
    for frame in range(10):
        got = features(found, frame)
        for name, value in zip(("features", "tap"), expected[frame // 4], strict=True):
            np.testing.assert_allclose(got[name], value, rtol=2e-3, atol=2e-3)  # float16
    assert np.abs(expected[0][0] - expected[1][0]).max() > 0.01


def test_a_frame_that_is_missing_leaves_the_maps_before_it(tmp_path: Path) -> None:
    video = packed(tmp_path, missing=(0, 4))
    found, (expected,) = opened(video), streamed(video, [8])
    assert not features(found, 3)["features"].any()
    assert not features(found, 7)["tap"].any()
    np.testing.assert_allclose(features(found, 9)["features"], expected[0], rtol=2e-3, atol=2e-3)


def test_a_forgotten_frame_gets_zeros_in_its_place(tmp_path: Path) -> None:
    found = opened(packed(tmp_path)).inputs(5, False, LEFT_OUT, SIZE)
    assert {name: value.shape for name, value in found.items()} == {
        "features": (480, 6, 6),
        "tap": (56, 11, 11),
        "placement": (4,),
    }
    assert not found["features"].any()
    assert not found["tap"].any()
    np.testing.assert_allclose(found["placement"], [1, 0, 1, 0])


def test_maps_are_kept_and_made_again_where_they_are_not_whole(tmp_path: Path) -> None:
    video = packed(tmp_path)
    kept = opened(video).path
    content, kept_at = kept.read_bytes(), kept.stat().st_mtime_ns
    assert len(content) == 3 * 2 * (480 * 36 + 56 * 121)
    assert opened(video).path.stat().st_mtime_ns == kept_at
    kept.write_bytes(content[:-2])
    with pytest.raises(FrameError, match="is cut short; delete the file, it is created again"):
        features(MemoryFeatures(kept, MEMORY, SIZE), 8)
    assert opened(video).path.read_bytes() == content


def test_other_weights_and_intervals_are_kept_apart(tmp_path: Path) -> None:
    video, other = packed(tmp_path), untrained_movinet(seed=1)
    described = memory_features.described(other)
    assert described.weights != MEMORY.weights
    paths = {
        opened(video).path,
        memory_features.open_features({"video": video}, other, described)["video"].path,
        memory_features.open_features({"video": video}, NETWORK, memory_features.described(NETWORK, 2))["video"].path,
    }
    assert len(paths) == 3


def test_a_file_that_is_gone_is_reported(tmp_path: Path) -> None:
    with pytest.raises(FrameError, match="cannot be read"):
        features(MemoryFeatures(tmp_path / "gone", MEMORY, SIZE), 0)


def test_a_place_that_cannot_be_written_to_is_reported(tmp_path: Path) -> None:
    video = packed(tmp_path)
    place = opened(video).path
    place.unlink()
    place.mkdir()
    with pytest.raises(FrameError, match="choose another --cache"):
        opened(video)
