"""One action of one tube, from the frame in which it is found: what an event is made of. Pure."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge import boxes, event_path
from edge.event_path import EventPath, PathBox
from edge.event_settings import ActionSettings


@dataclass(frozen=True, eq=False)
class ActionObservation:
    """One action of one person in one frame."""

    score: float
    box: NDArray[np.float32]  # (4,), clipped to the frame
    frame_size: tuple[int, int]
    zones: tuple[str, ...]
    observed: bool
    index: int
    unix: float
    monotonic: float


@dataclass(frozen=True, eq=False)
class TrackedAction:
    """One action of one tube, which is an event once it is published.

    `event_id`, `tube_id`: empty until then. `first`: where it began; `last`: the newest frame; `last_seen`: the last in
    which the action was observed. `in_place`: whether an event may begin where the person is; as long as it may not,
    the action begins anew with each frame. `last_kept`: when the score was last high enough; `published`: when the last
    message was; both monotonic, s. `path`: from `first` to `last_seen`.
    """

    tube: int
    action: str
    first: ActionObservation
    last: ActionObservation
    last_seen: ActionObservation
    in_place: bool
    last_kept: float
    top_score: float
    path: EventPath
    event_id: str = ""
    tube_id: str = ""
    seq: int = -1
    published: float = 0.0


def is_in_place(observation: ActionObservation, rules: ActionSettings) -> bool:
    """Whether an event may begin here: in a required zone, with a box neither too small nor too large."""
    required = rules.required_zones
    in_zone = not required or any(name in required for name in observation.zones)
    return in_zone and rules.min_area <= area_share(observation) <= rules.max_area


def area_share(observation: ActionObservation) -> float:
    """The box's area as a share of the frame's, 0..1."""
    width, height = observation.frame_size
    return float(boxes.area(observation.box[None])[0]) / (width * height)


def with_observation(
    tracked: TrackedAction | None, tube: int, action: str, observation: ActionObservation, rules: ActionSettings
) -> TrackedAction:
    """The action after one more observation, or a new one."""
    published = tracked is not None and bool(tracked.event_id)
    in_place = published or is_in_place(observation, rules)
    if tracked is None or not (published or tracked.in_place):
        return TrackedAction(
            tube,
            action,
            first=observation,
            last=observation,
            last_seen=observation,
            in_place=in_place and observation.observed,
            last_kept=observation.monotonic,
            top_score=observation.score,
            path=event_path.begin(_path_box(observation)),
        )
    kept = observation.score >= rules.keep_score
    seen = kept and observation.observed
    return replace(
        tracked,
        last=observation,
        last_seen=observation if seen else tracked.last_seen,
        in_place=in_place,
        last_kept=observation.monotonic if kept else tracked.last_kept,
        top_score=max(tracked.top_score, observation.score),
        path=event_path.extended(tracked.path, _path_box(observation)) if seen else tracked.path,
    )


def _path_box(observation: ActionObservation) -> PathBox:
    width, height = observation.frame_size
    x1, y1, x2, y2 = observation.box.tolist()
    shares = (x1 / width, y1 / height, x2 / width, y2 / height)
    return PathBox(observation.monotonic, shares, observation.score, observation.index)
