import os
import signal

import pytest
import torch

from train import processes
from train.processes import DeviceError, GracefulStop


def test_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    processes.join(torch.device("cpu"))
    assert (processes.rank(), processes.count()) == (0, 1)
    assert [processes.any_true(yes) for yes in (True, False)] == [True, False]
    processes.wait_for_all()
    processes.leave()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_first_signal_asks_and_a_second_acts(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with GracefulStop() as stop:
        assert not stop.requested()
        os.kill(os.getpid(), number)
        assert stop.requested()
        assert stop.signal == number
        assert signal.getsignal(number) is before
    assert signal.getsignal(number) is before


def test_without_a_signal_all_is_as_before() -> None:
    before = [signal.getsignal(number) for number in GracefulStop.SIGNALS]
    with GracefulStop() as stop:
        pass
    assert not stop.requested()
    assert [signal.getsignal(number) for number in GracefulStop.SIGNALS] == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_everything_runs_on_the_cpu() -> None:
    assert {processes.device(asked).type for asked in ("auto", "cpu")} == {"cpu"}
    with pytest.raises(DeviceError, match=r"--device cuda: PyTorch .* finds no GPU.*leave the option out"):
        processes.device("cuda")
