"""Shell. A contact sheet: frames of a data set with their annotated boxes drawn, as one picture."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.cameras.video_file import CaptureError, read_file
from edge.files import write_atomically
from edge.video import text_rendering
from train.datasets.annotation_records import DataSet, VideoAnnotation, VideoFrame, at
from train.datasets.frame_kinds import known_frames

Picture = NDArray[np.uint8]
WIDTH, HEIGHT, CAPTION = 320, 240, 22  # of one frame on the sheet, and of the line below it
COLUMNS = 5
MOST_TUBES = 30
ENDINGS = (".jpg", ".jpeg", ".png")
COLOURS = ((64, 220, 64), (64, 160, 255), (255, 160, 64), (220, 64, 220), (64, 220, 220), (255, 255, 96))  # BGR


class SheetError(Exception):
    """A sheet that cannot be written; the message names the file and the remedy."""


def check_ending(path: Path) -> None:
    """SheetError unless the path ends like a format that a sheet can have."""
    if path.suffix.lower() not in ENDINGS:
        raise SheetError(
            f"{path}: has no ending of a picture format; let it end in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}"
        )


def write_sheet(data: DataSet, path: Path) -> int:
    """Draw frames of up to MOST_TUBES tubes, evenly over the classes, into a picture; how many. Raises SheetError."""
    check_ending(path)
    shown = choices(data, MOST_TUBES)
    if not shown:
        raise SheetError(f"{path}: nothing to draw, no video has a tube; annotate one first")
    tiles = [_tile(one, data) for one in shown]
    columns = min(COLUMNS, len(tiles))
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    rows = [np.concatenate(tiles[begin : begin + columns], axis=1) for begin in range(0, len(tiles), columns)]
    written, content = cv2.imencode(path.suffix.lower(), np.concatenate(rows, axis=0))
    if not written:
        raise SheetError(f"{path}: OpenCV cannot write this format; let it end otherwise")
    try:
        write_atomically(path, content.tobytes())
    except OSError as error:
        raise SheetError(f"{path}: cannot be written ({error.strerror}); give a place in a folder of yours") from error
    return len(shown)


def choices(data: DataSet, most: int) -> list[VideoFrame]:
    """The middle frames of tubes, each once, the classes in turn so that each gets equally many."""
    by_class = [list(_middles(data, label)) for label in range(len(data.labels))]
    turns = max(map(len, by_class), default=0)
    found: list[VideoFrame] = []
    share = max(1, -(-most // max(1, sum(map(bool, by_class)))))
    for turn in range(min(turns, share)):
        found += [mine[turn * len(mine) // min(len(mine), share)] for mine in by_class if turn < min(len(mine), share)]
    return found[:most]


def _middles(data: DataSet, label: int) -> Iterator[VideoFrame]:
    for video in (*data.train, *data.test):
        tubes = [tube for tube in video.tubes if tube.label == label and len(tube.boxes)]
        if tubes:
            longest = max(tubes, key=lambda tube: len(tube.boxes))
            yield VideoFrame(video, _nearest(video, longest.first_frame + len(longest.boxes) // 2))


def _nearest(video: VideoAnnotation, frame: int) -> int:
    """The annotated frame nearest to this one; this one where no frame is annotated."""
    known = known_frames(video)
    return int(known[np.abs(known - frame).argmin()]) if len(known) else frame


def _tile(one: VideoFrame, data: DataSet) -> Picture:
    image, note = _frame(data.video(one.video.name), one.frame, one.video.size)
    scale = min(WIDTH / image.shape[1], HEIGHT / image.shape[0])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    tile: Picture = np.zeros((HEIGHT + CAPTION, WIDTH, 3), np.uint8)
    tile[: size[1], : size[0]] = small
    boxes, labels = at(one.video, one.frame)
    for box, label in zip(np.rint(np.clip(boxes * scale, -1e4, 1e4)).astype(int).tolist(), labels, strict=True):
        colour = COLOURS[int(label) % len(COLOURS)]
        cv2.rectangle(tile, box[:2], box[2:], colour, 2)
        above = box[1] - 4 if box[1] > 16 else box[1] + 14
        _text(tile, data.labels[label], (max(box[0], 2), above), colour)
    tile[HEIGHT:] = 32
    _text(tile, f"{one.video.name.rpartition('/')[2]} {one.frame + 1}{note}", (4, HEIGHT + 15), (255, 255, 255))
    return tile


def _text(tile: Picture, words: str, place: Sequence[int], colour: tuple[int, int, int]) -> None:
    line = text_rendering.render(words, 0.42)
    text_rendering.draw(tile, text_rendering.outlined(line), (place[0] - 1, place[1]), (0, 0, 0))
    text_rendering.draw(tile, line, (place[0], place[1]), colour)


def _frame(path: Path, number: int, size: tuple[int, int] | None) -> tuple[Picture, str]:
    """The frame, or a grey one and a word why."""
    if path.exists():
        try:
            for frame in read_file(path, path.stem):
                if frame.index == number:
                    return np.asarray(frame.image, np.uint8), ""
        except CaptureError:
            pass
    width, height = size or (WIDTH, HEIGHT)
    return np.full((height, width, 3), 96, np.uint8), " (no frame)" if path.exists() else " (no video)"
