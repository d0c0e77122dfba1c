"""What the daemon answers to its live page."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from edge.config.config_file import load
from edge.config.schema import Config
from edge.service.page_requests import PageRequestHandler
from edge.service.reload import ReloadableConfig

TEXT = """# who reads this?
[cameras.door]
source = "/dev/video0"
[cameras.door.zones]
yard = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]  # the whole of it
[actions.Run]
start_score = 0.5  # tried for a week
"""


class Device:
    """A daemon without cameras. `applied`: the configurations that were put in force."""

    def __init__(self, folder: Path, text: str = TEXT) -> None:
        self.file = folder / "config.toml"
        self.file.write_text(text)
        self.applied: list[Config] = []
        config = load(self.file)
        self.running = ReloadableConfig(config, self.file, ("Run", "Jump"), self.applied.append, lambda: None)
        self.page = PageRequestHandler(self.running, {"Jump": 0.4})

    def change(self, changes: Mapping[str, Any], save: bool = False) -> Any:
        return self.page.answer("change", {"changes": changes, "save": save})["problems"]

    def settings(self) -> Any:
        return self.page.answer("settings", {})


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path)


def start_score(value: float) -> dict[str, Any]:
    return {"cameras": {"door": {"actions": {"Run": {"start_score": value}}}}}


def test_it_says_what_is_in_force(device: Device) -> None:
    found = device.settings()
    assert (found["labels"], found["allowed"], found["file"], found["unsaved"]) == (["Run", "Jump"], True, True, False)
    door = found["cameras"]["door"]
    run, jump = door["actions"]["Run"], door["actions"]["Jump"]
    assert (run["start_score"], run["keep_score"], run["keep_follows"], run["limited"]) == (0.5, 0.3, True, False)
    assert jump["start_score"] == 0.4
    assert door["zones"]["yard"] == {"points": ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0)), "min_duration": 0.0}
    assert door["mask"] == ()


def test_what_is_applied_is_in_force_until_a_reload_and_in_no_file(device: Device) -> None:
    before = device.settings()["revision"]
    assert device.change(start_score(0.2)) == []
    assert device.change({"cameras": {"door": {"actions": {"Run": {"keep_score": 0.1}}}}}) == []
    found = device.settings()
    assert found["cameras"]["door"]["actions"]["Run"]["start_score"] == 0.2
    assert found["cameras"]["door"]["actions"]["Run"]["keep_score"] == 0.1
    assert found["unsaved"]
    assert found["revision"] != before
    assert len(device.applied) == 2
    assert device.file.read_text() == TEXT
    assert device.running.reload("a test") == ()
    assert device.settings()["revision"] == before
    assert not device.settings()["unsaved"]


def test_what_is_saved_is_in_the_file_with_its_comments_and_what_was_applied_before(device: Device) -> None:
    assert device.change(start_score(0.2)) == []
    assert device.change({"actions": {"Run": {"start_score": 0.6}}}, save=True) == []
    text = device.file.read_text()
    assert "start_score = 0.6  # tried for a week" in text
    assert "# who reads this?" in text
    assert load(device.file).cameras["door"].actions["Run"].start_score == 0.2
    assert not device.settings()["unsaved"]
    assert device.change({}, save=True) == []
    assert device.file.read_text() == text


def test_a_request_over_mqtt_saves_nothing_that_was_only_tried(device: Device) -> None:
    assert device.change(start_score(0.2)) == []
    assert device.running.save({"actions": {"Run": {"start_score": 0.6}}}, "a test") == ()
    assert "door" not in str(load(device.file).actions)
    assert load(device.file).cameras["door"].actions == {}
    assert not device.settings()["unsaved"]


def zones(count: int, corners: int = 3) -> dict[str, Any]:
    points = [[0.0, 0.0], [1.0, 0.0], *([[0.5, 1.0]] * (corners - 2))]
    return {"cameras": {"door": {"zones": {f"z{number}": points for number in range(count)}}}}


@pytest.mark.parametrize("save", [False, True])
@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (start_score(2.0), "cameras.door.actions.Run.start_score"),
        ({"cameras": {"door": {"actions": {"Swim": {"start_score": 0.1}}}}}, "the model knows no such action"),
        ({"mqtt": {"host": "evil"}}, "mqtt: cannot be changed by request"),
        ({"web": {"allow_changes": False}}, "web: cannot be changed by request"),
        ({"cameras": {"door": {"source": "file:///etc/passwd"}}}, "cannot be changed by request"),
        (zones(1, corners=2), "cameras.door.zones.z0"),
        (zones(1, corners=65), "cameras.door.zones.z0"),
        (zones(101), "100 are the most"),
        ({"cameras": {"door": {"zones": {"../x": [[0, 0], [1, 0], [1, 1]]}}}}, "name it with 1 to 64"),
        ({"cameras": {"door": {"mask": [[[0, 0], [1, 0], [1, 1]]] * 33}}}, "cameras.door.mask"),
        ({"cameras": {"door": {"mask": [[[0, 0], [1, 0], [1, "x"]]]}}}, "cameras.door.mask"),
        ({"cameras": {"gate": {"zones": {}}}}, "cameras.gate"),
    ],
)
def test_what_the_file_may_not_say_is_refused_with_its_sentences(
    device: Device, changes: dict[str, Any], problem: str, save: bool
) -> None:
    found = device.change(changes, save)
    assert problem in " ".join(found)
    assert device.applied == []
    assert device.file.read_text() == TEXT
    assert not device.settings()["unsaved"]


def test_where_changes_are_not_allowed_nothing_changes(tmp_path: Path) -> None:
    device = Device(tmp_path, f"{TEXT}[web]\nallow_changes = false\n")
    assert "[web] allow_changes is false" in device.change(start_score(0.2), save=True)[0]
    assert not device.settings()["allowed"]
    assert device.applied == []


def test_without_a_file_it_says_so(tmp_path: Path, device: Device) -> None:
    running = ReloadableConfig(load(device.file), None, ("Run",), device.applied.append, lambda: None)
    page = PageRequestHandler(running, {})
    assert page.answer("settings", {})["file"] is False
    for save in (False, True):
        assert "start it with --config" in str(page.answer("change", {"changes": {}, "save": save})["problems"])


def test_nonsense_gets_a_sentence(device: Device) -> None:
    assert device.page.answer("x" * 100, {}) == {"problems": [f"unknown request {'x' * 64}"]}
    assert device.page.answer("change", {"changes": []})["problems"] == ["changes: should be a table"]


def test_a_file_that_is_gone_gets_a_sentence(device: Device) -> None:
    device.file.unlink()
    assert "cannot be read" in device.change(start_score(0.2))[0]
    assert device.settings()["file"] is False
