"""One run of the network for several cameras, of which each may fail on its own. Shell: the log."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from edge import pipeline
from edge.inference import Engine, EngineError, Lap
from edge.pipeline import FrameInput, PipelineState, StepResult
from edge.service.camera_session import CameraSession


class ProcessedFrame(NamedTuple):
    """A camera's frame, and what became of it."""

    session: CameraSession
    turn: FrameInput
    state: PipelineState
    step: StepResult


def process_batch(
    taken: Iterable[tuple[CameraSession, FrameInput]], engine: Engine, lap: Lap
) -> Iterator[ProcessedFrame]:
    """Run the pipeline on one frame each of several cameras; a frame that raises costs its own camera that frame alone.

    Cameras whose frames have raised lately run by themselves, so that their next fault concerns nobody else. Raises
    EngineError, which is no fault of a frame.
    """
    together: list[tuple[CameraSession, FrameInput]] = []
    apart: list[list[tuple[CameraSession, FrameInput]]] = []
    for session, turn in taken:
        if session.failing:
            apart.append([(session, turn)])
        else:
            together.append((session, turn))
    for group in (together, *apart):
        yield from _run(group, engine, lap)


def _run(group: Sequence[tuple[CameraSession, FrameInput]], engine: Engine, lap: Lap) -> list[ProcessedFrame]:
    if len(group) == 1:
        ((session, turn),) = group
        with session.isolating_faults(turn.frame):
            ((state, step),) = pipeline.step_batch([turn], engine, lap)
            return [ProcessedFrame(session, turn, state, step)]
        return []
    try:
        made = pipeline.step_batch([turn for _, turn in group], engine, lap) if group else []
    except EngineError:
        raise
    except Exception:  # noqa: BLE001 - raised again below by the camera whose frame it is, which tells it
        alone = [(session, replace(turn, state=replace(turn.state, motion_state=None))) for session, turn in group]
        return [one for pair in alone for one in _run([pair], engine, lap)]
    return [ProcessedFrame(*pair, *result) for pair, result in zip(group, made, strict=True)]
