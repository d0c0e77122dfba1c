from edge.broker.message import Message
from edge.broker.publisher_queues import BATCH, MAX_REQUESTS, Inbox, RequestQueue
from edge.broker.requests import Request


def test_items_come_out_in_order_and_at_most_a_batch_at_once() -> None:
    inbox = Inbox()
    assert inbox.empty()
    assert inbox.receive(0.0) == []
    messages = [Message(f"t{number}", b"") for number in range(BATCH + 3)]
    for message in messages:
        inbox.put(message)
    assert not inbox.empty()
    assert inbox.receive(0.0) == messages[:BATCH]
    assert inbox.receive(0.0) == messages[BATCH:]


def test_requests_beyond_the_limit_are_dropped_and_counted() -> None:
    requests = RequestQueue()
    assert requests.take() == ()
    asked = [Request(f"op{number}", b"") for number in range(MAX_REQUESTS + 5)]
    for request in asked:
        requests.put(request)
    assert requests.dropped == 5
    assert requests.take() == tuple(asked[:MAX_REQUESTS])
    assert requests.take() == ()
