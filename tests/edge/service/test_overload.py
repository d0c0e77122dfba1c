from dataclasses import replace

import pytest

from edge.clip import ClipInput, least_rate
from edge.service import overload
from edge.service.overload import FrameRates, OverloadState
from tests.support.tiny_model import MANIFEST

HALF_A_MINUTE = 30.0


def after(*windows: tuple[float, float]) -> list[OverloadState]:
    """One camera `door`, by what it gives and what is processed of it a second, for half a minute each."""
    known, counts, now = overload.initial(0.0), (0, 0), 0.0
    known = overload.update(known, {"door": counts}, now)
    seen = []
    for captured, processed in windows:
        now += HALF_A_MINUTE
        counts = (counts[0] + round(captured * HALF_A_MINUTE), counts[1] + round(processed * HALF_A_MINUTE))
        known = overload.update(known, {"door": counts}, now)
        seen.append(known)
    return seen


@pytest.mark.parametrize(
    ("captured", "processed", "too_much"),
    [
        (30, 3, True),  # 3 of the 15 that are wanted
        (30, 9.9, True),  # 0.66
        (30, 10.1, False),  # 0.673
        (60, 14, False),  # 0.93, although three quarters are dropped
        (15, 15, False),
        (15, 9, True),  # 0.6
        (5, 4.9, False),  # all of what the camera gives
        (5, 3, True),  # 0.6
        (0, 0, False),  # a camera that is away
    ],
)
def test_what_is_too_much(captured: float, processed: float, too_much: bool) -> None:
    (known,) = after((captured, processed))
    assert dict(known.overloaded) == ({"door": FrameRates(captured, processed)} if too_much else {})


def test_it_ends_with_a_margin() -> None:
    windows = [(30, 9), (30, 11), (30, 11.9), (30, 12.1), (30, 11), (30, 9)]  # 0.6, 0.73, 0.79, 0.81, 0.73, 0.6
    assert [bool(known.overloaded) for known in after(*windows)] == [True, True, True, False, False, True]


def test_it_is_judged_twice_a_minute() -> None:
    assert overload.is_due(overload.initial(0.0), 0.0)
    known = overload.update(overload.initial(0.0), {"door": (0, 0)}, 0.0)
    assert [overload.is_due(known, now) for now in (29.0, 30.0)] == [False, True]
    assert overload.update(known, {"door": (900, 10)}, 30.0).overloaded


def test_a_new_camera_is_judged_at_the_next_update() -> None:
    known = overload.update(overload.initial(0.0), {"door": (0, 0)}, 0.0)
    known = overload.update(known, {"door": (900, 900), "gate": (500, 0)}, 30.0)
    assert not known.overloaded
    known = overload.update(known, {"gate": (1400, 0)}, 60.0)
    assert dict(known.overloaded) == {"gate": FrameRates(30, 0)}


@pytest.mark.parametrize("again", [(100, 800), (100, 50), (950, 50)])  # its feed, itself, itself for longer
def test_a_reopened_camera_is_judged_at_the_next_update(again: tuple[int, int]) -> None:
    known = overload.update(overload.initial(0.0), {"door": (700, 700)}, 0.0)
    known = overload.update(known, {"door": again}, 30.0)
    assert not known.overloaded
    known = overload.update(known, {"door": (again[0] + 900, again[1] + 30)}, 60.0)
    assert dict(known.overloaded) == {"door": FrameRates(30, 1)}


@pytest.mark.parametrize(
    ("precision", "runtime", "first"),
    [
        ("fp32", "onnxruntime 1.27.0", "run an INT8 model ([model] path, the file for CPUs: *-int8-cpu.onnx)"),
        ("fp32", "TensorRT 10.3", "run an INT8 model ([model] path)"),
        ("int8", "onnxruntime 1.27.0", "lower `fps` of the cameras (5 per second are enough for most actions)"),
    ],
)
def test_the_remedy_names_an_available_choice(precision: str, runtime: str, first: str) -> None:
    remedy = overload.remedies(replace(MANIFEST, precision=precision), runtime)
    assert remedy.split(", or ")[0] == first
    assert remedy.endswith("use fewer cameras")


def test_the_message_names_cameras_and_rates() -> None:
    message = overload.warning_text({"door": FrameRates(30, 3.1), "gate": FrameRates(25, 2)}, "do this")
    assert message == (
        "this machine is too slow for its cameras: it processes 3.1 of 30 frames/s of door, "
        "2.0 of 25 frames/s of gate; do this"
    )


@pytest.mark.parametrize(("processed", "told"), [(3.2, True), (3.4, False), (0, True)])
def test_the_message_tells_when_clips_are_one_frame_repeated(processed: float, told: bool) -> None:
    least = least_rate(ClipInput(8), 25)  # 25 / 7.5 = 3.33
    message = overload.warning_text({"gate": FrameRates(30, 9), "door": FrameRates(30, processed)}, "do this", least)
    assert (" of door, and below 3.3 each of the model's clips is one frame repeated; do this" in message) is told


def test_the_message_stays_short() -> None:
    message = overload.warning_text({f"c{number}": FrameRates(30, 1) for number in range(48)}, "do this")
    assert message.endswith("1.0 of 30 frames/s of c2, 1.0 of 30 frames/s of c3 and so on, 48 cameras in all; do this")
