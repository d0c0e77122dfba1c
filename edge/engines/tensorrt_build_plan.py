"""How each TensorRT builds an engine of a precision, and the key by which engines are cached. Pure.

Precision belongs in the ONNX: from TensorRT 10 on a network is strongly typed and the builder gets no precision
flags; 11 has none. Only 8.6 chooses by itself among the precisions that it is allowed, and is told what must be FP32.
"""

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from edge.manifest import Preprocessing

Precision = Literal["fp32", "fp16", "int8"]
ModelPart = Literal["detector", "memory", "clip"]  # of a model
Version = tuple[int, ...]
Members = Mapping[str, Collection[str]]  # of the enums NetworkDefinitionCreationFlag and BuilderFlag, by name

PRECISIONS: tuple[Precision, ...] = get_args(Precision)
OLDEST = (8, 6)
ONNX_FOR_WEAK: Mapping[Precision, tuple[Precision, ...]] = {
    "fp32": ("fp32",),
    "fp16": ("fp32", "fp16"),
    "int8": ("int8",),
}
FLAGS_FOR_WEAK: Mapping[Precision, tuple[str, ...]] = {"fp32": (), "fp16": ("FP16",), "int8": ("INT8", "FP16")}
OBEY = (
    "OBEY_PRECISION_CONSTRAINTS"  # with FP16: layers of which the precision is given compute in it, or nothing is built
)
MEBIBYTE = 1 << 20  # bytes
DEFAULT_WORKSPACE = 1024 * MEBIBYTE
ANY_REMEDY = "build for another precision, or export the model again"
DEFORMABLE_REMEDY = (
    "deformable convolutions need TensorRT 10 or later with its plugins; take a network without them, "
    "dla_34_plain or res_18 of korsal-train --arch"
)


def remedy_for(refusal: str) -> str:
    """The remedy for what TensorRT's parser refuses."""
    return DEFORMABLE_REMEDY if "DeformConv" in refusal else ANY_REMEDY


class PlanError(ValueError):
    """This TensorRT cannot build the engine."""


@dataclass(frozen=True)
class BuildPlan:
    """How one TensorRT builds one precision; flags are names of members of its enums."""

    version: Version
    precision: Precision
    network_flags: tuple[str, ...]
    builder_flags: tuple[str, ...]
    onnx: tuple[Precision, ...]  # precisions that the ONNX may have, the best first

    @property
    def strongly_typed(self) -> bool:
        """Whether TensorRT computes in the types of the file."""
        return "EXPLICIT_BATCH" not in self.network_flags

    @property
    def constrained(self) -> bool:
        """Whether TensorRT must be told which layers compute in FP32."""
        return OBEY in self.builder_flags


@dataclass(frozen=True)
class BuildOptions:
    """The choices for an engine."""

    precision: Precision | None = None  # None: that of the ONNX
    max_batch: int = 1  # images at once; the engine takes every batch from 1 to that
    workspace_bytes: int = DEFAULT_WORKSPACE  # of GPU memory that the builder may use
    preprocessing: Preprocessing = "graph"  # "outside": only the network of a file that prepares frames itself
    part: ModelPart = "detector"  # "memory": the file beside it, in FP32; "clip": the other network in it
    target: str = ""  # member of TensorRT-RTX's ComputeCapability ("SM86") to build for without a GPU; "": this GPU


@dataclass(frozen=True)
class Platform:
    """What an engine depends on besides its ONNX; "" where it is not known."""

    tensorrt: str
    gpu: str = ""
    compute_capability: str = ""
    l4t: str = ""  # Jetson Linux, "36.4.3"
    cuda: str = ""


def parse_version(text: str) -> Version:
    """`10.3.0` as (10, 3, 0); what follows the numbers is ignored. Raises PlanError."""
    if not (found := re.match(r"\s*\d+(\.\d+)+", text)):
        raise PlanError(f"{text!r} is not a version of TensorRT; give one like 10.3")
    return tuple(int(part) for part in found.group().split("."))


def as_precision(text: str) -> Precision:
    """The precision of that name in a manifest. Raises PlanError."""
    for precision in PRECISIONS:
        if text == precision:
            return precision
    raise PlanError(f"{text!r} is not a precision of an engine; choose {', '.join(PRECISIONS)}")


def plan_build(
    version: Version, precision: Precision, members: Members, preprocessing: Preprocessing = "outside"
) -> BuildPlan:
    """How the TensorRT that has these enum members builds that precision. Raises PlanError.

    `preprocessing`: whether the file prepares frames itself, which takes FP32 whatever the precision is.
    """
    network = members["NetworkDefinitionCreationFlag"]
    if "EXPLICIT_BATCH" not in network:  # all networks have it, and all are strongly typed
        return BuildPlan(version, precision, (), (), (precision,))
    if "STRONGLY_TYPED" in network:
        return BuildPlan(version, precision, ("STRONGLY_TYPED",), (), (precision,))
    if version < OLDEST:
        raise PlanError(f"TensorRT {version_text(version)} is too old; install 8.6 or newer, as JetPack 6 has it")
    flags = FLAGS_FOR_WEAK[precision]
    flags += (OBEY,) if flags and preprocessing == "graph" else ()
    absent = [flag for flag in flags if flag not in members["BuilderFlag"]]
    if absent:
        raise PlanError(f"TensorRT {version_text(version)} has no flag {absent[0]}; build for another precision")
    return BuildPlan(version, precision, ("EXPLICIT_BATCH",), flags, ONNX_FOR_WEAK[precision])


def known_members(version: Version) -> Members:
    """The enum members that decide, for a TensorRT that is not installed here. Source: its release notes."""
    network = {"STRONGLY_TYPED"} if version >= (9,) else set()
    network |= {"EXPLICIT_BATCH"} if version < (11,) else set()
    return {
        "NetworkDefinitionCreationFlag": network,
        "BuilderFlag": {"FP16", "INT8", OBEY} if version < (11,) else set(),
    }


def l4t_version(release: str) -> str:
    """Of Jetson Linux, "36.4.3", from the text of /etc/nv_tegra_release; "" where it names none."""
    found = re.search(r"R(\d+) \(release\), REVISION: (\d+(?:\.\d+)*)", release)
    return f"{found[1]}.{found[2]}" if found else ""


def version_text(version: Version) -> str:
    """(10, 3, 0) as `10.3.0`."""
    return ".".join(map(str, version))


def engine_key(onnx_sha256: str, platform: Platform, options: BuildOptions) -> str:
    """SHA-256, hexadecimal, of everything that an engine depends on."""
    chosen = asdict(options)
    for name in ("preprocessing", "part"):  # as in the keys of engines from before there was a choice
        if chosen[name] == getattr(BuildOptions, name):
            del chosen[name]
    known = {"onnx": onnx_sha256, "platform": asdict(platform), "options": chosen}
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()
