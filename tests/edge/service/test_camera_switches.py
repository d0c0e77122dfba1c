"""Which cameras are off, from one run to the next."""

import logging
import os
from pathlib import Path

import pytest

from edge.service.camera_switches import CameraSwitches

CAMERAS = ("door", "yard")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "roof.cameras.json"


def switches(path: Path, *cameras: str, allowed: bool = True) -> CameraSwitches:
    return CameraSwitches(path, cameras or CAMERAS, allowed)


def test_all_are_on_at_first_and_nothing_is_written(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert switches(path).disabled == frozenset()
    assert not path.exists()
    assert caplog.text == ""


def test_what_is_switched_is_kept(path: Path) -> None:
    first = switches(path)
    assert first.switch("door", enabled=False)
    assert first.switch("yard", enabled=False)
    assert first.switch("yard", enabled=True)
    assert switches(path).disabled == {"door"}


def test_a_camera_that_was_off_at_the_start_is_named(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    switches(path).switch("door", enabled=False)
    caplog.clear()
    switches(path)
    assert caplog.messages == ["switched off by an earlier request: door; request/camera switches on"]


def test_a_camera_that_is_removed_is_forgotten(path: Path) -> None:
    first = switches(path)
    first.switch("door", enabled=False)
    first.keep_only(("yard",))
    first.keep_only(CAMERAS)
    assert first.disabled == switches(path).disabled == frozenset()
    first.switch("door", enabled=False)
    assert switches(path, "yard").disabled == frozenset()
    assert switches(path).disabled == frozenset()  # a start without it forgets it too


def test_where_nobody_may_switch_all_are_on_and_it_is_said(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    switches(path).switch("door", enabled=False)
    caplog.clear()
    assert switches(path, allowed=False).disabled == frozenset()
    assert caplog.messages == ["door: was switched off, and is on, as [mqtt] allow_camera_switch is false"]
    assert switches(path).disabled == {"door"}


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"{}", b"3", b'{"disabled": 3}', b'{"disabled": [3]}', b'"disabled"', b"\xff", b"[" * 100_000],
)
def test_a_damaged_file_is_one_sentence_and_all_are_on(
    path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_bytes(content)
    found = switches(path)
    assert found.disabled == frozenset()
    assert caplog.messages == [f"{path} is damaged: all cameras are on; switch off again those that should be off"]
    assert found.switch("door", enabled=False)
    assert switches(path).disabled == {"door"}


def test_a_disk_that_refuses_costs_the_memory_alone(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.joinpath("file").touch()
    found = switches(path.parent / "file" / "roof.cameras.json")
    caplog.clear()
    caplog.set_level(logging.WARNING)
    assert not found.switch("door", enabled=False)
    assert found.disabled == {"door"}
    assert len(caplog.messages) == 1
    assert "a restart will forget which cameras are off" in caplog.text
    assert os.listdir(path.parent) == ["file"]
