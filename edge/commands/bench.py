"""`korsal-edge bench`: what each stage costs per frame. Shell: reads the clock."""

import json
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge import pipeline
from edge.cameras.video_file import probe
from edge.commands.replay import ReplaySession, frames_of
from edge.inference import Engine
from edge.pipeline import STAGES
from edge.service.overload import TARGET_FPS, remedies
from edge.sources import Frame
from edge.terminal import progress

WARM_UP = 20  # frames that are not measured
COLUMNS = ("decode", *STAGES)
HEAVY = ("motion", "network")  # the stages that are allowed to cost


@dataclass(frozen=True, eq=False)
class Measurement:
    """Seconds that every measured frame took, (frames, COLUMNS) float64."""

    seconds: NDArray[np.float64]

    @property
    def totals(self) -> NDArray[np.float64]:
        """(frames,), s."""
        return np.asarray(self.seconds.sum(axis=1), np.float64)

    @property
    def fps(self) -> float:
        """Frames per second, one after the other."""
        return float(1 / self.totals.mean())

    @property
    def cameras(self) -> int:
        """That this is enough for, at TARGET_FPS each."""
        return int(self.fps / TARGET_FPS)

    @property
    def overhead(self) -> float:
        """The share of the time that is spent outside of motion map and network, 0..1."""
        heavy = [COLUMNS.index(stage) for stage in HEAVY]
        return float(1 - self.seconds[:, heavy].sum() / self.seconds.sum())

    def rows(self) -> dict[str, dict[str, float]]:
        """By stage and "total": p50, p95, p99 and mean in ms, share of the total in percent."""
        columns = {stage: self.seconds[:, i] for i, stage in enumerate(COLUMNS)}
        whole = self.totals.mean()
        return {name: _row(times, whole) for name, times in {**columns, "total": self.totals}.items()}


def bench(session: ReplaySession, frames: int, as_json: bool) -> int:
    """Measure and print; 0. Raises CaptureError."""
    measured = measure(session, frames)
    print(_json(session, measured) if as_json else _table(session, measured))
    return 0


def measure(session: ReplaySession, frames: int) -> Measurement:
    """Run so many frames after WARM_UP more; a shorter file is played again and again."""
    source = endless(session)
    state = pipeline.initial(session.camera, "bench")
    rows = np.zeros((WARM_UP + frames, len(COLUMNS)))
    times: list[float] = []
    for row in progress.track(rows, "measuring", "frame", len(rows)):
        times[:] = [time.perf_counter()]
        frame = next(source)
        times.append(time.perf_counter())
        state, _ = pipeline.step(
            state, frame, session.engine, session.settings, lambda stage: times.append(time.perf_counter())
        )
        row[:] = np.diff(times)
    return Measurement(rows[WARM_UP:])


def endless(session: ReplaySession) -> Iterator[Frame]:
    """The file's frames, over and over, numbered and timed on."""
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
    lines = [
        f"{session.source.name}, {facts.size[0]}x{facts.size[1]}; {manifest.name}, {manifest.width}x{manifest.height}, "
        f"motion {manifest.motion.kind}; {session.engine.runtime}, {platform.machine()}; "
        f"{len(measured.seconds)} frames, {WARM_UP} more to warm up",
        "",
        f"{'ms per frame':12}{'p50':>8}{'p95':>8}{'p99':>8}{'mean':>8}{'share':>8}",
    ]
    for name, row in measured.rows().items():
        cells = "".join(f"{row[key]:8.2f}" for key in ("p50", "p95", "p99", "mean"))
        lines.append(f"{name:12}{cells}{row['share']:7.1f}%")
    lines += [
        "",
        f"{measured.fps:.1f} frames per second; {100 * measured.overhead:.1f}% outside network and motion map",
        _verdict(session.engine, measured),
    ]
    return "\n".join(lines)


def _verdict(engine: Engine, measured: Measurement) -> str:
    """How many cameras that is enough for; what helps where it is none."""
    if measured.cameras:
        many = "1 camera" if measured.cameras == 1 else f"{measured.cameras} cameras"
        return f"enough for {many} at {TARGET_FPS:g} frames a second"
    return f"too slow for one camera at {TARGET_FPS:g} frames a second: {remedies(engine.manifest, engine.runtime)}"


def _json(session: ReplaySession, measured: Measurement) -> str:
    content = {
        "source": str(session.source),
        "size": list(probe(session.source).size),
        "model": {"name": session.engine.manifest.name, "sha256": session.engine.sha256},
        "runtime": session.engine.runtime,
        "frames": len(measured.seconds),
        "fps": measured.fps,
        "cameras": measured.cameras,
        "overhead": measured.overhead,
        "milliseconds": measured.rows(),
    }
    return json.dumps(content, indent=2)
