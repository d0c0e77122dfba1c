"""Changes to the text of `config.toml`, its comments kept, and what may be changed from afar. Pure.

Changes are tables as JSON has them, laid over the file's own: a key takes the new value, null takes a key away, what
is not named stays ("JSON Merge Patch", RFC 7386, but for arrays of tables, which the file has not).
"""

from collections.abc import Iterator, Mapping
from typing import Any, get_origin

from pydantic import BaseModel

from edge.config import toml_text
from edge.config.error_messages import table_in
from edge.config.schema import Config
from edge.config.toml_text import NestingError, TomlEditError

MAX_CHANGES = 100  # keys
MAX_PARSED = 1_000_000  # characters, of the file once for each key: the cameras wait meanwhile
SECRET_KEYS = frozenset({"username", "password_file", "cert", "key"})


class EditError(Exception):
    """Changes that cannot be made. `problems`: one sentence each, beginning with the key's path where there is one."""

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


def edited(text: str, changes: Mapping[str, object]) -> str:
    """The file's text after these changes. Raises EditError with all problems at once.

    Whether the result is a configuration is left to the schema.
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
        wanted = _merged(toml_text.parse(text), changes)
        after = text
        for path, value in _leaves(changes):
            after = toml_text.with_value(after, path, value)
        found = toml_text.parse(after)
    except TomlEditError as error:
        raise EditError(str(error)) from None
    except (ValueError, LookupError, RecursionError, NestingError) as error:
        raise EditError(f"the file cannot be changed so ({error}): edit it by hand") from None
    if found != wanted:
        raise EditError(f"{_difference(found, wanted)}: cannot be changed where it stands: edit the file by hand")
    return after


def tunable_keys(schema: type[BaseModel] = Config, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of all keys that may be changed from afar, each with all that is below; `*` stands for any name."""
    for name, field in schema.model_fields.items():
        below = table_in(field.annotation)
        extra = field.json_schema_extra
        if isinstance(extra, dict) and extra.get("tunable") is True:
            yield (*path, name)
        elif below is not None:
            many = get_origin(field.annotation) is dict
            yield from tunable_keys(below, (*path, name, "*") if many else (*path, name))


def redacted(config: Config) -> dict[str, Any]:
    """The configuration as JSON, without what lets one in: logins, names of key files, credentials in sources."""
    tables: dict[str, Any] = config.model_dump(mode="json", exclude_none=True)
    for name, camera in config.cameras.items():
        tables["cameras"][name]["source"] = camera.to_source().redacted
    for table in (tables["mqtt"], tables["mqtt"].get("tls", {})):
        for key in SECRET_KEYS.intersection(table):
            del table[key]
    return tables


def _problems(changes: Mapping[str, object], path: tuple[str, ...] = ()) -> Iterator[str]:
    """A sentence for each key that may not be changed."""
    for key, value in changes.items():
        here = (*path, key)
        near = [pattern for pattern in tunable_keys() if _leads(here, pattern)]
        if any(len(pattern) <= len(here) for pattern in near):
            continue
        if isinstance(value, Mapping) and value and near:
            yield from _problems(value, here)
        else:
            yield f"{'.'.join(here)[:200]}: cannot be changed by request; edit the file"


def _count(changes: Mapping[str, object]) -> int:
    """The keys that are to have another value."""
    count, waiting = 0, [changes]
    while waiting:
        for value in waiting.pop().values():
            if isinstance(value, Mapping) and value:
                waiting.append(value)
            else:
                count += 1
    return count


def _leads(path: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Whether a path and a pattern are the same as far as the shorter one goes; `*` in the pattern is any name."""
    return all(expected in ("*", name) for name, expected in zip(path, pattern, strict=False))


def _leaves(changes: Mapping[str, object], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """The paths that get a value, None or an empty table."""
    for key, value in changes.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value


def _merged(old: object, new: object) -> Any:
    """What the file should say afterwards (RFC 7386)."""
    if not isinstance(new, Mapping):
        return new
    base = old if isinstance(old, dict) else {}
    values = {**base, **{key: _merged(base.get(key), value) for key, value in new.items()}}
    return {key: value for key, value in values.items() if value is not None}


def _difference(found: object, wanted: object, path: tuple[str, ...] = ()) -> str:
    """The first key whose value is not the wanted one."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in {**found, **wanted}:
            if found.get(key) != wanted.get(key):
                return _difference(found.get(key), wanted.get(key), (*path, key))
    return ".".join(path)[:200] or "the file"
