"""The type of a value in a JSON schema, in words for a table. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]
KINDS = {
    "boolean": "true or false",
    "number": "number",
    "integer": "whole number",
    "string": "text",
    "object": "table",
    "array": "list",
    "null": "null",
}


def type_words(schema: Schema) -> str:
    """Such as `whole number, 1 to 256`; `any` where nothing is said."""
    if "const" in schema:
        return f"`{_plain(schema['const'])}`"
    if "enum" in schema:
        return ", ".join(f"`{_plain(value)}`" for value in schema["enum"])
    choices = schema.get("anyOf") or schema.get("oneOf") or ()
    if choices and "type" not in schema:
        return " or ".join(dict.fromkeys(type_words(choice) for choice in choices))
    return _typed(schema)


def rows(schema: Schema, path: str = "") -> Iterator[tuple[str, str, str]]:
    """Path, type and description of each key in an object, tables inside it included."""
    for key, part in schema.get("properties", {}).items():
        here = f"{path}{key}"
        yield here, type_words(part), str(part.get("description", ""))
        yield from rows(_table_of(part), f"{here}.")


def _table_of(part: Schema) -> Schema:
    """The table that a value is, or may be."""
    choices = part.get("anyOf", ())
    return next((choice for choice in choices if "properties" in choice), part)


def _typed(schema: Schema) -> str:
    kinds = schema.get("type", ())
    words = " or ".join(KINDS[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds))
    if "number" in words and (limits := _limits(schema)):
        words += f", {limits}"
    items = schema.get("items")
    if isinstance(items, Mapping) and items:
        words += f" of {type_words(items)}"
    more = schema.get("additionalProperties")
    if isinstance(more, Mapping):
        words += f" of {type_words(more)} by name"
    return words or "any"


def _limits(schema: Schema) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and most is not None:
        return f"{_number(least)} to {_number(most)}"
    return f"from {_number(least)}" if least is not None else f"up to {_number(most)}" if most is not None else ""


def _number(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else f"{value:g}"


def _plain(value: object) -> str:
    return "null" if value is None else str(value)
