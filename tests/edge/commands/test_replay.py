import fcntl
import itertools
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import numpy as np
import pytest

from edge import pipeline
from edge.cameras.video_file import read_file
from edge.commands import replay as replays
from edge.commands.replay import ReplayError, ReplayOutputs, event_line, open_session, replay
from edge.config.config_file import ConfigError
from edge.events import Event
from edge.video.motion_inset import InsetPosition
from tests.support.paths import ROOT
from tests.support.some_event import some_event
from tests.support.spot_model import spot, write_spot_model, write_spot_video
from tests.support.video_files import jpegs, write_matroska
from tests.support.waiting import PATIENCE


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("replay")
    write_spot_model(folder / "spot.onnx")
    write_spot_video(folder / "video.avi")  # dark, 50 frames of a spot from 0.4 s to 2.36 s, dark; 25 a second
    return folder


def lines_of(folder: Path, target: Path, config: Path | None = None, camera: str | None = None) -> bytes:
    """The events of a replay of the video."""
    played = open_session(str(folder / "video.avi"), folder / "spot.onnx", config, camera)
    assert replay(played, ReplayOutputs(events=target)) == 0
    return target.read_bytes()


def events_of(
    folder: Path, target: Path, config: Path | None = None, camera: str | None = None
) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines_of(folder, target, config, camera).splitlines()]


def configuration(folder: Path, text: str, name: str = "config.toml") -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_the_same_file_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    assert lines_of(folder, tmp_path / "a.jsonl") == lines_of(folder, tmp_path / "b.jsonl") != b""


def test_another_file_gives_other_ids(folder: Path, tmp_path: Path) -> None:
    write_spot_video(tmp_path / "video.avi", shown=51)
    write_spot_model(tmp_path / "spot.onnx")
    ids = {event["event_id"] for event in events_of(folder, tmp_path / "a.jsonl")}
    assert ids.isdisjoint(event["event_id"] for event in events_of(tmp_path, tmp_path / "b.jsonl"))


def test_events_are_those_of_the_video(folder: Path, tmp_path: Path) -> None:
    new, update, end = events_of(folder, tmp_path / "events.jsonl")
    assert (new["type"], update["type"], end["type"]) == ("new", "update", "end")
    assert (new["action"], new["camera"], new["device"]) == ("Basketball", "replay", "korsal-edge")
    assert new["started"] == "1970-01-01T00:00:00.400Z"  # frame 10
    assert new["t_capture"] == pytest.approx(0.92)  # and the first frame that is min_duration = 0.5 s later
    assert end["t_capture"] == pytest.approx(2.76)  # frame 69, the last one
    assert end["reason_ended"] == "camera"
    x1, _, x2, _ = update["box_px"]
    assert x1 <= 20 + 39 + 12 <= x2  # frame 49: the block's middle


def test_events_fit_the_schema_and_their_latency_is_0(folder: Path, tmp_path: Path) -> None:
    schema = json.loads((ROOT / "docs" / "event.schema.json").read_text())
    for event in events_of(folder, tmp_path / "events.jsonl"):
        jsonschema.validate(event, schema)
        assert event["t_publish"] == event["t_capture"]
        assert event["latency_ms"] == 0


def test_thresholds_and_zones_come_from_the_configuration(folder: Path, tmp_path: Path) -> None:
    text = """
[device]
name = "hall"
[cameras.door]
source = "/dev/video0"
[cameras.door.zones]
everywhere = [[0, 0], [1, 0], [1, 1], [0, 1]]
[actions.default]
min_duration = 0.18
"""
    new, *_ = events_of(folder, tmp_path / "events.jsonl", configuration(tmp_path, text))
    assert (new["device"], new["camera"], new["zones"]) == ("hall", "door", ["everywhere"])
    assert new["t_capture"] == pytest.approx(0.6)
    deaf = configuration(tmp_path, text + "start_score = 0.99\nkeep_score = 0.9\n", "deaf.toml")
    assert events_of(folder, tmp_path / "none.jsonl", deaf) == []


def test_the_video_is_rotated_and_masked_as_the_camera_is(folder: Path, tmp_path: Path) -> None:
    """What the daemon would see of it: upside down, and nothing behind the mask."""
    door = '[cameras.door]\nsource = "/dev/video0"\n'
    upright = events_of(folder, tmp_path / "a.jsonl", configuration(tmp_path, door))[0]["box"]
    turned = events_of(folder, tmp_path / "b.jsonl", configuration(tmp_path, f"{door}rotation = 180\n"))[0]["box"]
    assert turned[1] > upright[1] + 0.1
    whole = f"{door}mask = [[[0, 0], [1, 0], [1, 1], [0, 1]]]\n"
    assert events_of(folder, tmp_path / "c.jsonl", configuration(tmp_path, whole)) == []


