"""Where which action is in which video, frame by frame: the records that every data set is read into."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.manifest import labels_problem
from edge.sources import VIDEO_SUFFIXES
from edge.text import near_duplicates, sanitized, shortened
from train.datasets.annotated_frames import AnnotatedFrames
from train.datasets.video_names import find_video, stays_inside

LARGEST_FRAME = 1_000_000  # of a video: nine hours
LONGEST_NAME = 1000  # letters of a label's, or of a video's with its folders


class AnnotationError(Exception):
    """The annotations cannot be used; the message names the file and the remedy, and may quote from it."""

    def __init__(self, message: str) -> None:
        super().__init__(shortened(sanitized(message)))


def reason(error: Exception) -> str:
    """Python's message about a broken file, without advice that is meant for programmers."""
    if isinstance(error, ValueError) and str(error).startswith("Exceeds the limit"):
        return "a number of thousands of digits"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return f"no {error}" if isinstance(error, LookupError) else str(error)


@dataclass(frozen=True, eq=False)
class GroundTruthTube:
    """One person doing one action without a break.

    `boxes` is (n, 4) float32, x1 y1 x2 y2, pixels of the source frame, 0-based and continuous (a box over the whole
    320x240 frame is 0 0 320 240); row i belongs to frame `first_frame + i` (0-based).
    `origin`: where it stands in its file, for a reader; "" where that is not known.
    """

    label: int
    first_frame: int
    boxes: NDArray[np.float32]
    origin: str = ""

    @property
    def end_frame(self) -> int:
        """The first frame after the tube."""
        return self.first_frame + len(self.boxes)


@dataclass(frozen=True, eq=False)
class VideoAnnotation:
    """All tubes of one video, `name`d like `Class/v_Class_gXX_cYY`.

    `frames` is how many it has according to the annotations, 0 where unknown. Annotated frames hold no action but the
    tubes; of other frames nothing is known, even where a tube is interpolated through them.
    `size` is width and height in pixels, None where unknown.
    `annotated_labels`: those that its annotators looked for, None: all; without a box the others may be there or not.
    `quiet`: it is listed as showing no action of any kind.
    `scene`: where it was filmed, None where names tell. `validates`: whether it is held out, None where no list tells.
    """

    name: str
    frames: int
    tubes: tuple[GroundTruthTube, ...]
    size: tuple[int, int] | None = None
    annotated_frames: AnnotatedFrames = None
    annotated_labels: tuple[int, ...] | None = None
    quiet: bool = False
    scene: str | None = None
    validates: bool | None = None


@dataclass(frozen=True, eq=False)
class VideoFrame:
    """One frame of one video, counted from 0."""

    video: VideoAnnotation
    frame: int


@dataclass(frozen=True, eq=False)
class DataSet:
    """Labels in class order, the videos of each split, and the folder that holds `<name>.mp4` or `<name>.avi`.

    `title` is for reports: the data set and its split. `rate`: the frames per second that it is published with,
    whatever its files say; None: theirs. A name that leads out of the folder: AnnotationError.
    """

    labels: tuple[str, ...]
    train: tuple[VideoAnnotation, ...]
    test: tuple[VideoAnnotation, ...]
    videos: Path
    title: str = "UCF101-24 split 1"
    rate: float | None = None

    def __post_init__(self) -> None:
        for one, other in near_duplicates(self.labels):
            raise AnnotationError(f"{self.title}: {_twice(one, other)}")
        names = (*self.labels, *(video.name for video in (*self.train, *self.test)))
        odd = next((name for name in names if sanitized(name) != name), None)
        if odd is not None:
            raise AnnotationError(f"{self.title}: {odd!r} holds control characters; name it with letters and figures")
        long = max(map(len, names), default=0)
        if long > LONGEST_NAME:
            raise AnnotationError(f"{self.title}: a name has {long:,} letters; name it with {LONGEST_NAME:,} at most")
        if self.labels and (problem := labels_problem(self.labels)):
            raise AnnotationError(f"{self.title}: its list of actions {problem}; name each with letters and figures")
        outside = next((video.name for video in (*self.train, *self.test) if not stays_inside(video.name)), None)
        if outside is not None:
            raise AnnotationError(
                f"{self.videos}: a video named {outside!r} would lie outside of it; name it without .. and a leading /"
            )

    def video(self, name: str) -> Path:
        """The file of a video: the first that exists with one of VIDEO_SUFFIXES, in any case; else .avi."""
        usual = self.videos / f"{name}.avi"
        paths = [self.videos / f"{name}{ending}" for ending in (*VIDEO_SUFFIXES, *map(str.upper, VIDEO_SUFFIXES))]
        return next((path for path in paths if path.exists()), None) or find_video(self.videos, name) or usual


def _twice(one: str, other: str) -> str:
    """That two labels are one, and the remedy."""
    if one == other:
        return f"the action {one} is named twice; name it once"
    return f"the actions {one!r} and {other!r} differ in capitals or blanks alone; spell them alike, or name them apart"


def at(annotation: VideoAnnotation, frame: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The boxes (N, 4) float32 and labels (N,) int64 of a 0-based frame; N is 0 where nothing is annotated."""
    present = [tube for tube in annotation.tubes if tube.first_frame <= frame < tube.end_frame]
    boxes = [tube.boxes[frame - tube.first_frame] for tube in present]
    labels = np.array([tube.label for tube in present], dtype=np.int64)
    return np.array(boxes, dtype=np.float32).reshape(-1, 4), labels


def frame_count(number: Any) -> int:
    """A number of frames from a file; ValueError where no video has so many."""
    count = int(number)
    if not 0 <= count <= LARGEST_FRAME:
        raise ValueError(f"{count} frames are no video")
    return count
