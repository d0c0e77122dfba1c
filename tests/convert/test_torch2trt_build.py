"""Engines through torch2trt: over a fake of it, but for the network, which NVIDIA's own builder reads."""

import hashlib
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from convert import onnx_file, torch2trt_build
from convert.calibration import Input
from convert.commands import build as build_command
from convert.torch2trt_build import Torch2TrtBackend, Torch2TrtError, batches, build, installed, tracing_exporter
from convert.torch_export import OPSET
from edge.engines import engine_record, tensorrt_engine
from edge.engines.engine_record import EngineRecord
from edge.engines.tensorrt_build_plan import BuildOptions, Platform
from edge.engines.tensorrt_builder import EngineBuildError
from edge.manifest import INPUT, OUTPUTS, Manifest
from tests.support.fake_tensorrt import fake, plan
from tests.support.fake_torch2trt import Built, fake_torch2trt
from tests.support.real_builder import build_for_real, real_builder
from tests.support.untrained_model import MANIFEST, write_untrained_checkpoint

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'korsal-edge[train]'")
PLATFORM = Platform("10.3.0", "Orin", "8.7", "36.4.3", "12.6")
SHAPE = (MANIFEST.channels, MANIFEST.height, MANIFEST.width)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_untrained_checkpoint(tmp_path_factory.mktemp("weights") / "tiny.pt")


def images(count: int) -> list[Input]:
    return [{INPUT: np.full((1, *SHAPE), i, np.float32)} for i in range(count)]


def none(manifest: Manifest) -> list[Input]:
    raise AssertionError("only INT8 is calibrated")


def through(
    weights: Path, output: Path, options: BuildOptions, count: int = 0, **behaviour: Any
) -> tuple[EngineRecord, Built, list[str]]:
    """Build over the fakes, on the CPU."""
    trt, messages = fake("10.3"), list[str]()
    module, built = fake_torch2trt(trt, **behaviour)
    calibrate = (lambda manifest: images(count)) if count else none
    record = build(weights, output, options, calibrate, Torch2TrtBackend(module, trt, "cpu"), PLATFORM, messages.append)
    return record, built, messages


def test_fp16(weights: Path, tmp_path: Path) -> None:
    engine, content = tmp_path / "tiny.engine", plan(fake("10.3"))
    record, built, messages = through(weights, engine, BuildOptions("fp16", 2, 1 << 28), plan=content)
    assert engine.read_bytes() == content
    assert engine_record.from_json(engine_record.beside(engine).read_text()) == record
    assert sorted(tmp_path.iterdir()) == [engine, engine_record.beside(engine)]
    assert (record.precision, record.manifest.precision, record.options.precision) == ("fp16", "fp16", "fp16")
    assert record.manifest.training == {"data": "none", "backend": "torch2trt"}
    assert record.onnx_sha256 == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert record.plan_sha256 == hashlib.sha256(content).hexdigest()
    assert record.platform == PLATFORM
    given = built.given
    assert [tuple(tensor.shape) for tensor in given["inputs"]] == [(2, *SHAPE)]
    assert (given["input_names"], given["output_names"]) == ([INPUT], list(OUTPUTS))
    assert (given["fp16_mode"], given["int8_mode"], given["int8_calib_dataset"]) == (True, False, None)
    assert (given["max_batch_size"], given["max_workspace_size"]) == (2, 1 << 28)
    assert (given["use_onnx"], given["onnx_opset"]) == (True, OPSET)
    assert messages == [
        f"{weights}: building with torch2trt and TensorRT 10.3.0; on a Jetson this takes minutes",
        f"{engine}: tiny, fp16, batches of 1 to 2, 0.0 MB, TensorRT 10.3.0, for Orin (8.7)",
    ]


def test_fp32_is_what_a_checkpoint_is(weights: Path, tmp_path: Path) -> None:
    record, built, _ = through(weights, tmp_path / "tiny.engine", BuildOptions())
    assert record.precision == record.options.precision == "fp32"
    assert (built.given["fp16_mode"], built.given["int8_mode"]) == (False, False)


