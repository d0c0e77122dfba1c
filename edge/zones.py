"""Zones: in which of a camera's polygons a person stands, and for how long already. Pure.

A person is in a zone where the foot of the box is: the middle of its lower edge. A zone may ask for a stay
(`min_duration`): until a person has been in it for so long, it does not count. Somebody who leaves it for less than
STAY_GAP has not left it, as boxes tremble; then the stay begins anew.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.sources import TIME_TOLERANCE, Polygon

STAY_GAP = 1.0  # seconds outside after which a stay is over: as seen in frames, however far they are apart


@dataclass(frozen=True)
class Zone:
    """A polygon in a camera's image, and how many seconds a person must have stayed in it before it counts."""

    points: Polygon
    min_duration: float = 0.0

    @cached_property
    def contour(self) -> NDArray[np.float32]:
        """(N, 2) corners, as OpenCV takes them."""
        return np.array(self.points, np.float32)


@dataclass(frozen=True)
class Stay:
    """One person in one zone: since when, and when last; monotonic, s."""

    since: float
    last: float


Stays = Mapping[tuple[int, str], Stay]  # by tube and name of the zone


def zones_of(box: NDArray[np.float32], size: tuple[int, int], zones: Mapping[str, Zone]) -> tuple[str, ...]:
    """Names of the zones that contain the middle of the box's lower edge, their own edges included.

    `box` (4,) in pixels of a frame of `size` (width, height).
    """
    foot = (float(box[0] + box[2]) / 2 / size[0], float(box[3]) / size[1])
    return tuple(
        name for name, zone in zones.items() if cv2.pointPolygonTest(zone.contour, foot, measureDist=False) >= 0
    )


def with_stay(zones: Mapping[str, Zone]) -> dict[str, Zone]:
    """Those that ask for a stay."""
    return {name: zone for name, zone in zones.items() if zone.min_duration > 0}


def after_frame(stays: Stays, inside: Mapping[int, Iterable[str]], now: float) -> Stays:
    """The stays after a frame at the monotonic time `now`, s. `inside`: the zones of every live tube, by tube."""
    kept = {key: stay for key, stay in stays.items() if key[0] in inside}
    here = {(tube, name) for tube, names in inside.items() for name in names}
    outside = {key: stay for key, stay in kept.items() if key not in here and now - stay.last < STAY_GAP}
    return outside | {key: Stay(kept[key].since if key in kept else now, now) for key in here}


def counting(names: Iterable[str], tube: int, stays: Stays, zones: Mapping[str, Zone], now: float) -> tuple[str, ...]:
    """Of the zones in which a person stands, those in which the stay has been long enough."""
    return tuple(name for name in names if _stayed(stays.get((tube, name)), now) >= zones[name].min_duration)


def _stayed(stay: Stay | None, now: float) -> float:
    return 0.0 if stay is None else now - stay.since + TIME_TOLERANCE
