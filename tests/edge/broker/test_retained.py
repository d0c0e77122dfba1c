"""What waits to be sent retained, and what is sent again."""

import pytest

from edge.broker.capabilities import REPEAT_SECONDS
from edge.broker.message import Message
from edge.broker.retained import SNAPSHOTS, WANTED_AGAIN_SECONDS, RetainedMessage, RetainedMessages


def lasting(topic: str, payload: bytes = b"") -> RetainedMessage:
    return RetainedMessage(Message(topic, payload, qos=1, retain=True), repeated=True)


def picture(topic: str, payload: bytes = b"") -> RetainedMessage:
    return RetainedMessage(Message(topic, payload, retain=True, kind=SNAPSHOTS), repeated=False)


def sent(retained: RetainedMessages) -> list[str]:
    """Everything leaves: the topics, and the payload where there is one."""
    gone = []
    while retained:
        assert retained.peek().topic
        message = retained.pop()
        retained.sent(message)
        gone.append(f"{message.topic} {message.payload.decode()}".strip())
    return gone


def test_the_newest_of_a_topic_replaces_the_others() -> None:
    retained = RetainedMessages("available")
    for message in (lasting("status", b"1"), lasting("state", b"1"), lasting("status", b"2")):
        retained.put(message)
    assert sent(retained) == ["state 1", "status 2"]


def test_each_connection_begins_with_online_and_all_that_lasts() -> None:
    retained = RetainedMessages("available")
    retained.put(lasting("status", b"1"))
    retained.put(picture("door", b"a"))
    retained.connected(0.0)
    assert sent(retained) == ["available online", "status 1", "door a"]
    retained.accepted(["door"])
    retained.disconnected()
    retained.put(lasting("status", b"2"))
    retained.connected(1.0)
    assert sent(retained) == ["available online", "status 2"]


@pytest.mark.parametrize(("newer", "after"), [(False, "door a"), (True, "door b")])
def test_a_possibly_unaccepted_snapshot_is_sent_again(newer: bool, after: str) -> None:
    retained = RetainedMessages("available")
    retained.put(picture("door", b"a"))
    assert sent(retained) == ["door a"]
    if newer:
        retained.put(picture("door", b"b"))
    retained.disconnected()
    retained.connected(0.0)
    assert sent(retained) == ["available online", after]


def test_what_is_not_retained_is_repeated_after_a_while() -> None:
    retained = RetainedMessages("available")
    retained.put(lasting("status"))
    retained.connected(100.0)
    sent(retained)
    retained.repeat_if_due(100.0 + REPEAT_SECONDS - 1)
    assert not retained
    retained.repeat_if_due(100.0 + REPEAT_SECONDS)
    assert sent(retained) == ["available online", "status"]


def test_dropped_messages_do_not_return() -> None:
    retained = RetainedMessages("available")
    retained.put(lasting("status"))
    retained.put(lasting("state"))
    retained.drop("status")
    retained.connected(0.0)
    assert sent(retained) == ["available online", "state"]


def test_what_is_wanted_again_comes_once_and_not_too_often() -> None:
    retained = RetainedMessages("available")
    retained.put(lasting("status", b"1"))
    retained.connected(0.0)
    sent(retained)
    retained.wanted = True
    retained.repeat_if_due(WANTED_AGAIN_SECONDS / 2)
    assert not retained
    retained.repeat_if_due(WANTED_AGAIN_SECONDS)
    assert sent(retained) == ["available online", "status 1"]
    retained.repeat_if_due(2 * WANTED_AGAIN_SECONDS)
    assert not retained
