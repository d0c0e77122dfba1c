"""docs/configuration.md: each key's type and default from the schema, its meaning from config.toml. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from edge.config.error_messages import table_in
from edge.config.schema import Config
from edge.service.reload_rules import RELOADED_TABLES
from scripts.reference.commented_keys import CommentedKey, CommentedTable, tables
from scripts.reference.schema_words import type_words

HEAD = """# Configuration

All keys of `config.toml`, with their types and defaults; made from the schema and from the comments of
[config.toml](../config.toml) by `python -m scripts.reference`. Relative paths start at the file's folder.
`korsal-edge check --config config.toml` reports every problem at once. Where a table says that a reload applies it,
`systemctl reload korsal-edge` (or `SIGHUP`, or the request `reload`) does.

Keys marked ⇄ may be changed by the request [config-set](mqtt.md#requests) too.
"""
NAMES = {"cameras.camera": "cameras.NAME", "actions.default": "actions.NAME"}  # what is an example in the file
COLUMNS = "\n| key | type | default | unit | |\n|---|---|---|---|---|\n"
UNIT = re.compile(
    r"(?:[\d, .]*(?:x, y, width, height, )?)"
    r"(seconds|pixels|bytes|MiB|°C|frames per second|pictures per second|degrees|messages|fractions?)\b"
)


def page(config_toml: str) -> str:
    """The whole page as Markdown. KeyError for a key of the file that the schema does not have."""
    schema = Config.model_json_schema()
    found = tables(config_toml.splitlines())
    return HEAD + "".join(_section(table, schema) for table in found)


def documented(config_toml: str) -> set[str]:
    """The paths of all keys in the file, names of cameras, zones and actions as `*`."""
    found = tables(config_toml.splitlines())
    return {".".join((*_path(table.name), key.name)) for table in found for key in table.keys}


def described(schema: type[BaseModel] = Config, path: str = "") -> set[str]:
    """The paths of all keys of the schema that hold values."""
    found: set[str] = set()
    for name, field in schema.model_fields.items():
        below = table_in(field.annotation)
        here = f"{path}{field.alias or name}"
        if below is None:
            found.add(here)
        else:
            many = "dict" in str(field.annotation)
            found |= described(below, f"{here}.*." if many else f"{here}.")
    return found


def _is_repeated(table: CommentedTable) -> bool:
    """A camera's own actions have the keys of [actions.NAME]; its zones' names are free."""
    return table.name in ("cameras.camera.actions.default", "cameras.camera.zones")


def _path(table: str) -> tuple[str, ...]:
    parts = table.split(".")
    for level in (1, 3):
        if len(parts) > level and parts[level - 1] in ("cameras", "actions", "zones"):
            parts[level] = "*"
    return tuple(parts)


def _section(table: CommentedTable, schema: Mapping[str, Any]) -> str:
    name = re.sub(r"zones\.\w+$", "zones.ZONE", table.name)
    for example, general in NAMES.items():
        name = name.replace(example, general)
    top = table.name.split(".")[0]
    effect = "A reload applies changes." if top in RELOADED_TABLES else "Changes need a restart."
    text = f"\n## [{name}]\n\n{_prose(table.intro)}{effect}\n"
    if _is_repeated(table):
        written = "".join(f"{key.name} = {key.value}\n" for key in table.keys[:1])
        return f"{text}\n```toml\n[{table.name}]\n{written}```\n"
    for number, key in enumerate(table.keys):
        if number == 0 or key.before:
            text += f"\n{_prose(key.before).strip()}\n" if key.before else ""
            text += COLUMNS
        text += _row(key, table, schema)
    return text


def _row(key: CommentedKey, table: CommentedTable, schema: Mapping[str, Any]) -> str:
    found, tunable = _field(schema, (*_path(table.name), key.name))
    default = key.value if not key.unset else _default(found)
    mark = " ⇄" if tunable else ""
    words = type_words(_without_null(found, schema))
    unit = _unit(key, words)
    comment = re.sub(rf"^{unit}[;,] ", "", key.comment) if unit else key.comment
    return f"| `{key.name}`{mark} | {_cell(words)} | {_cell(default)} | {unit} | {_cell(comment)} |\n"


def _field(schema: Mapping[str, Any], path: tuple[str, ...]) -> tuple[Mapping[str, Any], bool]:
    """The schema of a key, and whether a request may change it. KeyError where there is none."""
    if path == ("cameras", "restart_argus"):
        return schema["properties"]["cameras.restart_argus"], False
    here, tunable = schema, False
    for step in path:
        here = _without_null(here, schema)
        here = here["additionalProperties"] if step == "*" else here["properties"][step]
        tunable = tunable or here.get("tunable", False)
    return here, tunable


def _without_null(field: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """A field without its `null`; of several forms the one with keys; references followed."""
    if "$ref" in field:
        return _without_null({**schema["$defs"][field["$ref"].rsplit("/", 1)[1]], **_without(field, "$ref")}, schema)
    forms = [form for form in (field.get("anyOf") or field.get("oneOf") or ()) if form.get("type") != "null"]
    resolved = [_without_null(form, schema) for form in forms]
    if not resolved:
        return field
    return {
        **next((form for form in resolved if "properties" in form), resolved[0]),
        **_without(field, "anyOf", "oneOf"),
    }


def _without(field: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in field.items() if key not in keys}


def _default(field: Mapping[str, Any]) -> str:
    value = field.get("default")
    return "" if value is None else str(value)


def _unit(key: CommentedKey, words: str) -> str:
    if "number" not in words:
        return ""
    found = UNIT.match(key.comment)
    return found[1] if found else "seconds" if key.name.endswith("_seconds") else ""


def _prose(text: str) -> str:
    """A comment as sentences, pages of docs/ linked."""
    ended = text if not text or text.endswith((".", ":")) else f"{text}."
    linked = re.sub(r"docs/([\w-]+\.md)", r"[\1](\1)", _cell(ended))
    return f"{linked} " if text else ""


def _cell(text: str) -> str:
    escaped = text.replace("|", "\\|").replace("<", "&lt;")
    return f"`{text}`" if text[:1] in ('"', "[") and text[-1:] in ('"', "]") else escaped
