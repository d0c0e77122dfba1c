"""Clips of one camera, through a real encoder."""

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.history.clip_recorder import ClipRecorder, ClipRecording
from edge.history.clip_ring import ClipLengths, FinishedClip
from edge.history.encoders import available
from edge.history.gstreamer_encoder import GSTREAMER
from edge.sources import Frame
from tests.support.waiting import wait_for

LENGTHS = ClipLengths(before=0.5, after=0.5, most=5.0)
HERE = tuple(available())

pytestmark = pytest.mark.skipif(not HERE, reason="no encoder is here: pip install 'korsal-edge[clips]'")


class Played:
    """Gives frames to a recorder, waiting for each to be taken, as a camera slower than the encoder does."""

    def __init__(self, *order: str) -> None:
        self.clips: list[FinishedClip] = []
        self.recorder = ClipRecorder("door", ClipRecording(LENGTHS, 1280, order or HERE), self.clips.append)
        self.number = 0

    def play(self, count: int, open_events: dict[str, float], size: tuple[int, int] = (64, 48)) -> None:
        for _ in range(count):
            image = np.full((size[1], size[0], 3), self.number % 256, np.uint8)
            seconds = self.number / 10
            self.recorder.frame(Frame("door", self.number, seconds, seconds, image), open_events)
            wait_for(lambda: not self.recorder._waiting, "the frame to be taken")
            self.number += 1


def frames_of(clip: FinishedClip, folder: Path) -> list[int]:
    """The grey of each frame, as a player shows it."""
    path = folder / "clip.mp4"
    path.write_bytes(clip.content)
    capture = cv2.VideoCapture(str(path))
    shown: list[int] = []
    while True:
        there, image = capture.read()
        if not there:
            return shown
        shown.append(round(float(image.mean())))


def test_a_clip_shows_what_was_before_the_event_and_after(tmp_path: Path) -> None:
    played = Played()
    played.play(10, {})
    played.play(10, {"a": 1.0})
    played.play(20, {})
    played.recorder.close()
    (clip,) = played.clips
    assert (clip.event_id, clip.start) == ("a", pytest.approx(-1.0))  # the first key frame is the first frame
    assert frames_of(clip, tmp_path) == pytest.approx(list(range(26)), abs=4)


def test_a_clip_ends_where_the_camera_or_the_daemon_does(tmp_path: Path) -> None:
    played = Played()
    played.play(10, {"a": 0.2})
    played.recorder.no_more()
    wait_for(lambda: played.clips, "the clip")
    played.play(5, {"b": 1.2}, (96, 64))  # the camera is back, larger
    played.play(5, {"b": 1.2, "c": 1.6}, (64, 48))
    played.recorder.close()
    assert [clip.event_id for clip in played.clips] == ["a", "b", "b", "c"]
    assert [len(frames_of(clip, tmp_path)) for clip in played.clips] == [10, 5, 5, 5]


def test_an_encoder_that_fails_gives_way_to_the_next(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("edge.history.encoders.available", lambda order: iter(order))
    monkeypatch.setitem(GSTREAMER, "broken", "identity error-after=3")
    caplog.set_level(logging.INFO)
    played = Played("broken", HERE[0])
    played.play(10, {"a": 0.0})
    played.recorder.close()
    assert [clip.event_id for clip in played.clips] == ["a"]
    assert caplog.text.count("the next is tried") == 1
    assert f"clips are encoded by {HERE[0]}" in caplog.text


def test_without_an_encoder_there_is_one_sentence_and_no_clip(caplog: pytest.LogCaptureFixture) -> None:
    played = Played("missing")
    played.play(10, {"a": 0.0})
    played.recorder.close()
    assert played.clips == []
    assert caplog.text.count("its events are kept without clips: there is no H.264 encoder") == 1


def test_encoders_are_tried_again_after_a_while(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    there: list[str] = []
    monkeypatch.setattr("edge.history.encoders.available", lambda order: iter(there))
    monkeypatch.setattr("edge.history.clip_recorder.RETRY_SECONDS", 0.0)
    played = Played()
    played.play(3, {"a": 0.0})
    there.append(HERE[0])
    played.play(3, {"a": 0.0})
    played.recorder.close()
    assert [clip.event_id for clip in played.clips] == ["a"]
    assert caplog.text.count("its events are kept without clips") == 1
    assert caplog.text.count(f"clips are encoded by {HERE[0]}") == 1
