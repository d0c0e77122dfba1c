"""An export beside its original: what counts as the same answer, and what does not."""

from dataclasses import replace

import numpy as np
import pytest

from convert.comparison import BOX_TOLERANCE, SCORE_TOLERANCE, Parity, parity

LEFT, RIGHT, FAR = (0.0, 0.0, 10.0, 20.0), (50.0, 0.0, 60.0, 20.0), (90.0, 0.0, 99.0, 9.0)
LAST = (FAR, 0.01, 0)  # the weakest peak of a frame is never certain


def outputs(*peaks: tuple[tuple[float, ...], float, int]) -> dict[str, np.ndarray]:
    """Of one image; every peak a box, a score and a label."""
    boxes, scores, labels = zip(*peaks, strict=True)
    return {
        "boxes": np.array([boxes], np.float32),
        "scores": np.array([scores], np.float32),
        "labels": np.array([labels], np.int64),
    }


SIZE = (100, 80)  # of the input
SAME = outputs((LEFT, 0.9, 0), (RIGHT, 0.5, 1), LAST)


def moved(box: tuple[float, ...], pixels: float) -> tuple[float, ...]:
    return tuple(value + pixels for value in box)


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (SAME, Parity(1, 2)),
        # by 0.05 pixels and 0.0005 in score: allowed
        (outputs((moved(LEFT, 0.05), 0.9, 0), (RIGHT, 0.5005, 1), LAST), Parity(1, 2, 0.0005, 0.05)),
        (outputs((RIGHT, 0.9, 1), (LEFT, 0.5, 0), LAST), Parity(1, 2)),  # in another order
        (outputs((LEFT, 0.9, 0), (RIGHT, 0.5, 1), (LEFT, 0.01, 1)), Parity(1, 2)),  # another last one
    ],
)
def test_close(got: dict[str, np.ndarray], expected: Parity) -> None:
    found = parity([(SAME, got)], SIZE)
    assert replace(found, scores=0, boxes=0) == replace(expected, scores=0, boxes=0)
    assert (found.scores, found.boxes) == pytest.approx((expected.scores, expected.boxes), abs=1e-5)
    assert found.within_tolerance


@pytest.mark.parametrize(
    ("got", "message"),
    [
        (outputs((moved(LEFT, 0.2), 0.9, 0), (RIGHT, 0.5, 1), LAST), "0.2 pixels in boxes (0.1 allowed)"),
        (outputs((LEFT, 0.9, 0), (RIGHT, 0.502, 1), LAST), "0.002 in scores (0.001 allowed)"),
        (outputs((LEFT, 0.9, 1), (RIGHT, 0.5, 1), LAST), "1 of 2 labels (none allowed)"),
        (outputs((LEFT, 0.9, 0), (LEFT, 0.5, 0), LAST), "1 of 2 peaks absent"),
        (outputs((LEFT, float("nan"), 0), (RIGHT, 0.5, 1), LAST), "nan in scores"),
    ],
)
def test_not_close(got: dict[str, np.ndarray], message: str) -> None:
    found = parity([(SAME, SAME), (SAME, got), (SAME, SAME)], SIZE)
    assert not found.within_tolerance
    assert message.replace("of 2", "of 6") in str(found)


def test_all_images_of_a_batch_count_and_none_are_close() -> None:
    other = outputs((LEFT, 0.9, 0), (RIGHT, 0.5, 0), LAST)
    expected, got = ({name: np.concatenate(rows) for name, rows in two.items()} for two in (
        {name: (SAME[name], SAME[name]) for name in SAME},
        {name: (SAME[name], other[name]) for name in SAME},
    ))  # fmt: skip
    assert parity([(expected, got)], SIZE).labels == 1
    assert parity([(expected, got)], SIZE).images == 2
    assert parity([], SIZE).within_tolerance
    assert 0 < SCORE_TOLERANCE < 0.01
    assert 0 < BOX_TOLERANCE < 1


@pytest.mark.parametrize("far", [5e4, 1e9, float("inf")])
def test_what_lies_outside_of_the_input_is_not_compared(far: float) -> None:
    """Published networks may answer with boxes of any size; at 1e9 pixels the next number is 64 further."""
    one, other = (outputs(((-far * less, 3.0, far, far * less), 0.9, 0), LAST) for less in (1, 0.9))
    assert parity([(one, other)], SIZE) == Parity(1, 1)
    inside = outputs(((-far, 3.2, far, far), 0.9, 0), LAST)
    assert not parity([(one, inside)], SIZE).within_tolerance
