"""Frames for calibration are those that the pipeline gives to the network."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from convert import calibration
from convert.calibration import MIN_FRAMES, CalibrationError
from edge import detector, inference
from edge.cameras.video_file import CaptureError, read_file
from edge.manifest import Manifest
from edge.motion_map import MotionSettings
from tests.support.tiny_videos import picture, write_video

MANIFEST = Manifest("tiny", ("Run",), 64, 96, MotionSettings("ssim", gap=2))


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_video(tmp_path / "a.avi", [picture(0, frame, 1) for frame in range(20)])


def streamed(video: Path) -> list[np.ndarray]:
    """What the network gets for every frame while the video is played."""
    past: inference.Past = ()
    inputs = []
    for frame in read_file(video, "c"):
        normalised = detector.normalise(frame.image, MANIFEST)
        motion_map, past = inference.motion_step(past, frame.monotonic_time, normalised, MANIFEST.motion, MANIFEST.gap)
        inputs.append(detector.network_input(normalised, motion_map))
    return inputs


def test_all_frames_of_a_video_equal_those_of_the_pipeline(video: Path) -> None:
    found = list(calibration.inputs([video], MANIFEST, count=20))
    assert len(found) == 20
    for mine, played in zip(found, streamed(video), strict=True):
        np.testing.assert_array_equal(mine["image"], played)


def test_fewer_are_taken_evenly(video: Path) -> None:
    # 16 of 20 frames: the middles of 16 equal parts
    found = list(calibration.inputs([video], MANIFEST, count=16))
    played = streamed(video)
    for mine, index in zip(found, [(2 * i + 1) * 20 // 32 for i in range(16)], strict=True):
        np.testing.assert_array_equal(mine["image"], played[index])


def test_frames_are_shared_among_videos(video: Path, tmp_path: Path) -> None:
    second = write_video(tmp_path / "b.avi", [picture(1, frame, 2) for frame in range(20)])
    found = list(calibration.inputs([video, second], MANIFEST, count=17))
    assert len(found) == 17
    np.testing.assert_array_equal(found[-1]["image"], streamed(second)[(2 * 8 + 1) * 20 // 18])


def test_asking_for_more_than_there_are_gives_all_and_too_few_are_refused(video: Path, tmp_path: Path) -> None:
    assert len(list(calibration.inputs([video], MANIFEST, count=1000))) == 20
    short = write_video(tmp_path / "short.avi", [picture(0, frame, 1) for frame in range(3)])
    with pytest.raises(CalibrationError, match=f"3 frames in 1 videos; give {MIN_FRAMES} at least"):
        list(calibration.inputs([short], MANIFEST))


def test_folders_are_searched_at_any_depth(video: Path, tmp_path: Path) -> None:
    deep = write_video(tmp_path / "x" / "y" / "b.MP4.avi", [picture(0, 0, 1)])
    (tmp_path / "notes.txt").write_text("nothing")
    assert calibration.videos([tmp_path]) == (video, deep)
    assert calibration.videos([deep, video]) == (deep, video)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["none"], "none: no such file or folder; give videos"),
        (["empty"], "empty: holds no video"),
        ([], "--calibrate is missing; give it videos"),
    ],
)
def test_files_without_video_are_reported(tmp_path: Path, names: list[str], message: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CalibrationError, match=message):
        calibration.videos([tmp_path / name for name in names])


@pytest.mark.parametrize("given", ["rtsp://me:pw@cam/live", "me:pw@cam/live", "HTTP://me:p/w@cam"])
def test_a_login_in_the_place_of_a_video_is_not_repeated(given: str) -> None:
    with pytest.raises(CalibrationError, match=r"\*\*\*: no such file or folder") as caught:
        calibration.videos([Path(given)])
    assert "me" not in str(caught.value).replace("cameras", "")


def test_a_damaged_video_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"\x00" * 1000)
    with pytest.raises(CaptureError, match=r"broken\.mp4: cannot be read as video"):
        list(islice(calibration.inputs([tmp_path / "broken.mp4"], MANIFEST), 1))
