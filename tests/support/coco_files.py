"""A COCO file of one video, in a few lines."""

from typing import Any


def content() -> dict[str, Any]:
    """Two videos: of one all six frames, of the other two frames somewhere in it."""
    box = {"category_id": 5, "bbox": [1, 1, 20, 30], "track_id": 1}
    return {
        "videos": [{"id": 1, "name": "v0.MP4"}, {"id": 2, "name": "v1"}],
        "images": [{"id": n, "video_id": 1, "frame_id": n} for n in range(6)]
        + [{"id": 20 + n, "video_id": 2, "frame_id": 30 + n} for n in range(2)],
        "categories": [{"id": 5, "name": "run"}, {"id": 9, "name": "jump"}],
        "annotations": [{"id": 3, "image_id": 4, **box}, {"id": 8, "image_id": 21, **box}],
    }
