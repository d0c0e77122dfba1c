import signal
import threading

import pytest

from edge.signals import Signals, StopError


def test_signals_set_a_flag_and_handlers_are_restored() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)]
    with Signals(reloads=True) as signals:
        assert (signals.stop_requested, signals.reload_requested) == (False, False)
        signal.raise_signal(signal.SIGHUP)
        assert (signals.stop_requested, signals.reload_requested) == (False, True)
        signal.raise_signal(signal.SIGTERM)
        assert signals.stop_requested
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)] == before


def test_ctrl_c_is_no_exception_meanwhile() -> None:
    with Signals() as signals:
        signal.raise_signal(signal.SIGINT)
        assert signals.stop_requested


def test_what_takes_long_is_ended_at_its_next_step() -> None:
    with Signals() as signals:
        signals.raise_if_stopped()
        signal.raise_signal(signal.SIGTERM)
        for _ in range(2):
            with pytest.raises(StopError):
                signals.raise_if_stopped()


def test_in_another_thread_signals_are_not_ours() -> None:
    found: list[bool] = []

    def look() -> None:
        before = signal.getsignal(signal.SIGTERM)
        with Signals() as signals:
            found.append(signal.getsignal(signal.SIGTERM) == before and not signals.stop_requested)

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [True]
