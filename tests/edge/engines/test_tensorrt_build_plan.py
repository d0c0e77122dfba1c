"""The plan of every TensorRT from 8.6 to 11.4, by the enum members that its bindings have; the key of an engine."""

import json
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.engines.tensorrt_build_plan import (
    PRECISIONS,
    BuildOptions,
    Members,
    PlanError,
    Platform,
    Precision,
    engine_key,
    known_members,
    l4t_version,
    parse_version,
    plan_build,
    remedy_for,
    version_text,
)
from tests.support.paths import ROOT

API = ROOT / "tests" / "support" / "tensorrt_api"
EXPLICIT, TYPED = ("EXPLICIT_BATCH",), ("STRONGLY_TYPED",)
TABLE = [  # version, precision, network flags, builder flags, ONNX
    ("8.6", "fp32", EXPLICIT, (), ("fp32",)),
    ("8.6", "fp16", EXPLICIT, ("FP16",), ("fp32", "fp16")),
    ("8.6", "int8", EXPLICIT, ("INT8", "FP16"), ("int8",)),
    *(
        (version, precision, TYPED, (), (precision,))
        for version in ("10.0", "10.3", "10.12", "10.13", "10.16")
        for precision in PRECISIONS
    ),
    *((version, precision, (), (), (precision,)) for version in ("11.0", "11.4") for precision in PRECISIONS),
]
ONNX = "ab" * 32
ORIN = Platform("10.3.0", "Orin", "8.7", "36.4.3", "12.6")


def members(version: str) -> Members:
    enums: Members = json.loads((API / f"{version}.json").read_text())["enums"]
    return enums


@pytest.mark.parametrize(("version", "precision", "network", "builder", "onnx"), TABLE)
def test_plan(
    version: str, precision: Precision, network: tuple[str, ...], builder: tuple[str, ...], onnx: tuple[str, ...]
) -> None:
    plan = plan_build(parse_version(version), precision, members(version))
    assert (plan.network_flags, plan.builder_flags, plan.onnx) == (network, builder, onnx)
    assert (plan.version, plan.precision) == (parse_version(version), precision)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("version", [path.stem for path in sorted(API.glob("*.json"))])
def test_what_is_known_without_a_tensorrt_is_what_its_bindings_have(version: str, precision: Precision) -> None:
    number = parse_version(version)
    assert plan_build(number, precision, known_members(number)) == plan_build(number, precision, members(version))


@pytest.mark.parametrize("version", [path.stem for path in sorted(API.glob("*.json"))])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_flag_exists(version: str, precision: Precision) -> None:
    known = members(version)
    plan = plan_build(parse_version(version), precision, known)
    assert set(plan.network_flags) <= set(known["NetworkDefinitionCreationFlag"])
    assert set(plan.builder_flags) <= set(known["BuilderFlag"])


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("10.3.0", (10, 3, 0)),
        ("8.6", (8, 6)),
        ("10.13.3.9", (10, 13, 3, 9)),
        ("11.4.0.106", (11, 4, 0, 106)),
        (" 10.3.0.post1\n", (10, 3, 0)),
        ("10.3rc1", (10, 3)),
    ],
)
def test_parse_version(text: str, version: tuple[int, ...]) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize("text", ["", "ten", "10", "v10.3", ".3", "JetPack 6.2"])
def test_no_version(text: str) -> None:
    with pytest.raises(PlanError, match=r"is not a version of TensorRT; give one like 10\.3"):
        parse_version(text)


def test_versions_are_numbers_not_text() -> None:
    assert parse_version("10.3") < parse_version("10.13") < parse_version("11.0")
    assert version_text((10, 13, 3, 9)) == "10.13.3.9"


@pytest.mark.parametrize("version", ["7.1.3", "8.5.2"])
def test_too_old(version: str) -> None:
    with pytest.raises(PlanError, match=rf"TensorRT {version} is too old; install 8\.6 or newer"):
        plan_build(parse_version(version), "fp16", known_members(parse_version(version)))


def test_a_weakly_typed_network_without_the_flag() -> None:
    odd = {"NetworkDefinitionCreationFlag": {"EXPLICIT_BATCH"}, "BuilderFlag": {"FP16"}}
    with pytest.raises(PlanError, match=r"TensorRT 8\.9 has no flag INT8; build for another precision"):
        plan_build((8, 9), "int8", odd)


def test_tensorrt_rtx_has_versions_of_its_own() -> None:
    """Its 1.7 has the members of TensorRT 11."""
    assert plan_build((1, 7), "fp16", members("11.4")).network_flags == ()


@pytest.mark.parametrize(
    ("text", "version"),
    [
        (
            "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic\n# KERNEL_VARIANT: oot",
            "36.4.3",
        ),
        ("# R39 (release), REVISION: 2.0, GCID: 1, BOARD: generic", "39.2.0"),
        ("", ""),
        ("Ubuntu 24.04", ""),
    ],
)
def test_l4t_version(text: str, version: str) -> None:
    assert l4t_version(text) == version


def test_the_key_is_a_name_for_a_file() -> None:
    key = engine_key(ONNX, ORIN, BuildOptions())
    assert key == engine_key(ONNX, replace(ORIN), BuildOptions())  # the same again
    assert len(bytes.fromhex(key)) == 32


def test_the_key_has_not_changed() -> None:
    """Engines of earlier versions are found; a change here means that every device rebuilds."""
    assert engine_key(ONNX, ORIN, BuildOptions()).startswith("d96b2d57c3378ebb")


OTHER: dict[str, Any] = {
    "precision": "int8",
    "max_batch": 4,
    "workspace_bytes": 1 << 29,
    "target": "SM86",
    "preprocessing": "outside",
    "part": "memory",
}


@pytest.mark.parametrize("name", [field.name for field in fields(BuildOptions)])
def test_every_option_changes_the_key(name: str) -> None:
    assert engine_key(ONNX, ORIN, BuildOptions(**{name: OTHER[name]})) != engine_key(ONNX, ORIN, BuildOptions())


@pytest.mark.parametrize("name", [field.name for field in fields(Platform)])
def test_every_part_of_the_platform_changes_the_key(name: str) -> None:
    other: dict[str, Any] = {name: "other"}
    assert engine_key(ONNX, replace(ORIN, **other), BuildOptions()) != engine_key(ONNX, ORIN, BuildOptions())


@given(st.lists(st.text(max_size=8), min_size=6, max_size=6, unique=True))
def test_parts_do_not_run_together(parts: list[str]) -> None:
    """Texts that swap their places are another engine."""
    onnx, *of = parts
    swapped = [of[1], of[0], *of[2:]]
    assert engine_key(onnx, Platform(*of), BuildOptions()) != engine_key(onnx, Platform(*swapped), BuildOptions())


@pytest.mark.parametrize(
    ("refusal", "remedy"),
    [
        ("node 3: No importer registered for op: DeformConv", "deformable convolutions need TensorRT 10"),
        ("operator Divine of layer /head: no importer", "build for another precision"),
        ("", "build for another precision"),
    ],
)
def test_a_refusal_has_its_remedy(refusal: str, remedy: str) -> None:
    assert remedy_for(refusal).startswith(remedy)
