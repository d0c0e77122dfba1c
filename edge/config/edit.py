"""Changes to `config.toml` by request: which keys may be changed, and the new text with its comments kept. Pure.

Changes are a JSON merge patch (RFC 7386): a key takes the new value, null removes it, all other keys stay. Arrays of
tables, which the file does not have, are not supported.
"""

from collections.abc import Iterator, Mapping
from typing import Any, get_origin

from pydantic import BaseModel

from edge.config import toml_text
from edge.config.error_messages import table_in
from edge.config.schema import Config
from edge.config.toml_text import NestingError, TomlEditError

MAX_CHANGES = 100  # keys
MAX_PARSED = 1_000_000  # characters: the file is parsed once for each key while the cameras wait
SECRET_KEYS = frozenset({"username", "password_file", "cert", "key"})


class EditError(Exception):
    """Changes that cannot be made. `problems`: one sentence each, beginning with the key's path if there is one."""

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


def edited(text: str, changes: Mapping[str, object]) -> str:
    """The file's text after these changes. Raises EditError with all problems at once.

    The result is TOML; whether it is a valid configuration is left to the schema.
    """
    problems = tuple(_problems(changes))
    most = min(MAX_CHANGES, MAX_PARSED // max(len(text), 1))
    if not problems and not most:
        problems = (f"the file is longer than {MAX_PARSED:,} characters: edit it by hand",)
    elif not problems and (count := _count(changes)) > most:
        problems = (f"{count} keys at once, and {most} are the most: change them in several requests",)
    if problems:
        raise EditError(*problems)
    try:
        before = toml_text.parse(text)
        expected = _merged(before, changes)
        after = text
        for path in _changing_form(before, changes):
            after = toml_text.with_value(after, path, None)
        for path, value in _leaves(changes):
            after = toml_text.with_value(after, path, value)
        found = toml_text.parse(after)
    except TomlEditError as error:
        raise EditError(str(error)) from None
    except (ValueError, LookupError, RecursionError, NestingError) as error:
        raise EditError(f"the file cannot be changed this way ({error}): edit it by hand") from None
    if found != expected:
        raise EditError(f"{_difference(found, expected)}: cannot be changed where it stands: edit the file by hand")
    return after


def combined(earlier: Mapping[str, object], later: Mapping[str, object]) -> dict[str, object]:
    """Changes that do what these two do, one after the other."""
    both = dict(earlier)
    for key, value in later.items():
        before = earlier.get(key)
        both[key] = combined(before, value) if isinstance(before, Mapping) and isinstance(value, Mapping) else value
    return both


def tunable_keys(schema: type[BaseModel] = Config, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of all keys that a request may change, with everything below them; `*` stands for any name."""
    for name, field in schema.model_fields.items():
        below = table_in(field.annotation)
        extra = field.json_schema_extra
        if isinstance(extra, dict) and extra.get("tunable") is True:
            yield (*path, name)
        elif below is not None:
            many = get_origin(field.annotation) is dict
            yield from tunable_keys(below, (*path, name, "*") if many else (*path, name))


def redacted(config: Config) -> dict[str, Any]:
    """The configuration as JSON without secrets: logins, names of key files, credentials in sources."""
    tables: dict[str, Any] = config.model_dump(mode="json", exclude_none=True)
    for name, camera in config.cameras.items():
        tables["cameras"][name]["source"] = camera.to_source().redacted
    for table in (tables["mqtt"], tables["mqtt"].get("tls", {}), tables["web"]):
        for key in SECRET_KEYS.intersection(table):
            del table[key]
    if tables.pop("restart_argus"):
        tables["cameras"].setdefault("restart_argus", True)  # where the file has it
    return tables


def _problems(changes: Mapping[str, object], path: tuple[str, ...] = ()) -> Iterator[str]:
    """A sentence for each key that a request may not change."""
    for key, value in changes.items():
        here = (*path, key)
        near = [pattern for pattern in tunable_keys() if _matches(here, pattern)]
        if any(len(pattern) <= len(here) for pattern in near):
            continue
        if isinstance(value, Mapping) and value and near:
            yield from _problems(value, here)
        else:
            yield f"{'.'.join(here)[:200]}: cannot be changed by request; edit the file"


def _count(changes: Mapping[str, object]) -> int:
    """How many keys get another value."""
    count, waiting = 0, [changes]
    while waiting:
        for value in waiting.pop().values():
            if isinstance(value, Mapping) and value:
                waiting.append(value)
            else:
                count += 1
    return count


def _matches(path: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Whether one of a path and a pattern begins with the other; `*` in the pattern is any name."""
    return all(expected in ("*", name) for name, expected in zip(path, pattern, strict=False))


def _leaves(changes: Mapping[str, object], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """The paths that get a value, None or an empty table, each with it."""
    for key, value in changes.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value


def _changing_form(
    old: Mapping[str, object], changes: Mapping[str, object], path: tuple[str, ...] = ()
) -> Iterator[tuple[str, ...]]:
    """The paths at which a table takes a value's place, or a value a table's: a zone may be written as either."""
    for key, value in changes.items():
        before, here = old.get(key), (*path, key)
        if isinstance(before, dict) and isinstance(value, Mapping):
            yield from _changing_form(before, value, here)
        elif before is not None and value is not None and isinstance(before, dict) != isinstance(value, Mapping):
            yield here


def _merged(old: object, new: object) -> Any:
    """The document that the file should hold afterwards (RFC 7386)."""
    if not isinstance(new, Mapping):
        return new
    base = old if isinstance(old, dict) else {}
    values = {**base, **{key: _merged(base.get(key), value) for key, value in new.items()}}
    return {key: value for key, value in values.items() if value is not None}


def _difference(found: object, expected: object, path: tuple[str, ...] = ()) -> str:
    """The first key whose value differs."""
    if isinstance(found, dict) and isinstance(expected, dict):
        for key in {**found, **expected}:
            if found.get(key) != expected.get(key):
                return _difference(found.get(key), expected.get(key), (*path, key))
    return ".".join(path)[:200] or "the file"
