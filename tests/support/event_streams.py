"""Whether what a subscriber has received are whole events: the judge of the tests that let things go wrong."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

Payload = Mapping[str, Any]


def faults(arrived: Iterable[Payload], over: bool = True) -> list[str]:
    """What is wrong, a sentence each. `over`: nothing more will come, so that every event has ended.

    Allowed: a step that comes again and is the same; numbers left out after the first, where updates were dropped.
    Where none are, tests/stories/test_chaos_daemon.py has a stricter judge.
    """
    events: dict[str, dict[int, Payload]] = defaultdict(dict)
    wrong: list[str] = []
    for step in arrived:
        event_id, seq = step["event_id"], step["seq"]
        before = events[event_id].get(seq)
        if before is not None:
            if before != step:
                wrong.append(f"{event_id}: step {seq} means two things, {before['type']} and {step['type']}")
            continue
        if events[event_id] and seq < max(events[event_id]):
            wrong.append(f"{event_id}: step {seq} came after step {max(events[event_id])}")
        events[event_id][seq] = step
    for event_id, steps in events.items():
        wrong += [f"{event_id}: {fault}" for fault in _of_event([step["type"] for step in steps.values()], over)]
        if min(steps) != 0:
            wrong.append(f"{event_id}: its first step has the number {min(steps)}")
    return wrong


def _of_event(kinds: list[str], over: bool) -> list[str]:
    """`kinds`: of its steps, in the order in which they first came."""
    wrong = []
    if kinds[0] != "new" or "new" in kinds[1:]:
        wrong.append(f"it does not begin with its one new: {kinds}")
    if "end" in kinds[:-1]:
        wrong.append(f"something comes after its end: {kinds}")
    if over and kinds[-1] != "end":
        wrong.append(f"it has no end: {kinds}")
    return wrong
