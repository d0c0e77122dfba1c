"""Validates a configuration and finds all its problems, even those that others hide. Pure.

The check of a whole table (is keep_score above start_score?) cannot run before each of its values is valid. So invalid
values are left out and the rest is checked again, until nothing more is found.
"""

import copy
import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from pydantic import ValidationError

from edge.config.error_messages import messages
from edge.config.schema import Config
from edge.config.schema_types import UNWRITTEN, TableError
from edge.config.toml_layout import KeyPath
from edge.sources import redact

RESTART_ARGUS = str(Config.model_fields["restart_argus"].alias)
MAX_ROUNDS = 8
VALID_SOURCE = "/dev/video999"  # replaces an invalid source of a camera
VALID_SETTINGS = {  # of actions, replace invalid ones: no other value contradicts these
    "start_score": 1.0, "keep_score": 0.0, "min_area": 0.0, "max_area": 1.0,
}  # fmt: skip
SOURCE_OPTIONS = ("width", "height", "flip", "rotation", "loop", "mask", "transport")  # valid for some sources only


class Validation(NamedTuple):
    """The problems of a configuration, a sentence each, and the rest of it without them, None if nothing is usable.

    A camera whose name is invalid has another one in the rest; `renamed` has its name in the file by that one.
    """

    problems: tuple[str, ...]
    usable: Config | None
    renamed: Mapping[str, str] = MappingProxyType({})


def validate(document: Mapping[str, Any]) -> Validation:
    """Check the whole document and report everything that is wrong with it."""
    problems: dict[str, None] = {}
    left_out: set[KeyPath] = set()
    renamed: dict[str, str] = {}
    rest = _without_camera_keys(copy.deepcopy(dict(document)))
    for _ in range(MAX_ROUNDS):
        try:
            return Validation(tuple(problems), Config.model_validate_json(json.dumps(rest, default=str)), renamed)
        except ValidationError as error:
            found = [with_file_names(sentence, renamed) for sentence in messages(error, Config)]
            problems |= dict.fromkeys(one for one in found if not _is_consequence(one, left_out))
            invalid = list(_invalid_keys(error, rest))
        changed = [(_leave_out(rest, path, renamed), is_checked) for path, is_checked in invalid]
        left_out |= {path for path, is_checked in changed if path and is_checked}
        if rest.get("cameras") and all(path is None for path, _ in changed):
            break
        rest["cameras"] = rest.get("cameras") or {"camera": {"source": VALID_SOURCE}}
    return Validation(tuple(problems), None, renamed)


def _without_camera_keys(document: dict[str, Any]) -> dict[str, Any]:
    """The document with the key that stands beside the cameras' tables apart; a table of that name is a camera."""
    cameras = document.get("cameras")
    key = RESTART_ARGUS.rpartition(".")[2]
    if isinstance(cameras, dict) and key in cameras and not isinstance(cameras[key], dict):
        document[RESTART_ARGUS] = cameras.pop(key)
    return document


def with_file_names(sentence: str, renamed: Mapping[str, str]) -> str:
    """The sentence with the cameras' names in the file."""
    for name, invalid in renamed.items():
        sentence = sentence.replace(f"cameras.{name}.", f"cameras.{redact(invalid)}.")
    return sentence


def _is_consequence(sentence: str, left_out: set[KeyPath]) -> bool:
    """Whether the problem may exist only because a value that the sentence names was left out."""
    return any(
        path[-1] in sentence and (len(path) == 1 or path[-2] in sentence or path[-2] == "default") for path in left_out
    )


def _invalid_keys(error: ValidationError, document: Mapping[str, Any]) -> Iterator[tuple[KeyPath, bool]]:
    """The paths of invalid keys, and whether any check reads them: unknown keys are read by none."""
    for problem in error.errors(include_url=False):
        table = tuple(str(part) for part in problem["loc"] if part not in UNWRITTEN)
        cause = problem.get("ctx", {}).get("error")
        if isinstance(cause, TableError):
            found = [_key_path(document, table, key) for key in cause.problems]
            yield from ((one, True) for one in [one for one in found if one is not None] or [table])
        else:
            yield table, problem["type"] != "extra_forbidden"


def _key_path(document: Mapping[str, Any], path: KeyPath, key: str) -> KeyPath | None:
    """The path of a dotted key below the table at `path`; names may contain dots too."""
    table: Any = document
    for part in path:
        table = table.get(part) if isinstance(table, dict) else None
    if not isinstance(table, dict):
        return None
    if key in table or _is_setting((*path, key)):
        return (*path, key)
    below = [name for name in table if key.startswith(f"{name}.")]
    found = (_key_path(document, (*path, name), key.removeprefix(f"{name}.")) for name in below)
    return next((one for one in found if one is not None), None)


def _leave_out(document: dict[str, Any], path: KeyPath, renamed: dict[str, str]) -> KeyPath | None:
    """Remove a key or replace its value by a valid one; returns the path that checks can no longer read.

    () where no check of the rest reads it, None where there was nothing to change.
    """
    cameras = document.get("cameras")
    camera = cameras.get(path[1]) if len(path) > 1 and path[0] == "cameras" and isinstance(cameras, dict) else None
    if isinstance(camera, dict) and path[2:] == ("source",):
        camera["source"], before = VALID_SOURCE, camera.get("source")
        for key in SOURCE_OPTIONS:
            camera.pop(key, None)
        return () if before != VALID_SOURCE else None
    if isinstance(cameras, dict) and isinstance(camera, dict) and len(path) == 2:
        _reduce(cameras, path[1], renamed)
        return ()
    table = document
    for place, part in enumerate(path, start=1):
        if place == len(path) and _is_setting(path) and not VALID_SETTINGS.items() <= table.items():
            # without it another table's value would apply here and be invalid again; so may the other one be
            table |= VALID_SETTINGS if table.get(part) == VALID_SETTINGS[part] else {part: VALID_SETTINGS[part]}
            return ()
        if part not in table:
            return None
        if place == len(path) or not isinstance(table[part], dict):
            del table[part]
            return path[:place]
        table = table[part]
    return None


def _is_setting(path: KeyPath) -> bool:
    """Whether it is one of VALID_SETTINGS in a table of an action; elsewhere such a key is unknown, or a name."""
    of_action = (len(path) == 3 and path[0] == "actions") or (len(path) == 5 and path[2] == "actions")
    return of_action and path[-1] in VALID_SETTINGS


def _reduce(cameras: dict[str, Any], name: str, renamed: dict[str, str]) -> None:
    """Reduce a camera whose own check fails to its source, zones and actions; rename it if it fails even so."""
    tables = {key: cameras[name].get(key, {}) for key in ("zones", "actions")}
    source = cameras[name].get("source", VALID_SOURCE)
    reduced = {"source": source, **{key: table for key, table in tables.items() if isinstance(table, dict)}}
    if cameras[name] != reduced:
        cameras[name] = reduced
    elif name in renamed:
        del cameras[name]
    else:
        new = f"renamed-{len(renamed)}"
        cameras[new], renamed[new] = cameras.pop(name), name