def test_one_of_several_cameras_is_chosen(folder: Path, tmp_path: Path) -> None:
    file = configuration(tmp_path, '[cameras.a]\nsource = "csi://0"\n[cameras.b]\nsource = "csi://1"\n')
    assert events_of(folder, tmp_path / "events.jsonl", file, "b")[0]["camera"] == "b"
    for camera in (None, "c"):
        with pytest.raises(ReplayError, match="give one of a, b"):
            open_session(str(folder / "video.avi"), folder / "spot.onnx", file, camera)


def test_an_unknown_action_is_refused(folder: Path, tmp_path: Path) -> None:
    file = configuration(tmp_path, '[cameras.a]\nsource = "csi://0"\n[actions.Surfin]\ncooldown = 1.0\n')
    with pytest.raises(ConfigError, match=r"actions\.Surfin"):
        open_session(str(folder / "video.avi"), folder / "spot.onnx", file, None)


def test_events_are_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    played = open_session(str(folder / "video.avi"), folder / "spot.onnx", None, None)
    assert replay(played, ReplayOutputs()) == 0
    output = capsys.readouterr()
    new, _, end = output.out.splitlines()
    assert new.startswith("00:00.92  new     Basketball        0.98  person 1 at ")
    assert end.startswith("00:02.76  end     Basketball")
    assert end.endswith("after 2.0 s (camera)")
    assert output.err == "70 frames; events: Basketball 1\n"


def test_the_printed_score_is_the_one_that_decided() -> None:
    """An event that began at 0.24 has not 0.17, whatever it scores by the time that it is reported."""
    words = event_line(some_event((1, 2, 3, 4), score=0.17, top_score=0.31))
    assert "  0.31  " in words
    assert "0.17" not in words


