"""Error messages for a configuration that does not fit the schema. Pure.

Each is a sentence that begins with the key's path (`cameras.door.fps`) and ends with the remedy. Values of keys
that may hold a credential are never repeated.
"""

import difflib
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from edge.config.schema_types import UNWRITTEN, TableError
from edge.sources import redact
from edge.text import to_nfc

SECRET_KEYS = frozenset({"source", "username", "password", "password_file"})

MAX_MESSAGES = 200
FRACTIONS = "its points should be fractions of the frame's width and height, from 0 to 1"
PIXELS = "divide pixels by the size of the frame"

Location = tuple[int | str, ...]


def messages(error: ValidationError, schema: type[BaseModel]) -> tuple[str, ...]:
    """One sentence per error, in the order of the schema, without repetitions; MAX_MESSAGES at most."""
    found: dict[str, None] = {}
    outside: set[str] = set()
    for problem in error.errors(include_url=False):
        if len(found) > MAX_MESSAGES:
            break  # finding suggestions for thousands of keys takes seconds
        polygon = _polygon(problem)
        if polygon is None:
            found |= dict.fromkeys(_sentences(problem, schema))
        elif polygon not in outside:
            outside.add(polygon)
            found[f"{polygon}: {FRACTIONS}, and one is {problem['input']}: {PIXELS}"] = None
    return tuple(found)


def suggestion(word: str, known: Sequence[str]) -> str:
    """The remedy for an unknown name: the most similar known one, else all known ones."""
    twin = next((one for one in known if to_nfc(one) == to_nfc(word)), None)
    if twin is not None:
        return f"{twin} is known, which looks the same in another Unicode form: copy it from here"
    close = difflib.get_close_matches(word.lower(), known, n=1) or difflib.get_close_matches(word, known, n=1)
    if close:
        return f"did you mean {close[0]}?"
    return f"known: {', '.join(known)}" if known else "none is known here"


def _polygon(problem: Any) -> str | None:
    """The path of a zone or mask with a point outside of the frame: it is probably given in pixels."""
    location = _written(problem["loc"])
    if problem["type"] not in ("less_than_equal", "greater_than_equal") or not isinstance(location[-1], int):
        return None
    at_most = 4 if location[4:5] != ("points",) else 5
    return _path(location[:at_most]) if location[0] == "cameras" and location[2] in ("zones", "mask") else None


def _sentences(problem: Any, schema: type[BaseModel]) -> list[str]:
    """Usually one; several from the check of a whole table; none for a consequence of another error."""
    if problem["type"] == "too_short" and len(problem["input"]) >= problem["ctx"]["min_length"]:
        return []  # its entries are wrong, and reported
    path = _path(problem["loc"])
    error = problem.get("ctx", {}).get("error")
    if isinstance(error, TableError):
        start = f"{path}." if problem["loc"] else ""
        return [f"{start}{redact(key)}: {sentence}" for key, sentence in error.problems.items()]
    return [f"{path}: {_sentence(problem, schema)}"]


def _written(location: Location) -> Location:
    """The path as it is in the file."""
    return tuple(part for part in location if part not in UNWRITTEN)


def _path(location: Location) -> str:
    """`cameras.door.fps`; a number counts the elements of an array from 0."""
    return ".".join(redact(str(part)) for part in _written(location)) or "the file"


def _sentence(problem: Any, schema: type[BaseModel]) -> str:
    location: Location = problem["loc"]
    kind = problem["type"]
    if kind == "extra_forbidden":
        return f"unknown key; {suggestion(str(location[-1]), _known_keys(schema, location[:-1]))}"
    if kind == "missing":
        return f"missing; {_example(schema, location)}"
    if kind == "value_error":
        return str(problem["ctx"]["error"])
    return f"{_expected(kind, problem)}{_given(location, problem['input'])}"


def _expected(kind: str, problem: Any) -> str:
    """What the value should be, in TOML's terms."""
    words = {
        "model_type": "should be a table",
        "dict_type": "should be a table",
        "tuple_type": "should be an array",
        "string_type": 'should be a string ("...")',
        "path_type": 'should be a path ("...")',
        "int_type": "should be a whole number",
        "int_from_float": "should be a whole number",
        "float_type": "should be a number",
        "finite_number": "should be a finite number",
        "bool_type": "should be true or false",
    }
    if kind in ("too_short", "too_long"):
        limits = problem["ctx"]
        bound = f"at least {limits['min_length']}" if kind == "too_short" else f"at most {limits['max_length']}"
        return f"should have {bound} entries"
    message: str = words.get(kind, problem["msg"].replace("Input should", "should"))
    return message[:1].lower() + message[1:]


def _given(location: Location, value: object) -> str:
    if SECRET_KEYS.intersection(map(str, location)):
        return ""
    text = repr(value) if not isinstance(value, bool) else str(value).lower()
    if "@" in text or "://" in text:  # an address in the wrong place, maybe with credentials
        return ""
    return f", is {text if len(text) <= 60 else text[:57] + '...'}"


def _schema_at(schema: type[BaseModel], location: Location) -> type[BaseModel] | None:
    """The schema of the table at a path, None if there is none; names of cameras and actions are skipped."""
    current: type[BaseModel] | None = schema
    for part in location:
        field = current.model_fields.get(str(part)) if current else None
        if field is not None:
            current = table_in(field.annotation)
    return current


def table_in(annotation: Any) -> type[BaseModel] | None:
    """The table schema inside a type such as `TlsConfig | None` or `dict[str, CameraConfig]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (table_in(part) for part in getattr(annotation, "__args__", ()))
    return next((table for table in found if table is not None), None)


def _known_keys(schema: type[BaseModel], location: Location) -> tuple[str, ...]:
    table = _schema_at(schema, location)
    return tuple(field.alias or name for name, field in table.model_fields.items()) if table else ()


def _example(schema: type[BaseModel], location: Location) -> str:
    """How to write a missing key: the first example of its schema."""
    table = _schema_at(schema, location[:-1])
    examples = table.model_fields[str(location[-1])].examples if table else None
    return f"add {examples[0]}" if examples else "add it"
