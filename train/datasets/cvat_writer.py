"""Writes tubes as CVAT for video 1.1, which `train.datasets.cvat` reads and CVAT imports. Pure.

A track is a person; its attribute `action` says, keyframe by keyframe, what that person does.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from edge.text import sanitized
from train.datasets.keyframes import keyframes

NOTHING = "none"  # the value of the attribute where a person does none of the actions
ATTRIBUTE = "action"


@dataclass(frozen=True, eq=False)
class Track:
    """One person: boxes (n, 4) float32 from frame `first` on, pixels, and the action in each, None for none."""

    first: int
    boxes: NDArray[np.float32]
    actions: tuple[str | None, ...]


@dataclass(frozen=True)
class VideoFacts:
    """What a file of CVAT says of its video: the file's name, frames, (width, height).

    `sha256`: of the video's file, hexadecimal, which CVAT passes over; "" where unknown.
    """

    source: str
    frames: int
    size: tuple[int, int]
    sha256: str = ""


def labels_json(person: str, actions: Sequence[str]) -> str:
    """The labels of a task, to paste into CVAT's constructor as *Raw*."""
    attribute = {
        "name": ATTRIBUTE,
        "input_type": "select",
        "mutable": True,
        "values": [NOTHING, *actions],
        "default_value": NOTHING,
    }
    label = {"name": person, "type": "rectangle", "attributes": [attribute]}
    return json.dumps([label], ensure_ascii=False, indent=2) + "\n"


def as_xml(video: VideoFacts, tracks: Sequence[Track], person: str, tolerance: float = 0.0) -> str:
    """The file; keyframes are thinned such that no box moves by more than that share of its smaller side."""
    root = ElementTree.Element("annotations")
    _text(root, "version", "1.1")
    root.append(_meta(video))
    for number, track in enumerate(tracks):
        element = ElementTree.SubElement(root, "track", id=str(number), label=person, source="auto")
        for frame, box, action, outside in _boxes(track, video.frames, tolerance):
            element.append(_box(frame, box, action, outside))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _meta(video: VideoFacts) -> ElementTree.Element:
    meta = ElementTree.Element("meta")
    task = ElementTree.SubElement(meta, "task")
    _text(task, "name", video.source)
    _text(task, "size", str(video.frames))
    _text(task, "mode", "interpolation")
    _text(task, "start_frame", "0")
    _text(task, "stop_frame", str(max(video.frames - 1, 0)))
    size = ElementTree.SubElement(task, "original_size")
    for name, pixels in zip(("width", "height"), video.size, strict=True):
        _text(size, name, str(pixels))
    _text(task, "source", video.source)
    if video.sha256:
        _text(task, "sha256", video.sha256)
    return meta


def _boxes(track: Track, frames: int, tolerance: float) -> Iterator[tuple[int, NDArray[np.float32], str | None, bool]]:
    """Frame, box, action and whether the person is gone, of each keyframe; the last one ends the track."""
    if not len(track.boxes):
        return
    allowed = np.maximum((track.boxes[:, 2:] - track.boxes[:, :2]).min(axis=1), 0) * tolerance
    changes = [n for n in range(1, len(track.actions)) if track.actions[n] != track.actions[n - 1]]
    places = {0}
    for begin, end in pairwise([0, *changes, len(track.boxes) - 1]):
        places.update((begin + keyframes(track.boxes[begin : end + 1], allowed[begin : end + 1])).tolist())
    for place in sorted(places):
        yield track.first + place, track.boxes[place], track.actions[place], False
    end = track.first + len(track.boxes)
    if end < frames:
        yield end, track.boxes[-1], track.actions[-1], True


def _box(frame: int, box: NDArray[np.float32], action: str | None, outside: bool) -> ElementTree.Element:
    corners = {name: f"{value:.2f}" for name, value in zip(("xtl", "ytl", "xbr", "ybr"), box.tolist(), strict=True)}
    flags = {"keyframe": "1", "outside": str(int(outside)), "occluded": "0"}
    element = ElementTree.Element("box", {"frame": str(frame), **flags, **corners, "z_order": "0"})
    attribute = ElementTree.SubElement(element, "attribute", name=ATTRIBUTE)
    attribute.text = NOTHING if action is None else action
    return element


def _text(parent: ElementTree.Element, name: str, words: str) -> None:
    ElementTree.SubElement(parent, name).text = sanitized(words)