def test_a_still_image_is_one_frame(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = write_spot_video(tmp_path / "still.avi", shown=1, dark=0)
    assert replay(open_session(str(video), folder / "spot.onnx", None, None), ReplayOutputs()) == 0
    assert capsys.readouterr().err == "1 frame; events: none\n"


def test_no_action_gives_no_events(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = write_spot_video(tmp_path / "dark.avi", shown=0)
    played = open_session(str(video), folder / "spot.onnx", None, None)
    assert replay(played, ReplayOutputs(events=tmp_path / "events.jsonl")) == 0
    assert (tmp_path / "events.jsonl").read_bytes() == b""
    assert capsys.readouterr().err == f"20 frames; events: none\nevents: {tmp_path / 'events.jsonl'} (0.0 kB)\n"


def test_invalid_network_outputs_are_reported(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    played = open_session(str(folder / "video.avi"), folder / "spot.onnx", None, None)
    steps = pipeline.run(
        replays.frames_of(played), played.engine, played.settings, pipeline.initial(played.camera, "seed")
    )
    broken = (
        (frame, replace(step, detections=replace(step.detections, invalid=2)), state) for frame, step, state in steps
    )
    assert replays.play(itertools.islice(broken, 5), lambda happened: None, lambda frame, step: None) == 0
    assert "the model returned 10 outputs that are not finite" in capsys.readouterr().err


def test_an_interruption_ends_the_running_events(folder: Path) -> None:
    played = open_session(str(folder / "video.avi"), folder / "spot.onnx", None, None)
    reported: list[str] = []

    def publish(batch: Sequence[Event]) -> None:
        reported.extend(f"{event.type} {event.reason_ended}" for event in batch)

    status = replays.play(interrupted(played, 40), publish, lambda frame, step: None)
    assert status == replays.INTERRUPTED
    assert reported == ["new None", "end shutdown"]


def interrupted(played: replays.ReplaySession, count: int) -> Iterator[replays.PipelineOutput]:
    """So many frames, then Ctrl-C."""
    frames = read_file(played.source, played.camera)
    start = pipeline.initial(played.camera, "seed")
    for number, output in enumerate(pipeline.run(frames, played.engine, played.settings, start)):
        if number == count:
            raise KeyboardInterrupt
        yield output


def test_the_annotated_video_has_every_frame(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    played = open_session(str(folder / "video.avi"), folder / "spot.onnx", None, None)
    assert replay(played, ReplayOutputs(video=tmp_path / "out.mp4")) == 0
    video = cv2.VideoCapture(str(tmp_path / "out.mp4"))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 70
    assert video.get(cv2.CAP_PROP_FPS) == 25
    assert (video.get(cv2.CAP_PROP_FRAME_WIDTH), video.get(cv2.CAP_PROP_FRAME_HEIGHT)) == (400, 256)
    output = capsys.readouterr().err
    assert f"annotated video: {tmp_path / 'out.mp4'} (" in output
    assert ("browsers do not; for those give a name in .webm" in output) == ("MPEG-4 part 2" in output)


@pytest.mark.parametrize(("inset", "size"), [("upper-left", (320, 256)), ("none", (320, 256))])
def test_the_motion_map_stands_where_it_is_wanted(
    folder: Path, tmp_path: Path, inset: InsetPosition, size: tuple[int, int]
) -> None:
    played = open_session(str(folder / "video.avi"), folder / "spot.onnx", None, None)
    assert replay(played, ReplayOutputs(video=tmp_path / "out.webm", inset=inset)) == 0
    video = cv2.VideoCapture(str(tmp_path / "out.webm"))
    assert (video.get(cv2.CAP_PROP_FRAME_WIDTH), video.get(cv2.CAP_PROP_FRAME_HEIGHT)) == size


def test_zones_of_the_configuration_are_drawn(folder: Path, tmp_path: Path) -> None:
    """The spot is in the left half; what is drawn in the right one is the zone alone."""
    camera = '[cameras.door]\nsource = "/dev/video0"\n'
    zone = "[cameras.door.zones]\ngate = [[0.6, 0.2], [0.9, 0.2], [0.9, 0.8], [0.6, 0.8]]\n"
    pictures = []
    for name, text in ("without", camera), ("with", camera + zone):
        played = open_session(str(folder / "video.avi"), folder / "spot.onnx", configuration(tmp_path, text), None)
        assert replay(played, ReplayOutputs(video=tmp_path / f"{name}.avi", inset="none")) == 0
        pictures.append(cv2.VideoCapture(str(tmp_path / f"{name}.avi")).read()[1].astype(int))
    differs = (np.abs(pictures[0] - pictures[1]) > 30).any(axis=2)
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    edges = [int(side) for side in (columns[0], columns[-1], rows[0], rows[-1])]
    assert edges == pytest.approx([192, 288, 48, 192], abs=2)  # 0.6 and 0.9 of 320, 0.2 and 0.8 of 240


def test_the_bar_is_for_terminals(folder: Path) -> None:
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    command = [sys.executable, "-m", "edge", "replay", "video.avi", "--model", "spot.onnx"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=side) as process:
        out = process.communicate(timeout=PATIENCE)[0]
    os.close(side)
    output = os.read(main, 100_000)
    os.close(main)
    assert b"/70" in output
    assert b"/70" not in out


def test_events_and_the_annotated_video_use_the_time_of_the_file(tmp_path: Path) -> None:
    """Ten frames a second, with a pause of a second, in a container that announces 100: spot from 0.5 s to 3.4 s."""
    times = [i / 10 + (1.0 if i > 14 else 0.0) for i in range(30)]
    images = [spot(40 if 5 <= i < 25 else None) for i in range(30)]
    video_file = write_matroska(tmp_path / "video.mkv", jpegs(images), times, (160, 120), announced_fps=100)
    write_spot_model(tmp_path / "spot.onnx")
    played = open_session(str(video_file), tmp_path / "spot.onnx", None, None)
    assert replay(played, ReplayOutputs(events=tmp_path / "events.jsonl", video=tmp_path / "out.avi")) == 0
    new, *_, end = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert (new["started"], new["t_capture"]) == ("1970-01-01T00:00:00.500Z", pytest.approx(1.0))  # min_duration: 0.5 s
    assert end["ended"] == "1970-01-01T00:00:03.400Z"
    assert end["duration"] == pytest.approx(2.9)
    video = cv2.VideoCapture(str(tmp_path / "out.avi"))
    length = video.get(cv2.CAP_PROP_FRAME_COUNT) / video.get(cv2.CAP_PROP_FPS)
    assert length == pytest.approx(4.0, abs=0.11)  # the last frame begins after 3.9 s
