"""The folder of clips for teaching: what is written, for whom, and what gives way."""

import json
import os
from pathlib import Path

import pytest

from edge.history import teaching_clips, teaching_folder
from edge.history.clip_ring import FinishedClip
from edge.history.doubts import Doubt
from edge.history.teaching_clips import TeachingClips, TeachingLimits

MANY = TeachingLimits(100, 10**9)


def doubt(name: str) -> Doubt:
    return Doubt(name, "door", "Fall – tief", "score", 0.45, 0.5, 1000.0, 2.0)


def keep(clips: TeachingClips, name: str, size: int = 10, at: int = 0) -> None:
    clips.expect([doubt(name)])
    clips.keep(FinishedClip(name, bytes(size), -5.0))
    os.utime(clips.folder / f"{name}.mp4", (at, at))


def names(clips: TeachingClips) -> list[str]:
    return sorted(path.name for path in clips.folder.iterdir())


def test_a_clip_and_what_it_is(tmp_path: Path) -> None:
    clips = TeachingClips(tmp_path / "roof.teaching", MANY)
    keep(clips, "doubt-1")
    assert names(clips) == ["doubt-1.json", "doubt-1.mp4"]
    facts = json.loads((clips.folder / "doubt-1.json").read_text())
    assert (facts["action"], facts["reason"], facts["clip_start"]) == ("Fall – tief", "score", -5.0)
    modes = {path.stat().st_mode & 0o777 for path in clips.folder.iterdir()}
    assert (modes, clips.folder.stat().st_mode & 0o777) == ({0o600}, 0o700)


def test_what_is_in_no_doubt_leaves_nothing(tmp_path: Path) -> None:
    clips = TeachingClips(tmp_path / "roof.teaching", MANY)
    clips.keep(FinishedClip("doubt-1", b"clip", 0.0))
    assert not clips.folder.exists()


@pytest.mark.parametrize(("limits", "left"), [(TeachingLimits(2, 10**9), 2), (TeachingLimits(9, 35), 3)])
def test_the_oldest_give_way(tmp_path: Path, limits: TeachingLimits, left: int) -> None:
    clips = TeachingClips(tmp_path, limits)
    for number in range(5):
        keep(clips, f"doubt-{number}", at=number + 1)
    clips.expect([doubt("doubt-5")])
    clips.keep(FinishedClip("doubt-5", bytes(10), 0.0))
    kept = [f"doubt-{number}" for number in range(6)][-left:]
    assert names(clips) == sorted(f"{name}{suffix}" for name in kept for suffix in (".json", ".mp4"))


def test_a_clip_larger_than_all_is_kept_alone(tmp_path: Path) -> None:
    clips = TeachingClips(tmp_path, TeachingLimits(9, 35))
    keep(clips, "doubt-1", at=1)
    clips.expect([doubt("doubt-2")])
    clips.keep(FinishedClip("doubt-2", bytes(100), 0.0))
    assert names(clips) == ["doubt-2.json", "doubt-2.mp4"]


def test_a_full_disk_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = TeachingClips(tmp_path, MANY)

    def refuse(folder: Path, size: int) -> None:
        raise OSError("only 12 MiB are free on its disk")

    with monkeypatch.context() as full:
        full.setattr(teaching_folder, "check_space", refuse)
        for name in ("doubt-1", "doubt-2"):
            clips.expect([doubt(name)])
            clips.keep(FinishedClip(name, b"clip", 0.0))
    sentence = f"{tmp_path}: clips for teaching cannot be kept (only 12 MiB are free on its disk): free its disk"
    assert caplog.messages == [sentence]
    keep(clips, "doubt-3")
    assert names(clips) == ["doubt-3.json", "doubt-3.mp4"]


def test_doubts_without_clips_are_forgotten(tmp_path: Path) -> None:
    clips = TeachingClips(tmp_path, MANY)
    clips.expect(doubt(f"doubt-{number}") for number in range(1000))
    assert len(clips._doubts) == teaching_clips.MOST_WAITING
