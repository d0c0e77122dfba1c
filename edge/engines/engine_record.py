"""The record beside an engine, as JSON: what it was built from, with what and for what. Pure.

And which TensorRT wrote an engine file, from its first bytes. Since TensorRT 8.5 the file begins with the tag `ftrt`
and has the version, a byte each for major, minor, patch and build, at bytes 24 to 27. TensorRT itself reports no more
than "not compatible". Source: NVIDIA/TensorRT, issue 3073.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError
from pydantic_core import from_json as parse_json

from edge import manifest as manifests
from edge.engines.tensorrt_build_plan import BuildOptions, ModelPart, Platform, Precision, Version, version_text
from edge.manifest import Manifest, ManifestError, Preprocessing

VERSION = 1
REMEDY = "rebuild the engine with korsal-convert build"
REBUILD = "rebuild it on this device with korsal-convert build"
TAG = b"ftrt"
RTX_TAG = b"vtrt"  # of TensorRT-RTX, whose engines no other TensorRT reads
VERSION_BYTES = slice(24, 28)
HEADER_BYTES = 28
OLDEST_MAJOR = 8


class EngineRecordError(ValueError):
    """A record of another version, or with errors."""


@dataclass(frozen=True)
class EngineRecord:
    """One engine. `manifest` is that of its ONNX, with the engine's precision."""

    manifest: Manifest
    precision: Precision
    platform: Platform
    options: BuildOptions
    onnx_sha256: str
    plan_sha256: str  # of the engine file, which TensorRT calls a plan


class _Options(BaseModel):
    """BuildOptions in JSON."""

    model_config = ConfigDict(strict=True, extra="forbid", defer_build=True)
    precision: Precision | None
    max_batch: PositiveInt
    workspace_bytes: PositiveInt
    target: str
    preprocessing: Preprocessing = BuildOptions.preprocessing  # absent in older records
    part: ModelPart = BuildOptions.part  # as well


class _Record(BaseModel):
    """EngineRecord in JSON, where the platform's fields are at the top level."""

    model_config = ConfigDict(strict=True, defer_build=True)
    tensorrt: str
    gpu: str
    compute_capability: str
    l4t: str
    cuda: str
    precision: Precision
    options: _Options
    onnx_sha256: str
    plan_sha256: str
    manifest: dict[str, Any]


def beside(engine: Path) -> Path:
    """The path of that engine's record: `x.engine.json` for `x.engine`."""
    return engine.with_name(f"{engine.name}.json")


def to_json(record: EngineRecord) -> str:
    """The record as JSON text, for people too; `from_json` is its inverse."""
    content = {
        "version": VERSION,
        **asdict(record.platform),
        "precision": record.precision,
        "options": asdict(record.options),
        "onnx_sha256": record.onnx_sha256,
        "plan_sha256": record.plan_sha256,
        "manifest": json.loads(manifests.to_json(record.manifest)),
    }
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def from_json(text: str) -> EngineRecord:
    """Read what `to_json` wrote. Raises EngineRecordError."""
    try:
        content = parse_json(text)
    except ValueError as error:
        raise EngineRecordError(f"the engine's record is not JSON ({error}); {REMEDY}") from error
    if not isinstance(content, dict) or content.get("version") != VERSION:
        raise EngineRecordError(f"the engine's record is not of version {VERSION}; {REMEDY}")
    try:
        read = _Record.model_validate_json(text)
        manifest = manifests.from_json(json.dumps(read.manifest))
    except ValidationError as error:
        raise EngineRecordError(f"the engine's record is wrong: {manifests.sentences(error)[0]}; {REMEDY}") from error
    except ManifestError as error:
        raise EngineRecordError(str(error)) from error
    return EngineRecord(
        manifest,
        read.precision,
        Platform(read.tensorrt, read.gpu, read.compute_capability, read.l4t, read.cuda),
        BuildOptions(**read.options.model_dump()),
        read.onnx_sha256,
        read.plan_sha256,
    )


def engine_version(header: bytes) -> Version | None:
    """The version of the TensorRT that wrote a file, (10, 3, 0, 26); None for what is no engine.

    `header`: its first HEADER_BYTES, or more.
    """
    if len(header) < HEADER_BYTES or not header.startswith(TAG) or header[VERSION_BYTES][0] < OLDEST_MAJOR:
        return None
    return tuple(header[VERSION_BYTES])


def version_fault(header: bytes, version: Version) -> str:
    """Why TensorRT of this version cannot read a file, with the remedy; "" where the header shows no reason.

    Parts that one of the two does not have are not compared: JetPack's bindings say 10.3.0, engines 10.3.0.26.
    """
    if header.startswith(RTX_TAG):
        return f"is an engine of TensorRT-RTX; {REBUILD}"
    built_by = engine_version(header)
    if built_by is None:
        return f"is not a TensorRT engine, or only a piece of one; {REBUILD}"
    if any(theirs != ours for theirs, ours in zip(built_by, version, strict=False)):
        return f"was built by TensorRT {version_text(built_by)}, this device has {version_text(version)}; {REBUILD}"
    return ""
