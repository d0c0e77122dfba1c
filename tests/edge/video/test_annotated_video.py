from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.detector import Detections
from edge.motion_map import MotionSettings
from edge.pipeline import StepResult
from edge.sources import Frame
from edge.video import video_writer
from edge.video.annotated_video import MAX_PAUSE, AnnotatedVideo
from edge.video.video_writer import CODECS, VideoError, VideoWriter, format_description
from tests.support.spot_model import MANIFEST

NOTHING = StepResult(
    lambda: (),
    Detections(
        np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.int64), np.empty((0, 2), np.float32)
    ),
    (),
    (),
    frozenset(),
)


def frame(time: float, size: tuple[int, int] = (320, 240)) -> Frame:
    return Frame("door", 0, time, time, np.full((size[1], size[0], 3), 90, np.uint8))


def length(path: Path) -> int:
    return int(cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FRAME_COUNT))


@pytest.mark.parametrize(
    ("times", "pictures"),
    [
        ([], 0),
        ([7.0], 1),
        ([i / 10 for i in range(30)], 30),  # as fast as the video
        ([i / 5 for i in range(10)], 19),  # half as fast: each twice, but for the first
        ([i / 20 for i in range(21)], 11),  # twice as fast: every other one
        ([0.0, 100.0, 100.1], 1 + 10 * MAX_PAUSE + 1),  # a long pause is shortened
    ],
)
def test_the_video_runs_as_the_frames_clock(tmp_path: Path, times: list[float], pictures: int) -> None:
    path = tmp_path / "out.mp4"
    with AnnotatedVideo(path, 10, MANIFEST) as video:
        for time in times:
            video(frame(time), NOTHING)
    assert (length(path) if times else int(path.exists())) == pictures


def test_a_pause_in_a_video_keeps_its_length(tmp_path: Path) -> None:
    with AnnotatedVideo(tmp_path / "out.mp4", 10, MANIFEST, max_pause=60) as video:
        for time in (0.0, 8.0):
            video(frame(time), NOTHING)
    assert length(tmp_path / "out.mp4") == 81


def test_a_slow_video_may_have_fast_parts(tmp_path: Path) -> None:
    """A frame a second, then ten: all are seen."""
    with AnnotatedVideo(tmp_path / "out.mp4", 1, MANIFEST) as video:
        for time in (0.0, 1.0, 2.0, 2.1, 2.2, 2.3):
            video(frame(time), NOTHING)
    assert length(tmp_path / "out.mp4") == 24


def test_the_first_frame_decides_the_size(tmp_path: Path) -> None:
    with AnnotatedVideo(tmp_path / "out.mp4", 10, MANIFEST) as video:
        video(frame(0.0, (320, 240)), NOTHING)
        video(frame(0.1, (640, 360)), NOTHING)
    assert length(tmp_path / "out.mp4") == 2
    assert cv2.VideoCapture(str(tmp_path / "out.mp4")).get(cv2.CAP_PROP_FRAME_WIDTH) == 400  # and the motion map


def test_a_model_without_a_motion_map_gets_no_place_for_one(tmp_path: Path) -> None:
    plain = replace(MANIFEST, motion=MotionSettings(kind="none", shifts=False))
    with AnnotatedVideo(tmp_path / "out.mp4", 10, plain) as video:
        video(frame(0.0, (320, 240)), NOTHING)
    assert cv2.VideoCapture(str(tmp_path / "out.mp4")).get(cv2.CAP_PROP_FRAME_WIDTH) == 320


def test_the_written_file_and_codec_are_reported(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with AnnotatedVideo(tmp_path / "out.webm", 10, MANIFEST) as video:
        assert video.written == f"{tmp_path / 'out.webm'} (without a frame)"
        video(frame(0.0), NOTHING)
    assert video.written == f"{tmp_path / 'out.webm'} (VP8)"
    with AnnotatedVideo(tmp_path / "out.avi", 10, MANIFEST) as video:
        video(frame(0.0), NOTHING)
    assert video.written.endswith("(Motion JPEG: VLC and mpv play it, browsers do not; for those give a name in .webm)")
    assert capfd.readouterr() == ("", "")  # nothing of OpenCV's own


def test_what_was_written_before_an_error_is_kept(tmp_path: Path) -> None:
    video = AnnotatedVideo(tmp_path / "out.mp4", 10, MANIFEST)
    with suppress(KeyboardInterrupt), video:
        video(frame(0.0), NOTHING)
        raise KeyboardInterrupt
    assert length(tmp_path / "out.mp4") == 1


@pytest.mark.parametrize("suffix", CODECS)
def test_every_offered_format_is_written(tmp_path: Path, suffix: str) -> None:
    writer = VideoWriter(tmp_path / f"out{suffix}", 25, (64, 48))
    for _ in range(5):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.close()
    assert writer.codec in CODECS[suffix]
    assert format_description(writer.codec)
    assert cv2.VideoCapture(str(tmp_path / f"out{suffix}")).read()[0]


@pytest.mark.parametrize(
    ("missing", "suffix"), [((), ".webm"), (("VP80",), ".mp4"), (("VP80", "avc1", "mp4v"), ".avi")]
)
def test_the_usual_format_is_the_best_that_can_be_written(
    monkeypatch: pytest.MonkeyPatch, missing: tuple[str, ...], suffix: str
) -> None:
    """As with an OpenCV whose FFmpeg was built without some encoders."""
    known = {end: tuple("none" if one in missing else one for one in codecs) for end, codecs in CODECS.items()}
    monkeypatch.setattr(video_writer, "CODECS", known)
    assert video_writer.preferred_suffix() == suffix


def test_an_opencv_that_writes_nothing_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_writer, "CODECS", dict.fromkeys(CODECS, ("none",)))
    with pytest.raises(VideoError, match="install one that has FFmpeg"):
        video_writer.preferred_suffix()


def test_a_full_disk_is_reported_before_the_file_is_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = VideoWriter(tmp_path / "out.mp4", 25, (64, 48))
    for _ in range(video_writer.DISK_CHECK_FRAMES):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    monkeypatch.setattr(video_writer, "RESERVED_BYTES", 1 << 60)
    with pytest.raises(VideoError, match="the disk is full; free space"):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.close()
    assert length(tmp_path / "out.mp4") == video_writer.DISK_CHECK_FRAMES


def test_a_vanished_file_is_reported(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "out.mp4", 25, (64, 48))
    writer.write(np.zeros((48, 64, 3), np.uint8))
    (tmp_path / "out.mp4").unlink()
    with pytest.raises(VideoError, match="was not written completely"):
        writer.close()
