"""The error of a TensorRT engine, which begins with its file. Shell."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.engines.cuda_runtime import CudaError
from edge.engines.tensorrt_tensors import RunnerError
from edge.inference import EngineError


class TensorRtError(EngineError):
    """A TensorRT engine that cannot be run; the message begins with its file."""


@contextmanager
def errors_name(path: Path) -> Iterator[None]:
    """Errors of a runner inside become a TensorRtError that begins with the file."""
    try:
        yield
    except (RunnerError, CudaError) as error:
        raise TensorRtError(f"{path}: {error}") from error
