"""Checks that this machine is fast enough for its cameras. Shell: reads the clock."""

import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from edge import pipeline
from edge.config.schema import CameraConfig
from edge.doctor.finding import Finding, ok, warning
from edge.inference import Engine
from edge.pipeline import PipelineSettings
from edge.service.overload import TARGET_FPS, TOO_SLOW, remedies
from edge.sources import Frame
from edge.tiles import Tiling

FRAME_SIZE = (720, 1280)  # (height, width) of the timed frames
WARM_UP, TIMED = 3, 12  # frames


def speed(engine: Engine, cameras: Mapping[str, CameraConfig], service_runs: bool) -> Finding:
    """Time the whole pipeline on frames of noise, against the live cameras' target rates."""
    live = [camera for camera in cameras.values() if camera.to_source().live]
    wanted = [min(camera.fps or TARGET_FPS, TARGET_FPS) for camera in live]
    tilings = [camera.tiling() for camera in live]
    rates = {tiling: frames_per_second(engine, tiling) for tiling in tilings or [Tiling()]}
    tiled = any(tiling.count > 1 for tiling in tilings)
    rate = mixed_rate([rates[tiling] for tiling in tilings], wanted) if live else rates[Tiling()]
    found = speed_finding(rate, wanted, remedies(engine.manifest, engine.runtime, tiled), service_runs)
    return replace(found, text=f"{found.text}{_each(rates)}")


def mixed_rate(rates: list[float], wanted: list[float]) -> float:
    """Frames per second over all cameras, where each alone would reach its rate and has its share of `wanted`."""
    return sum(wanted) / sum(each / rate for each, rate in zip(wanted, rates, strict=True))


def _each(rates: Mapping[Tiling, float]) -> str:
    """The rates by how frames are seen, where cameras differ in that."""
    if len(rates) == 1:
        return ""
    named = [f"{rate:.1f} {'whole' if tiling.is_whole else f'as {tiling}'}" for tiling, rate in rates.items()]
    return f"; frames per second: {', '.join(named)}"


def speed_finding(rate: float, wanted: list[float], remedies: str, service_runs: bool) -> Finding:
    """`rate`: frames per second that the machine manages; `wanted`: the target of each live camera."""
    beside = ", beside the running service" if service_runs else ""
    text = f"{rate:.1f} frames per second{beside}; the live cameras ({len(wanted)}) need {sum(wanted):g}"
    if rate < TOO_SLOW * sum(wanted):
        return warning("speed", text, remedies)
    return ok("speed", text)


def frames_per_second(engine: Engine, tiling: Tiling) -> float:
    """The rate of the pipeline on frames cut in this way, one frame after the other."""
    frames = _noise(WARM_UP + TIMED)
    times = [time.perf_counter()]
    for _ in pipeline.run(frames, engine, PipelineSettings(tiling=tiling), pipeline.initial("doctor", "doctor")):
        times.append(time.perf_counter())
    return TIMED / (times[-1] - times[WARM_UP])


def _noise(count: int) -> list[Frame]:
    """Frames of moving noise, made before the clock runs."""
    noise = np.random.default_rng(0).integers(0, 256, (*FRAME_SIZE, 3), dtype=np.uint8)
    return [
        Frame("doctor", index, index / TARGET_FPS, index / TARGET_FPS, np.roll(noise, index, axis=1))
        for index in range(count)
    ]
