"""Which layers TensorRT 8.6 is told to compute in FP32, over its fake; which those are, by NVIDIA's own parser too."""

from pathlib import Path

import pytest

from edge.engines.engine_build import build
from edge.engines.tensorrt_build_plan import BuildOptions
from edge.engines.tensorrt_constraints import keep_preprocessing_exact, preprocessing_layers
from edge.manifest import INPUT
from tests.support.fake_tensorrt import Layer, Network, fake
from tests.support.frame_gpu import parsed
from tests.support.paths import ROOT
from tests.support.real_builder import real_builder

SHIPPED = ROOT / "models" / "korsal-lite-ucf24x5-jhmdb21.onnx"
FILES = [SHIPPED.with_stem(f"{SHIPPED.stem}{ending}") for ending in ("", "-fp16", "-int8", "-int8-fp16")]
OWN = "/preprocessing/"
LAYERS = (
    Layer("shape", {"frame": "UINT8"}, {"size": "INT32"}),
    Layer("cast", {"frame": "UINT8"}, {"pixels": "FLOAT"}),
    Layer("fit", {"pixels": "FLOAT", "size": "INT32"}, {"fitted": "FLOAT"}),
    Layer("unnamed 3", {"fitted": "FLOAT", "previous": "FLOAT"}, {"motion": "FLOAT", "nearer": "BOOL"}),
    Layer("whole", {"size": "INT32"}, {"shift": "INT32"}),
    Layer("join", {"fitted": "FLOAT", "motion": "FLOAT"}, {"image": "FLOAT"}),
    Layer("network", {"image": "FLOAT"}, {"scores": "FLOAT"}),
)


def test_what_computes_with_floats_before_the_network_is_constrained() -> None:
    trt = fake("8.6", Network(layers=LAYERS))
    network = trt.Builder(trt.Logger()).create_network(1)
    trt.OnnxParser(network, trt.Logger()).parse(b"")
    keep_preprocessing_exact(trt, network)
    assert trt.named("ILayer.precision") == [(name, "FLOAT") for name in ("cast", "fit", "unnamed 3")]
    assert trt.named("ILayer.set_output_type") == [(name, 0, "FLOAT") for name in ("cast", "fit", "unnamed 3")]


@pytest.mark.parametrize(
    ("file", "options", "flags"),
    [
        (FILES[0], BuildOptions("fp16"), ("FP16", "OBEY_PRECISION_CONSTRAINTS")),
        (FILES[1], BuildOptions("fp16"), ("FP16", "OBEY_PRECISION_CONSTRAINTS")),
        (FILES[2], BuildOptions("int8"), ("INT8", "FP16", "OBEY_PRECISION_CONSTRAINTS")),
    ],
    ids=lambda value: value.stem if isinstance(value, Path) else "",
)
def test_the_shipped_files_in_8_6(file: Path, options: BuildOptions, flags: tuple[str, ...], tmp_path: Path) -> None:
    trt = fake("8.6")
    trt.network_of = parsed
    record = build(trt, file, tmp_path / "made.engine", options)
    assert record.manifest.preprocessing == "graph"
    assert trt.named("Builder.build_serialized_network") == [flags]
    ours = [layer for layer in parsed(file.read_bytes()).layers if layer.name.startswith(OWN)]
    floats = [layer for layer in ours if "FLOAT" in (*layer.inputs.values(), *layer.outputs.values())]
    expected = [(layer.name, "FLOAT") for layer in floats if INPUT not in layer.outputs]  # that is the network's
    assert trt.named("ILayer.precision") == expected


@pytest.mark.parametrize(
    ("version", "options"), [("8.6", BuildOptions("fp32")), ("8.6", BuildOptions("fp16", preprocessing="outside"))]
)
def test_nothing_is_constrained_where_nothing_can_be_rounded(
    version: str, options: BuildOptions, tmp_path: Path
) -> None:
    trt = fake(version)
    trt.network_of = parsed
    build(trt, SHIPPED, tmp_path / "made.engine", options)
    assert trt.named("ILayer.precision") == []
    assert "OBEY_PRECISION_CONSTRAINTS" not in trt.named("Builder.build_serialized_network")[0]


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_a_real_parser_s_layers(file: Path) -> None:
    """It adds many of its own, which no prefix would find; all are found, and none of the network's."""
    trt = real_builder()
    logger = trt.Logger(trt.Logger.ERROR)
    network = trt.Builder(logger).create_network(0)
    parser = trt.OnnxParser(network, logger)
    assert parser.parse(file.read_bytes())
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    names = [layer.name for layer in layers]
    found = {layer.name for layer in preprocessing_layers(network)}
    ours = {name for name in names if name.startswith(OWN)}
    (last,) = ours - found
    assert layers[names.index(last)].get_output(0).name == INPUT
    assert found == set(names[: names.index(last)])
    assert found - ours