def test_int8_is_calibrated_by_entropy_in_batches_that_the_engine_is_tuned_for(weights: Path, tmp_path: Path) -> None:
    record, built, _ = through(weights, tmp_path / "tiny.engine", BuildOptions("int8", 3), count=4)
    assert built.given["int8_calib_algorithm"].name == "ENTROPY_CALIBRATION_2"
    assert (built.given["fp16_mode"], built.given["int8_mode"]) == (True, True)
    assert [tuple(batch.shape) for batch in built.batches] == [(3, *SHAPE)] * 2
    assert [batch[:, 0, 0, 0].tolist() for batch in built.batches] == [[0, 1, 2], [3, 0, 1]]
    assert all(batch.is_contiguous() and batch.dtype == torch.float32 for batch in built.batches)
    assert record.manifest.training["quantisation"]["method"] == "entropy"


@pytest.mark.parametrize(
    ("count", "size", "filled"),
    [
        (4, 2, [[0, 1], [2, 3]]),
        (2, 5, [[0, 1, 0, 1, 0]]),  # fewer images than a batch holds
        (3, 1, [[0], [1], [2]]),
        (0, 4, []),
    ],
)
def test_batches(count: int, size: int, filled: list[list[int]]) -> None:
    assert [batch[:, 0, 0, 0].tolist() for batch in batches([one[INPUT] for one in images(count)], size)] == filled


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        (
            {"engine": False},
            r"^TensorRT 10\.3\.0 did not build it, its message is above; use --backend tensorrt, which",
        ),
        ({"plan": None}, r"^TensorRT 10\.3\.0 did not build it"),
    ],
)
def test_tensorrt_gives_none(behaviour: dict[str, Any], message: str, weights: Path, tmp_path: Path) -> None:
    engine = tmp_path / "tiny.engine"
    engine.write_bytes(b"the old one")
    with pytest.raises(Torch2TrtError, match=message):
        through(weights, engine, BuildOptions("fp16"), **behaviour)
    assert list(tmp_path.iterdir()) == [engine]
    assert engine.read_bytes() == b"the old one"


@pytest.mark.parametrize(
    ("error", "expected_message"),
    [
        (ModuleNotFoundError("No module named 'onnx'"), "ModuleNotFoundError: No module named 'onnx'"),
        (RuntimeError("CUDA out of memory\nand more"), "RuntimeError: CUDA out of memory"),
        (TypeError(), "TypeError"),
    ],
)
def test_what_it_raises(error: Exception, expected_message: str, weights: Path, tmp_path: Path) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(Torch2TrtError) as caught:
        through(weights, tmp_path / "tiny.engine", BuildOptions("fp16"), failing=fail)
    assert str(caught.value).startswith(f"torch2trt does not convert it ({expected_message}); use --backend tensorrt")
    assert not list(tmp_path.iterdir())


