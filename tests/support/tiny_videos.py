"""A data set like UCF101-24, small enough to train on in seconds: two actions, real videos and annotations."""

import pickle
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

LABELS = ("Basketball", "Surfing")
GROUPS = (8, 9, 23)  # 23 is for validation
FRAMES = 12
FIRST, END = 3, 10  # of the frames with a person
SIZE = (96, 64)  # (width, height) of the frames, pixels


def person(frame: int) -> tuple[int, int, int, int]:
    """x, y, width, height, 1-based as in the annotations; the person walks to the right."""
    return 21 + 2 * frame, 16, 24, 36


def picture(label: int, frame: int, seed: int) -> NDArray[np.uint8]:
    """A still background of blurred noise and, while somebody acts, a bright rectangle in the action's colour."""
    width, height = SIZE
    noise = np.random.default_rng(seed).integers(0, 160, (height, width, 3), dtype=np.uint8)
    image = cv2.blur(noise, (5, 5)).astype(np.uint8)
    if FIRST <= frame < END:
        x, y, w, h = person(frame)
        image[y - 1 : y - 1 + h, x - 1 : x - 1 + w] = (250, 60, 60) if label == 0 else (60, 60, 250)
    return image


def write_video(path: Path, frames: list[NDArray[np.uint8]]) -> Path:
    """An MJPEG file at 25 fps."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (width, height))
    assert writer.isOpened()
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path


def write_hmdb(folder: Path, actions: tuple[str, ...], films: int = 5) -> Path:
    """J-HMDB's layout: a video of each action from each film, all for training, in the colour of the second action.

    The last film by name is held out where there are five.
    """
    tube = {"sf": np.uint8(0), "ef": np.uint8(FIRST), "boxes": np.array([person(FIRST)] * FIRST, np.uint8)}
    videos = {}
    for label, action in enumerate(actions):
        for film in range(films):
            name = f"{action}/{action}_film_{film}_{action}_f_cm_np1_fr_med_{film}"
            videos[name] = {"label": label, "numf": FIRST, "annotations": [{"label": label, **tube}]}
            write_video(folder / "videos" / f"{name}.avi", [picture(1, FIRST, 10 * film + label)] * FIRST)
    (folder / "hmdb_annots.pkl").write_bytes(pickle.dumps(videos, protocol=2))
    for fold in (1, 2, 3):
        (folder / f"trainlist{fold:02}.txt").write_text("".join(f"{name}\n" for name in videos))
        (folder / f"testlist{fold:02}.txt").write_text("")
    return folder


def write_data_set(folder: Path, groups: tuple[int, ...] = GROUPS) -> Path:
    """`pyannot.pkl`, the lists and `videos/`; one video of each action in each group, all for training."""
    videos, names = {}, []
    boxes = np.array([person(frame) for frame in range(FIRST, END)], np.uint8)
    tube = {"sf": np.uint8(FIRST), "ef": np.uint8(END), "boxes": boxes}
    for label, action in enumerate(LABELS):
        for group in groups:
            name = f"{action}/v_{action}_g{group:02}_c01"
            names.append(name)
            videos[name] = {"label": label, "numf": FRAMES, "annotations": [{"label": label, **tube}]}
            pictures = [picture(label, frame, 10 * group + label) for frame in range(FRAMES)]
            write_video(folder / "videos" / f"{name}.avi", pictures)
    (folder / "pyannot.pkl").write_bytes(pickle.dumps(videos, protocol=2))
    (folder / "trainlist.txt").write_text("".join(f"{name}\n" for name in names))
    (folder / "testlist.txt").write_text("")
    return folder
