"""Progress of builds: of versions that have a monitor, and of 8.6, which has none."""

from pathlib import Path

import pytest

from edge.engines.build_progress import monitor, percent_messages
from edge.engines.engine_build import build
from tests.support.fake_tensorrt import fake
from tests.support.tiny_model import write_tiny_model

VERSIONS = ("8.6", "10.3", "10.13", "10.16", "11.0", "11.4")


@pytest.fixture
def onnx(tmp_path: Path) -> Path:
    return write_tiny_model(tmp_path / "tiny.onnx")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "engines" / "tiny.engine"


@pytest.mark.parametrize("version", VERSIONS)
def test_progress(version: str, onnx: Path, target: Path) -> None:
    reported: list[tuple[str, int, int]] = []
    build(fake(version), onnx, target, progress=lambda *step: reported.append(step))
    steps = [("Building Engine", done, 3) for done in (1, 2, 3)]
    assert reported == ([] if version == "8.6" else steps)


def test_an_impatient_user(onnx: Path, target: Path) -> None:
    def interrupt(phase: str, step: int, steps: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(fake("10.3"), onnx, target, progress=interrupt)
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_phases_within_phases(version: str) -> None:
    reported: list[tuple[str, int, int]] = []
    monitoring = monitor(fake(version), lambda *step: reported.append(step))
    assert monitoring is not None
    sink = monitoring.sink
    sink.phase_start("Building", None, 2)
    sink.phase_start("Timing", "Building", 9)
    assert sink.step_complete("Timing", 0)
    sink.phase_finish("Timing")
    assert sink.step_complete("Building", 1)
    assert sink.step_complete("Unannounced", 4)
    assert reported == [("Building › Timing", 1, 9), ("Building", 2, 2), ("Unannounced", 5, 5)]


def test_a_function_that_raised_is_not_called_again() -> None:
    def refuse(phase: str, step: int, steps: int) -> None:
        raise OSError(phase)

    monitoring = monitor(fake("10.3"), refuse)
    assert monitoring is not None
    assert not monitoring.sink.step_complete("Building", 0)
    assert isinstance(monitoring.raised, OSError)


def test_each_tenth_is_reported_once() -> None:
    messages: list[str] = []
    progress = percent_messages(messages.append)
    for step in range(1, 31):
        progress("Timing", step, 30)
    assert messages == [f"Timing {percent}%" for percent in range(0, 101, 10)]
    progress("Empty", 0, 0)
    assert messages[-1] == "Empty 0%"
