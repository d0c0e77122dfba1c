"""How long actions last as a rule."""

import numpy as np
import pytest

from edge.linker import LinkerSettings
from train.annotations import GroundTruthTube, VideoAnnotation
from train.lengths import LEAST_SPREAD, knowing, usual_lengths


def videos(*lengths: tuple[int, int]) -> list[VideoAnnotation]:
    """One for each (label, frames) of a tube."""
    return [
        VideoAnnotation(f"v{n}", 400, (GroundTruthTube(label, 3, np.zeros((frames, 4), np.float32)),))
        for n, (label, frames) in enumerate(lengths)
    ]


def test_the_median_and_the_spread_of_the_logarithm() -> None:
    found = usual_lengths(videos((1, 10), (1, 20), (1, 40), (1, 80), (1, 160)), ("Jump", "Run"))
    assert list(found) == ["Run"]
    assert found["Run"].median == pytest.approx(40)
    assert found["Run"].spread == pytest.approx(2**0.5 * np.log(2))  # of −2 −1 0 1 2 times log 2


def test_lengths_that_are_alike_may_be_so_by_chance() -> None:
    assert usual_lengths(videos(*[(0, 30)] * 5), ("Jump",))["Jump"].spread == LEAST_SPREAD


def test_of_few_tubes_nothing_is_said() -> None:
    assert usual_lengths(videos(*[(0, 30)] * 4), ("Jump",)) == {}
    assert usual_lengths([], ()) == {}


def test_lengths_stand_in_the_order_of_the_labels() -> None:
    found = usual_lengths(videos(*[(0, 30)] * 5), ("Jump",))
    settings = knowing(LinkerSettings(), found, ("Run", "Jump"))
    assert settings.cut.lengths == (None, found["Jump"])
    assert knowing(LinkerSettings(), {}, ()) == LinkerSettings()
