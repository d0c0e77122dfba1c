"""Shell. CVAT for video 1.1: tracks of boxes from one XML file.

A file that declares a document type is refused before anything is expanded, so no entity is ever resolved.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from xml.parsers import expat

import numpy as np

from train.annotations import AnnotationError, stays_inside, without_ending
from train.own_tubes import Box, NamedVideo, named_tubes

ACTION = "action"  # the attribute that says what is done, where there is one
CURE = "export each task by itself, as CVAT for video 1.1"
NOTHING = ("", "none", "__undefined__")
LARGEST_FRAME = 1_000_000
ABSOLUTE = re.compile(r"[\\/]|[A-Za-z]:[\\/]")  # the beginning of such a path, of Linux or of Windows


@dataclass(eq=False)
class _Track:
    """One track while it is read."""

    label: str
    boxes: list[Box] = field(default_factory=list)


@dataclass(eq=False)
class _Reader:
    """What has been read so far, and where in the file the parser is."""

    tracks: list[_Track] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)  # of the task's description, by path
    tasks: int = 0
    path: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    attribute: str = ""

    def start(self, name: str, given: dict[str, str]) -> None:
        """A tag opens."""
        self.path.append(name)
        self.words = []
        self.refuse_others()
        if self.path == ["annotations", "track"]:
            self.tracks.append(_Track(given["label"]))
        elif self.path == ["annotations", "track", "box"]:
            self.tracks[-1].boxes.append(_box(given, self.tracks[-1].label))
        elif name == "attribute":
            self.attribute = given.get("name", "")

    def refuse_others(self) -> None:
        """ValueError where the tag that has just opened shows another format, in which no track would be found."""
        if self.path[0] != "annotations":
            raise ValueError(f"it begins with <{self.path[0]}>")
        if self.path[1:] == ["image"]:
            raise ValueError("it is CVAT for images")
        self.tasks += self.path[1:2] == ["meta"] and self.path[-1] == "task"
        if self.tasks > 1:
            raise ValueError("it is a project of several tasks")

    def text(self, words: str) -> None:
        """Text inside the innermost tag."""
        self.words.append(words)

    def end(self, name: str) -> None:
        """A tag closes."""
        words = "".join(self.words).strip()
        if self.path == ["annotations", "track", "box", "attribute"] and self.attribute == ACTION:
            last = self.tracks[-1].boxes[-1]
            label = None if words.lower() in NOTHING else words
            self.tracks[-1].boxes[-1] = Box(last.frame, last.corners, label, last.outside)
        elif self.path[:2] == ["annotations", "meta"]:
            self.texts.setdefault("/".join(self.path[-2:]), words)
        self.path.pop()
        self.words = []


def read_cvat(path: Path) -> NamedVideo:
    """The video of one file. Raises AnnotationError.

    The video's name is the `source` that the file tells, of an absolute path its last part; else the file's own name.
    A box's label is its attribute `action`, else its track's label. A box that is `outside` ends a tube; one that is
    `occluded` is there. Between boxes of a track that are not next to each other frames are interpolated.
    """
    reader = _Reader()
    try:
        _parse(path.read_bytes(), reader)
        tubes = named_tubes(_filled(track.boxes) for track in reader.tracks)
        frames = _frames(reader.texts)
        width, height = (int(reader.texts.get(f"original_size/{side}", 0)) for side in ("width", "height"))
        source = next((reader.texts[name] for name in _SOURCES if reader.texts.get(name)), "")
        name = _name(source) if source else without_ending(re.sub(r"\.xml$", "", path.name, flags=re.IGNORECASE))
    except OSError as error:
        raise AnnotationError(f"{path}: cannot be read ({error.strerror}); {CURE}") from error
    except (expat.ExpatError, ValueError, LookupError, OverflowError) as error:
        reason = f"no {error}" if isinstance(error, LookupError) else str(error)
        raise AnnotationError(f"{path}: not CVAT for video 1.1 ({reason}); {CURE}") from error
    size = (width, height) if width > 0 and height > 0 else None
    return NamedVideo(name, frames, size, tubes)


# where the name of the video stands, in exports of a task, of a job, of old and new versions
_SOURCES = ("meta/source", "task/source", "job/source")


def _name(source: str) -> str:
    """The name of the video that a task was made of; ValueError where it leads out of the folder of the videos."""
    path = PurePosixPath(source.replace("\\", "/"))
    name = path.name if ABSOLUTE.match(source) else str(path)
    if not name or not stays_inside(name):
        raise ValueError(f"its source {source!r} leads out of the folder of the videos")
    return without_ending(name)


def _parse(content: bytes, reader: _Reader) -> None:
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.Parse(content, True)


def _refuse(*_: object) -> None:
    raise ValueError("it declares a document type, which CVAT never does")


def _box(given: Mapping[str, str], label: str) -> Box:
    corners = tuple(float(given[name]) for name in ("xtl", "ytl", "xbr", "ybr"))
    frame = int(given["frame"])
    if not all(np.isfinite(corners)) or max(map(abs, corners)) > 1e6 or not 0 <= frame <= LARGEST_FRAME:
        raise ValueError(f"a box of {label} in frame {frame} is no box")
    return Box(frame, (corners[0], corners[1], corners[2], corners[3]), label, given.get("outside", "0") == "1")


def _filled(boxes: Iterable[Box]) -> Iterator[Box]:
    """The boxes in order of frames, with those between interpolated."""
    last: Box | None = None
    for box in sorted(boxes, key=lambda one: one.frame):
        if last is not None and not last.outside:
            if box.frame == last.frame:
                raise ValueError(f"a track has two boxes in frame {box.frame}")
            for frame in range(last.frame + 1, box.frame):
                share = (frame - last.frame) / (box.frame - last.frame)
                x1, y1, x2, y2 = (a + share * (b - a) for a, b in zip(last.corners, box.corners, strict=True))
                yield Box(frame, (x1, y1, x2, y2), last.label, False)
        yield box
        last = box


def _frames(texts: Mapping[str, str]) -> int:
    """The number of frames: the task's size, or up to its last frame; 0 where untold."""
    numbers = {name: texts.get(f"task/{name}") or texts.get(f"job/{name}") or "-1" for name in ("size", "stop_frame")}
    return min(max(int(numbers["size"]), int(numbers["stop_frame"]) + 1, 0), LARGEST_FRAME)
