"""Writes the annotated video of a run. Shell."""

from dataclasses import replace
from pathlib import Path
from types import TracebackType

from edge.detector import frame_size
from edge.manifest import Manifest
from edge.pipeline import StepResult
from edge.sources import Frame
from edge.video.annotated_frame import Overlay, OverlayStyle, annotate, canvas_size, drawn_size, update
from edge.video.video_writer import VideoWriter, check_destination, format_description

MAX_PAUSE = 2.0  # seconds that an image is held at most while a live camera gives no frames
DEFAULT_STYLE = OverlayStyle()
MIN_FPS = 10.0  # of the video; a slower source may have faster parts


class AnnotatedVideo:
    """A context manager; call it with each frame and its result. The first frame decides the size.

    The video keeps the time of the frames: images are dropped or repeated as needed.
    """

    def __init__(
        self,
        path: Path,
        fps: float,
        manifest: Manifest,
        max_pause: float = MAX_PAUSE,
        style: OverlayStyle = DEFAULT_STYLE,
    ) -> None:
        """`fps`: the approximate rate of the frames. Raises VideoError where no video can be written."""
        check_destination(path)
        self.path = path
        self._fps, self._manifest, self._max_pause = max(fps, MIN_FPS), manifest, max_pause
        self._style = replace(style, inset="none") if manifest.motion.kind == "none" else style
        self._size = (0, 0)  # at which frames are drawn
        self._overlay = Overlay()
        self._writer: VideoWriter | None = None
        self._begin = 0.0  # the time of the first image, moved forward where long pauses were shortened

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
            self._size = drawn_size(frame_size(frame.image))
            self._writer = VideoWriter(self.path, self._fps, canvas_size(self._size, self._style))
            self._begin = frame.monotonic_time
        self._overlay = update(self._overlay, frame, step)
        repeats = self._due(self._writer.frames, frame.monotonic_time)
        if repeats > 0:
            image = annotate(frame, step, self._overlay, self._manifest, self._size, self._style)
            for _ in range(repeats):
                self._writer.write(image)

    def _due(self, written: int, time: float) -> int:
        """How many more images belong in the video by `time` (s)."""
        due = round((time - self._begin) * self._fps) + 1 - written
        most = round(self._max_pause * self._fps)
        if due > most:
            self._begin += (due - most) / self._fps
        return min(due, most)
