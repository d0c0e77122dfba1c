"""Clips over MQTT, asked for piece by piece; a device that says nonsense, or nothing, costs one sentence."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from convert.project import fetch_mqtt, folders
from convert.project.__main__ import main
from convert.project.command_line import _parser
from convert.project.fetch import FetchError
from convert.project.folders import Project
from edge.history import teaching_pieces
from tests.support.ports import free_port

CLIPS = ("doubt-back-yard-2000-7-1-0b", "doubt-door-1000-5-0-1")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    list(folders.create(tmp_path / "mine", ["fall"]))
    return folders.read(tmp_path / "mine")


class Device:
    """Answers from a folder, as the daemon does; `largest`: bytes of an answer that its broker forwards."""

    def __init__(self, folder: Path, largest: int = 10**6) -> None:
        self.folder, self.largest, self.asked = folder, largest, 0
        folder.mkdir()
        for name in CLIPS:
            (folder / f"{name}.mp4").write_bytes(name.encode() * 4000)
            (folder / f"{name}.json").write_text(json.dumps({"reason": "linkers", "name": name}))

    def ask(self, op: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
        self.asked += 1
        if op == "clips":
            return teaching_pieces.listed(self.folder, data["after"])
        answer = teaching_pieces.piece(self.folder, data["name"], data["offset"], data["length"])
        if len(json.dumps(answer)) > self.largest:
            raise FetchError(f"roof: the answer is too large for the broker ({self.largest} bytes)")
        return answer


@pytest.mark.parametrize("largest", [10**6, 5000])
def test_what_is_new_arrives_whole(project: Project, tmp_path: Path, largest: int) -> None:
    device = Device(tmp_path / "device", largest)
    videos = project.folder / "videos"
    said = fetch_mqtt.fetch_by(project, "roof", device.ask)
    assert said == f"roof: 2 clips of back-yard, door, 2 of them new, in {videos}/"
    for camera, name in zip(("back-yard", "door"), CLIPS, strict=True):
        assert (videos / camera / f"{name}.mp4").read_bytes() == name.encode() * 4000
        assert json.loads((videos / camera / f"{name}.json").read_text())["name"] == name
    device.asked = 0
    assert ", 0 of them new," in fetch_mqtt.fetch_by(project, "roof", device.ask)
    assert device.asked == 1
    assert not list(project.folder.glob(".incoming-*"))


def test_a_clip_that_the_device_deletes_meanwhile_is_left_out(project: Project, tmp_path: Path) -> None:
    device = Device(tmp_path / "device")

    def ask(op: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
        if op == "clip" and data["name"] == CLIPS[0]:
            raise FetchError(f"roof: no clip {CLIPS[0]}; request/clips lists them")
        return device.ask(op, data)

    assert "2 clips of back-yard, door, 1 of them new" in fetch_mqtt.fetch_by(project, "roof", ask)
    assert [path.name for path in project.folder.glob("videos/**/*.mp4")] == [f"{CLIPS[1]}.mp4"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"content": "", "bytes": 10, "offset": 0},
        {"content": "AAAA", "bytes": 2, "offset": 0},
        {"content": "AAAA", "bytes": 1 << 40, "offset": 0},
        {"content": "AAAA", "bytes": float("inf"), "offset": 0},
        {"content": "AAAA", "bytes": 10, "offset": 5},
        {"content": "!", "bytes": 10, "offset": 0},
        {"bytes": 10},
        {},
    ],
)
def test_a_device_that_says_nonsense(project: Project, wrong: Mapping[str, Any]) -> None:
    def ask(op: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"clips": [{"name": CLIPS[1]}], "more": True} if op == "clips" and not data["after"] else wrong

    with pytest.raises(FetchError, match=f"{CLIPS[1]}: .*; (update korsal-edge|fetch again)"):
        fetch_mqtt.fetch_by(project, "roof", ask)
    assert not list((project.folder / "videos").glob("**/*.mp4"))


def test_facts_that_are_no_text(project: Project) -> None:
    def ask(op: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
        whole = {"content": "AAAA", "bytes": 3, "offset": 0, "facts": {"reason": "\ud800"}}
        return {"clips": [{"name": CLIPS[1]}]} if op == "clips" else whole

    assert "1 of them new" in fetch_mqtt.fetch_by(project, "roof", ask)
    facts = project.folder / "videos" / "door" / f"{CLIPS[1]}.json"
    assert json.loads(facts.read_text()) == {"reason": "?"}


def test_names_that_lead_elsewhere_are_not_believed(project: Project) -> None:
    names = ["../../etc/passwd", "doubt-a/../b-1-1-1-1", "doubt-door", 7, None]
    with pytest.raises(FetchError, match="holds no clip of a doubt; set keep = true"):
        fetch_mqtt.fetch_by(project, "roof", lambda *_: {"clips": [{"name": name} for name in names]})


@pytest.mark.parametrize(
    ("given", "host", "port"),
    [("b", "b", 1883), ("b:1884", "b", 1884), ("[::1]", "::1", 1883), ("[::1]:99", "::1", 99)],
)
def test_the_broker_of_the_command_line(project: Project, given: str, host: str, port: int) -> None:
    options = _parser().parse_args(["fetch", str(project.folder), "--mqtt", given])
    access = fetch_mqtt.access(options)
    assert (access.settings.host, access.settings.port, access.device) == (host, port, "korsal-edge")


def test_what_cannot_be_asked(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(project.folder)
    assert main(["fetch", folder, "root@jetson", "--mqtt", "b"]) == 1
    assert "root@jetson: is for ssh, and --mqtt asks a broker; give one of the two" in capsys.readouterr().err
    assert main(["fetch", folder, "--mqtt", "b:nought"]) == 1
    assert "--mqtt b:nought: " in capsys.readouterr().err
    assert main(["fetch", folder, "--mqtt", f"127.0.0.1:{free_port()}"]) == 1
    assert "the broker cannot be reached (" in capsys.readouterr().err
