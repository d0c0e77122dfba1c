"""Changes to the text of `config.toml`, its comments kept, and what may be changed from afar. Pure.

Changes are tables as JSON has them, laid over the file's own: a key takes the new value, null takes a key away, what
is not named stays ("JSON Merge Patch", RFC 7386, but for arrays of tables, which the file has not).
"""

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, get_origin

import tomlkit
from pydantic import BaseModel
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AbstractTable, Item, Key, Table

from edge.problems import table_in
from edge.schema import Config

MOST_CHANGES = 100  # keys; each takes its time in a long file, and the cameras wait
SECRETS = frozenset({"username", "password_file", "cert", "key"})


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
    if not problems and (count := _count(changes)) > MOST_CHANGES:
        problems = (f"{count} keys at once, and {MOST_CHANGES} are the most: change them in several requests",)
    if problems:
        raise EditError(*problems)
    try:
        document = tomlkit.parse(text)
        _lay_over(document, changes)
        found = tomlkit.dumps(document)
        found.encode()  # half a character cannot be written
        return found
    except (TOMLKitError, ValueError, TypeError, RecursionError) as error:
        raise EditError(f"the file cannot be changed so ({error}): edit it by hand") from None


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


def shown(config: Config) -> dict[str, Any]:
    """The configuration as JSON, without what lets one in: logins, names of key files, credentials in sources."""
    tables: dict[str, Any] = config.model_dump(mode="json", exclude_none=True)
    for name, camera in config.cameras.items():
        tables["cameras"][name]["source"] = camera.described().redacted
    for table in (tables["mqtt"], tables["mqtt"].get("tls", {})):
        for key in SECRETS.intersection(table):
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


def _lay_over(table: MutableMapping[str, Any], changes: Mapping[str, object]) -> None:
    """Make the changes in the parsed document, in place."""
    for key, value in changes.items():
        current = table.get(key)
        if value is None:
            table.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(current, MutableMapping):
            _lay_over(current, value)
        elif key in table:
            table[key] = value
        else:
            _add(table, key, value)


def _add(table: MutableMapping[str, Any], key: str, value: object) -> None:
    """A new key stands after the last one of its table, in front of the comments that introduce the next table."""
    trailing = _take_trailing(table)
    if isinstance(value, Mapping):
        inner = tomlkit.table() if isinstance(table, Table | tomlkit.TOMLDocument) else tomlkit.inline_table()
        table[key] = inner
        _lay_over(table[key], value)
    else:
        table[key] = value
    last = _last_table(table)
    if trailing and last is not None:
        last.value.body.extend(trailing)


def _take_trailing(table: MutableMapping[str, Any]) -> list[tuple[Key | None, Item]]:
    """Blank lines and comments after the last key in the text of a table, taken out of it."""
    last = _last_table(table)
    if last is None:
        return []
    body = last.value.body
    keys = [number for number, (key, _) in enumerate(body) if key is not None]
    after = keys[-1] + 1 if keys else 0
    trailing = body[after:]
    del body[after:]
    return trailing


def _last_table(table: MutableMapping[str, Any]) -> AbstractTable | None:
    """The table that ends where this one does: itself, or the last one below it."""
    if not isinstance(table, Table | tomlkit.TOMLDocument):
        return None
    below = [value for value in table.values() if isinstance(value, Table)]
    if below:
        return _last_table(below[-1])
    return table if isinstance(table, Table) else None
