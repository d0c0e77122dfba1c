"""A running daemon keeps what it tells, and `korsal-edge events` finds it. All of it is real."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest

from convert.project.__main__ import main as teach
from edge.cameras.video_file import probe
from edge.commands.command_line import main
from edge.history import search
from edge.history.encoders import available
from edge.history.search import EventFilter, FoundEvent
from tests.support.broker import Subscriber
from tests.support.fake_http_camera import FakeHttpCamera
from tests.support.real_daemon import LONG, Daemon, Witness
from tests.support.waiting import wait_for

pytest_plugins = "tests.support.watched_door"

KEPT = "[history]\nenabled = true\nclips = false\n[telemetry]"


def store_of(daemon: Daemon) -> Path:
    return daemon.folder / "state" / "roof.history.sqlite"


def kept(daemon: Daemon) -> dict[str, FoundEvent]:
    """What the store holds, by the event's id."""
    return {one.event_id: one for one in search.find(store_of(daemon), EventFilter())}


def printed(daemon: Daemon, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What `korsal-edge events` prints."""
    capsys.readouterr()
    assert main(["events", "--config", str(daemon.config), *arguments]) == 0
    return capsys.readouterr().out


def test_what_is_told_is_kept_with_tube_picture_and_clip(
    fresh: Daemon, witness: Witness, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fresh.edit("[telemetry]", KEPT.replace("clips = false", "publish_pictures = true"))
    fresh.edit("keepalive", "snapshots = true\nkeepalive")
    with Subscriber(witness.port) as everything, fresh:
        witness.wait_for_new_steps()
        wait_for(lambda: witness.telemetry()["history"], "the store in telemetry", LONG)
        fresh.stop()
        best = everything.payloads(witness.events()[0]["snapshot_topic"])
    told = {event["event_id"]: event for event in witness.events()}  # the last step of each
    assert {one.event_id: one.payload for one in kept(fresh).values()} == told
    first = next(iter(told.values()))
    found = json.loads(printed(fresh, capsys, first["event_id"][:12], "--json"))
    points = np.array(found["points"])
    assert points[0, 0] == 0.0
    assert points[-1, 0] == pytest.approx(first["duration"], abs=0.01)
    assert (np.diff(points[:, 1]) > 0).all()
    assert points[:, 6].max() == pytest.approx(first["top_score"], abs=1e-3)
    if any(available()):
        clip = tmp_path / "clip.mp4"
        assert printed(fresh, capsys, first["event_id"], "--clip", str(clip)) == f"{clip}\n"
        assert probe(clip).size == (64, 48)
    assert Path(found["picture"]).read_bytes() in best


def test_history_begins_and_ends_with_a_reload_and_survives_a_crash(fresh: Daemon, witness: Witness) -> None:
    with fresh:
        witness.wait_for_new_steps()
        assert not store_of(fresh).exists()
        fresh.edit("[telemetry]", KEPT)
        fresh.signal(signal.SIGHUP)
        fresh.wait_for_log("history.enabled from False to True")
        wait_for(lambda: store_of(fresh).exists() and kept(fresh), "an event in the store", LONG)
        fresh.kill()
        fresh.start()
        witness.wait_for_new_steps()
        fresh.stop()
    reasons = [one.payload["reason_ended"] for one in kept(fresh).values()]
    assert "interrupted" in reasons
    assert None not in reasons


def test_a_disk_that_refuses_history_costs_no_event(fresh: Daemon, witness: Witness) -> None:
    fresh.edit("[telemetry]", KEPT)
    store_of(fresh).mkdir(parents=True)
    with fresh:
        fresh.wait_for_log("events are published all the same")
        wait_for(lambda: witness.telemetry()["history"]["fault"], "the fault in telemetry", LONG)
        witness.wait_for_new_steps()
        fresh.stop()
    witness.nothing_is_missing()
    assert fresh.log.count("cannot be kept") == 1


@pytest.mark.skipif(not any(available()), reason="no encoder is on this machine")
def test_what_is_in_doubt_is_kept_and_fetched(
    fresh: Daemon, witness: Witness, camera: FakeHttpCamera, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a reload on: the score lies around a start score that it hardly reaches, until it is dark."""
    with fresh:
        witness.wait_for_new_steps()
        fresh.edit("start_score = 0.5", "start_score = 1.0")
        fresh.edit("[telemetry]", "[history]\nseconds_after = 0\n[teaching]\nkeep = true\n[telemetry]")
        asked = ["fetch", str(tmp_path / "asked"), "--mqtt", f"127.0.0.1:{witness.port}", "--device", "roof"]
        assert teach(["new", str(tmp_path / "asked"), "--actions", "fall"]) == 0
        fresh.signal(signal.SIGHUP)
        fresh.wait_for_log("clips are encoded by")
        camera.bright = False
        folder = fresh.folder / "state" / "roof.teaching"
        wait_for(lambda: any(folder.glob("doubt-door-*.mp4")), "a clip of a doubt", LONG)
        assert teach(asked) == 1
        assert ": fetching clips is not allowed: set [teaching] allow_fetch = true" in capsys.readouterr().err
        fresh.edit("keep = true", "keep = true\nallow_fetch = true")
        fresh.signal(signal.SIGHUP)
        fresh.wait_for_log("teaching.allow_fetch from False to True")
        assert teach(asked) == 0
        fresh.stop()
    project = tmp_path / "mine"
    assert teach(["new", str(project), "--actions", "fall"]) == 0
    assert teach(["fetch", str(project), "--folder", str(fresh.folder / "state")]) == 0
    (over_mqtt, *_) = (tmp_path / "asked" / "videos" / "door").glob("*.mp4")
    clip = project / "videos" / "door" / over_mqtt.name  # others may have come since
    assert over_mqtt.read_bytes() == clip.read_bytes()
    assert json.loads(over_mqtt.with_suffix(".json").read_text()) == json.loads(clip.with_suffix(".json").read_text())
    assert probe(clip).size == (64, 48)
    facts = json.loads(clip.with_suffix(".json").read_text())
    assert facts["reason"] in ("score", "linkers")
    assert 0.8 * facts["start_score"] <= facts["score"] < 1.25 * facts["start_score"]
