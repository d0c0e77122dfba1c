"""`korsal-convert build` over the fake TensorRT, and what it says a device would do."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from convert.__main__ import main
from convert.build import JETPACKS, build, dry_run, tensorrt_of
from edge import manifest as manifests
from edge.engines.cuda_runtime import CudaDevice
from edge.engines.tensorrt_build_plan import BuildOptions, known_members, parse_version, plan_build
from edge.engines.tensorrt_builder import EngineBuildError
from tests.support import fake_device
from tests.support.fake_gpu import FakeGpu, fake_gpu
from tests.support.fake_tensorrt import fake
from tests.support.paths import ROOT
from tests.support.tiny_model import MANIFEST, write_tiny_model
from tests.support.waiting import PATIENCE

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'korsal-edge[train]'")
ORIN = CudaDevice("Orin", (8, 7), (12, 6), (12, 6))


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_tiny_model(tmp_path / "tiny.onnx")


def of_precision(path: Path, precision: str) -> Path:
    model = onnx.load(str(path))
    text = manifests.to_json(replace(MANIFEST, precision=precision))
    onnx.helper.set_model_props(model, {manifests.METADATA_KEY: text})
    onnx.save(model, str(path))
    return path


def test_what_is_reported(tiny: Path, tmp_path: Path) -> None:
    messages: list[str] = []
    engine = tmp_path / "tiny.engine"
    record = build(tiny, engine, BuildOptions(max_batch=4), messages.append, fake("10.3"), ORIN)
    assert record.platform.gpu == "Orin"
    assert messages == [
        f"{tiny}: building with TensorRT 10.3.0; on a Jetson this takes minutes",
        "Building Engine 30%",
        "Building Engine 60%",
        "Building Engine 100%",
        f"{engine}: tiny, fp32, batches of 1 to 4, 0.0 MB, TensorRT 10.3.0, for Orin (8.7)",
    ]


def test_a_refusal_is_edges(tiny: Path, tmp_path: Path) -> None:
    trt = fake("11.4", failing={"Builder": "CUDA initialization failure with error: 35"})
    with pytest.raises(EngineBuildError, match=r"does not start .*error: 35.*; check that the NVIDIA driver"):
        build(tiny, tmp_path / "tiny.engine", BuildOptions(), list[str]().append, trt)
    assert list(tmp_path.iterdir()) == [tiny]


def test_jetpack_6_2(tiny: Path, tmp_path: Path) -> None:
    text = dry_run(of_precision(tiny, "int8"), tmp_path / "t.engine", BuildOptions(max_batch=2), "JetPack 6.2")
    assert text.splitlines() == [
        "TensorRT 10.3.0 would build int8:",
        f"  reads          {tiny}: INT8 by Q/DQ in the file",
        "  network flags  STRONGLY_TYPED",
        "  builder flags  none",
        "  types          those of the file",
        "  batches        batches of 1 to 2, tuned for 2",
        "  workspace      1024 MiB",
        f"  writes         {tmp_path / 't.engine'} and {tmp_path / 't.engine.json'}",
    ]
    assert list(tmp_path.iterdir()) == [tiny]  # nothing is done


@pytest.mark.parametrize(
    ("target", "precision", "rows"),
    [
        ("JetPack 6.0", "int8", ("EXPLICIT_BATCH", "INT8 FP16", "chosen by the builder among what the flags allow")),
        ("jetpack 7.2", "fp16", ("STRONGLY_TYPED", "none", "those of the file")),
        ("JetPack 7.2.2", "fp16", ("none", "none", "those of the file")),
        ("11.0", "int8", ("none", "none", "those of the file")),
        ("8.6.2", "fp32", ("EXPLICIT_BATCH", "none", "chosen by the builder among what the flags allow")),
    ],
)
def test_elsewhere(target: str, precision: str, rows: tuple[str, str, str], tiny: Path, tmp_path: Path) -> None:
    text = dry_run(of_precision(tiny, precision), tmp_path / "t.engine", BuildOptions(), target)
    lines = [line[17:] for line in text.splitlines()]
    assert tuple(lines[2:5]) == rows
    assert lines[5] == "batches of 1, tuned for 1"


@pytest.mark.parametrize(
    ("target", "precision", "message"),
    [
        ("10.3", "int8", "is fp32, and TensorRT 10.3 builds int8 only from an ONNX that is int8 itself"),
        ("8.4", None, "TensorRT 8.4 is too old; install 8.6 or newer"),
        ("Orin", None, "'Orin' is not a version of TensorRT; give one like 10.3"),
        ("JetPack 5.1", None, "its TensorRT is not known here; give its version"),
    ],
)
def test_known_refusals(target: str, precision: str | None, message: str, tiny: Path, tmp_path: Path) -> None:
    options = BuildOptions("int8" if precision else None)
    with pytest.raises(EngineBuildError) as caught:
        dry_run(tiny, tmp_path / "t.engine", options, target)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", JETPACKS)
def test_every_jetpack_can_build(name: str) -> None:
    version = parse_version(tensorrt_of(f"JetPack {name}"))
    assert plan_build(version, "int8", known_members(version)).precision == "int8"


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "convert", "build", *map(str, arguments)]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_the_command_reports_what_another_device_would_do(tiny: Path) -> None:
    output = command(tiny, "--dry-run", "JetPack 6.2", "--max-batch", 4)
    assert (output.returncode, output.stderr) == (0, "")
    assert output.stdout.startswith("TensorRT 10.3.0 would build fp32:")
    assert "batches of 1 to 4" in output.stdout
    assert f"{tiny.with_suffix('.engine')} and" in output.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.onnx", "--dry-run", "10.3"], "nothing.onnx: cannot be read"),
        (["nothing.onnx", "--dry-run", "JetPack 5"], "JetPack 5: its TensorRT is not known here"),
    ],
)
def test_the_command_refuses_with_a_one_sentence_error(arguments: list[str], message: str) -> None:
    refused = command(*arguments)
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"korsal-convert: {message}")
    assert refused.stderr.count("\n") == 1


def test_the_command_without_tensorrt(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    assert main(["build", str(tiny)]) == 1
    assert "Python bindings cannot be loaded" in capsys.readouterr().err
    assert list(tiny.parent.iterdir()) == [tiny]


NO_MEMORY = {"Builder.build_serialized_network": "Requested GPU memory could not be allocated"}


@pytest.mark.parametrize(
    ("gpu", "message"),
    [
        (
            fake_gpu("10.3", failing={"Builder": "CUDA initialization failure"}),
            "check that the NVIDIA driver is loaded",
        ),
        (fake_gpu("10.3", failing=NO_MEMORY), "could not be allocated); end other programs that use the GPU"),
    ],
)
def test_the_command_on_a_device_that_is_not_fit(
    gpu: FakeGpu, message: str, tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_device.use(gpu, monkeypatch)
    target = tiny.with_suffix(".engine")
    target.write_bytes(b"the old one")
    assert main(["build", str(tiny)]) == 1
    output = capsys.readouterr().err
    assert output.startswith(f"korsal-convert: {tiny}: TensorRT 10.3.0 ")
    assert message in output
    assert output.count("\n") == 1
    assert target.read_bytes() == b"the old one"
    assert sorted(tiny.parent.iterdir()) == [target, tiny]


def test_the_command_needs_neither_torch_nor_onnx(tiny: Path) -> None:
    program = (
        "import sys; sys.modules['torch'] = sys.modules['onnx'] = None\n"
        f"from convert.__main__ import main; sys.exit(main(['build', {str(tiny)!r}, '--dry-run', '10.3']))"
    )
    line = [sys.executable, "-c", program]
    output = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (output.returncode, output.stderr) == (0, "")
