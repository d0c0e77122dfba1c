"""What all linkers have in common."""

from typing import Any

import pytest

from edge.default_linker import DefaultLinker
from edge.korsal_linker import KorsalLinker
from edge.linker import Linker, LinkerState, elapsed_frames, initial
from tests.support.people import detected, person

DEFAULT, KORSAL = DefaultLinker(), KorsalLinker()


@pytest.mark.parametrize(("last", "frame", "elapsed"), [(None, 0, 1), (None, 70, 1), (6, 7, 1), (6, 10, 4)])
def test_elapsed_frames(last: int, frame: int, elapsed: Any) -> None:
    assert elapsed_frames(LinkerState(last), frame) == elapsed


@pytest.mark.parametrize("linker", [DEFAULT, KORSAL])
def test_frames_that_go_back_are_refused(linker: Linker) -> None:
    state, _ = linker.step(initial(), detected(), 7)
    with pytest.raises(ValueError, match="frame 7 came after frame 7"):
        linker.step(state, detected(), 7)


@pytest.mark.parametrize(("first", "second"), [(DEFAULT, KORSAL), (KORSAL, DEFAULT)])
def test_a_linker_drops_the_tubes_of_another_and_numbers_its_own_on(first: Linker, second: Linker) -> None:
    """After a reload that changed `[linker] kind`."""
    somebody = detected(person(100, run=0.8))
    state, (before,) = first.step(initial(), somebody, 0)
    _, (after,) = second.step(state, somebody, 1)
    assert (before.tube, after.tube) == (1, 2)
