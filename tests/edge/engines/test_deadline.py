import threading

import pytest

from edge.engines.deadline import DeadlineError, within
from tests.support.waiting import PATIENCE


def test_what_is_done_in_time_is_returned() -> None:
    assert within(60.0, lambda: 7, lambda: pytest.fail("nobody needs to stop it")) == 7


@pytest.mark.parametrize("error", [ValueError("x"), TimeoutError("its own"), KeyboardInterrupt()])
def test_what_it_raises_is_raised(error: BaseException) -> None:
    def work() -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        within(60.0, work, lambda: pytest.fail("nobody needs to stop it"))
    assert raised.value is error


def test_what_takes_too_long_is_stopped() -> None:
    stop_called, ended = threading.Event(), threading.Event()

    def work() -> None:
        assert stop_called.wait(PATIENCE)
        ended.set()

    with pytest.raises(DeadlineError, match=r"not done in 0\.05 s"):
        within(0.05, work, stop_called.set)
    assert ended.is_set()
