"""What of an ONNX file is opened: the file itself, or the network in it."""

from dataclasses import replace
from pathlib import Path

import pytest

from edge.engines import onnxruntime_session
from edge.inference import EngineError
from edge.manifest import Preprocessing
from tests.support.frame_model import MANIFEST, write_frame_model
from tests.support.spot_model import write_spot_model

WAYS: tuple[Preprocessing, ...] = ("graph", "outside")


def test_a_model_that_prepares_frames_is_opened_whole_or_its_network_alone(tmp_path: Path) -> None:
    path = write_frame_model(tmp_path / "frames.onnx")
    whole, network = (onnxruntime_session.read(path, way) for way in WAYS)
    assert (whole.source, whole.manifest) == (str(path), MANIFEST)
    assert isinstance(network.source, bytes)
    assert network.manifest == replace(MANIFEST, preprocessing="outside")


def test_any_other_is_opened_as_it_is(tmp_path: Path) -> None:
    path = write_spot_model(tmp_path / "spot.onnx")
    assert {onnxruntime_session.read(path, way).source for way in WAYS} == {str(path)}


def test_a_model_without_a_manifest_is_not_opened(tmp_path: Path) -> None:
    path = write_spot_model(tmp_path / "spot.onnx", described=False)
    with pytest.raises(EngineError, match="has no korsal-edge manifest; export it with"):
        onnxruntime_session.read(path, "graph")