def test_integers_are_lost_without_the_wrapper(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What AllFloat is there for: torch2trt would name the class scores `labels`."""
    monkeypatch.setattr(torch2trt_build, "AllFloat", lambda decoder: decoder)
    with pytest.raises(Torch2TrtError, match="left class_scores out"):
        through(weights, tmp_path / "tiny.engine", BuildOptions("fp16"))


def test_no_disk(weights: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EngineBuildError, match="cannot be written"):
        through(weights, tmp_path / "file" / "tiny.engine", BuildOptions("fp16"))


def test_the_exporter_is_given_back() -> None:
    usual = torch.onnx.export

    def stop() -> None:
        with tracing_exporter():
            assert torch.onnx.export is not usual
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert torch.onnx.export is usual


@pytest.mark.slow
def test_nvidias_own_builder_takes_the_network_that_it_exports(weights: Path, tmp_path: Path) -> None:
    real_builder()
    path = tmp_path / "through.onnx"
    through(weights, tmp_path / "tiny.engine", BuildOptions(max_batch=2), onnx=path)
    model = onnx.load(path)
    assert [output.name for output in model.graph.output] == list(OUTPUTS)
    kinds = {output.name: output.type.tensor_type.elem_type for output in model.graph.output}
    assert set(kinds.values()) == {onnx.TensorProto.FLOAT}
    onnx_file.write(model, MANIFEST, path)
    assert build_for_real(path, tmp_path, max_batch=2).options.max_batch == 2


@pytest.mark.parametrize("version", ["11.0", "11.4"])
def test_tensorrt_11_is_too_new(version: str) -> None:
    with pytest.raises(
        Torch2TrtError, match=rf"ends with TensorRT 10, and this is {version}.*; use --backend tensorrt"
    ):
        installed(fake(version))


@pytest.mark.parametrize("version", ["8.6", "10.0", "10.16"])
def test_it_is_not_there(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch2trt", None)
    with pytest.raises(Torch2TrtError, match=r"torch2trt cannot be loaded \(.*\); .*, or use --backend tensorrt"):
        installed(fake(version))


def test_it_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    def torch2trt(module: Any, inputs: Any, max_batch_size: int = 1) -> None: ...

    monkeypatch.setitem(sys.modules, "torch2trt", SimpleNamespace(torch2trt=torch2trt))
    with pytest.raises(Torch2TrtError, match=r"older than 0\.5; .*, or use --backend tensorrt"):
        installed(fake("8.6"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="here is a GPU")
def test_torch_finds_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    trt = fake("10.3")
    monkeypatch.setitem(sys.modules, "torch2trt", fake_torch2trt(trt)[0])
    with pytest.raises(Torch2TrtError, match=r"finds no GPU; .*, or use --backend tensorrt"):
        installed(trt)


def commanded(arguments: list[str], monkeypatch: pytest.MonkeyPatch, version: str = "10.3") -> int:
    monkeypatch.setattr(tensorrt_engine, "bindings", lambda: (fake(version), SimpleNamespace(device=lambda: None)))
    return build_command.main(arguments)


def test_the_command_refuses_a_new_tensorrt(
    weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert commanded([str(weights), "--backend", "torch2trt"], monkeypatch, "11.4") == 1
    output = capsys.readouterr().err
    assert output.startswith("korsal-convert: torch2trt ends with TensorRT 10, and this is 11.4")
    assert output.count("\n") == 1


def test_the_command_without_torch(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delitem(sys.modules, "convert.torch2trt_build")
    monkeypatch.delattr("convert.torch2trt_build")
    monkeypatch.setitem(sys.modules, "torch", None)
    assert commanded(["tiny.pt", "--backend", "torch2trt"], monkeypatch) == 1
    output = capsys.readouterr().err
    assert output.startswith("korsal-convert: torch2trt needs torch and onnx (import of torch halted")
    assert "or use --backend tensorrt" in output


def test_the_command_without_videos(
    weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trt = fake("10.3")
    backend = Torch2TrtBackend(fake_torch2trt(trt)[0], trt, "cpu")
    monkeypatch.setattr(torch2trt_build, "installed", lambda trt: backend)
    line = [str(weights), "--backend", "torch2trt", "--precision", "int8"]
    assert commanded(line, monkeypatch) == 1
    assert "--calibrate is missing" in capsys.readouterr().err
    assert commanded(["nothing.pt", *line[1:3]], monkeypatch) == 1
    assert "nothing.pt: no such file; give a .pt" in capsys.readouterr().err


def test_the_command_builds(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trt = fake("10.3")
    backend = Torch2TrtBackend(fake_torch2trt(trt)[0], trt, "cpu")
    monkeypatch.setattr(torch2trt_build, "installed", lambda trt: backend)
    engine = tmp_path / "tiny.engine"
    line = [str(weights), "-o", str(engine), "--backend", "torch2trt", "--precision", "fp16", "--max-batch", "2"]
    assert commanded(line, monkeypatch) == 0
    assert f"{engine}: tiny, fp16, batches of 1 to 2" in capsys.readouterr().out
    assert engine_record.from_json(engine_record.beside(engine).read_text()).options.max_batch == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["t.pt", "--backend", "torch2trt", "--dry-run", "10.3"],
            "--dry-run and --timing-cache are for --backend tens",
        ),
        (["t.pt", "--backend", "torch2trt", "--timing-cache", "t"], "--dry-run and --timing-cache are for --backend"),
        (
            ["t.onnx", "--calibrate", "v.mp4"],
            "--calibrate and --frames are for --backend torch2trt; korsal-convert qua",
        ),
        (["t.onnx", "--backend", "tensorflow"], "argument --backend: invalid choice"),
    ],
)
def test_options_of_the_other_backend(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        build_command.main(arguments)
    assert message in capsys.readouterr().err
