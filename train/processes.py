"""The processes of one training run, one or as many as torchrun started, and the signals that stop them. Shell."""

import os
import signal
from datetime import timedelta
from types import FrameType, TracebackType
from typing import Any, Literal

import cv2
import torch
from torch import distributed

DeviceChoice = Literal["auto", "cuda", "cpu"]  # "auto": a GPU where there is one
PATIENCE = timedelta(hours=3)  # how long the others wait while the first process validates or decodes videos


class DeviceError(Exception):
    """A device that is not there."""


def device(asked: DeviceChoice) -> torch.device:
    """Where this process computes; of several GPUs each process of torchrun takes its own. Raises DeviceError."""
    usable = torch.cuda.is_available()
    if asked == "cuda" and not usable:
        raise DeviceError(
            f"--device cuda: PyTorch {torch.__version__} finds no GPU that it can use; install NVIDIA's driver and a "
            "PyTorch built for CUDA, or leave the option out"
        )
    if asked == "cpu" or not usable:
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


def join(device: torch.device) -> None:
    """Join the other processes of torchrun, if any, and compute on `device` from now on."""
    if device.type == "cuda":
        torch.cuda.set_device(device)
        torch.backends.cudnn.benchmark = True  # input sizes do not change: the quickest algorithm is found once
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)


def leave() -> None:
    """Undo `join`."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def rank() -> int:
    """The number of this process, from 0; the first one validates, logs and saves."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def count() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def wait_for_all() -> None:
    """Return when every process came here."""
    if distributed.is_initialized():
        distributed.barrier()


def any_true(yes: bool) -> bool:
    """True in every process if it is true in one of them; all must call it at the same time."""
    if not distributed.is_initialized():
        return yes
    votes = torch.tensor(int(yes), device="cuda" if distributed.get_backend() == "nccl" else "cpu")
    distributed.all_reduce(votes, distributed.ReduceOp.MAX)
    return bool(votes.item())


class GracefulStop:
    """Within `with`, a first SIGINT or SIGTERM only asks to stop; a second one does what it always does."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.signal = 0  # the number of the one that came
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "GracefulStop":
        self._before = {number: signal.signal(number, self._ask) for number in self.SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def requested(self) -> bool:
        """Whether to stop."""
        return self.signal != 0

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def init_worker(worker: int) -> None:
    """For processes that prepare samples: what stops the training often reaches them too, and it still needs them.

    So they outlast a Ctrl+C and a first SIGTERM; the training ends them when it is ready. OpenCV's threads do not
    survive the fork that makes such a process, and it would wait for them for ever.
    """
    cv2.setNumThreads(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end_at_the_next)


def _end_at_the_next(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)
