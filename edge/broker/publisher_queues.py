"""The queues between the publisher's thread and all others."""

import queue
from dataclasses import dataclass

from edge.broker.connection import ConnectionReport
from edge.broker.message import Message
from edge.broker.requests import Request
from edge.broker.retained import RetainedMessage

BATCH = 500  # items received at once
MAX_REQUESTS = 32  # that may wait to be answered; more are dropped


@dataclass(frozen=True)
class Stop:
    """Send what waits until this monotonic time, then disconnect."""

    deadline: float


InboxItem = Message | RetainedMessage | Stop | ConnectionReport


class Inbox:
    """What the publisher's thread is to handle. Any thread may put items into it; one receives them."""

    def __init__(self) -> None:
        self._items: queue.SimpleQueue[InboxItem] = queue.SimpleQueue()

    def put(self, item: InboxItem) -> None:
        """Add an item, without waiting."""
        self._items.put(item)

    def receive(self, seconds: float) -> list[InboxItem]:
        """All items, BATCH at most; waits so long at most where there is none."""
        items: list[InboxItem] = []
        try:
            items.append(self._items.get(timeout=seconds))
            while len(items) < BATCH:
                items.append(self._items.get_nowait())
        except queue.Empty:
            pass
        return items

    def empty(self) -> bool:
        """Whether nothing waits."""
        return self._items.empty()


class RequestQueue:
    """Requests that wait to be answered. `dropped`: how many there were too many."""

    def __init__(self) -> None:
        self._requests: queue.Queue[Request] = queue.Queue(MAX_REQUESTS)
        self.dropped = 0

    def put(self, request: Request) -> None:
        """Add a request, or drop it where too many wait; never waits."""
        try:
            self._requests.put_nowait(request)
        except queue.Full:
            self.dropped += 1

    def take(self) -> tuple[Request, ...]:
        """Remove and return all requests, the oldest first."""
        found: list[Request] = []
        while len(found) < MAX_REQUESTS:
            try:
                found.append(self._requests.get_nowait())
            except queue.Empty:
                break
        return tuple(found)
