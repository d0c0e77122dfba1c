"""Open files run out in the midst of anything, connections break: nothing crashes, nothing is left open."""

import contextlib
import fcntl
import gc
import itertools
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.cameras.live_camera import LiveCamera
from edge.config.schema import MqttConfig
from edge.sensors import host_sensors
from edge.sources import parse
from tests.support.broker import Broker, Relay
from tests.support.live_cameras import QUICK, always, descriptors, first_frame, watch_until
from tests.support.publishing import impatient, publishing
from tests.support.video_files import write_video
from tests.support.waiting import wait_for

__all__ = ["impatient"]


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
    video = write_video(tmp_path / "video.avi", "MJPG")
    before = descriptors()
    leave(spare)
    with LiveCamera("door", parse(str(video), loop=True), QUICK, always(0.5)) as camera:
        watch_until(camera, lambda: camera.state == "online" or "files" in camera.reason)
        leave(None)
        assert first_frame(camera).image.shape == (120, 160, 3)
    assert descriptors() == before


def test_the_health_is_unknown_then(leave: Callable[[int | None], None]) -> None:
    leave(0)
    found = host_sensors.process_usage()
    leave(None)
    assert found == {}
    assert host_sensors.process_usage()["open_files"]


@pytest.mark.usefixtures("impatient")
def test_a_connection_that_has_broken_leaves_nothing_open(tmp_path: Path) -> None:
    """Not even until garbage is next collected, for in the daemon that is seldom."""
    with contextlib.ExitStack() as owned:
        broker = owned.enter_context(Broker(tmp_path))
        relay = owned.enter_context(Relay(broker.port))
        publisher = owned.enter_context(publishing(MqttConfig(host="127.0.0.1", port=relay.port)))
        gc.collect()
        gc.disable()
        owned.callback(gc.enable)
        for number in range(1, 16):
            wait_for(lambda: publisher.statistics().connections == number, "the next connection")  # noqa: B023
            relay.cut()
            if number == 5:
                held = len(descriptors())
        assert len(descriptors()) < held + 8  # the relay's own come and go
