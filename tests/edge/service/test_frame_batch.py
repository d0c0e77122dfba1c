"""A frame that cannot be processed costs its own camera that frame, and nobody else anything."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.clip import CLIP, NEWEST_MAP, ClipInput
from edge.clip_branch import ClipBranch
from edge.clip_inference import seeing_clips
from edge.inference import Engine, EngineError
from edge.motion_map import MotionSettings
from edge.pipeline import PipelineSettings
from edge.service import camera_session as sessions
from edge.service.camera_session import CameraSession
from edge.service.frame_batch import process_batch
from edge.sources import Frame
from tests.support.tiny_model import MANIFEST

GOOD = np.full((48, 64, 3), 90, np.uint8)
BAD = np.zeros((8, 40000, 3), np.uint8)  # cv2.warpAffine takes no side of 32767 or more


class Feed:
    """A live camera that gives these pictures, ten a second."""

    live, finished, failed, state = True, False, False, "online"

    def __init__(self, pictures: Iterable[NDArray[np.uint8]]) -> None:
        self._pictures = iter(pictures)
        self._given = 0

    def newest(self) -> Frame | None:
        picture = next(self._pictures, None)
        self._given += 1
        return None if picture is None else Frame("c", self._given, self.now(), self.now(), picture)

    def now(self) -> float:
        return self._given / 10


class CallRecorder:
    """An announcer that records the names of its calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments, **more: self.calls.append(name)

    def events(self, camera: str, happened: Iterable[Any], *more: Any) -> None:
        self.calls += [f"{event.type} {event.reason_ended or ''}".strip() for event in happened]


class Network:
    """Detects nothing; counts the images of each call."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        images = len(inputs["image"])
        self.batches.append(images)
        shape = (images, 1)
        return {
            "boxes": np.zeros((*shape, 4), np.float32),
            "scores": np.zeros(shape, np.float32),
            "labels": np.zeros(shape, np.int64),
            "class_scores": np.zeros((*shape, len(MANIFEST.labels)), np.float32),
        }


def session(name: str, pictures: Iterable[NDArray[np.uint8]]) -> CameraSession:
    feed: Any = Feed(pictures)
    announcer: Any = CallRecorder()
    return CameraSession(name, feed, PipelineSettings(), announcer, lambda name: True)


def play(cameras: list[CameraSession], network: Any) -> None:
    """As the daemon's loop: a frame of each, until none has one; `network`: what detects, or an engine."""
    engine = network if isinstance(network, Engine) else Engine(network, MANIFEST, "0" * 64, "a function", 8)
    while inputs := [(one, frame_input) for one in cameras if (frame_input := one.next_input()) is not None]:
        for session, frame, state, result in process_batch(inputs, engine, lambda stage: None):
            session.handle_result(frame, state, result)


def test_a_bad_frame_costs_its_camera_that_frame_alone(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    network = Network()
    cameras = [
        session("a", [GOOD] * 6),
        session("bad", [GOOD, BAD, BAD, GOOD, BAD, GOOD]),
        session("c", [GOOD] * 6),
    ]
    play(cameras, network)
    assert {one.name: (one.frames, one.failed) for one in cameras} == {"a": (6, 0), "bad": (3, 3), "c": (6, 0)}
    # together; a and c once more by themselves; from then on `bad` by itself, where its picture gets that far
    assert network.batches == [3, 1, 1, 2, 2, 1, 2, 2, 1]
    (record,) = caplog.records
    assert record.message.startswith("camera bad: a frame of 40000x8 could not be processed (error: OpenCV")
    assert record.exc_info


def test_a_bad_frame_of_one_camera_leaves_the_others_their_clips() -> None:
    """The branch's runs: both together twice; then `a` alone, after the fault, with its frames of before."""
    clips: list[list[list[int]]] = []

    def branch(inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        middle = inputs[CLIP][:, 0, :, 32, 32]  # (B, L)
        clips.append(np.rint(255 * middle).astype(int).tolist())
        return {NEWEST_MAP: np.zeros((len(middle), 1, 2, 2), np.float32)}

    plain = replace(MANIFEST, motion=MotionSettings("none"), mean=(0.0,) * 3, std=(1.0,) * 3, rate=10.0)
    manifest = replace(plain, height=64, width=64, clip=ClipInput(3, channels=1))
    engine = Engine(Network(), manifest, "0" * 64, "a function", 8)
    grey = [np.full((48, 64, 3), 10 * level, np.uint8) for level in range(1, 4)]
    cameras = [session("a", grey), session("bad", [GOOD, GOOD, BAD])]
    play(cameras, seeing_clips(engine, ClipBranch(branch, 8)))
    assert clips == [[[10, 10, 10], [90, 90, 90]], [[10, 10, 20], [90, 90, 90]], [[10, 20, 30]]]


def test_after_enough_good_frames_a_camera_shares_the_batch_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(sessions, "RECOVERY_FRAMES", 3)
    network = Network()
    play([session("a", [GOOD] * 6), session("bad", [BAD, GOOD, GOOD, GOOD, GOOD, BAD])], network)
    assert network.batches == [1, 1, 1, 1, 1, 1, 1, 2, 1]
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO", "ERROR"]
    assert caplog.records[1].message == "camera bad: its frames are processed again; 1 have failed so far"


def test_a_fault_of_the_engine_is_no_fault_of_a_camera() -> None:
    def broken(inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        raise EngineError("the GPU is gone")

    for cameras in ([session("a", [GOOD])], [session("a", [GOOD]), session("b", [GOOD])]):
        with pytest.raises(EngineError, match="the GPU is gone"):
            play(cameras, broken)


def test_a_failed_report_costs_that_frame_alone(caplog: pytest.LogCaptureFixture) -> None:
    camera = session("a", [GOOD] * 3)

    def refuse(*arguments: Any) -> None:
        raise ValueError("Out of range float values are not JSON compliant")

    announcer: Any = camera._announcer
    announcer.events = refuse
    play([camera], Network())
    assert (camera.failed, camera.frames) == (3, 0)
    assert "not JSON compliant" in caplog.records[0].message
    assert len(caplog.records) == 1


@pytest.mark.parametrize("live", [True, False])
def test_a_feed_that_raises_loses_one_frame(live: bool, caplog: pytest.LogCaptureFixture) -> None:
    camera = session("a", (frame for frame in [GOOD]))

    def refuse() -> Frame | None:
        raise RuntimeError("cannot turn it")

    feed: Any = camera.feed
    feed.newest, feed.live = refuse, live
    assert camera.next_input() is None
    assert camera.failed == 1
    assert "a frame could not be processed (RuntimeError: cannot turn it)" in caplog.records[0].message
    assert feed.failed == (not live)  # a video is over then, and the daemon's exit status tells


def test_events_end_where_no_frame_can_be_processed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "FAILING_SECONDS", 0.0)
    camera = session("a", [GOOD, BAD])
    play([camera], Network())
    assert camera._pipeline.frame_size == (64, 48)
    camera.update_state()
    assert camera._pipeline.frame_size == (0, 0)
