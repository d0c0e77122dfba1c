"""Is this machine quick enough for its cameras? Shell: reads the clock."""

import time
from collections.abc import Mapping

import numpy as np

from edge import pipeline
from edge.config.schema import CameraConfig
from edge.doctor.finding import Finding, ok, warning
from edge.inference import Engine
from edge.pipeline import PipelineSettings
from edge.service.overload import TARGET_FPS, TOO_SLOW, remedies
from edge.sources import Frame

FRAME_SIZE = (720, 1280)  # (height, width), of the frames that it is timed on
WARM_UP, TIMED = 3, 12  # frames


def speed(engine: Engine, cameras: Mapping[str, CameraConfig], service_runs: bool) -> Finding:
    """The whole pipeline on frames of noise, against what the live cameras want."""
    wanted = [min(camera.fps or TARGET_FPS, TARGET_FPS) for camera in cameras.values() if camera.to_source().live]
    return judged(frames_per_second(engine), wanted, remedies(engine.manifest, engine.runtime), service_runs)


def judged(rate: float, wanted: list[float], helps: str, service_runs: bool) -> Finding:
    """`rate`: frames a second that the machine manages; `wanted`: of each live camera."""
    beside = ", beside the service that runs" if service_runs else ""
    text = f"{rate:.1f} frames a second{beside}; the live cameras ({len(wanted)}) want {sum(wanted):g}"
    if rate < TOO_SLOW * sum(wanted):
        return warning("speed", text, helps)
    return ok("speed", text)


def frames_per_second(engine: Engine) -> float:
    """Of the pipeline, one camera after the other."""
    noise = np.random.default_rng(0).integers(0, 256, (*FRAME_SIZE, 3), dtype=np.uint8)
    state, seconds = pipeline.initial("doctor", "doctor"), []
    for index in range(WARM_UP + TIMED):
        frame = Frame("doctor", index, index / TARGET_FPS, index / TARGET_FPS, np.roll(noise, index, axis=1))
        start = time.perf_counter()
        state, _ = pipeline.step(state, frame, engine, PipelineSettings())
        seconds.append(time.perf_counter() - start)
    return float(1 / np.mean(seconds[WARM_UP:]))
