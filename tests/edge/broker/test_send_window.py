"""What may be in flight together, and what the broker's answers mean."""

from edge.broker.message import Message, StoredMessage
from edge.broker.publish_packet import packet_size
from edge.broker.send_window import HOLD_SECONDS, SendWindow

STATE = Message("state", b"online", qos=1, retain=True)


def stored(row: int, topic: str = "a", size: int = 10) -> StoredMessage:
    return StoredMessage(row, Message(topic, bytes(size), "event", row, "update", qos=1))


def rows(window: SendWindow, *waiting: StoredMessage, most: int = 16) -> list[int]:
    return [one.id for one in window.sendable(waiting, most)]


def send(window: SendWindow, packet_id: int, one: StoredMessage, now: float = 0.0) -> None:
    prepared = window.prepared(one.message, one.id, now)
    assert prepared is not None
    window.sent(packet_id, prepared, one.id, now)


def test_an_empty_window() -> None:
    window = SendWindow()
    assert (len(window), window.events_in_flight, window.oldest(7.0), window.held_topics(0.0)) == (0, 0, 7.0, [])
    assert rows(window) == []
    assert window.acknowledged(1, refused=False, permanent=False, now=0.0) is None


def test_an_accepted_event_leaves_and_its_topic_gets_more_at_once() -> None:
    window = SendWindow()
    assert rows(window, stored(1), stored(2), stored(3, "b")) == [1, 3]
    send(window, 11, stored(1), 5.0)
    window.sent(12, STATE, 0, 6.0)
    assert (len(window), window.events_in_flight, window.oldest(9.0)) == (2, 1, 5.0)
    answered = window.acknowledged(11, refused=False, permanent=False, now=7.0)
    assert answered is not None
    assert (answered.message.row, answered.leaves, answered.newly_held) == (1, True, False)
    assert rows(window, stored(2), stored(3), stored(4)) == [2, 3, 4]
    assert rows(window, stored(2), stored(3), stored(4), most=2) == [2, 3]


def test_a_refused_topic_is_held_and_reported_once() -> None:
    window = SendWindow()
    for newly in (True, False):
        send(window, 1, stored(1))
        answered = window.acknowledged(1, refused=True, permanent=False, now=0.0)
        assert answered is not None
        assert (answered.leaves, answered.newly_held) == (False, newly)
    assert window.held_topics(HOLD_SECONDS - 1) == ["a"]
    assert window.held_topics(HOLD_SECONDS) == []


def test_a_message_that_is_refused_for_good_leaves_and_holds_nothing() -> None:
    window = SendWindow()
    send(window, 1, stored(1))
    answered = window.acknowledged(1, refused=True, permanent=True, now=0.0)
    assert answered is not None
    assert (answered.leaves, window.held_topics(0.0)) == (True, [])


def test_what_is_no_event_leaves_no_row() -> None:
    window = SendWindow()
    window.sent(1, STATE, 0, 0.0)
    answered = window.acknowledged(1, refused=True, permanent=True, now=0.0)
    assert answered is not None
    assert not answered.leaves


def test_after_a_disconnect_suspects_are_sent_alone_until_one_is_the_poison_message() -> None:
    window = SendWindow()
    send(window, 1, stored(1, "a"))
    send(window, 2, stored(2, "b"))
    assert window.disconnected(1, 0.0) is None
    assert len(window) == 0
    for _ in range(3):
        window.sent(1, STATE, 0, 0.0)
        window.acknowledged(1, refused=False, permanent=False, now=0.0)
        assert rows(window, stored(1, "a", 100), stored(2, "b")) == [1]
        send(window, 2, stored(1, "a", 100))
        assert not window.may_send(STATE)
        poison = window.disconnected(1, 0.0)
    assert poison is not None
    assert (poison.message.row, poison.accepted_size) == (1, packet_size(STATE, None))


def test_a_suspect_is_sent_with_qos_1_to_learn_whether_it_was_accepted() -> None:
    window = SendWindow()
    picture = Message("snapshot", b"\xff\xd8", retain=True)
    window.sent(1, picture, 0, 0.0)
    assert len(window) == 0  # with QoS 0 there is no acknowledgement to wait for
    window.disconnected(1, 0.0)
    prepared = window.prepared(picture, 0, 0.0)
    assert prepared is not None
    assert prepared.qos == 1
