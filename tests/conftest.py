"""What concerns the whole suite: research data that is not in the repository, and hardware that may be absent."""

import contextlib
import importlib.util
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edge.terminal import progress
from tests.support.laws import register_profiles

if TYPE_CHECKING:  # imported where they are used, as NumPy reads the variable below when it is imported
    from tests.support.broker import Broker, Subscriber
    from tests.support.started_daemon import LiveStream

ROOT = Path(__file__).parent.parent
GPU_DEVICES = (Path("/dev/nvidia0"), Path("/dev/nvhost-gpu"), Path("/dev/nvgpu"))  # a card; Jetson, old and new

# Tensors are small in tests; on a busy machine the threads of one operator would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
register_profiles()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of the research data: `ucf24/`, `jhmdb21/`, `clips/`. Skips where it is absent."""
    folder = Path(os.environ.get("KORSAL_SHARED", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"research data is not in {folder}: set KORSAL_SHARED to the folder that holds ucf24/")
    return folder


@pytest.fixture(autouse=True)
def no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine, commands that are called in this process would tell how far they are."""
    monkeypatch.setattr(progress.log, "disabled", True)


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real network with random weights as ONNX, with a manifest: `untrained_model.MANIFEST`."""
    from tests.support.untrained_model import write_untrained_onnx  # which needs torch

    return write_untrained_onnx(tmp_path_factory.mktemp("untrained") / "tiny.onnx")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator["Broker"]:
    """A running mosquitto. Skips where it is not installed."""
    from tests.support.broker import Broker

    with Broker(tmp_path) as running:
        yield running


@pytest.fixture
def subscriber(broker: "Broker") -> Iterator["Subscriber"]:
    """A client that receives what is published to that broker."""
    from tests.support.broker import Subscriber

    with Subscriber(broker.port) as listening:
        yield listening


@pytest.fixture
def stream() -> Iterator["LiveStream"]:
    """A live camera."""
    from tests.support.started_daemon import LiveStream

    with contextlib.closing(LiveStream()) as camera:
        yield camera


def absent() -> dict[str, str]:
    """Markers whose tests cannot run here, each with the reason."""
    reasons = {}
    if not any(device.exists() for device in GPU_DEVICES):
        reasons["gpu"] = "no NVIDIA GPU on this machine"
    if importlib.util.find_spec("tensorrt") is None:
        reasons["tensorrt"] = "the TensorRT Python bindings are not installed"
    return reasons


def slow_files_first(items: list[pytest.Item]) -> None:
    """Begin with the files that have most slow tests, so that none of them runs alone at the end."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (-slow[item.path], -tests[item.path]))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        slow_files_first(items)
    reasons = absent()
    for item in items:
        for marker, reason in reasons.items():
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))
