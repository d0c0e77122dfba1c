"""A memory's file beside its detector: found, checked by its hash, and run in ONNX Runtime."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge import manifest as manifests
from edge.engines import onnxruntime_engine
from edge.engines.memory_file import copy_beside, memory_path
from edge.engines.onnx_network import without_preprocessing
from edge.inference import EngineError
from edge.manifest import METADATA_KEY
from edge.memory_network import MemoryNetwork
from tests.support import memory_model
from tests.support.memory_model import MemoryModel, write_memory, write_memory_model
from tests.support.spot_model import write_spot_model

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'korsal-edge[train]'")


def described(model: MemoryModel, **changes: object) -> Path:
    """The detector, its manifest saying other things of its memory, and the memory's file as it is."""
    assert model.manifest.memory is not None
    memory = replace(model.manifest.memory, **changes)  # type: ignore[arg-type]
    changed = onnx.load(str(model.detector))
    onnx.helper.set_model_props(changed, {METADATA_KEY: manifests.to_json(replace(model.manifest, memory=memory))})
    onnx.save(changed, str(model.detector))
    return model.detector


def with_memory(model: MemoryModel, content: bytes) -> Path:
    """The detector with another file as its memory, of which it names the hash."""
    sha256 = hashlib.sha256(content).hexdigest()
    memory_path(model.detector, memory_model.described(sha256)).write_bytes(content)
    return described(model, sha256=sha256)


def test_both_files_are_opened(tmp_path: Path) -> None:
    model = write_memory_model(tmp_path)
    engine = onnxruntime_engine.load(model.detector, 1)
    assert engine.memory is not None
    assert engine.memory.network == model.manifest.memory
    assert engine.memory.path == model.memory
    assert engine.memory.runtime == engine.runtime
    assert engine.memory.largest_batch > 1000


def test_another_precision_has_the_same_memory(tmp_path: Path) -> None:
    model = write_memory_model(tmp_path, "mine")
    quantised = model.detector.rename(tmp_path / "mine-int8-cpu.onnx")
    engine = onnxruntime_engine.load(quantised, 1)
    assert engine.memory is not None
    assert engine.memory.path == model.memory


def test_a_model_without_a_memory_takes_none(tmp_path: Path) -> None:
    """Even where one lies there."""
    write_memory_model(tmp_path, "another")
    assert onnxruntime_engine.load(write_spot_model(tmp_path / "spot.onnx"), 1).memory is None


def missing(model: MemoryModel) -> Path:
    model.memory.unlink()
    return model.detector


def of_another_model(model: MemoryModel) -> Path:
    write_memory(model.memory, keep=0.25)
    return model.detector


def truncated(model: MemoryModel) -> Path:
    return with_memory(model, model.memory.read_bytes()[:-40])


def no_onnx(model: MemoryModel) -> Path:
    return with_memory(model, b"")


def of_another_size(model: MemoryModel) -> Path:
    return described(model, size=9)


def of_another_shape(model: MemoryModel) -> Path:
    return described(model, parts=((1, 3, 1, 1), (1,)))


def with_more_parts(model: MemoryModel) -> Path:
    return described(model, parts=((1, 2, 1, 1), (1,), (1,)))


def with_another_tap(model: MemoryModel) -> Path:
    """The memory gives out another, and so would the detector take."""
    changed = onnx.load(str(model.detector))
    (tap,) = (one for one in changed.graph.input if one.name == "tap")
    tap.type.tensor_type.shape.dim[2].dim_value = 4
    onnx.save(changed, str(model.detector))
    return described(model, tap=(1, 4, 3))


def without_a_file(model: MemoryModel) -> Path:
    """As a checkpoint describes it."""
    return described(model, sha256="", parts=())


def a_folder(model: MemoryModel) -> Path:
    model.memory.unlink()
    model.memory.mkdir()
    return model.detector


