"""Stories of a connection: what is told of it, and when it is dialled again."""

from edge.broker.outages import LONGEST, Outages, closed, opened, stabilized


def test_a_fault_is_logged_once_and_delays_grow() -> None:
    state, messages, delays = Outages(), [], []
    for second in range(9):
        state, sentence, delay = closed(state, "nothing listens there", float(second))
        messages.append(sentence)
        delays.append(delay)
    assert messages == ["nothing listens there", *[None] * 8]
    assert delays == [1, 2, 4, 8, 16, 32, LONGEST, LONGEST, LONGEST]
    state, sentence = opened(state, 99.0)
    assert (sentence, state.fault, state.last) == ("connected", None, "nothing listens there")


def test_another_fault_is_logged_and_the_first_not_again() -> None:
    state, first, _ = closed(Outages(), "a", 0.0)
    state, second, _ = closed(state, "b", 1.0)
    state, third, _ = closed(state, "a", 2.0)
    assert (first, second, third, state.fault) == ("a", "b", None, "a")


def test_after_a_connection_the_same_fault_is_logged_again() -> None:
    state, _, _ = closed(Outages(), "a", 0.0)
    state, _ = opened(state, 1.0)
    state, sentence, delay = closed(state, "a", 1000.0)
    assert (sentence, delay) == ("a", 1.0)


def test_a_connection_that_breaks_at_once_is_not_retried_at_once() -> None:
    state, delays = Outages(), []
    for second in range(4):
        state, _ = opened(state, float(second))
        state, _, delay = closed(state, "taken over", second + 0.5)
        delays.append(delay)
    assert delays == [1, 2, 4, 8]


def test_one_that_drops_every_minute_is_logged_only_three_times() -> None:
    state, messages = Outages(), []
    for minute in range(60):
        state, _ = opened(state, minute * 60.0)
        state, sentence, delay = closed(state, "connection lost", minute * 60.0 + 58)
        messages.append(sentence)
        assert delay == 1.0  # it had held for a minute
    assert messages[:2] == ["connection lost", "connection lost"]
    assert "is unstable, lost 3 times in 10 minutes" in str(messages[2])
    assert messages[3:] == [None] * 57
    state, sentence = opened(state, 3600.0)
    assert sentence is None
    assert state.unstable is not None
    state, sentence = stabilized(state, 3600.0 + 599)
    assert sentence is None
    state, sentence = stabilized(state, 3600.0 + 601)
    assert (sentence, state.unstable) == ("the connection is stable again", None)
    assert closed(state, "connection lost", 9000.0)[1] == "connection lost"


def test_a_new_fault_is_logged_even_while_the_connection_is_unstable() -> None:
    state = Outages()
    for minute in range(4):
        state, _ = opened(state, minute * 60.0)
        state, _, _ = closed(state, "connection lost", minute * 60.0 + 30)
    state, sentence, _ = closed(state, "it refused the login", 300.0)
    assert sentence == "it refused the login"


def test_rare_breaks_are_no_pattern() -> None:
    state, messages = Outages(), []
    for hour in range(5):
        state, _ = opened(state, hour * 3600.0)
        state, sentence, _ = closed(state, "it is shutting down", hour * 3600.0 + 3000)
        messages.append(sentence)
    assert messages == ["it is shutting down"] * 5
    assert len(state.breaks) == 1
