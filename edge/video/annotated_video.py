"""The annotated video of a run: draws every frame and writes it. Shell."""

from dataclasses import replace
from pathlib import Path
from types import TracebackType

from edge.detector import frame_size
from edge.manifest import Manifest
from edge.pipeline import StepResult
from edge.sources import Frame
from edge.video.annotated_frame import Overlay, OverlayStyle, annotate, canvas_size, picture_size, update
from edge.video.video_writer import VideoWriter, check_destination, format_description

MAX_PAUSE = 2.0  # seconds that the picture stands still at most where no frames came from a live camera
DEFAULT_STYLE = OverlayStyle()
MIN_FPS = 10.0  # of the video; a slower film may have fast parts


class AnnotatedVideo:
    """A context manager; call it with each frame and what became of it. The first frame decides the size.

    The video runs as the frames' clock does: a picture is left out or repeated where needed.
    """

    def __init__(
        self,
        path: Path,
        fps: float,
        manifest: Manifest,
        max_pause: float = MAX_PAUSE,
        style: OverlayStyle = DEFAULT_STYLE,
    ) -> None:
        """`fps`: how many frames a second will come, about. Raises VideoError where nothing can be written there."""
        check_destination(path)
        self.path = path
        self._fps, self._manifest, self._max_pause = max(fps, MIN_FPS), manifest, max_pause
        self._style = replace(style, inset="none") if manifest.motion.kind == "none" else style
        self._size = (0, 0)  # of the frames' pictures
        self._overlay = Overlay()
        self._writer: VideoWriter | None = None
        self._begin = 0.0  # the time of the first picture, moved on by what was left out of long pauses

    @property
    def written(self) -> str:
        """Where the video is, in which format, and what plays it."""
        return (
            f"{self.path.absolute()} ({format_description(self._writer.codec) if self._writer else 'without a frame'})"
        )

    def __enter__(self) -> "AnnotatedVideo":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close(check=kind is None)

    def __call__(self, frame: Frame, step: StepResult) -> None:
        """Add a frame. Raises VideoError before the disk is full."""
        if self._writer is None:
            self._size = picture_size(frame_size(frame.image))
            self._writer = VideoWriter(self.path, self._fps, canvas_size(self._size, self._style))
            self._begin = frame.monotonic_time
        self._overlay = update(self._overlay, frame, step)
        repeats = self._due(self._writer.frames, frame.monotonic_time)
        if repeats > 0:
            picture = annotate(frame, step, self._overlay, self._manifest, self._size, self._style)
            for _ in range(repeats):
                self._writer.write(picture)

    def _due(self, written: int, time: float) -> int:
        """How many pictures belong into the video until `time` (s)."""
        due = round((time - self._begin) * self._fps) + 1 - written
        most = round(self._max_pause * self._fps)
        if due > most:
            self._begin += (due - most) / self._fps
        return min(due, most)
