"""What lies beside an engine as JSON: what it was built from, by what, for what, and its manifest. Pure."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from edge import manifest as manifests
from edge.engines.build_plan import PRECISIONS, BuildOptions, Platform, Precision
from edge.manifest import Manifest, ManifestError

VERSION = 1
CURE = "build the engine anew with korsal-convert build"


class EngineRecordError(ValueError):
    """A record that is of another version, or wrong."""


@dataclass(frozen=True)
class EngineRecord:
    """One engine. `manifest` is that of its ONNX, with the engine's precision."""

    manifest: Manifest
    precision: Precision
    platform: Platform
    options: BuildOptions
    onnx_sha256: str
    plan_sha256: str  # of the engine's file


def beside(engine: Path) -> Path:
    """Where the record of that engine lies: `x.engine.json` for `x.engine`."""
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
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise EngineRecordError(f"the engine's record is not JSON ({error}); {CURE}") from error
    if not isinstance(content, dict) or content.get("version") != VERSION:
        raise EngineRecordError(f"the engine's record is not of version {VERSION}; {CURE}")
    if fault := _fault(content):
        raise EngineRecordError(f"the engine's record is wrong: {fault}; {CURE}")
    try:
        manifest = manifests.from_json(json.dumps(content["manifest"]))
    except ManifestError as error:
        raise EngineRecordError(str(error)) from error
    return EngineRecord(
        manifest,
        content["precision"],
        Platform(**{name: content[name] for name in _names(Platform)}),
        BuildOptions(**content["options"]),
        content["onnx_sha256"],
        content["plan_sha256"],
    )


def _names(record: type) -> list[str]:
    return [field.name for field in fields(record)]


def _fault(content: Mapping[str, Any]) -> str:
    texts = [*_names(Platform), "onnx_sha256", "plan_sha256"]
    wrong = [name for name in texts if not isinstance(content.get(name), str)]
    if content.get("precision") not in PRECISIONS:
        wrong.append("precision")
    if not _are_options(content.get("options")):
        wrong.append("options")
    return f"{wrong[0]} is missing or of the wrong kind" if wrong else ""


def _are_options(options: object) -> bool:
    if not isinstance(options, dict) or sorted(options) != sorted(_names(BuildOptions)):
        return False
    numbers = (options["max_batch"], options["workspace_bytes"])
    if not all(type(number) is int and number >= 1 for number in numbers):  # bool is an int too
        return False
    return options["precision"] in (None, *PRECISIONS) and isinstance(options["target"], str)
