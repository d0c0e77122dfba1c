"""How a live source is opened."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.cameras import source_reader
from edge.cameras.gstreamer_pipelines import BackendCandidate
from edge.cameras.reader_control import ReaderControl
from edge.cameras.source_reader import read_candidates
from edge.sources import parse


class FakeCapture:
    """Gives images of 4K, or of the size in its pipeline."""

    def __init__(self, target: str, backend: int, parameters: list[int]) -> None:
        self._size = (720, 1280, 3) if "width=1280" in target else (2160, 3840, 3)

    def read(self) -> tuple[bool, NDArray[Any]]:
        return True, np.zeros(self._size, np.uint8)

    def release(self) -> None:
        pass


def test_a_backend_that_is_opened_twice_has_its_time_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once to learn the size of the camera's images, once more to have hardware scale them."""
    monkeypatch.setattr("cv2.VideoCapture", FakeCapture)
    monkeypatch.setattr(source_reader, "SETTLING_SECONDS", 0.0)
    best = BackendCandidate("gstreamer", "x ! video/x-raw, format=BGRx ! y", "hardware", scalable=True)
    other = BackendCandidate("gstreamer", "z", "software")
    announced: list[tuple[str, str]] = []
    control = ReaderControl(lambda backend, alternative: announced.append((backend, alternative)))
    images = read_candidates(parse("/dev/video0"), [best, other], control)
    assert next(images).image.shape == (720, 1280, 3)
    images.close()
    assert announced == [("hardware", "software")] * 2
