"""What a worker is asked for, one video from a frame on, and what it answers; all of it can be sent elsewhere."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2

from edge.cameras.video_file import CaptureError
from edge.indexing.video_parts import FramesDone, VideoPart, VideoSearcher


@dataclass(frozen=True)
class SearchJob:
    """Look through a video from frame `first` on. `identity`: of its content."""

    video: Path
    identity: str
    first: int = 0


@dataclass(frozen=True)
class SearchFailed:
    """Why a video cannot be looked through any further, in a sentence."""

    fault: str


Answer = VideoPart | FramesDone | SearchFailed


def answers(searcher: VideoSearcher, job: SearchJob) -> Iterator[Answer]:
    """All that a job gives; the last is a part that has `ended`, or SearchFailed."""
    try:
        yield from searcher.parts(job.video, job.identity, job.first)
    except CaptureError as error:
        yield SearchFailed(str(error))
    except cv2.error as error:  # a picture that OpenCV cannot turn or scale
        yield SearchFailed(f"{job.video}: a frame cannot be processed ({' '.join(str(error).split())}): check the file")


def is_last(answer: Answer) -> bool:
    """Whether the job is done with this."""
    return isinstance(answer, SearchFailed) or (isinstance(answer, VideoPart) and answer.ended)
