"""When a training run is to stop."""

from collections.abc import Callable


def never() -> bool:
    return False


def after(steps: int) -> Callable[[], bool]:
    """Says stop when asked for the `steps`-th time."""
    left = iter(range(steps - 1))
    return lambda: next(left, None) is None
