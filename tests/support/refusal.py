"""Whether foreign input is read or refused: what a property of a parser asks."""

from collections.abc import Callable


def refusal(call: Callable[[], object], *announced: type[Exception]) -> str | None:
    """What the announced exception says; None where the call succeeds. Any other exception goes through."""
    try:
        call()
    except announced as error:
        return str(error)
    return None
