"""Runs the pipeline once on the frames of several cameras, each of which may fail alone. Shell: the log."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from edge import pipeline
from edge.inference import Engine, EngineError, Lap
from edge.pipeline import FrameInput, PipelineState, StepResult
from edge.service.camera_session import CameraSession
from edge.sources import Frame


class ProcessedFrame(NamedTuple):
    """A camera's frame, its new pipeline state and the result."""

    session: CameraSession
    frame: Frame
    state: PipelineState
    result: StepResult


def process_batch(
    inputs: Iterable[tuple[CameraSession, FrameInput]], engine: Engine, lap: Lap
) -> Iterator[ProcessedFrame]:
    """Run the pipeline on one frame each of several cameras; one that raises costs its camera that frame alone.

    Cameras that have failed recently run separately, so that their next failure affects no other. Raises EngineError,
    which is not caused by a frame.
    """
    together: list[tuple[CameraSession, FrameInput]] = []
    apart: list[list[tuple[CameraSession, FrameInput]]] = []
    for session, frame_input in inputs:
        if session.failing:
            apart.append([(session, frame_input)])
        else:
            together.append((session, frame_input))
    for group in (together, *apart):
        yield from _run(group, engine, lap)


def _run(group: Sequence[tuple[CameraSession, FrameInput]], engine: Engine, lap: Lap) -> list[ProcessedFrame]:
    if len(group) == 1:
        ((session, frame_input),) = group
        with session.isolating_faults(frame_input.frame):
            ((state, result),) = pipeline.step_batch([frame_input], engine, lap)
            return [ProcessedFrame(session, frame_input.frame, state, result)]
        return []
    try:
        results = pipeline.step_batch([frame_input for _, frame_input in group], engine, lap) if group else []
    except EngineError:
        raise
    except Exception:  # noqa: BLE001 - raised again below by the frame that causes it, whose camera logs it
        alone = [(session, _after_a_fault(frame_input, engine)) for session, frame_input in group]
        return [one for pair in alone for one in _run([pair], engine, lap)]
    return [
        ProcessedFrame(session, frame_input.frame, *result)
        for (session, frame_input), result in zip(group, results, strict=True)
    ]


def _after_a_fault(frame_input: FrameInput, engine: Engine) -> FrameInput:
    """The input without the motion state of the last frame, which a failed run may have half overwritten.

    What is kept for clips no run changes: that stays.
    """
    if engine.clip is not None:
        return frame_input
    return replace(frame_input, state=replace(frame_input.state, motion_states=()))
