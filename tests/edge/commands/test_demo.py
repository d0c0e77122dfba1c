import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from edge.cameras.video_file import CaptureError
from edge.commands.demo import ReceivedEvents, demo
from edge.commands.demo_broker import DemoError
from tests.support.paths import ROOT
from tests.support.spot_model import spot, write_jpegs, write_spot_model, write_spot_video
from tests.support.waiting import PATIENCE, wait_for

pytest.importorskip("amqtt", reason="amqtt is not installed: pip install 'korsal-edge[demo]'")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    write_spot_model(folder / "spot.onnx")
    write_spot_video(folder / "video.avi")
    write_spot_video(folder / "dark.avi", shown=0)
    return folder


def play(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "edge", "demo", "--model", "spot.onnx", *arguments]
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def test_events_arrive_through_the_broker_and_the_video_is_written(folder: Path) -> None:
    done = play("video.avi", "--quiet", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert re.search(r"Broker: 127\.0\.0\.1:\d+ \(MQTT 3\.1\.1\)\. Source: video\.avi\. Model: spot\.", done.stdout)
    lines = [line for line in done.stdout.splitlines() if line.startswith("korsal/demo/camera/actions/Basketball")]
    assert [re.search(r'"type": "(\w+)"', line)[1] for line in lines] == ["new", "update", "end"]  # type: ignore[index]
    assert "3 messages of 1 event arrived through the broker: Basketball 1." in done.stdout
    assert f"Annotated video: {folder / 'out/demo.webm'} (VP8)\n" in done.stdout
    assert cv2.VideoCapture(str(folder / "out/demo.webm")).get(cv2.CAP_PROP_FRAME_COUNT) == 70
    assert done.stderr == ""


def test_a_video_without_actions_is_reported_plainly(folder: Path) -> None:
    done = play("dark.avi", "--video", "dark.mp4", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "No events: the model saw none of its actions long and clearly enough." in done.stdout


def test_a_region_leaves_out_and_tiles_find(folder: Path) -> None:
    """The spot never reaches the last third. The model's boxes are as large in every tile, so that two may stay two."""
    done = play("video.avi", "--video", "right.avi", "--region", "0.7,0,0.3,1", cwd=folder)
    assert "No events" in done.stdout, done.stderr
    done = play("video.avi", "--video", "left.avi", "--tiles", "2x1", cwd=folder)
    assert "arrived through the broker: Basketball" in done.stdout, done.stderr


@pytest.mark.parametrize(("options", "width"), [((), 400), (("--no-inset",), 320)])
def test_the_motion_map_is_where_the_option_wants_it(folder: Path, options: tuple[str, ...], width: int) -> None:
    assert play("dark.avi", "--video", "inset.avi", *options, cwd=folder).returncode == 0
    assert cv2.VideoCapture(str(folder / "inset.avi")).get(cv2.CAP_PROP_FRAME_WIDTH) == width


def test_ctrl_c_ends_it_with_a_summary(folder: Path, tmp_path: Path) -> None:
    video = write_jpegs(tmp_path / "long.mjpeg", [spot(20)] * 3000)
    command = [sys.executable, "-m", "edge", "demo", str(video), "--model", str(folder / "spot.onnx")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    out = tmp_path / "out.txt"
    with out.open("w") as file, subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=file) as process:
        wait_for(lambda: '"new"' in out.read_text(), "the first event")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
    output = out.read_text()
    assert '"type": "end"' in output
    assert "arrived through the broker: Basketball 1." in output
    assert cv2.VideoCapture(str(tmp_path / "out/demo.webm")).read()[0]


def test_a_camera_that_is_not_there(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.commands.demo.CAMERA_PATIENCE", 0.5)
    with pytest.raises(DemoError, match="/dev/video77: not one frame came; check the source"):
        demo("/dev/video77", folder / "spot.onnx", tmp_path / "out.mp4")


def test_without_amqtt_the_message_names_what_to_install(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "amqtt.broker", None)
    with pytest.raises(DemoError, match=r"amqtt is not installed: pip install 'korsal-edge\[cpu,demo\]'"):
        demo(str(folder / "video.avi"), folder / "spot.onnx", tmp_path / "out.mp4")


def test_bad_sources_and_outputs(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="no such file"):
        demo(str(tmp_path / "nowhere.mp4"), folder / "spot.onnx", tmp_path / "out.mp4")
    with pytest.raises(DemoError, match="is the source itself"):
        demo(str(folder / "video.avi"), folder / "spot.onnx", folder / "video.avi")
    with pytest.raises(DemoError, match="cannot be made"):
        demo(str(folder / "video.avi"), folder / "spot.onnx", folder / "video.avi" / "out.mp4")


@pytest.mark.parametrize(
    ("steps", "missing"),
    [
        ([], True),
        ([(0, "new")], True),
        ([(0, "new"), (2, "end")], True),
        ([(0, "new"), (1, "update"), (2, "end")], False),
        ([(0, "new"), (1, "end"), (1, "end")], False),  # at least once: a repetition is no loss
    ],
)
def test_an_event_is_whole_with_its_end_and_no_gap(steps: list[tuple[int, str]], missing: bool) -> None:
    received = ReceivedEvents()
    received.events["a"] = [{"seq": seq, "type": kind} for seq, kind in steps]
    assert received.missing({"a"}) == ({"a"} if missing else set())
