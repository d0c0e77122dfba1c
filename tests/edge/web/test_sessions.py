from edge.web.sessions import FREE_FAILURES, LIFETIME, LONGEST_WAIT, MOST_ADDRESSES, MOST_SESSIONS, Attempts, Sessions


def test_a_session_is_found_until_it_ends() -> None:
    sessions = Sessions()
    token = sessions.begin(0.0, "hash")
    found = sessions.find(token, LIFETIME - 1, "hash")
    assert found is not None
    assert len(found.csrf) > 30
    assert found.csrf != token
    assert sessions.find("", 0.0, "hash") is None
    assert sessions.find(token, LIFETIME, "hash") is None
    assert sessions.find(token, 0.0, "hash") is None  # it is gone


def test_another_password_and_logging_out_end_it() -> None:
    sessions = Sessions()
    first, second = sessions.begin(0.0, "hash"), sessions.begin(0.0, "hash")
    assert sessions.find(first, 1.0, "another hash") is None
    sessions.end(second)
    sessions.end("nothing")
    assert sessions.find(second, 1.0, "hash") is None


def test_too_many_sessions_push_out_the_oldest() -> None:
    sessions = Sessions()
    tokens = [sessions.begin(0.0, "") for _ in range(MOST_SESSIONS + 1)]
    assert sessions.find(tokens[0], 1.0, "") is None
    assert sessions.find(tokens[1], 1.0, "") is not None


def test_who_guesses_waits_ever_longer() -> None:
    attempts = Attempts()
    waits = []
    for _ in range(FREE_FAILURES + 8):
        attempts.failed("10.0.0.9", 100.0)
        waits.append(attempts.wait("10.0.0.9", 100.0))
    assert waits == [0, 0, 0, 1, 2, 4, 8, 16, 32, LONGEST_WAIT, LONGEST_WAIT, LONGEST_WAIT]
    assert attempts.wait("10.0.0.8", 100.0) == 0
    assert attempts.wait("10.0.0.9", 100.0 + LONGEST_WAIT) == 0
    attempts.succeeded("10.0.0.9")
    assert attempts.wait("10.0.0.9", 100.0) == 0


def test_addresses_are_bounded() -> None:
    attempts = Attempts()
    for number in range(MOST_ADDRESSES + 5):
        for _ in range(FREE_FAILURES):
            attempts.failed(str(number), 0.0)
    assert attempts.wait("0", 0.0) == 0
    assert attempts.wait("5", 0.0) > 0
