"""Frames in the device's memory: which number is which frame, and what cannot be kept."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from train.datasets.packed_video import FrameError, PackedVideo
from train.gpu import frames
from train.gpu.frames import FrameMemoryError

CPU = torch.device("cpu")


def image(level: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.full((size[1], size[0], 3), level, np.uint8)


def packed(path: Path, images: list[NDArray[np.uint8] | None]) -> PackedVideo:
    """A packed video of PNGs, which lose nothing; None: a frame that could not be decoded."""
    files = [b"" if one is None else cv2.imencode(".png", one)[1].tobytes() for one in images]
    offsets = np.cumsum([0, *map(len, files)], dtype=np.int64)
    path.write_bytes(np.int64(len(files)).tobytes() + offsets.tobytes() + b"".join(files))
    return PackedVideo(path)


def test_every_held_frame_has_its_place(tmp_path: Path) -> None:
    small = packed(tmp_path / "a", [image(1, (4, 3)), None, image(3, (4, 3))])
    large = packed(tmp_path / "b", [image(7, (5, 6))])
    found = frames.load({"a": small, "b": large}, CPU)
    assert found.bytes == 3 * (2 * 12 + 30)
    memory = found.memory
    for video, number, level, size in (("a", 0, 1, (3, 4)), ("a", 2, 3, (3, 4)), ("b", 0, 7, (6, 5))):
        place = found.numbers.of(video, number)
        start = int(memory.starts[place])
        assert memory.sizes[place].tolist() == list(size)
        assert (memory.pixels[start : start + size[0] * size[1]] == level).all()


def test_no_videos() -> None:
    assert frames.load({}, CPU).bytes == 0


def test_a_video_that_changes_its_size(tmp_path: Path) -> None:
    video = packed(tmp_path / "a", [image(1, (4, 3)), image(1, (8, 6))])
    with pytest.raises(FrameMemoryError, match="frame 1 has another size than the first one"):
        frames.load({"a": video}, CPU)


def test_a_damaged_frame(tmp_path: Path) -> None:
    video = packed(tmp_path / "a", [image(1, (4, 3)), image(2, (4, 3))])
    content = bytearray(video.path.read_bytes())
    content[8 * 4 + int(video.offsets[1]) :] = b"\0" * (len(content) - 8 * 4 - int(video.offsets[1]))
    video.path.write_bytes(content)
    with pytest.raises(FrameError, match="frame 1 is damaged"):
        frames.load({"a": video}, CPU)
