"""A request handler that remembers what it was asked."""

from collections.abc import Mapping, Sequence


class FakeRequestHandler:
    """A device that remembers what was asked of it."""

    def __init__(self, problems: Sequence[str] = ()) -> None:
        self.asked: list[object] = []
        self._problems = problems

    def health(self) -> Mapping[str, object]:
        self.asked.append("health")
        return {"fps": {"door": 25.0}}

    def reload(self) -> Sequence[str]:
        self.asked.append("reload")
        return self._problems

    def configuration(self) -> Mapping[str, object]:
        self.asked.append("configuration")
        return {"log": {"level": "info"}}

    def store(self, changes: Mapping[str, object]) -> Sequence[str]:
        self.asked.append(changes)
        return self._problems

    def snapshot(self, camera: str) -> str | None:
        self.asked.append(camera)
        return None if camera == "door" else f"no camera {camera}; known: door"

    def switch_camera(self, camera: str, enabled: bool) -> Mapping[str, object]:
        self.asked.append((camera, enabled))
        return {"camera": camera, "enabled": enabled, "kept": True}

    def clips(self, after: str) -> Mapping[str, object]:
        self.asked.append(("clips", after))
        return {"clips": [], "more": False}

    def clip(self, name: str, offset: int, length: int) -> Mapping[str, object]:
        self.asked.append((name, offset, length))
        return {"name": name, "bytes": 0, "offset": offset, "content": ""}
