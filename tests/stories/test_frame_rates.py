"""Slow cameras are compared and linked in seconds, by a running daemon. All of it is real: files, daemon and broker."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.broker import Broker
from tests.support.change_model import ACTION, write_change_model
from tests.support.real_daemon import LONG, QUICK_EVENTS, Daemon, Witness
from tests.support.started_daemon import events_of, write_video
from tests.support.waiting import wait_for

EVERY_FRAME = "#." * 25  # bright and dark in turn: each frame is another than the last, and as the one before it


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[Witness]:
    with Broker(tmp_path) as broker, Witness(broker.port) as witness:
        yield witness


def played(folder: Path, witness: Witness, cameras: dict[str, str], old: str, new: str) -> Daemon:
    """A daemon that has played the files of all cameras; the model compares with the frame 0.08 s before."""
    daemon = Daemon(folder, witness.port, cameras)
    write_change_model(folder / "tiny.onnx")
    daemon.edit(old, new)
    with daemon:
        assert daemon.process.wait(LONG) == 0, daemon.log
    return daemon


def test_the_motion_map_compares_frames_of_the_same_seconds_at_any_rate(tmp_path: Path, witness: Witness) -> None:
    """At 5 frames a second the nearest to 0.08 s is the last frame, which is another; at 25 it is the one before that.

    Counting two frames, as until 2026-11-29, the slow camera's frames would all be alike, and nothing published.
    """
    write_video(tmp_path / "slow.avi", EVERY_FRAME, 5.0)
    write_video(tmp_path / "quick.avi", EVERY_FRAME * 2, 25.0)
    cameras = {"slow": "slow.avi", "quick": "quick.avi"}
    daemon = played(tmp_path, witness, cameras, QUICK_EVENTS, f"{QUICK_EVENTS}min_duration = 0.5\n")
    wait_for(lambda: events_of(witness, "slow", "end"), "the slow camera's event to end", LONG)
    (new,) = events_of(witness, "slow", "new")
    (end,) = events_of(witness, "slow", "end")
    assert new["action"] == ACTION
    assert end["duration"] == pytest.approx(49 / 5, abs=0.3)  # one tube from first to last frame, in seconds
    assert events_of(witness, "quick", "new") == []
    assert "is read as" not in daemon.log


def test_old_keys_that_count_frames_still_hold_and_are_named_in_one_sentence(tmp_path: Path, witness: Witness) -> None:
    """`frame_gap = 1` is 1/25 s: at 25 frames a second the last frame, which is another."""
    write_video(tmp_path / "quick.avi", EVERY_FRAME * 2, 25.0)
    daemon = played(
        tmp_path,
        witness,
        {"quick": "quick.avi"},
        "stall_seconds = 1\n",
        "stall_seconds = 1\nframe_gap = 1\n[linker]\nmin_hits = 3\nmax_missed = 30\n",
    )
    wait_for(lambda: events_of(witness, "quick", "end"), "the event to end", LONG)
    (line,) = [line for line in daemon.log.splitlines() if "is read as" in line]
    assert "cameras.quick.frame_gap = 1 is read as motion_gap_seconds = 0.04" in line
    assert "linker.max_missed = 30 is read as max_missed_seconds = 1.2" in line
