"""Measures what keeping events, pictures and clips costs a camera, beside the same frames without it.

python -m benchmarks.history [VIDEO] [--frames 300] [--rounds 3] [--fps 15]. Frames come at the pace of a camera. The
processor's time of the loop is that of the thread that detects, without the network's own threads: the history may take
none of it. Of the process it includes the threads that write and encode (through PyAV; GStreamer's is a child, which is
added). Times of the processor hold on a busy machine too; the waiting time between frames does not.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from edge import events, pipeline
from edge.broker.payload import ModelIdentity, event_payload
from edge.cameras.video_file import read_file
from edge.config.history import HistoryConfig
from edge.config.schema import CameraConfig, Config, ModelConfig, OutboxConfig
from edge.history.history import History
from edge.inference import Engine
from edge.open_model import open_at_terminal
from edge.pipeline import PipelineSettings
from edge.shipped_files import asset_path
from edge.sources import Frame

CLIP = "demo/basketball.mp4"


def main() -> int:
    """Print ms a frame with and without history, and their ratios."""
    options = _options()
    with tempfile.TemporaryDirectory() as folder, open_at_terminal(ModelConfig(threads=1), Path(folder)) as engine:
        frames = [*islice(_endless(options.video), options.frames)]
        without: list[tuple[float, float]] = []
        kept: list[tuple[float, float]] = []
        for turn in range(options.rounds):
            for enabled, times in ((False, without), (True, kept)):
                config = Config(
                    cameras={"door": CameraConfig.model_construct(source="door")},
                    outbox=OutboxConfig(directory=Path(folder) / str(turn)),
                    history=HistoryConfig(enabled=enabled),
                )
                times.append(_play(frames, engine, config, options.fps))
                print(f"{'with' if enabled else 'without'} history: {_text(times[-1])}", flush=True)
        for place, name in enumerate(("loop", "process and children")):
            ratio = statistics.median(k[place] / w[place] for k, w in zip(kept, without, strict=True))
            print(f"{name}: {ratio:.3f} of the processor's time without history (median of {options.rounds})")
    return 0


def _play(frames: list[Frame], engine: Engine, config: Config, fps: float) -> tuple[float, float]:
    """ms of processor time a frame: of the loop's thread, and of the process with its children."""
    history = History(config, lambda *picture: None)
    state, identity = pipeline.initial("door", "seed"), ModelIdentity("model", "0" * 64)
    due, loop, process = time.monotonic(), 0.0, _process_seconds()
    for frame in frames:
        begin = time.thread_time()
        state, result = pipeline.step(state, frame, engine, PipelineSettings())
        for event in result.events:
            history.step(event_payload(event, "bench", "door", identity, event.t_capture), time.time())
        history.frame(frame, state.events)
        loop += time.thread_time() - begin
        due += 1 / fps
        time.sleep(max(0.0, due - time.monotonic()))
    for event in events.close(state.events, frames[-1].unix_time, "camera"):
        history.step(event_payload(event, "bench", "door", identity, event.t_capture), time.time())
    history.no_more_frames("door")
    history.close()
    return loop / len(frames) * 1000, (_process_seconds() - process) / len(frames) * 1000


def _process_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _text(times: tuple[float, float]) -> str:
    return f"loop {times[0]:.2f}, process and children {times[1]:.2f} ms of processor time a frame"


def _endless(video: Path) -> Iterator[Frame]:
    """The video over and over, its time going on."""
    index, seconds = 0, 0.0
    while True:
        for frame in read_file(video, "door"):
            yield Frame("door", index, seconds, seconds, frame.image)
            index, seconds = index + 1, seconds + 0.04


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measures what keeping events costs a camera.")
    parser.add_argument("video", nargs="?", type=Path, default=asset_path(CLIP))
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--fps", type=float, default=15.0)
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
