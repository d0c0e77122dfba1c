"""The start scores that a model brings reach what tells events: replay and daemon."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from edge.broker.outbox import Outbox, OutboxLimits
from edge.commands.replay import ReplayOutputs, open_session, replay
from tests.support.ports import free_port
from tests.support.spot_model import LABELS, MANIFEST, SCORE, write_spot_model, write_spot_video
from tests.support.started_daemon import play, write_config

SEEN = LABELS[0]
HARD = {SEEN: (SCORE + 1) / 2}  # above what it ever scores
OWN_SCORE = f"[actions.{SEEN}]\nstart_score = 0.5\n"


@pytest.mark.parametrize(("start_scores", "published"), [({}, True), (HARD, False), ({LABELS[1]: 1.0}, True)])
def test_replay_takes_them(start_scores: Mapping[str, float], published: bool, tmp_path: Path) -> None:
    model = write_spot_model(tmp_path / "spot.onnx", replace(MANIFEST, start_scores=start_scores))
    video = write_spot_video(tmp_path / "video.avi")
    with open_session(str(video), model, None, None) as played:
        assert replay(played, ReplayOutputs(events=tmp_path / "events.jsonl")) == 0
    assert bool((tmp_path / "events.jsonl").read_bytes()) == published


@pytest.mark.parametrize(("more", "published"), [("", False), (OWN_SCORE, True)])
def test_the_daemon_takes_them_unless_the_configuration_says_otherwise(
    more: str, published: bool, tmp_path: Path
) -> None:
    write_spot_video(tmp_path / "video.avi")
    config = write_config(tmp_path, free_port(), {"door": "video.avi"}, more)
    write_spot_model(tmp_path / "tiny.onnx", replace(MANIFEST, start_scores=HARD))
    play(config)
    waiting = Outbox(tmp_path / "state" / "roof.outbox.sqlite", OutboxLimits())
    stored = waiting.pending(0, 10)
    waiting.close()
    assert bool(stored) == published
