"""Models that see clips in the real daemon: what it publishes depends on more than one frame. All of it is real."""

from dataclasses import replace
from pathlib import Path

import pytest

from edge.clip import ClipInput
from edge.manifest import Manifest
from edge.motion_map import MotionSettings
from tests.support.broker import Broker, Subscriber
from tests.support.clip_model import write_clip_model
from tests.support.started_daemon import BASE, SCHEMA, play, write_config, write_video

RATE = 10.0  # frames a second, of model and videos
LASTING = "[actions.default]\nstart_score = {start}\nkeep_score = 0.1\nmin_duration = 0.1\ncooldown = 0.5\n"


def configured(folder: Path, port: int, cameras: dict[str, str], start: float) -> Path:
    config = write_config(folder, port, cameras, LASTING.format(start=start))
    config.write_text(config.read_text().replace('path = "tiny.onnx"', 'path = "clips.onnx"\nmax_batch = 2'))
    return config


@pytest.mark.parametrize("every", [1, 2])
def test_what_lasts_through_a_clip_makes_an_event_and_what_flickers_none(
    every: int, tmp_path: Path, broker: Broker, subscriber: Subscriber
) -> None:
    """Three quarters of a frame are bright: four bright frames score 0.75, two of four 0.375; each alone would do."""
    write_video(tmp_path / "lasting.avi", "." * 10 + "#" * 30 + "." * 20, RATE)
    write_video(tmp_path / "flickering.avi", "." * 10 + "##.." * 8 + "." * 18, RATE)
    cameras = {"lasting": "lasting.avi", "flickering": "flickering.avi"}
    config = configured(tmp_path, broker.port, cameras, start=0.6)
    manifest = write_clip_model(tmp_path / "clips.onnx", ClipInput(4, every=every), rate=RATE)
    output = play(config)
    subscriber.wait_for_payload(f"{BASE}/available", b"offline")
    found = subscriber.events()
    for event in found:
        SCHEMA.validate(event)
    assert {event["camera"] for event in found} == {"lasting"}, output
    assert (found[0]["type"], found[-1]["type"]) == ("new", "end")
    assert found[0]["model"]["name"] == manifest.name


@pytest.mark.slow
def test_a_network_of_ours_as_it_is_before_training(tmp_path: Path, broker: Broker, subscriber: Subscriber) -> None:
    """Exported and run whole; all boxes score a quarter, for its last biases are zeros, and low scores make events."""
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'korsal-edge[train]'")
    from convert.export import export
    from train import checkpoint as checkpoints
    from train.checkpoint import Checkpoint
    from train.networks.yowo.clip_networks import CLIP_NETWORKS
    from train.networks.yowo.fusion import Parts

    torch.manual_seed(0)
    network = CLIP_NETWORKS["yowo_lite"](2, Parts(), None)
    weights = network.state_dict()
    for name in [name for name in weights if name.startswith("fusion.heads.") and name.endswith("bias")]:
        weights[name].zero_()
    clip = ClipInput(3, every=2)
    plain = Manifest("untrained", ("Run", "Jump"), 64, 96, MotionSettings("none"), top_k=20, rate=RATE)
    manifest = replace(plain, architecture="yowo_lite", clip=clip, nms_iou=0.4)
    checkpoints.save(Checkpoint(manifest, weights, {}), tmp_path / "best.pt")
    export(checkpoints.load(tmp_path / "best.pt"), tmp_path / "clips.onnx")
    write_video(tmp_path / "bright.avi", "#" * 20, RATE)
    play(configured(tmp_path, broker.port, {"door": "bright.avi"}, start=0.15))
    subscriber.wait_for_payload(f"{BASE}/available", b"offline")
    found = subscriber.events()
    assert found
    for event in found:
        SCHEMA.validate(event)
        assert event["action"] in manifest.labels
        assert event["model"]["name"] == "untrained"
