"""Opens models in ONNX Runtime within a deadline, with what it prints in our log. Shell."""

import io
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, TypeVar

from edge.engines.deadline import DeadlineError, within
from edge.inference import EngineError
from edge.threads import ThreadError

log = logging.getLogger(__name__)

Ready = TypeVar("Ready")

LOAD_SECONDS = 120.0  # for opening a model and its first answer


def opened(path: Path, open_now: Callable[[], Ready], running: Any, builds: bool) -> Ready:
    """What `open_now` returns; after LOAD_SECONDS EngineError, and the run with the options `running` is ended.

    `builds`: an engine is built first, which takes minutes and has no deadline.
    """
    try:
        with _output_logged(path):
            if builds:
                return open_now()
            return within(LOAD_SECONDS, open_now, lambda: setattr(running, "terminate", True))
    except ThreadError as error:
        raise EngineError(f"{path}: {error}") from error
    except DeadlineError as error:
        raise EngineError(
            f"{path}: did not open and answer within {LOAD_SECONDS:g} s; it computes without end, or far too much for "
            "this machine: export it again"
        ) from error


@contextmanager
def _output_logged(path: Path) -> Iterator[None]:
    """Log what ONNX Runtime prints inside: why a provider does not start.

    It wraps the deadline, not the other way round: a thread left behind would keep the program's output redirected.
    """
    with redirect_stdout(io.StringIO()) as printed:
        yield
    if printed.getvalue():
        log.info("%s: %s", path, " ".join(printed.getvalue().replace("*", "").split()))
