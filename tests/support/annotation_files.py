"""Annotation files as CVAT and COCO tools write them, in a few lines."""

import json
from pathlib import Path
from typing import Any

from train.datasets.tracks import NamedVideo

META = (
    "<version>1.1</version><meta><task><id>3</id><name>a task</name><size>50</size><start_frame>0</start_frame>"
    "<stop_frame>49</stop_frame><labels><label><name>person</name></label></labels>"
    "<original_size><width>640</width><height>360</height></original_size><source>door/one.mp4</source></task></meta>"
)


def box(frame: int, x: float = 10, outside: int = 0, occluded: int = 0, action: str | None = None) -> str:
    inner = "" if action is None else f'<attribute name="mood">fine</attribute><attribute name="action">{action}'
    inner += "</attribute>" if inner else ""
    corners = f'xtl="{x}" ytl="20.00" xbr="{x + 30}" ybr="80.50"'
    flags = f'keyframe="1" outside="{outside}" occluded="{occluded}"'
    return f'<box frame="{frame}" {flags} {corners} z_order="0">{inner}</box>'


def written(tmp_path: Path, *tracks: tuple[str, list[str]], meta: str = META) -> Path:
    path = tmp_path / "one.xml"
    bodies = [f'<track id="{n}" label="{label}">{"".join(boxes)}</track>' for n, (label, boxes) in enumerate(tracks)]
    path.write_text(f'<?xml version="1.0" encoding="utf-8"?><annotations>{meta}{"".join(bodies)}</annotations>')
    return path


def spans(video: NamedVideo) -> list[tuple[str, int, int]]:
    return [(one.label, one.tube.first_frame, len(one.tube.boxes)) for one in video.tubes]


COCO: dict[str, Any] = {
    "videos": [{"id": 7, "name": "one.mp4", "width": 640, "height": 360}, {"id": 8, "name": "two"}],
    "images": [{"id": n, "video_id": 7, "frame_id": n} for n in range(6)],
    "categories": [{"id": 2, "name": "waves"}, {"id": 1, "name": "sits"}],
    "annotations": [
        {"image_id": 4, "category_id": 2, "bbox": [1, 2, 30, 40], "track_id": 3},
        {"image_id": 1, "category_id": 2, "bbox": [1, 2, 30, 40], "track_id": 3},
        {"image_id": 0, "category_id": 2, "bbox": [0, 2, 30, 40], "instance_id": 3},
        {"image_id": 0, "category_id": 1, "bbox": [0, 2, 30, 40], "track_id": 4},
        {"image_id": 0, "category_id": 1, "bbox": [0, 2, 30, 40], "track_id": 5, "iscrowd": 1},
    ],
}


def coco(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(content))
    return path
