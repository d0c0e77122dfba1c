"""Engines built by the fake TensorRT of every version: the calls, the files, and every way to be refused."""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge import manifest as manifests
from edge.engines import engine_record
from edge.engines.cuda_runtime import CudaDevice
from edge.engines.engine_build import build, platform_of
from edge.engines.tensorrt_build_plan import BuildOptions, Platform, Precision
from edge.engines.tensorrt_builder import EngineBuildError
from tests.support.fake_tensorrt import Network, fake
from tests.support.fake_tensorrt_builder import Fault
from tests.support.tiny_model import MANIFEST, SIZE, write_tiny_model

VERSIONS = ("8.6", "10.3", "10.13", "10.16", "11.0", "11.4")
STRANGER = Network(inputs={"picture": ((-1, 3, SIZE, SIZE), "FLOAT")})
WIDE = Network(inputs={"image": ((-1, 3, SIZE, 2 * SIZE), "FLOAT")})
MUTE = Network(outputs={"boxes": ((-1, 1, 4), "FLOAT")})
FIXED = Network(inputs={"image": ((2, 3, SIZE, SIZE), "FLOAT")})


def with_manifest(onnx: Path, change: Callable[[str], str | None]) -> Path:
    """The file with another manifest, or none."""
    package = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'korsal-edge[train]'")
    model = package.load(str(onnx))
    text = change(manifests.to_json(MANIFEST))
    package.helper.set_model_props(model, {manifests.METADATA_KEY: text} if text else {})
    package.save(model, str(onnx))
    return onnx


def of_precision(onnx: Path, precision: str) -> Path:
    return with_manifest(onnx, lambda _: manifests.to_json(replace(MANIFEST, precision=precision)))


@pytest.fixture
def onnx(tmp_path: Path) -> Path:
    return write_tiny_model(tmp_path / "tiny.onnx")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "engines" / "tiny.engine"