FAULTS: list[tuple[Callable[[MemoryModel], Path], str]] = [
    (missing, r"memory-\w{16}\.onnx: is missing, and spot\.onnx does not run without this memory; copy it there"),
    (of_another_model, r"memory-\w{16}\.onnx: is not the memory of spot\.onnx, for its SHA-256 is \w{16}…; copy both"),
    (truncated, r"memory-\w{16}\.onnx: is not a complete ONNX file .*; export or copy it again"),
    (no_onnx, r"memory-\w{16}\.onnx: onnxruntime .* cannot load it .*; export or copy it again"),
    (of_another_size, r"memory-\w{16}\.onnx: its image is not as the detector's manifest says; export both again"),
    (of_another_shape, r"memory-\w{16}\.onnx: its memory_0 is not as the detector's manifest says; export both again"),
    (with_more_parts, r"memory-\w{16}\.onnx: its memory_2 is not as the detector's manifest says; export both again"),
    (
        with_another_tap,
        r"memory-\w{16}\.onnx: its output tap is \(1, 1, 3, 3\), .* says \(1, 1, 4, 3\); export both",
    ),
    (without_a_file, r"spot\.onnx: does not name the file of its memory; export it again"),
    (a_folder, r"memory-\w{16}\.onnx: cannot be read \(Is a directory\); check its permissions"),
]


@pytest.mark.parametrize(("spoil", "message"), FAULTS, ids=[spoil.__name__ for spoil, _ in FAULTS])
def test_a_wrong_memory_is_refused_in_one_sentence(
    spoil: Callable[[MemoryModel], Path], message: str, tmp_path: Path
) -> None:
    detector = spoil(write_memory_model(tmp_path))
    with pytest.raises(EngineError, match=message) as refused:
        onnxruntime_engine.load(detector, 1)
    assert "\n" not in str(refused.value)


def test_maps_of_another_shape_than_the_detector_takes(tmp_path: Path) -> None:
    """The detector's own inputs are held to its manifest as well."""
    model = write_memory_model(tmp_path)
    assert isinstance(model.manifest.memory, MemoryNetwork)
    changed = onnx.load(str(model.detector))
    changed.graph.input[1].type.tensor_type.shape.dim[1].dim_value = 3
    onnx.save(changed, str(model.detector))
    with pytest.raises(EngineError, match=r"spot\.onnx: its input is .*'features': \(3, 1, 1\)"):
        onnxruntime_engine.load(model.detector, 1)


def test_the_network_taken_out_of_a_graph_keeps_its_further_inputs(tmp_path: Path) -> None:
    model = write_memory_model(tmp_path, preprocessing="graph")
    content, outside = without_preprocessing(model.detector.read_bytes(), model.manifest)
    network = onnx.load_from_string(content)
    onnx.checker.check_model(network, full_check=True)
    assert [one.name for one in network.graph.input] == ["image", "features", "tap", "placement"]
    assert outside.memory == model.manifest.memory
    noise = np.random.default_rng(0).random((2, 6, 64, 64), np.float32)
    given = {
        name: np.full((2, *shape[1:]), 2, np.float32)
        for name, shape in manifests.memory_shapes(model.manifest, 1).items()
    }
    engine = onnxruntime_engine.load(model.detector, 1)
    assert engine.infer({"image": noise, **given})["scores"].ravel().tolist() == [0.5, 0.5]


def test_it_is_copied_beside_what_is_made_of_the_model(tmp_path: Path) -> None:
    model = write_memory_model(tmp_path)
    (elsewhere := tmp_path / "elsewhere").mkdir()
    copy_beside(model.detector, elsewhere / "other.onnx", model.manifest.memory)
    assert (elsewhere / model.memory.name).read_bytes() == model.memory.read_bytes()
    copy_beside(model.detector, elsewhere / "other.onnx", None)
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(EngineError, match=r"cannot be written \(File exists\); choose another -o"):
        copy_beside(model.detector, blocked / "other.onnx", model.manifest.memory)


def test_a_memory_of_a_fixed_batch_takes_one_camera_at_a_time(tmp_path: Path) -> None:
    model = write_memory_model(tmp_path)
    fixed = onnx.load(str(model.memory))
    for one in (*fixed.graph.input, *fixed.graph.output):
        one.type.tensor_type.shape.dim[0].dim_value = 1
    engine = onnxruntime_engine.load(with_memory(model, fixed.SerializeToString()), 1)
    assert engine.memory is not None
    assert engine.memory.largest_batch == 1


def test_older_versions_read_manifests_without_a_memory(tmp_path: Path) -> None:
    model = write_memory_model(tmp_path)
    assert "memory" in json.loads(manifests.to_json(model.manifest))
    assert "memory" not in json.loads(manifests.to_json(replace(model.manifest, memory=None)))
