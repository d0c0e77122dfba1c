"""Where a running daemon looks decides whom it reports, and may change while it runs. All of it is real.

The person of the demo clip stands small in a large picture: whether he is found matters here, not which action is seen.
"""

import signal
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import pytest

from edge.cameras.video_file import read_file
from edge.sources import BgrImage
from tests.support.broker import Broker, Subscriber
from tests.support.fake_http_camera import FakeHttpCamera
from tests.support.paths import ROOT
from tests.support.real_daemon import BASE, LONG, Daemon, Witness
from tests.support.spot_model import write_frames
from tests.support.started_daemon import play
from tests.support.waiting import wait_for

pytest_plugins = "tests.support.watched_door"

SIZE = (1920, 1080)  # of the large picture
CLIP = (1150, 500, 1790, 860)  # where the demo clip is in it: x1 y1 x2 y2
FRAMES = 45
AROUND = "region = [0.55, 0.4, 0.45, 0.5]\n"
CAMERAS = {
    "whole": "",
    "tiled": 'tiles = "2x2"\n',
    "around": AROUND,
    "halves": f'{AROUND}tiles = "2x1"\ntile_overlap = 0.5\n',
    "elsewhere": "region = [0.0, 0.0, 0.5, 1.0]\n",
}


def small_person() -> Iterator[BgrImage]:
    """The first second and a half of the demo clip in a larger picture, blurred until it shows nobody, and still."""
    left, top, right, bottom = CLIP
    around: BgrImage | None = None
    for frame in islice(read_file(ROOT / "demo" / "basketball.mp4", "demo"), FRAMES):
        if around is None:
            around = np.asarray(cv2.GaussianBlur(cv2.resize(frame.image, SIZE), (0, 0), 60), np.uint8)
        picture = around.copy()
        picture[top:bottom, left:right] = cv2.resize(frame.image, (right - left, bottom - top))
        yield picture


@pytest.mark.slow
def test_a_region_leaves_people_out_and_tiles_find_those_whom_the_whole_frame_misses(
    tmp_path: Path, broker: Broker, subscriber: Subscriber
) -> None:
    write_frames(tmp_path / "small.avi", list(small_person()), fps=30.0)
    tables = "".join(f'[cameras.{name}]\nsource = "small.avi"\n{more}' for name, more in CAMERAS.items())
    config = tmp_path / "config.toml"
    config.write_text(
        '[device]\nname = "roof"\n[model]\nthreads = 1\nruntime = "onnxruntime"\n'
        "[actions.default]\nstart_score = 0.03\nkeep_score = 0.015\n"
        f'[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\n[outbox]\ndirectory = "state"\n{tables}'
    )
    play(config)
    subscriber.wait_for_payload(f"{BASE}/available", b"offline")
    found = subscriber.events()
    assert {event["camera"] for event in found} == {"tiled", "around", "halves"}
    for event in found:
        assert event["frame_size"] == list(SIZE)
        assert in_the_clip(event["box_px"])


def in_the_clip(box: Any) -> bool:
    """Whether the box's middle is."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return bool(CLIP[0] < x < CLIP[2] and CLIP[1] < y < CLIP[3])


BRIGHT = (0.0, 0.0, 0.5, 0.5)  # the upper left quarter of the fake camera's picture


def look(daemon: Daemon, camera: str, before: str, now: str) -> None:
    """Give a camera other keys, and wait until they are in force."""
    times = daemon.log.count("requested by SIGHUP")
    daemon.edit(f"[cameras.{camera}]\n{before}", f"[cameras.{camera}]\n{now}")
    daemon.signal(signal.SIGHUP)
    daemon.wait_for_log("requested by SIGHUP", times + 1)


def boxes(witness: Witness, camera: str) -> list[Any]:
    return [event["box"] for event in witness.events() if event["camera"] == camera]


def test_a_reload_changes_where_cameras_look_and_no_frame_is_lost_for_it(
    tmp_path: Path, witness: Witness, camera: FakeHttpCamera
) -> None:
    """The model sees a person in the middle of what it looks at, where that is bright."""
    camera.lit = BRIGHT
    with Daemon(tmp_path, witness.port, {"door": camera.url, "yard": camera.url}) as daemon:
        for name in ("door", "yard"):
            witness.camera_is("online", name)
        captures = set(psutil.Process(daemon.process.pid).children())
        witness.wait_for_frames(20)
        assert witness.events() == []  # the whole picture is too dark
        look(daemon, "door", "", 'tiles = "2x2"\n')
        witness.wait_for_new_steps("door")
        look(daemon, "yard", "", "region = [0.0, 0.0, 0.25, 0.25]\n")
        witness.wait_for_new_steps("yard")
        look(daemon, "door", 'tiles = "2x2"\n', "region = [0.5, 0.5, 0.5, 0.5]\n")
        wait_for(lambda: witness.ends() == ["lost"], "the end of the event at the door", LONG)
        steps = len(boxes(witness, "door"))
        witness.wait_for_frames(20)
        assert len(boxes(witness, "door")) == steps
        witness.wait_for_new_steps("yard")
        look(daemon, "door", "region = [0.5, 0.5, 0.5, 0.5]\n", "")
        daemon.edit("[cameras.yard]\n", "[cameras.yard]\ntiles = 2\n")
        daemon.signal(signal.SIGHUP)
        daemon.wait_for_log("cameras.yard.tiles")  # refused: all stays as it is
        witness.wait_for_new_steps("yard")
        assert set(psutil.Process(daemon.process.pid).children()) == captures
        daemon.stop()
    witness.nothing_is_missing()
    assert all(middle(box) == pytest.approx((0.27, 0.27), abs=0.03) for box in boxes(witness, "door"))
    assert all(middle(box) == pytest.approx((0.125, 0.125), abs=0.02) for box in boxes(witness, "yard"))


def middle(box: Any) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
