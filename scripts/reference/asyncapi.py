"""The AsyncAPI 3 document of all topics, and whether it is valid. Shell: reads the schemas."""

import gzip
import json
import re
from pathlib import Path
from typing import Any

import jsonschema

from edge import __version__
from edge.config.schema import DEVICE_TOPICS
from scripts.reference.channels import PARAMETERS, Channel, channels

DOCS = Path(__file__).resolve().parents[2] / "docs"
STANDARD = Path(__file__).with_name("asyncapi-3.0.0.json.gz")  # AsyncAPI's own schema
INTRODUCTION = (
    "What a korsal-edge device publishes over MQTT 5 (or 3.1.1), and what can be asked of it. "
    "Events arrive at least once and in order: drop messages whose event_id and seq you have already received."
)
PICTURE = {"type": "string", "format": "binary", "description": "A JPEG, as bytes."}
BINDING = "0.2.0"  # version of AsyncAPI's binding for MQTT
Schema = dict[str, Any]


def document() -> Schema:
    """The whole of it, ready for JSON."""
    found = channels()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "korsal-edge",
            "version": __version__,
            "description": INTRODUCTION,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {channel.key: _channel(channel) for channel in found},
        "operations": {channel.key: _operation(channel) for channel in found if not channel.key.endswith("Response")},
        "components": {"messages": {channel.key: _message(channel) for channel in found}, "schemas": _schemas(found)},
    }


def problems(described: Schema) -> list[str]:
    """Where it breaks AsyncAPI's own schema, or refers to what it does not hold."""
    standard = json.loads(gzip.decompress(STANDARD.read_bytes()))
    validator = jsonschema.Draft7Validator(standard)
    wrong = [f"{error.json_path}: {error.message}"[:500] for error in validator.iter_errors(described)]
    return wrong + [f"{reference}: is not in the document" for reference in _dangling(described)]


def text(described: Schema) -> str:
    """It as a file."""
    return json.dumps(described, indent=2, ensure_ascii=False) + "\n"


def topic_pattern(channel: Schema) -> re.Pattern[str]:
    """The topics of a channel of the document; only the first part may have several levels."""
    parts = re.split(r"\{(\w+)\}", channel["address"])
    levels = [re.escape(part) if number % 2 == 0 else _level(part) for number, part in enumerate(parts)]
    return re.compile("".join(levels))


def _level(parameter: str) -> str:
    if parameter == "camera":  # none may be named as a topic of the device itself
        return f"(?!(?:{'|'.join(DEVICE_TOPICS)})/)[^/]+?"
    return ".+?" if parameter == "base" else "[^/]+?"


def _channel(channel: Channel) -> Schema:
    used = re.findall(r"\{(\w+)\}", channel.address)
    return {
        "address": channel.address,
        "summary": channel.summary,
        "messages": {channel.key: {"$ref": f"#/components/messages/{channel.key}"}},
        "parameters": {name: {"description": PARAMETERS[name]} for name in used},
    }


def _operation(channel: Channel) -> Schema:
    here = f"#/channels/{channel.key}"
    found: Schema = {
        "action": channel.action,
        "channel": {"$ref": here},
        "summary": channel.summary,
        "messages": [{"$ref": f"{here}/messages/{channel.key}"}],
        "bindings": {"mqtt": {"qos": channel.qos, "retain": channel.retain, "bindingVersion": BINDING}},
    }
    if channel.answer is not None:
        there = f"#/channels/{channel.answer}"
        answers = [{"$ref": f"{there}/messages/{channel.answer}"}]
        found["reply"] = {"channel": {"$ref": there}, "messages": answers}
    return found


def _message(channel: Channel) -> Schema:
    name = None if channel.schema is None else channel.schema[1]
    found: Schema = {
        "name": channel.key,
        "contentType": channel.content,
        "payload": PICTURE if name is None else {"$ref": f"#/components/schemas/{name}"},
    }
    if channel.properties:
        found["headers"] = {"type": "object", "properties": {name: {"type": "string"} for name in channel.properties}}
    if channel.clearable:
        found["description"] = "An empty message removes what is retained, where the camera is no longer configured."
    return found


def _schemas(found: tuple[Channel, ...]) -> Schema:
    used = {channel.schema: None for channel in found if channel.schema is not None}
    return {name: _read(file, name) for file, name in used}


def _read(file: str, name: str) -> Schema:
    """A schema of docs/ by itself, without references: AsyncAPI's tools need not know its dialect."""
    content = json.loads((DOCS / file).read_text(encoding="utf-8"))
    shared = content.get("$defs", {})
    root = shared.get(name) or {key: part for key, part in content.items() if key not in ("$schema", "$id", "$defs")}
    inlined: Schema = _inlined(root, shared)
    return inlined


def _inlined(part: Any, shared: Schema) -> Any:
    if isinstance(part, list):
        return [_inlined(one, shared) for one in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        meant = shared[part["$ref"].removeprefix("#/$defs/")]
        part = {**meant, **{key: value for key, value in part.items() if key != "$ref"}}
    return {key: _inlined(value, shared) for key, value in part.items()}


def _dangling(described: Schema) -> list[str]:
    found, waiting = [], [described]
    while waiting:
        part: Any = waiting.pop()
        waiting += part.values() if isinstance(part, dict) else part if isinstance(part, list) else []
        reference = part.get("$ref") if isinstance(part, dict) else None
        if isinstance(reference, str) and not _leads_somewhere(reference, described):
            found.append(reference)
    return found


def _leads_somewhere(reference: str, described: Schema) -> bool:
    part: Any = described
    for step in reference.removeprefix("#/").split("/"):
        part = part.get(step) if isinstance(part, dict) else None
    return reference.startswith("#/") and part is not None
