"""Whether the daemon leaks memory, files or threads: eight cameras, two hours of video each, a real broker.

python -m benchmarks.soak [--cameras 8] [--hours 2] [--fps 10] [--model FILE]. The video is played as fast as it can be
read; without --model the network has a few kilobytes, so that two hours take minutes and everything but the network is
exercised. Needs mosquitto. Exit status 1 where something grows.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import psutil

from tests.support.broker import Broker, Subscriber
from tests.support.spot_model import BOX, FRAME, write_spot_model

SECONDS = 5.0  # between two samples
SETTLED = 0.2  # of all frames, after which nothing may grow
ALLOWED_GROWTH = {"MB": 20.0, "files": 4.0, "threads": 1.0}
VISIBLE, CYCLE = 3, 10  # seconds: the spot is visible for VISIBLE of every CYCLE
ROW = "{:>9}{:>10}{:>10}{:>8}{:>9}{:>11}"


def main() -> int:
    """Print a line every few seconds, and then how much each figure has grown."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="korsal-soak-") as name:
        folder = Path(name)
        frames = round(options.hours * 3600 * options.fps)
        video = _write_video(folder / "video.mp4", frames, options.fps)
        model = options.model or write_spot_model(folder / "spot.onnx")
        with Broker(folder) as broker, Subscriber(broker.port) as subscriber:
            config = _configuration(folder, broker.port, model, video, options.cameras)
            daemon = subprocess.Popen([sys.executable, "-m", "edge", "run", "--config", str(config)])
            rows = list(_samples(daemon, subscriber, options.cameras * frames))
            status = daemon.wait()
        steps = _steps(subscriber)
    print(f"{options.cameras} cameras, {options.cameras * frames} frames, exit status {status}")
    print(f"{steps[0]} events began, {steps[1]} ended, {steps[2]} messages arrived twice")
    return int(status != 0 or steps[0] != steps[1] or steps[0] == 0 or _grown(rows))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measures whether the daemon grows.")
    parser.add_argument("--cameras", type=int, default=8)
    parser.add_argument("--hours", type=float, default=2.0, help="of video, for each camera")
    parser.add_argument("--fps", type=float, default=10.0)
    parser.add_argument("--model", type=Path, help="default: a network of a few kilobytes that detects a bright spot")
    return parser.parse_args()


def _write_video(path: Path, frames: int, fps: float) -> Path:
    """A video of a bright spot that appears, moves and disappears, over and over."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, FRAME)
    ground = np.random.default_rng(0).integers(0, 60, (FRAME[1], FRAME[0], 3)).astype(np.uint8)
    for frame in range(frames):
        picture, second = ground.copy(), frame / fps
        if second % CYCLE < VISIBLE:
            left, top = 20 + round(20 * (second % CYCLE)), 30
            picture[top : top + BOX[1], left : left + BOX[0]] = 255
        writer.write(picture)
    writer.release()
    return path


def _configuration(folder: Path, port: int, model: Path, video: Path, cameras: int) -> Path:
    tables = "".join(f'[cameras.c{number}]\nsource = "{video}"\n' for number in range(cameras))
    config = folder / "config.toml"
    config.write_text(
        f'[device]\nname = "soak"\n[model]\npath = "{model}"\nruntime = "onnxruntime"\nthreads = 1\n'
        f'[mqtt]\nhost = "127.0.0.1"\nport = {port}\n[outbox]\ndirectory = "{folder}/state"\n'
        f"[telemetry]\ninterval = {SECONDS}\n{tables}"
    )
    return config


def _samples(daemon: "subprocess.Popen[bytes]", subscriber: Subscriber, frames: int) -> Iterator[tuple[float, ...]]:
    """(share of the frames, MB, open files, threads) of the daemon, every few seconds until it ends."""
    process, began = psutil.Process(daemon.pid), time.monotonic()
    print(ROW.format("seconds", "frames", "MB", "files", "threads", "messages"), flush=True)
    while daemon.poll() is None:
        time.sleep(SECONDS)
        telemetry = subscriber.payloads("korsal/soak/telemetry")
        if not telemetry or daemon.poll() is not None:
            continue
        done = sum(json.loads(telemetry[-1])["frames"].values())
        try:
            row = process.memory_info().rss / 1e6, process.num_fds(), process.num_threads()
        except psutil.NoSuchProcess:
            break
        if process.status() == psutil.STATUS_ZOMBIE:
            break
        seconds = round(time.monotonic() - began)
        print(ROW.format(seconds, done, f"{row[0]:.1f}", *row[1:], len(subscriber.messages)), flush=True)
        yield done / frames, *row


def _steps(subscriber: Subscriber) -> tuple[int, int, int]:
    """The numbers of events begun, events ended, and messages that arrived more than once."""
    steps = [(event["event_id"], event["seq"], event["type"]) for event in subscriber.events()]
    began, ended = ({event_id for event_id, _, kind in steps if kind == sought} for sought in ("new", "end"))
    return len(began), len(ended), len(steps) - len(set(steps))


def _grown(rows: list[tuple[float, ...]]) -> bool:
    """Print by how much the largest value of each figure after SETTLED exceeds that at SETTLED."""
    settled = np.array([row[1:] for row in rows if row[0] >= SETTLED])
    if len(settled) < 2:
        print("too few samples: give more --hours")
        return True
    growth = settled.max(axis=0) - settled[0]
    for (name, allowed), by in zip(ALLOWED_GROWTH.items(), growth, strict=True):
        print(f"{name}: at most {by:+.1f} above the value at {SETTLED:.0%}; allowed: {allowed:g}")
    return bool((growth > list(ALLOWED_GROWTH.values())).any())


if __name__ == "__main__":
    sys.exit(main())
