from edge.broker import delivery_statistics
from edge.broker.delivery_statistics import DeliveryTimes
from edge.broker.message import Message


def step(event_id: str, seq: int, captured: float | None = None) -> Message:
    return Message("t", b"{}", event_id, seq, "update", 1e9, captured)


def test_nothing_has_arrived_yet() -> None:
    assert DeliveryTimes().seconds == ()


def test_a_step_is_timed_from_its_frame_to_its_acknowledgement() -> None:
    journey = DeliveryTimes()
    for row, (seq, captured) in enumerate([(0, 10.0), (1, 11.0)], 7):
        journey.stored(step("a", seq, captured))
        journey.sent(row, step("a", seq))
    journey.acknowledged(8, 11.25)
    journey.acknowledged(7, 12.0)
    journey.acknowledged(7, 13.0)  # acknowledged twice, timed once
    assert journey.seconds == (0.25, 2.0)


def test_a_step_that_was_sent_again_is_timed_to_the_acknowledgement_that_came() -> None:
    journey = DeliveryTimes()
    journey.stored(step("a", 0, 10.0))
    journey.sent(7, step("a", 0))
    journey.disconnected()
    journey.acknowledged(7, 11.0)  # of a connection that is gone
    assert journey.seconds == ()
    journey.sent(7, step("a", 0))
    journey.acknowledged(7, 15.0)
    assert journey.seconds == (5.0,)


def test_what_was_not_timed_is_passed_over() -> None:
    journey = DeliveryTimes()
    journey.stored(step("a", 0))
    journey.sent(9, step("a", 0))
    journey.sent(8, step("of the last run", 5))
    for row in (8, 9):
        journey.acknowledged(row, 99.0)
    assert journey.seconds == ()


def test_memory_is_bounded_and_keeps_the_newest() -> None:
    journey = DeliveryTimes()
    for seq in range(delivery_statistics.MAX_PENDING + 1):
        journey.stored(step("a", seq, 0.0))
    journey.sent(1, step("a", 0))
    journey.sent(2, step("a", 1))
    journey.acknowledged(1, 1.0)
    journey.acknowledged(2, 2.0)
    assert journey.seconds == (2.0,)
    for seq in range(delivery_statistics.MAX_DURATIONS + 5):
        journey.stored(step("b", seq, 0.0))
        journey.sent(seq, step("b", seq))
        journey.acknowledged(seq, float(seq))
    assert len(journey.seconds) == delivery_statistics.MAX_DURATIONS
    assert journey.seconds[-1] == delivery_statistics.MAX_DURATIONS + 4
