"""A project folder of tiny videos: two actions in three scenes, annotated, and a street in which nothing happens."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from convert.project import folders
from tests.support.tiny_videos import END, FIRST, SIZE, person, picture, write_video
from tests.support.untrained_model import MANIFEST, write_untrained_onnx
from train.datasets.cvat_writer import Track, VideoFacts, as_xml

ACTIONS = ("Dunk", "Surf")
SCENES = ("hall", "yard", "beach")
FRAMES = 30
START = replace(MANIFEST, height=96, width=128)  # of the weights to begin with: small, but with peaks enough


def make_project(folder: Path, clips: int = 2) -> Path:
    """The folder; `clips` videos of each action in each scene."""
    list(folders.create(folder, ACTIONS))
    for place, scene in enumerate(SCENES):
        for label, action in enumerate(ACTIONS):
            for clip in range(clips):
                add_video(folder, f"{scene}/{action}_{clip}", label, 100 * place + 10 * label + clip)
    for number in range(2):
        street = folder / "videos" / f"street_{number}" / "quiet.avi"
        write_video(street, [picture(0, 0, number)] * FRAMES)
    change(folder, '# quiet = ["street/*"]', 'quiet = ["street_*"]')
    return folder


def add_video(folder: Path, name: str, label: int, seed: int) -> None:
    """A video and what CVAT would export of it: one person who acts in frames FIRST to END."""
    write_video(folder / "videos" / f"{name}.avi", [picture(label, frame, seed) for frame in range(FRAMES)])
    corners = [person(frame) for frame in range(FIRST, END)]
    boxes = np.array([[x - 1, y - 1, x - 1 + w, y - 1 + h] for x, y, w, h in corners], np.float32)
    track = Track(FIRST, boxes, (ACTIONS[label],) * len(boxes))
    text = as_xml(VideoFacts(f"{name}.avi", FRAMES, SIZE), [track], "person")
    target = folder / "annotations" / f"{name}.xml"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


def begin_small(folder: Path) -> Path:
    """Let its runs begin with a network of a small input, beside the folder."""
    start = write_untrained_onnx(folder.parent / "start.onnx", START)
    change(folder, 'start = "shipped"', 'start = "../start.onnx"')
    return start


def change(folder: Path, old: str, new: str) -> None:
    """Replace text of `actions.toml`."""
    path = folder / "actions.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
