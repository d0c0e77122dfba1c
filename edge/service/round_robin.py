"""Which cameras' frames are processed next. Shell: takes the frames."""

from collections.abc import Iterable

from edge.pipeline import FrameInput
from edge.service.camera_session import CameraSession


class RoundRobin:
    """Serves cameras in turn, so that none waits for ever, however fast the others are."""

    def __init__(self, sessions: Iterable[CameraSession]) -> None:
        self._order = list(sessions)

    def next(self, limit: int) -> list[tuple[CameraSession, FrameInput]]:
        """New frames of at most `limit` cameras; the one that has waited longest comes first."""
        taken: list[tuple[CameraSession, FrameInput]] = []
        for session in self._order:
            if len(taken) == limit:
                break
            frame_input = session.next_input()
            if frame_input is not None:
                taken.append((session, frame_input))
        served = {id(session) for session, _ in taken}
        self._order.sort(key=lambda session: id(session) in served)  # stable: the others keep their order
        return taken
