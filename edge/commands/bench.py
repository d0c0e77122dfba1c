"""`korsal-edge bench`: measures the time of each stage per frame. Shell: reads the clock."""

import json
import platform
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge import pipeline
from edge.cameras.video_file import probe
from edge.clip import bytes_per_camera
from edge.clip_branch import CLIP_STAGE, clip_summary
from edge.commands.replay import ReplaySession, frames_of
from edge.inference import PREPROCESSORS, Engine, Lap
from edge.pipeline import MEMORY_STAGE, STAGES
from edge.service.overload import TARGET_FPS, remedies
from edge.sources import Frame
from edge.terminal import progress

WARM_UP = 20  # frames that are not measured
COLUMNS = ("decode", *STAGES)
WITH_MEMORY = ("decode", MEMORY_STAGE, *STAGES)
WITH_CLIPS = ("decode", "preprocess", CLIP_STAGE, *(stage for stage in STAGES if stage not in ("preprocess", "motion")))
HEAVY = (MEMORY_STAGE, CLIP_STAGE, "motion", "network")  # the stages that do the work; the others are overhead


@dataclass(frozen=True, eq=False)
class Measurement:
    """The seconds that each stage took for each measured frame, (frames, columns) float64."""

    seconds: NDArray[np.float64]
    columns: tuple[str, ...] = COLUMNS

    @property
    def totals(self) -> NDArray[np.float64]:
        """Seconds per frame, (frames,)."""
        return np.asarray(self.seconds.sum(axis=1), np.float64)

    @property
    def fps(self) -> float:
        """Frames per second, processed one after the other."""
        return float(1 / self.totals.mean())

    @property
    def cameras(self) -> int:
        """How many cameras this is enough for, at TARGET_FPS each."""
        return int(self.fps / TARGET_FPS)

    @property
    def overhead(self) -> float:
        """The fraction of the time spent outside of motion map, network and memory, 0..1."""
        heavy = [index for index, stage in enumerate(self.columns) if stage in HEAVY]
        return float(1 - self.seconds[:, heavy].sum() / self.seconds.sum())

    def rows(self) -> dict[str, dict[str, float]]:
        """p50, p95, p99 and mean in ms and share of the total in percent, by stage and for "total"."""
        columns = {stage: self.seconds[:, i] for i, stage in enumerate(self.columns)}
        whole = self.totals.mean()
        return {name: _row(times, whole) for name, times in {**columns, "total": self.totals}.items()}


def bench(session: ReplaySession, frames: int, as_json: bool) -> int:
    """Measure, print and return 0. Raises CaptureError."""
    measured = measure(session, frames)
    print(_json(session, measured) if as_json else _table(session, measured))
    return 0


def measure(session: ReplaySession, frames: int) -> Measurement:
    """Measure this many frames after WARM_UP more; a shorter file is repeated."""
    columns = _columns(session.engine)
    rows = np.zeros((WARM_UP + frames, len(columns)))
    spent: defaultdict[str, float] = defaultdict(float)
    last = 0.0

    def lap(stage: str) -> None:
        nonlocal last
        now = time.perf_counter()
        spent[stage] += now - last
        last = now

    frames_with_lap = _with_lap(endless(session), lap)
    state = pipeline.initial(session.camera, "bench")
    steps = pipeline.run(frames_with_lap, session.engine, session.settings, state, lap)
    for row in progress.track(rows, "measuring", "frame", len(rows)):
        spent.clear()
        last = time.perf_counter()
        next(steps)
        row[:] = [spent[stage] for stage in columns]
    return Measurement(rows[WARM_UP:], columns)


def _columns(engine: Engine) -> tuple[str, ...]:
    """The stages that a frame goes through."""
    if engine.clip is not None:
        return WITH_CLIPS
    return COLUMNS if engine.memory is None else WITH_MEMORY


def _with_lap(frames: Iterable[Frame], lap: Lap) -> Iterator[Frame]:
    """The frames; the time for "decode" is taken as each arrives."""
    for frame in frames:
        lap("decode")
        yield frame


def endless(session: ReplaySession) -> Iterator[Frame]:
    """The file's frames over and over, with indices and times that keep increasing."""
    index, begin, interval = 0, 0.0, 1 / probe(session.source).fps
    while True:
        last = 0.0
        for frame in frames_of(session):
            last = begin + frame.monotonic_time
            yield Frame(frame.camera, index, last, last, frame.image)
            index += 1
        begin = last + interval


