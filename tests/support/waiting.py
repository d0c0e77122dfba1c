"""Waiting for conditions. The time limits only end what hangs: the busiest machine stays far below them."""

import time
from collections.abc import Callable

import pytest

PATIENCE = 300.0  # seconds until a test gives up waiting
POLL_SECONDS = 0.01


def wait_for(condition: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
    """Return as soon as the condition holds; fail the test with `what` after `patience` seconds."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {patience:g} s in vain: {what}")
        time.sleep(POLL_SECONDS)
