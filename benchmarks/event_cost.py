"""What zones, stays, paths and doubts of events cost, beside the rest of the daemon's work on a frame.

    python -m benchmarks.event_cost

Ten people, each of whom does two actions, walk through eight zones that ask for a stay; the processor time of a frame
of `events.step`, with zones and without, of what [teaching] adds (`doubts.step`: a second linker and two lives of
events), and the payload of an end are set beside a frame of the whole pipeline with the shipped model. All turns
alternate in one run.
"""

import time
from collections.abc import Callable

import numpy as np

from edge import events, pipeline
from edge.broker.payload import ModelIdentity, event_payload
from edge.broker.topics import encode
from edge.config.config_file import model_path
from edge.config.schema import ModelConfig
from edge.default_linker import DefaultLinker
from edge.detector import Detections
from edge.event_settings import ActionSettings, EventSettings
from edge.events import Event, EventState
from edge.history import doubts
from edge.history.doubts import Watched
from edge.history.second_linker import Linked
from edge.open_model import open_at_terminal
from edge.pipeline import PipelineSettings
from edge.sources import Frame
from edge.tubes import TubeBox
from edge.zones import Zone

PEOPLE, FRAMES, TURNS = 10, 500, 5
LABELS = ("Run", "Jump")
SIZE = (720, 1280)  # (height, width), pixels
IMAGE = np.zeros((*SIZE, 3), np.uint8)


def zone(number: int) -> Zone:
    """A twelve-sided zone."""
    angles = np.arange(12) / 12 * 2 * np.pi
    points = [(0.5 + 0.5 * float(np.cos(angle)), 0.5 + 0.5 * float(np.sin(angle))) for angle in angles]
    return Zone(tuple(points), min_duration=1.0 + number)


ZONES = {f"zone{number}": zone(number) for number in range(8)}
PLAIN = EventSettings(ActionSettings())
DECIDING = EventSettings(ActionSettings(required_zones=tuple(ZONES), min_area=0.001), zones=ZONES)


def frame(index: int) -> Frame:
    """A frame without content."""
    return Frame("door", index, index / 25, index / 25, IMAGE)


def people(index: int) -> list[TubeBox]:
    """Everybody wanders erratically, so that no box of a path can be left out."""
    centres = [300 + 60 * tube + 40 * np.sin(index * 1.7 + tube) for tube in range(PEOPLE)]
    scores = np.array([0.8, 0.7], np.float32)
    return [
        TubeBox(tube, 0, np.array([x - 40, 200, x + 40, 400], np.float32), 0.8, scores, True)
        for tube, x in enumerate(centres)
    ]


def processor_ms(work: Callable[[], object], times: int) -> float:
    """Processor time of one of so many, ms."""
    start = time.process_time()
    work()
    return (time.process_time() - start) / times * 1000


def walk(settings: EventSettings) -> EventState:
    """All frames of the story."""
    state = events.initial("door", "benchmark")
    for index, boxes in enumerate(STORY):
        state, _ = events.step(state, boxes, frame(index), LABELS, settings)
    return state


def doubt() -> None:
    """The doubts of all frames, about the events of the first."""
    state, life = doubts.initial("door"), events.initial("door", "benchmark")
    for index, boxes in enumerate(STORY):
        corners, scores = np.array([one.box for one in boxes]), np.array([one.class_scores for one in boxes])
        found = Detections(corners, scores.max(axis=1), np.zeros(len(boxes), np.int64), scores)
        linked = Linked(found, DefaultLinker(), life)
        state, _ = doubts.step(state, frame(index), Watched(boxes, LABELS, PLAIN, linked))


STORY = [people(index) for index in range(FRAMES)]


def payloads(ends: tuple[Event, ...]) -> list[bytes]:
    """The ends as they are published."""
    return [encode(event_payload(end, "roof", "door", ModelIdentity("m", "0" * 64), 0.0)) for end in ends]


def main() -> None:
    """Print medians, and ratios to a frame of the whole pipeline."""
    noise = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    images = [np.roll(noise, shift, axis=1) for shift in range(20)]
    frames = [Frame("door", index, index / 25, index / 25, image) for index, image in enumerate(images)]
    ends = events.close(walk(DECIDING), 20.0, "shutdown")
    found: dict[str, list[float]] = {"plain": [], "zones": [], "doubts": [], "end": [], "pipeline": []}
    model = ModelConfig(threads=1, runtime="onnxruntime")
    with open_at_terminal(model, model_path(model).parent) as engine:
        for _ in range(TURNS):
            start = pipeline.initial("door", "benchmark")
            found["pipeline"].append(
                processor_ms(lambda: list(pipeline.run(frames, engine, PipelineSettings(), start)), len(frames))  # noqa: B023
            )
            found["plain"].append(processor_ms(lambda: walk(PLAIN), FRAMES))
            found["zones"].append(processor_ms(lambda: walk(DECIDING), FRAMES))
            found["doubts"].append(processor_ms(doubt, FRAMES))
            found["end"].append(processor_ms(lambda: payloads(ends), len(ends)))
    whole = float(np.median(found["pipeline"]))
    for name, times in found.items():
        print(f"{name:10} {np.median(times):8.3f} ms  {np.median(times) / whole:.5f} of a frame of the pipeline")
    print(f"longest end: {max(map(len, payloads(ends)))} bytes, of {len(ends)}")


if __name__ == "__main__":
    main()
