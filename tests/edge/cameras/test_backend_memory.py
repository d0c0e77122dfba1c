from edge.cameras.backend_memory import FIRST_SECONDS, LONGEST_SECONDS, STABLE_SECONDS, BackendMemory

NEW = BackendMemory()


def test_what_hung_comes_last_until_its_time_is_over() -> None:
    memory = NEW.with_hang("best", "other", now=100.0)
    assert memory.begin(101.0).avoided == ("best",)
    assert memory.due(100.0 + FIRST_SECONDS - 1) == ""
    assert memory.due(100.0 + FIRST_SECONDS) == "best"
    assert memory.begin(100.0 + FIRST_SECONDS).avoided == ()


def test_the_pause_doubles_with_every_further_hang_and_has_a_limit() -> None:
    memory, now, pauses = NEW.with_hang("best", "other", 0.0), 0.0, []
    for _ in range(12):
        hang = memory.latest("best")
        assert hang is not None
        pauses.append(hang.seconds / FIRST_SECONDS)
        now = hang.since + hang.seconds
        memory = memory.begin(now).with_hang("best", "other", now)
    assert pauses[:4] == [1, 2, 4, 8]
    assert pauses[-1] * FIRST_SECONDS == LONGEST_SECONDS


def test_a_trial_that_neither_hangs_nor_works_is_not_repeated_at_once() -> None:
    """It fails to open, say: then the next one gives the frames, and there must be no second reopening right away."""
    memory = NEW.with_hang("best", "other", 0.0).begin(FIRST_SECONDS)
    assert memory.due(FIRST_SECONDS + 1) == ""
    assert memory.due(3 * FIRST_SECONDS) == "best"


def test_what_works_is_forgiven() -> None:
    memory = NEW.with_hang("best", "other", 0.0).begin(FIRST_SECONDS).with_success("best")
    assert memory == BackendMemory(trials=frozenset({"best"}))
    assert memory.begin(FIRST_SECONDS + 1) == NEW


def test_where_all_hang_the_first_comes_again() -> None:
    memory = NEW.with_hang("a", "b", 0.0).begin(1.0)
    assert memory.avoided == ("a",)
    memory = memory.with_hang("b", "c", 1.0).begin(2.0)
    assert memory.avoided == ("a", "b")
    assert memory.with_hang("c", "a", 2.0) == NEW  # what would come next has hung too


def test_where_the_others_fail_and_what_hung_hangs_again_the_first_comes_again() -> None:
    memory = NEW.with_hang("a", "b", 0.0).with_hang("c", "d", 1.0)
    assert memory.with_hang("a", "c", 2.0) == NEW


def test_a_camera_with_one_backend_has_nothing_to_remember() -> None:
    assert NEW.with_hang("FFmpeg", "", 0.0) == NEW


def test_two_early_stalls_in_a_row_are_a_hang() -> None:
    memory = NEW.with_stall("a", "b", 3.0, 0.0)
    assert memory.avoided == ()
    assert memory.with_stall("a", "b", 3.0, 10.0).avoided == ("a",)
    assert memory.with_stall("b", "c", 3.0, 10.0).avoided == ()  # another one
    assert memory.with_success("a").with_stall("a", "b", 3.0, 10.0).avoided == ()


def test_a_stall_after_a_long_time_is_the_cameras() -> None:
    memory = NEW
    for now in range(10):
        memory = memory.with_stall("a", "b", STABLE_SECONDS, float(now))
    assert memory.avoided == ()
