"""One run of the network for several cameras, of which each may fail on its own. Shell: the log."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from edge import pipeline
from edge.engines.onnxruntime_engine import EngineError
from edge.inference import Engine, Lap
from edge.pipeline import FrameInput, PipelineState, StepResult
from edge.service.camera_session import Station


class Processed(NamedTuple):
    """A camera's frame, and what became of it."""

    station: Station
    turn: FrameInput
    state: PipelineState
    step: StepResult


def process(taken: Iterable[tuple[Station, FrameInput]], engine: Engine, lap: Lap) -> Iterator[Processed]:
    """Run the pipeline on one frame each of several cameras; a frame that raises costs its own camera that frame alone.

    Cameras whose frames have raised lately run by themselves, so that their next fault concerns nobody else. Raises
    EngineError, which is no fault of a frame.
    """
    together: list[tuple[Station, FrameInput]] = []
    apart: list[list[tuple[Station, FrameInput]]] = []
    for station, turn in taken:
        if station.failing:
            apart.append([(station, turn)])
        else:
            together.append((station, turn))
    for group in (together, *apart):
        yield from _run(group, engine, lap)


def _run(group: Sequence[tuple[Station, FrameInput]], engine: Engine, lap: Lap) -> list[Processed]:
    if len(group) == 1:
        ((station, turn),) = group
        with station.spared(turn.frame):
            ((state, step),) = pipeline.step_batch([turn], engine, lap)
            return [Processed(station, turn, state, step)]
        return []
    try:
        made = pipeline.step_batch([turn for _, turn in group], engine, lap) if group else []
    except EngineError:
        raise
    except Exception:  # noqa: BLE001 - raised again below by the camera whose frame it is, which tells it
        alone = [(station, replace(turn, state=replace(turn.state, memory=None))) for station, turn in group]
        return [one for pair in alone for one in _run([pair], engine, lap)]
    return [Processed(*pair, *result) for pair, result in zip(group, made, strict=True)]
