"""What `doctor` says of speed and of tiles, where cameras differ in rate and in where they look."""

import re
from pathlib import Path

import numpy as np
import pytest

from edge.config.schema import CameraConfig, Config
from edge.doctor.camera import camera
from edge.doctor.doctor import model
from edge.doctor.speed import mixed_rate, speed_finding
from tests.support.spot_model import write_frames, write_spot_model


@pytest.fixture
def spot(tmp_path: Path) -> Path:
    return write_spot_model(tmp_path / "spot.onnx")


def configured(model_file: Path, cameras: dict[str, dict[str, object]], **more: object) -> Config:
    return Config.model_validate({"model": {"path": model_file, **more}, "cameras": cameras})


@pytest.mark.parametrize(
    ("rate", "wanted", "level"),
    [
        (3.1, [15.0], "warning"),
        (9.9, [15.0], "warning"),  # 0.66
        (10.1, [15.0], "ok"),  # 0.673
        (19.9, [15.0, 15.0], "warning"),
        (7.0, [5.0, 5.0], "ok"),
        (0.1, [], "ok"),  # files alone: they wait
    ],
)
def test_a_machine_that_is_too_slow_for_its_cameras(rate: float, wanted: list[float], level: str) -> None:
    found = speed_finding(rate, wanted, "use fewer cameras", service_runs=False)
    assert (found.level, found.remedy) == (level, "use fewer cameras" if level == "warning" else "")
    assert found.text == f"{rate:.1f} frames per second; the live cameras ({len(wanted)}) need {sum(wanted):g}"


def test_the_speed_is_that_of_the_pipeline(spot: Path) -> None:
    cameras: dict[str, dict[str, object]] = {
        "door": {"source": "rtsp://10.0.0.7/x", "fps": 2},
        "video": {"source": "video.avi"},
    }
    whole = configured(spot, cameras)
    found = list(model(whole, service_runs=True))[1]
    assert (found.subject, found.level) == ("speed", "ok")  # 64x64 pixels
    assert re.fullmatch(
        r"[\d.]+ frames per second, beside the running service; the live cameras \(1\) need 2", found.text
    )


def test_cameras_that_differ_in_rate_and_tiles_share_the_machine() -> None:
    """30 and 10 frames a second alone: of 20 wanted, 15 take 0.5 of the machine and 5 take 0.5, which is all of it."""
    assert mixed_rate([30.0, 10.0], [15.0, 5.0]) == pytest.approx(20)
    assert mixed_rate([30.0, 30.0], [15.0, 15.0]) == pytest.approx(30)


def test_the_speed_of_each_way_to_look_is_told(spot: Path) -> None:
    cameras: dict[str, dict[str, object]] = {
        "door": {"source": "rtsp://10.0.0.7/x", "fps": 2},
        "yard": {"source": "rtsp://10.0.0.8/x", "fps": 1, "tiles": "2x1"},
    }
    found = list(model(configured(spot, cameras)))
    assert re.fullmatch(
        r"[\d.]+ frames per second; the live cameras \(2\) need 3; "
        r"frames per second: [\d.]+ whole, [\d.]+ as 2x1 tiles",
        found[1].text,
    )
    assert len(found) == 2  # on a CPU tiles are looked at one by one, whatever max_batch is


def test_tiles_that_the_engine_does_not_take_at_once(spot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one of TensorRT with max_batch = 1."""
    monkeypatch.setattr("edge.service.settings.on_cpu", lambda runtime: False)
    cameras: dict[str, dict[str, object]] = {"door": {"source": "rtsp://10.0.0.7/x", "tiles": "3x2"}}
    whole = configured(spot, cameras, max_batch=1)
    found = [finding for finding in model(whole) if finding.subject == "tiles"]
    assert [finding.level for finding in found] == ["warning"]
    assert "camera door: its 6 tiles take" in found[0].text
    assert "set [model] max_batch = 6 and restart" in found[0].text


@pytest.mark.parametrize(("side", "level"), [(64, "wrong"), (640, "warning")])
def test_too_small_is_what_the_models_own_input_shows_too_little_of(tmp_path: Path, side: int, level: str) -> None:
    """Of a strip of 640x24 an input 64 wide shows 2 rows, one 640 wide shows all 24; 7 are the least."""
    write_frames(tmp_path / "wide.avi", [np.zeros((120, 640, 3), np.uint8)])
    strip = CameraConfig(source=str(tmp_path / "wide.avi"), region=(0.0, 0.0, 1.0, 0.2))
    found = camera("door", strip, False, input_size=(side, side))
    assert found.level == level, found.text
