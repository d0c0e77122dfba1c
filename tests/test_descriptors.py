"""Open files run out in the midst of anything: nothing crashes, nothing is left open."""

import fcntl
import itertools
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge import host_sensors
from edge.capture import LiveCamera
from edge.sources import parse
from tests.live_cameras import QUICK, always, descriptors, first_frame, watch_until, write_video


@pytest.fixture
def leave() -> Iterator[Callable[[int | None], None]]:
    """Let this process open so many more files; None for as many as before."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)

    def left(number: int | None) -> None:
        free = (one for one in itertools.count() if not is_open(one))
        limit = before[0] if number is None else next(itertools.islice(free, number, None))
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, before[1]))  # numbers below it are all that there are

    yield left
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def is_open(descriptor: int) -> bool:
    try:
        fcntl.fcntl(descriptor, fcntl.F_GETFD)
    except OSError:
        return False
    return True


@pytest.mark.parametrize("spare", range(9))
def test_a_camera_that_cannot_be_opened_for_want_of_files(
    spare: int, tmp_path: Path, leave: Callable[[int | None], None]
) -> None:
    """Whichever step it is that fails."""
    film = write_video(tmp_path / "film.avi", "MJPG")
    before = descriptors()
    leave(spare)
    with LiveCamera("door", parse(str(film), loop=True), QUICK, always(0.5)) as camera:
        watch_until(camera, lambda: camera.state == "online" or "files" in camera.reason)
        leave(None)
        assert first_frame(camera).image.shape == (120, 160, 3)
    assert descriptors() == before


def test_how_we_are_doing_is_not_known_then(leave: Callable[[int | None], None]) -> None:
    leave(0)
    found = host_sensors.process()
    leave(None)
    assert found == {}
    assert host_sensors.process()["open_files"]
