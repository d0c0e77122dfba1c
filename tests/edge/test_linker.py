"""What all linkers have in common."""

import pytest

from edge.default_linker import DefaultLinker
from edge.korsal_linker import KorsalLinker
from edge.linker import Linker, LinkerState, elapsed_units, initial
from tests.support.people import detected, person

DEFAULT, KORSAL = DefaultLinker(), KorsalLinker()


@pytest.mark.parametrize(
    ("last", "time", "elapsed"),
    [
        (None, 70.0, 1),  # the first
        (6.0, 6.04, 1),
        (6.0, 6.16, 4),
        (1e9, 1e9 + 0.04, 1),  # rounded time stamps
        (6.0, 6.1, 2.5),
        (6.0, 6.0, 0),
        (6.0, 2.0, 0),  # the clock stepped back
    ],
)
def test_elapsed_units(last: float | None, time: float, elapsed: float) -> None:
    assert elapsed_units(LinkerState(last), time) == pytest.approx(elapsed)


@pytest.mark.parametrize("linker", [DEFAULT, KORSAL])
def test_equal_times_and_a_clock_that_steps_back_are_lived_with(linker: Linker) -> None:
    state, found = initial(), []
    for time in (5.0, 5.04, 5.04, 2.0, 2.04):
        state, boxes = linker.step(state, detected(person(100, run=0.8)), time)
        found.append([(one.tube, *one.box.tolist()) for one in boxes])
    assert found == [found[0]] * 5
    assert len(found[0]) == 1


@pytest.mark.parametrize(("first", "second"), [(DEFAULT, KORSAL), (KORSAL, DEFAULT)])
def test_a_linker_drops_the_tubes_of_another_and_numbers_its_own_on(first: Linker, second: Linker) -> None:
    """After a reload that changed `[linker] kind`."""
    somebody = detected(person(100, run=0.8))
    state, (before,) = first.step(initial(), somebody, 0)
    _, (after,) = second.step(state, somebody, 0.04)
    assert (before.tube, after.tube) == (1, 2)
