"""Videos of a bright spot to index, and what a store then holds of them."""

from pathlib import Path

from edge.config.schema import Config
from edge.history import search
from edge.history.search import EventFilter
from edge.indexing.video_parts import SearchSettings
from tests.support.spot_model import spot, write_frames, write_spot_model

SHOWN, DARK = 25, 45  # frames: the event that they make ends before the next begins


def write_spots(path: Path, events: int = 1) -> Path:
    """A video in which a spot is seen so many times, a second each; 25 frames a second."""
    frames = []
    for _ in range(events):
        frames += [spot(None)] * 10 + [spot(20 + place) for place in range(SHOWN)] + [spot(None)] * DARK
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_frames(path, frames)


def settings(folder: Path) -> SearchSettings:
    """To look with the model that sees spots."""
    model = write_spot_model(folder / "spot.onnx")
    camera = {"source": str(folder / "none.mp4")}
    config = {"model": {"path": model, "threads": 1, "runtime": "onnxruntime"}, "outbox": {"directory": folder}}
    return SearchSettings(Config.model_validate({"cameras": {"video": camera}, **config}), "video")


def found_in(store: Path) -> list[tuple[str, float]]:
    """Each event's video and when it started in it, s, sorted; one that is there twice is in it twice."""
    events = search.find(store, EventFilter())
    return sorted((event.camera, float(event.payload["started"][17:-1])) for event in events)