def refusal(trt: Any, onnx: Path, target: Path, **options: Any) -> str:
    """What `build` says: one line. Nothing is left, and what lay there lies there still."""
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(b"the old one")
    with pytest.raises(EngineBuildError) as caught:
        build(trt, onnx, target, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert target.read_bytes() == b"the old one"
    assert list(target.parent.iterdir()) == [target]
    return message


FLAGS: list[tuple[str, Precision, tuple[str, ...], tuple[str, ...]]] = [  # version, ONNX, network, builder
    ("8.6", "fp32", ("EXPLICIT_BATCH",), ()),
    ("8.6", "fp16", ("EXPLICIT_BATCH",), ("FP16",)),
    ("8.6", "int8", ("EXPLICIT_BATCH",), ("INT8", "FP16")),
    *((version, "int8", ("STRONGLY_TYPED",), ()) for version in ("10.3", "10.13", "10.16")),
    *((version, "int8", (), ()) for version in ("11.0", "11.4")),
]


@pytest.mark.parametrize(("version", "precision", "network", "builder"), FLAGS)
def test_flags(
    version: str, precision: Precision, network: tuple[str, ...], builder: tuple[str, ...], onnx: Path, target: Path
) -> None:
    trt = fake(version)
    build(trt, of_precision(onnx, precision), target)
    assert trt.named("Builder.create_network") == [network]
    assert trt.named("Builder.build_serialized_network") == [builder]
    assert trt.named("OnnxParser.parse") == [onnx.read_bytes()]


@pytest.mark.parametrize("version", VERSIONS)
def test_an_engine_that_its_runtime_reads(version: str, onnx: Path, target: Path) -> None:
    trt = fake(version)
    build(trt, onnx, target, BuildOptions(max_batch=4, workspace_bytes=1 << 28))
    image = (3, SIZE, SIZE)
    assert trt.named("IOptimizationProfile.set_shape") == [("image", (1, *image), (4, *image), (4, *image))]
    assert trt.named("IBuilderConfig.set_memory_pool_limit") == [("WORKSPACE", 1 << 28)]
    engine = trt.Runtime(trt.Logger()).deserialize_cuda_engine(target.read_bytes())
    assert [batch for batch, *_ in engine.get_tensor_profile_shape("image", 0)] == [1, 4, 4]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_record_beside_it(version: str, onnx: Path, target: Path) -> None:
    trt = fake(version)
    orin = Platform(trt.__version__, "Orin", "8.7", "36.4.3", "12.6")
    options = BuildOptions(max_batch=2)
    record = build(trt, onnx, target, options, orin)
    assert engine_record.from_json(engine_record.beside(target).read_text()) == record
    assert record.manifest == MANIFEST
    assert record.platform == orin
    assert record.options == replace(options, precision="fp32")
    assert record.onnx_sha256 == hashlib.sha256(onnx.read_bytes()).hexdigest()
    assert record.plan_sha256 == hashlib.sha256(target.read_bytes()).hexdigest()
    assert sorted(path.name for path in target.parent.iterdir()) == ["tiny.engine", "tiny.engine.json"]


def test_8_6_makes_fp16_of_an_fp32_file(onnx: Path, target: Path) -> None:
    record = build(fake("8.6"), onnx, target, BuildOptions("fp16"))
    assert (record.precision, record.manifest.precision) == ("fp16", "fp16")


@pytest.mark.parametrize(("version", "precision"), [("8.6", "int8"), ("10.3", "fp16"), ("11.4", "int8")])
def test_a_file_that_is_not_of_that_precision(version: str, precision: Precision, onnx: Path, target: Path) -> None:
    message = refusal(fake(version), onnx, target, options=BuildOptions(precision))
    assert f"{onnx}: is fp32, and TensorRT {version}" in message
    assert f"builds {precision} only from an ONNX that is {precision} itself; make one with korsal-conv" in message


def test_a_file_that_is_quantised_for_cpus(onnx: Path, target: Path) -> None:
    manifest = replace(MANIFEST, precision="int8", training={"quantisation": {"target": "cpu"}})
    message = refusal(fake("10.3"), with_manifest(onnx, lambda _: manifests.to_json(manifest)), target)
    assert message == f"{onnx}: is quantised for CPUs; quantise it with korsal-convert quantize for TensorRT"


def test_a_network_of_a_fixed_batch(onnx: Path, target: Path) -> None:
    trt = fake("10.3", FIXED)
    assert "takes only batches of 2; build it for that" in refusal(trt, onnx, target)
    build(trt, onnx, target, BuildOptions(max_batch=2))
    assert trt.named("IOptimizationProfile.set_shape") == []


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (STRANGER, "its input is {'picture': (3, 64, 64)}"),
        (WIDE, "its input is {'image': (3, 64, 128)}"),
        (MUTE, "it has no output scores"),
    ],
)
def test_a_network_unlike_its_manifest(network: Network, message: str, onnx: Path, target: Path) -> None:
    assert f"{onnx}: {message}, unlike its manifest; export it again" in refusal(fake("10.3", network), onnx, target)


def test_a_missing_file(tmp_path: Path, target: Path) -> None:
    message = refusal(fake("10.3"), tmp_path / "none.onnx", target)
    assert message.endswith(
        "none.onnx: cannot be read (No such file or directory); give an ONNX file that korsal-convert wrote"
    )


def test_a_truncated_file(onnx: Path, target: Path) -> None:
    onnx.write_bytes(onnx.read_bytes()[:-9])
    assert "is not a complete ONNX file (it is truncated), nor a TensorRT engine; export or" in refusal(
        fake("10.3"), onnx, target
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _: None, "has no korsal-edge manifest; export it with korsal-convert export"),
        (lambda _: "{", "the manifest is not JSON"),
        (
            lambda text: text.replace('"fp32"', '"bf16"'),
            "'bf16' is not a precision of an engine; choose fp32, fp16, int8",
        ),
    ],
)
def test_a_wrong_manifest(change: Callable[[str], str | None], message: str, onnx: Path, target: Path) -> None:
    assert f"{onnx}: {message}" in refusal(fake("10.3"), with_manifest(onnx, change), target)


def test_an_operator_that_is_lacking(onnx: Path, target: Path) -> None:
    faults = [Fault("no importer\n  for Divine", 3, "/head/label", "Divine"), Fault("and this", 4, "", "Relu")]
    assert refusal(fake("10.3", faults=faults), onnx, target) == (
        f"{onnx}: TensorRT 10.3.0 refuses it: operator Divine of layer /head/label: no importer for Divine; "
        "operator Relu of layer 4: and this; build for another precision, or export the model again"
    )


