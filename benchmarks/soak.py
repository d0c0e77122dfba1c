"""Measures whether the daemon grows: eight cameras, two hours of film each, a real broker; memory, files, threads.

python -m benchmarks.soak [--cameras 8] [--hours 2] [--fps 10] [--model FILE]. The film is played as fast as it can be
read; without --model by a network of some kilobytes, so that two hours take minutes and all but the network is at
work. Needs mosquitto. Exit status 1 where something grows.
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

SECONDS = 5.0  # between two looks
SETTLED = 0.2  # of all frames, after which nothing should grow any more
ALLOWED = {"MB": 20.0, "files": 4.0, "threads": 1.0}
SEEN, ROUND = 3, 10  # seconds that the spot is seen, of every so many
ROW = "{:>9}{:>10}{:>10}{:>8}{:>9}{:>11}"


def main() -> int:
    """Print a line every few seconds, and by how much each figure has grown."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="korsal-soak-") as name:
        folder = Path(name)
        frames = round(options.hours * 3600 * options.fps)
        film = _film(folder / "film.mp4", frames, options.fps)
        model = options.model or write_spot_model(folder / "spot.onnx")
        with Broker(folder) as broker, Subscriber(broker.port) as subscriber:
            config = _configuration(folder, broker.port, model, film, options.cameras)
            daemon = subprocess.Popen([sys.executable, "-m", "edge", "run", "--config", str(config)])
            rows = list(_looks(daemon, subscriber, options.cameras * frames))
            status = daemon.wait()
        steps = _steps(subscriber)
    print(f"{options.cameras} cameras, {options.cameras * frames} frames, exit status {status}")
    print(f"{steps[0]} events began, {steps[1]} ended, {steps[2]} messages arrived twice")
    return int(status != 0 or steps[0] != steps[1] or steps[0] == 0 or _grown(rows))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measures whether the daemon grows.")
    parser.add_argument("--cameras", type=int, default=8)
    parser.add_argument("--hours", type=float, default=2.0, help="of film, for each camera")
    parser.add_argument("--fps", type=float, default=10.0)
    parser.add_argument("--model", type=Path, help="default: a network of some kilobytes that sees a bright spot")
    return parser.parse_args()


def _film(path: Path, frames: int, fps: float) -> Path:
    """A bright spot that comes, wanders and goes, again and again."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, FRAME)
    ground = np.random.default_rng(0).integers(0, 60, (FRAME[1], FRAME[0], 3)).astype(np.uint8)
    for frame in range(frames):
        picture, second = ground.copy(), frame / fps
        if second % ROUND < SEEN:
            left, top = 20 + round(20 * (second % ROUND)), 30
            picture[top : top + BOX[1], left : left + BOX[0]] = 255
        writer.write(picture)
    writer.release()
    return path


def _configuration(folder: Path, port: int, model: Path, film: Path, cameras: int) -> Path:
    tables = "".join(f'[cameras.c{number}]\nsource = "{film}"\n' for number in range(cameras))
    config = folder / "config.toml"
    config.write_text(
        f'[device]\nname = "soak"\n[model]\npath = "{model}"\nruntime = "onnxruntime"\nthreads = 1\n'
        f'[mqtt]\nhost = "127.0.0.1"\nport = {port}\n[outbox]\ndirectory = "{folder}/state"\n'
        f"[telemetry]\ninterval = {SECONDS}\n{tables}"
    )
    return config


def _looks(daemon: "subprocess.Popen[bytes]", subscriber: Subscriber, frames: int) -> Iterator[tuple[float, ...]]:
    """(share of the frames, MB, open files, threads) of the daemon, every few seconds until it ends."""
    process, began = psutil.Process(daemon.pid), time.monotonic()
    print(ROW.format("seconds", "frames", "MB", "files", "threads", "messages"), flush=True)
    while daemon.poll() is None:
        time.sleep(SECONDS)
        told = subscriber.payloads("korsal/soak/telemetry")
        if not told or daemon.poll() is not None:
            continue
        done = sum(json.loads(told[-1])["frames"].values())
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
    """Events that began and that ended, by id; messages that came more than once."""
    steps = [(event["event_id"], event["seq"], event["type"]) for event in subscriber.events()]
    began, ended = ({number for number, _, kind in steps if kind == wanted} for wanted in ("new", "end"))
    return len(began), len(ended), len(steps) - len(set(steps))


def _grown(rows: list[tuple[float, ...]]) -> bool:
    """Tell by how much each figure's largest value after SETTLED is above that at SETTLED."""
    settled = np.array([row[1:] for row in rows if row[0] >= SETTLED])
    if len(settled) < 2:
        print("too few looks: give more --hours")
        return True
    growth = settled.max(axis=0) - settled[0]
    for (name, allowed), by in zip(ALLOWED.items(), growth, strict=True):
        print(f"{name}: at most {by:+.1f} above the value at {SETTLED:.0%}; allowed: {allowed:g}")
    return bool((growth > list(ALLOWED.values())).any())


if __name__ == "__main__":
    sys.exit(main())
