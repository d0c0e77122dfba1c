"""Shell. CVAT for video 1.1: tracks of boxes from one XML file.

A file that declares a document type is refused before anything is expanded, so no entity is ever resolved.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path, PurePosixPath
from xml.parsers import expat

import numpy as np
from numpy.typing import NDArray

from edge.text import decode_utf8, to_nfc
from train.datasets import cvat_shapes, zipped_annotation
from train.datasets.annotation_records import LARGEST_FRAME, AnnotationError, reason
from train.datasets.cvat_shapes import DrawingError
from train.datasets.tracks import Box, BoxBudget, NamedTube, NamedVideo, tubes_from_keyframes
from train.datasets.video_names import stays_inside, without_suffix
from train.safe_reading import bounded_file

ACTION = "action"  # the attribute that names the action, where there is one
REMEDY = "export each task by itself, as CVAT for video 1.1"
NOTHING = ("", "none", "__undefined__")
MOST_OTHERS = 64  # things that attributes but the action's say of a track, of which more are left out
DEEPEST = 32  # tags within one another
EXTENT = ("size", "start_frame", "stop_frame")  # fields that define which frames were annotated
GZIP = b"\x1f\x8b"  # how such a file begins
ABSOLUTE = re.compile(r"[\\/]|[A-Za-z]:[\\/]")  # the beginning of such a path, of Linux or of Windows


@dataclass(eq=False)
class _Track:
    """One track while it is read."""

    label: str
    boxes: list[Box] = field(default_factory=list)
    told: dict[int, str | None] = field(default_factory=dict)  # its attribute's action, by frame
    others: dict[str, None] = field(default_factory=dict)  # what other attributes say, as `name=value`


@dataclass(eq=False)
class _Reader:
    """What has been read so far, and where in the file the parser is."""

    tracks: list[_Track] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)  # of the task's description, by path
    segments: dict[str, list[int]] = field(default_factory=lambda: {"start": [], "stop": []})  # of the task's jobs
    tasks: int = 0
    path: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    attribute: str = ""

    def start(self, name: str, given: dict[str, str]) -> None:
        """A tag opens."""
        self.path.append(name)
        if len(self.path) > DEEPEST:
            raise ValueError(f"its tags are nested more than {DEEPEST} deep")
        self.words = []
        self.refuse_others()
        if self.path == ["annotations", "track"]:
            if "label" not in given:
                raise ValueError(f"track {len(self.tracks)} has no label")
            self.tracks.append(_Track(to_nfc(given["label"])))
        elif self.path[:2] == ["annotations", "track"] and len(self.path) == 3:
            track = self.tracks[-1]
            track.boxes.append(cvat_shapes.box(name, given, track.label, len(self.tracks) - 1))
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

    def number(self, name: str) -> int | None:
        """A number of the description of the task or job, None where it has none; ValueError where it is none."""
        words = self.texts.get(f"task/{name}") or self.texts.get(f"job/{name}")
        number = _whole(name, words) if words else None
        if number is not None and number < 0:
            raise ValueError(f"its {name} is {number}")
        return number

    def text(self, words: str) -> None:
        """Text inside the innermost tag."""
        self.words.append(words)

    def end(self, name: str) -> None:
        """A tag closes."""
        words = "".join(self.words).strip()
        of_shape = self.path[:2] == ["annotations", "track"] and self.path[3:] == ["attribute"]
        if of_shape and self.attribute.strip().lower() == ACTION:
            track = self.tracks[-1]
            track.told[track.boxes[-1].frame] = None if words.lower() in NOTHING else to_nfc(words)
        elif of_shape and len(self.tracks[-1].others) < MOST_OTHERS:
            self.tracks[-1].others[to_nfc(f"{self.attribute.strip()}={words}")] = None
        elif self.path == ["annotations", "version"] and not words.startswith("1."):
            raise ValueError(f"it is of version {words[:20]!r}, and 1.1 is read")
        elif self.path[:2] == ["annotations", "meta"]:
            self.texts.setdefault("/".join(self.path[-2:]), words)
            if self.path[-2] == "segment" and name in self.segments:
                self.segments[name].append(_whole(name, words))
        self.path.pop()
        self.words = []


def read_cvat(path: Path) -> NamedVideo:
    """The video of one file. Raises AnnotationError.

    The video's name is the file's `source`, of an absolute path its last part; without one the file's own name.
    A box's label is its attribute `action`, or that of the last box of its track that has one, as CVAT has it; else its
    track's label. A box that is `outside` ends a tube; one that is `occluded` is there. Between boxes of a track that
    are not next to each other frames are interpolated. Of a mask, an ellipse or a turned box the upright box around it
    is taken.
    """
    reader = _Reader()
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise AnnotationError(f"{path}: is no plain file; take it away")
        zipped = zipped_annotation.is_zip(path)
        _parse(zipped_annotation.read(path) if zipped else bounded_file.read(path), reader)
        tubes = tubes_from_keyframes([_in_order(*one) for one in enumerate(reader.tracks)], BoxBudget())
        shown = {box.frame: n for n, track in enumerate(reader.tracks) for box in track.boxes if not box.outside}
        annotated_frames = _annotated_frames(reader, shown)
        width, height = (_whole(side, reader.texts.get(f"original_size/{side}", "0")) for side in ("width", "height"))
        source = next((reader.texts[name] for name in _SOURCES if reader.texts.get(name)), "")
        stem = re.sub(r"\.(xml|zip)$", "", path.name, flags=re.IGNORECASE)
        name = _name(source) if source else without_suffix(to_nfc(stem))
    except OSError as error:
        raise AnnotationError(f"{path}: cannot be read ({error.strerror}); {REMEDY}") from error
    except DrawingError as error:
        raise AnnotationError(f"{path}: {error}, and export it again") from error
    except (expat.ExpatError, ValueError, LookupError, OverflowError) as error:
        raise AnnotationError(f"{path}: not CVAT for video 1.1 ({reason(error)}); {REMEDY}") from error
    size = (width, height) if width > 0 and height > 0 else None
    tubes = tuple(replace(one, origin=_origin(path, one), others=(*reader.tracks[one.track].others,)) for one in tubes)
    declared = any(reader.number(name) is not None for name in EXTENT)
    frames = int(annotated_frames.max(initial=-1)) + 1 if declared else 0
    idle = [(n, track.label) for n, track in enumerate(reader.tracks) if track.told and not any(track.told.values())]
    return NamedVideo(name, frames, size, tubes, annotated_frames, path.name, tuple(idle))


def _origin(path: Path, one: NamedTube) -> str:
    """Where a tube is found in CVAT, whose frames count from 0."""
    return f"{path.name}, track {one.track} from CVAT's frame {one.tube.first_frame}"


# where the name of the video is, in exports of a task, of a job, of old and new versions
_SOURCES = ("meta/source", "task/source", "job/source")


def _name(source: str) -> str:
    """The name of the video that a task was made of. ValueError where it leads out of the folder of the videos."""
    path = PurePosixPath(source.replace("\\", "/"))
    name = path.name if ABSOLUTE.match(source) else str(path)
    if not name or not stays_inside(name):
        raise ValueError(f"its source {source!r} leads out of the folder of the videos")
    return without_suffix(to_nfc(name))


def _whole(name: str, words: str) -> int:
    """A number of the description; ValueError, which names it, where it is none."""
    try:
        return int(words)
    except ValueError as error:
        raise ValueError(f"its {name} is {words[:20]!r}, which is no whole number") from error


def _parse(content: bytes, reader: _Reader) -> None:
    if not content.strip():
        raise ValueError("it is empty")
    if content.startswith(GZIP):
        raise ValueError("it is packed by gzip; unpack it")
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(content, True)
    except expat.ExpatError:
        decode_utf8(content)  # raises where the encoding is not the declared one
        raise


def _refuse(*_: object) -> None:
    raise ValueError("it declares a document type, which CVAT never does")


def _in_order(number: int, track: _Track) -> list[Box]:
    """By frames, each with its action, which holds until another is told; ValueError where two are in one frame."""
    ordered = sorted(track.boxes, key=lambda one: one.frame)
    both = (two for one, two in pairwise(ordered) if one.frame == two.frame and not (one.outside and two.outside))
    twice = next(both, None)
    if twice is not None:
        raise ValueError(f"track {number}, {track.label}, has two boxes in frame {twice.frame}; delete one")
    doing: str | None = track.label
    labelled = []
    for box in ordered:
        doing = track.told.get(box.frame, doing)
        labelled.append(replace(box, label=doing))
    return labelled


def _annotated_frames(reader: _Reader, shown: Mapping[int, int]) -> NDArray[np.int64]:
    """The frames that the task or job gave to annotators, numbered as the video's, like those of its boxes.

    `shown`: the frames with boxes, each with a track that has one. Without an end: up to the last of them;
    without a beginning too: from the first. ValueError where a box lies in another frame.
    """
    first, step = reader.number("start_frame"), _step(reader.texts)
    size, stop = reader.number("size"), reader.number("stop_frame")
    stop = None if stop == 0 and (size or 0) > 1 else stop  # so tasks of old versions had it
    begin = min(shown, default=0) if first is size is stop is None else first or 0
    if stop is None:
        stop = begin + (size - 1) * step if size is not None else max(shown, default=begin - 1)
    frames = np.arange(begin, min(stop, LARGEST_FRAME) + 1, step, dtype=np.int64)
    foreign = sorted(frame for frame in shown if not begin <= frame <= stop or (frame - begin) % step)
    if foreign:
        raise ValueError(
            f"a box of track {shown[foreign[0]]} lies in frame {foreign[0]}, and only frames {begin} to {stop}"
            + f" in steps of {step}" * (step > 1)
            + " were annotated"
        )
    return _of_jobs(frames, reader)


def _of_jobs(frames: NDArray[np.int64], reader: _Reader) -> NDArray[np.int64]:
    """The frames that lie in one of the task's jobs. Segments of jobs count the frames of the task from 0."""
    jobs = list(zip(reader.segments["start"], reader.segments["stop"], strict=False))
    if not jobs or not reader.tasks or max(stop for _, stop in jobs) >= len(frames):
        return frames
    jobs = [(start, stop) for start, stop in jobs if 0 <= start <= stop]
    changes = np.zeros(len(frames) + 1, np.int64)  # of how many jobs hold a frame, against the one before
    np.add.at(changes, [start for start, _ in jobs], 1)
    np.add.at(changes, [stop + 1 for _, stop in jobs], -1)
    return frames[np.cumsum(changes[:-1]) > 0]


def _step(texts: Mapping[str, str]) -> int:
    """Every how many frames the task takes one: its `frame_filter` is empty, or like `step=5`."""
    words = texts.get("task/frame_filter") or texts.get("job/frame_filter") or ""
    found = re.search(r"step\s*=\s*([1-9]\d{0,6})", words)
    return int(found[1]) if found else 1