def test_an_operator_that_is_lacking_in_8_6(onnx: Path, target: Path) -> None:
    """Its errors know the node's number; the operator is in their text."""
    message = refusal(fake("8.6", faults=[Fault("No importer registered for op: Divine", 3)]), onnx, target)
    assert "TensorRT 8.6.2 refuses it: node 3: No importer registered for op: Divine; build" in message


def test_a_fault_of_the_whole_graph(onnx: Path, target: Path) -> None:
    message = refusal(fake("10.3", faults=[Fault("Failed to sort the model topologically.", -1)]), onnx, target)
    assert "refuses it: Failed to sort the model topologically.; build for" in message


@pytest.mark.parametrize("version", VERSIONS)
def test_a_build_that_gives_none(version: str, onnx: Path, target: Path) -> None:
    trt = fake(version, failing={"Builder.build_serialized_network": "no implementation for node /head"})
    message = refusal(trt, onnx, target)
    assert "did not build it (TensorRT: no implementation for node /head); build for another precision" in message


def test_too_little_memory(onnx: Path, target: Path) -> None:
    trt = fake(
        "10.3", failing={"Builder.build_serialized_network": "Requested amount of GPU memory could not be allocated"}
    )
    message = refusal(trt, onnx, target)
    assert "could not be allocated); end other programs that use the GPU, or build with a smaller workspace" in message


@pytest.mark.parametrize("version", VERSIONS)
def test_no_gpu(version: str, onnx: Path, target: Path) -> None:
    trt = fake(version, failing={"Builder": "CUDA initialization failure with error: 35"})
    message = refusal(trt, onnx, target)
    assert (
        "does not start (TensorRT: CUDA initialization failure with error: 35); check that the NVIDIA driver" in message
    )


def test_a_gpu_that_is_not_here(onnx: Path, target: Path) -> None:
    message = refusal(fake("11.4"), onnx, target, options=BuildOptions(target="SM87"))
    assert message.endswith("TensorRT 11.4.0.106 cannot build for SM87; it knows only the GPU that is here")


def test_a_profile_that_is_refused(onnx: Path, target: Path) -> None:
    message = refusal(fake("10.3"), onnx, target, options=BuildOptions(max_batch=0))
    assert "refuses batches of 1 to 0; build for another --max-batch" in message


def test_timings(onnx: Path, target: Path, tmp_path: Path) -> None:
    timings = tmp_path / "state" / "timings"
    trt = fake("10.3")
    for _ in range(2):
        build(trt, onnx, target, timing_cache=timings)
    assert timings.read_bytes() == b"timings"
    assert trt.named("IBuilderConfig.create_timing_cache") == [b"", b"timings"]  # the second build begins with them


def test_timings_of_another_tensorrt(onnx: Path, target: Path, tmp_path: Path) -> None:
    timings = tmp_path / "timings"
    timings.write_bytes(b"of another version")
    trt = fake("10.3", failing={"IBuilderConfig.create_timing_cache": ""})
    build(trt, onnx, target, timing_cache=timings)
    assert trt.named("IBuilderConfig.create_timing_cache") == [b"of another version", b""]
    assert timings.read_bytes() == b"timings"


def test_timings_that_cannot_be_kept(
    onnx: Path, target: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    with caplog.at_level(logging.WARNING):
        build(fake("10.3"), onnx, target, timing_cache=tmp_path / "file" / "timings")
    assert "the builder's timings cannot be kept (" in caplog.text
    assert target.is_file()


def test_what_an_engine_depends_on(tmp_path: Path) -> None:
    release = tmp_path / "nv_tegra_release"
    release.write_text("# R36 (release), REVISION: 4.3, GCID: 1, BOARD: generic\n")
    orin = CudaDevice("Orin", (8, 7), (12, 6), (12, 6))
    trt = fake("10.3")
    assert platform_of(trt, orin, release) == Platform("10.3.0", "Orin", "8.7", "36.4.3", "12.6")
    assert platform_of(trt, None, tmp_path / "none") == Platform("10.3.0")
