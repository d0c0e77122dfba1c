"""A camera in words: where it looks, and where its events begin."""

import pytest

from edge.commands import camera_summary
from edge.event_settings import ActionSettings, EventSettings
from edge.tiles import WHOLE, Tiling
from edge.zones import Zone

INPUT = (288, 224)
LABELS = ("Run", "Jump")
CORNER = ((0.0, 0.0), (0.1, 0.0), (0.0, 0.1))


@pytest.mark.parametrize(
    ("tiling", "size", "said"),
    [
        (Tiling(), (1280, 720), []),
        # whole: 288 / 1280 = 0.225; half of it, of 712x720: 224 / 720 = 0.311 for the height, 0.404 for the width
        (
            Tiling(columns=2),
            (1280, 720),
            ["looks at 2x1 tiles, which share 20% of their sides: people are 1.4 times as large for the network"],
        ),
        (
            Tiling((0.5, 0.25, 0.5, 0.5)),
            (1280, 720),
            [
                "looks at the region from x 0.5 to 1 and y 0.25 to 0.75: people are 2.0 times as large for the network",
            ],
        ),
        (
            Tiling((0.5, 0.0, 0.5, 1.0), 1, 2, 0.0),
            None,  # a camera whose size is not known before it is opened
            ["looks at 1x2 tiles, which share 0% of their sides, of the region from x 0.5 to 1 and y 0 to 1"],
        ),
        (Tiling(WHOLE, 2, 2), None, ["looks at 2x2 tiles, which share 20% of their sides"]),
    ],
)
def test_where_it_looks(tiling: Tiling, size: tuple[int, int] | None, said: list[str]) -> None:
    assert camera_summary.looks(tiling, size, INPUT) == said


@pytest.mark.parametrize(
    ("default", "jump", "said"),
    [
        (ActionSettings(), ActionSettings(), []),
        (
            ActionSettings(required_zones=("gate", "yard")),
            ActionSettings(required_zones=("gate", "yard")),
            ["events begin only in gate or yard"],
        ),
        (
            ActionSettings(),
            ActionSettings(required_zones=("gate",), max_area=0.5),
            ["events begin anywhere (Run), only in gate with people on 0 to 0.5 of the frame's area (Jump)"],
        ),
    ],
)
def test_where_events_begin(default: ActionSettings, jump: ActionSettings, said: list[str]) -> None:
    assert camera_summary.beginnings(EventSettings(default, {"Jump": jump}), LABELS) == said


def test_zones_and_start_scores() -> None:
    assert camera_summary.zones({}) == "none"
    assert camera_summary.zones({"gate": Zone(CORNER), "seat": Zone(CORNER, 10.0)}) == "gate, seat after a stay of 10 s"
    settings = EventSettings(ActionSettings(0.25), {"Jump": ActionSettings(0.5)})
    assert camera_summary.start_scores(settings, LABELS) == "0.25 (Run), 0.5 (Jump)"
    assert camera_summary.start_scores(settings, (*LABELS, "Sit")) == "0.25 (Run, Sit), 0.5 (Jump)"
    assert camera_summary.start_scores(settings, ("Run",)) == "0.25"
