"""Commands with a model that prepares frames itself, in every way that runs without a GPU."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.frame_model import write_frame_model
from tests.support.paths import ROOT
from tests.support.spot_model import SIDE, spot, write_frames, write_spot_video
from tests.support.waiting import PATIENCE

WAYS = ("auto", "graph", "cpu", "cuda")  # the last falls back


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model, a video, and one of the network's own size, which all ways prepare alike."""
    folder = tmp_path_factory.mktemp("graph")
    write_frame_model(folder / "frames.onnx")
    write_spot_video(folder / "video.avi")
    dark = [spot(None, (SIDE, SIDE))] * 5
    shown = [spot(1 + 2 * index, (SIDE, SIDE)) for index in range(25)]
    write_frames(folder / "small.avi", [*dark, *shown, *dark])
    return folder


def command(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        [sys.executable, "-m", "edge", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done


def replayed(folder: Path, way: str) -> tuple[list[dict[str, Any]], list[NDArray[np.uint8]], str]:
    """Events, annotated frames and what is said on the way."""
    config = folder / f"{way}.toml"
    config.write_text(
        '[model]\npath = "frames.onnx"\nruntime = "onnxruntime"\nthreads = 1\n'
        f'preprocessing = "{way}"\n[outbox]\ndirectory = "state"\n[cameras.door]\nsource = "small.avi"\n'
    )
    outputs = ("--events", f"{way}.jsonl", "--video", f"{way}.avi")
    done = command(folder, "replay", "small.avi", "--config", config.name, *outputs)
    video, frames = cv2.VideoCapture(str(folder / f"{way}.avi")), list[NDArray[np.uint8]]()
    while (read := video.read())[0]:
        frames.append(read[1].astype(np.uint8))
    return [json.loads(line) for line in (folder / f"{way}.jsonl").open()], frames, done.stderr


def test_replay_gives_the_same_events_and_pictures_in_every_way(folder: Path) -> None:
    """The inset shows the graph's own motion map."""
    events, frames, _ = replayed(folder, "cpu")
    assert [event["type"] for event in events][:1] == ["new"]
    assert len(frames) == 35
    inset = np.stack(frames)[:, :, 4 * SIDE :]
    assert inset.max() > 200  # the map is not empty
    assert inset.std(axis=0).max() > 20  # nor does it stand still
    for way in ("graph", "auto", "cuda"):
        others, drawn, said = replayed(folder, way)
        assert others == events
        np.testing.assert_allclose(np.stack(drawn).astype(int), np.stack(frames), atol=2)
        assert ("model.preprocessing is cuda, but ONNX Runtime runs the model" in said) == (way == "cuda")


def test_check_and_bench_say_where_frames_are_prepared(folder: Path) -> None:
    for way, where in (("graph", "in the model's own graph"), ("cpu", "on the CPU")):
        replayed(folder, way)
        config = ("--config", f"{way}.toml")
        assert where in command(folder, "check", *config).stdout
        assert where in command(folder, "bench", "video.avi", *config, "--frames", "5").stdout


def test_the_demo_plays_it(folder: Path) -> None:
    pytest.importorskip("amqtt", reason="amqtt is not installed: pip install 'korsal-edge[demo]'")
    done = command(folder, "demo", "video.avi", "--model", "frames.onnx", "--video", "demo.avi")
    assert "messages of 1 event arrived through the broker: Basketball 1." in done.stdout
    assert done.stderr == ""