def _row(times: NDArray[np.float64], whole: float) -> dict[str, float]:
    p50, p95, p99 = (float(1000 * p) for p in np.percentile(times, (50, 95, 99)))
    return {"p50": p50, "p95": p95, "p99": p99, "mean": 1000 * float(times.mean()), "share": 100 * times.mean() / whole}


def _table(session: ReplaySession, measured: Measurement) -> str:
    manifest, facts = session.engine.manifest, probe(session.source)
    motion = f"motion {manifest.motion.kind} {PREPROCESSORS[session.engine.preprocessor]}"
    lines = [
        f"{session.source.name}, {facts.size[0]}x{facts.size[1]}; {manifest.name}, {manifest.width}x{manifest.height}, "
        f"{_tiling(session)}{motion}; {session.engine.runtime}, {platform.machine()}; "
        f"{len(measured.seconds)} frames, {WARM_UP} more to warm up",
        "",
        f"{'ms per frame':12}{'p50':>8}{'p95':>8}{'p99':>8}{'mean':>8}{'share':>8}",
    ]
    for name, row in measured.rows().items():
        cells = "".join(f"{row[key]:8.2f}" for key in ("p50", "p95", "p99", "mean"))
        lines.append(f"{name:12}{cells}{row['share']:7.1f}%")
    lines += [
        "",
        f"{measured.fps:.1f} frames per second; {100 * measured.overhead:.1f}% outside {_work(measured)}",
        *_beside(session.engine, measured, session.settings.tiling.count),
        _verdict(session.engine, measured, session.settings.tiling.count > 1),
    ]
    return "\n".join(lines)


def _work(measured: Measurement) -> str:
    if CLIP_STAGE in measured.columns:
        return "network and clips"
    return "network, motion map and memory" if MEMORY_STAGE in measured.columns else "network and motion map"


def _beside(engine: Engine, measured: Measurement, tiles: int) -> Iterator[str]:
    """The memory's file or the clips, and their price: what they add to the time of a frame, steps or none."""
    if (memory := engine.memory) is not None:
        stage, told = MEMORY_STAGE, f"memory {memory.path.name}, {memory.runtime}: {memory.summary}"
    elif engine.clip is not None:
        stage, told = CLIP_STAGE, clip_summary(engine.manifest, tiles)
    else:
        return
    row = measured.rows()[stage]
    yield f"{told}; {row['mean']:.2f} ms per frame, {_added(row['share']):.1f}% more than without"


def _added(share: float) -> float:
    """Percent of the rest that a share of the whole, in percent, adds to it."""
    return 100 * share / (100 - share)


def _tiling(session: ReplaySession) -> str:
    return "" if session.settings.tiling.is_whole else f"{session.settings.tiling}, "


def _verdict(engine: Engine, measured: Measurement, tiled: bool) -> str:
    """How many cameras that is enough for; what helps where it is none."""
    if measured.cameras:
        many = "1 camera" if measured.cameras == 1 else f"{measured.cameras} cameras"
        return f"enough for {many} at {TARGET_FPS:g} frames a second"
    helps = remedies(engine.manifest, engine.runtime, tiled)
    return f"too slow for one camera at {TARGET_FPS:g} frames a second: {helps}"


def _json(session: ReplaySession, measured: Measurement) -> str:
    content: dict[str, Any] = {
        "source": str(session.source),
        "size": list(probe(session.source).size),
        "model": {"name": session.engine.manifest.name, "sha256": session.engine.sha256},
        "runtime": session.engine.runtime,
        "preprocessing": session.engine.preprocessor,
        "tiles": session.settings.tiling.count,
        "frames": len(measured.seconds),
        "fps": measured.fps,
        "cameras": measured.cameras,
        "overhead": measured.overhead,
        "milliseconds": measured.rows(),
    }
    if (memory := session.engine.memory) is not None:
        content["memory"] = {
            "sha256": memory.network.sha256,
            "runtime": memory.runtime,
            "interval": memory.seconds,
            "bytes_per_camera": memory.network.bytes_per_camera,
        }
    if (clip := session.engine.manifest.clip) is not None:
        height, width = session.engine.manifest.height, session.engine.manifest.width
        content["clip"] = {
            "frames": clip.frames,
            "step": clip.step,
            "every": clip.every,
            "bytes_per_camera": bytes_per_camera(clip, height, width) * session.settings.tiling.count,
        }
    return json.dumps(content, indent=2)
